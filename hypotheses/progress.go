package hypotheses

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spark-harness/harness/hypotheses/watch"
)

// Progress receives what a person wants to see while a measurement goes on.
// All may be nil; the functions are called from one goroutine at a time.
type Progress struct {
	Log  func(line string) // a line worth keeping
	Live func(line string) // the state now, replacing the last one
	// Watch is shown what is measured while it is, over as many hypotheses as
	// share it. Where it is nil, Config.HTTP makes one for a single hypothesis.
	Watch *watch.Hub

	place string        // of the hypothesis in a suite, before every state
	later time.Duration // what comes after the hypothesis, by estimate
}

func (p Progress) logf(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	p.Watch.Log(line)
	if p.Log != nil {
		p.Log(line)
	}
}

func (p Progress) livef(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	p.Watch.Live(line)
	if p.Live != nil {
		if line != "" {
			line = p.place + line
		}
		p.Live(line)
	}
}

// left says how much time is left: of the hypothesis, and of the suite where
// more is to come.
func (p Progress) left(d time.Duration) string {
	if p.later > 0 {
		return fmt.Sprintf("%s left, %s in all", brief(d), brief(d+p.later))
	}
	return brief(d) + " left"
}

// LiveLine draws a state line on a terminal, over the one before it. The zero
// LiveLine draws nothing.
type LiveLine struct {
	W     io.Writer
	Width int // columns; 0 means 80
}

// Show replaces the line.
func (l LiveLine) Show(line string) {
	if l.W == nil {
		return
	}
	width := l.Width
	if width == 0 {
		width = 80
	}
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f { // a model name must not move the cursor
			return ' '
		}
		return r
	}, line)
	for utf8.RuneCountInString(line) > width-1 {
		_, size := utf8.DecodeLastRuneInString(line)
		line = line[:len(line)-size]
	}
	// Carriage return, text, erase to the end of the line. A terminal that went
	// away must not end a measurement, so the error is dropped.
	_, _ = fmt.Fprintf(l.W, "\r%s\x1b[K", line)
}

// Clear removes the line.
func (l LiveLine) Clear() {
	if l.W != nil {
		_, _ = fmt.Fprint(l.W, "\r\x1b[K")
	}
}

// brief is a duration for people: 4m10s, 12s, 0.3s.
func brief(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return fmt.Sprintf("%.0fs", d.Seconds())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}
