package fioctl

import (
	"strings"
	"sync"
)

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	limit int // bytes
	mu    sync.Mutex
	buf   []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}

// maxWords bounds what an error quotes of fio.
const maxWords = 600

// fioWords picks the lines that fio meant for people out of what it wrote: it
// mixes them with its documents. That a signal ends it is no news.
func fioWords(said string) string {
	var lines []string
	inside := false
	for l := range strings.Lines(said) {
		l = strings.TrimRight(l, " \t\r\n")
		switch {
		case l == "{":
			inside = true
		case l == "}":
			inside = false
		case inside && !strings.HasPrefix(l, "fio: "), l == "", strings.HasPrefix(l, "fio: terminating on signal"):
		default:
			lines = append(lines, strings.TrimSpace(l))
		}
	}
	return clip(strings.Join(lines, " | "), maxWords)
}

// clip cuts a text for an error.
func clip(s string, limit int) string {
	s = strings.ToValidUTF8(strings.TrimSpace(s), "?")
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// wordFilter passes the lines on that begin with "fio:" and drops the rest: the
// documents themselves are kept elsewhere. It is for one goroutine.
type wordFilter struct {
	to   *tail
	line []byte // start of the line that is not complete
	skip bool   // it is none of those
}

const wordMark = "fio:"

func (w *wordFilter) Write(b []byte) (int, error) {
	for _, c := range b {
		switch {
		case c == '\n':
			if !w.skip && len(w.line) >= len(wordMark) {
				_, _ = w.to.Write(append(w.line, '\n')) // a tail takes everything
			}
			w.line, w.skip = w.line[:0], false
		case !w.skip:
			w.line = append(w.line, c)
			n := len(w.line)
			w.skip = n <= len(wordMark) && c != wordMark[n-1] || n > maxWords
		}
	}
	return len(b), nil
}
