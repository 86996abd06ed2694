package sysmon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// ErrNoTool says that a program of the self-check is not installed.
var ErrNoTool = errors.New("tool not found")

// tool is a program that reports once a second.
type tool struct {
	name, pkg string
	args      []string
	mark      string // a name only the header has
	keyColumn string // header of the column that selects the row; "" = every row
	key       string
	compare   []comparison
}

// report is one report's row and when it arrived, on CLOCK_MONOTONIC.
type report struct {
	at     time.Duration
	fields map[string]float64
}

func itoa(n int) string { return strconv.Itoa(n) }

func findTools(tools []tool) error {
	var errs []error
	for _, t := range tools {
		if _, err := exec.LookPath(t.name); err != nil {
			errs = append(errs, fmt.Errorf("sysmon: run %s: %w (apt-get install %s)", t.name, ErrNoTool, t.pkg))
		}
	}
	return errors.Join(errs...)
}

// run starts the tool and collects its reports until it ends by itself. A
// report's arrival is taken when its bytes come out of the pipe: the tools read
// the kernel's files, print and flush within a fraction of a millisecond.
func (t tool) run(ctx context.Context, clk clock.Clock) ([]report, error) {
	cmd := exec.CommandContext(ctx, t.name, t.args...)
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "S_COLORS=never")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("sysmon: run %s: %w", t.name, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("sysmon: run %s: %w", t.name, err)
	}
	p := reportParser{tool: t}
	readErr := p.readAll(out, clk.Now)
	if err := errors.Join(readErr, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("sysmon: run %s: %w: %s", t.name, err, strings.TrimSpace(stderr.String()))
	}
	if len(p.reports) < 2 {
		return nil, fmt.Errorf("sysmon: run %s: %d reports, none to compare (header %q)", t.name, len(p.reports), p.header)
	}
	return p.reports, nil
}

// reportParser finds columns by their header.
type reportParser struct {
	tool    tool
	header  []string
	keyAt   int
	partial []byte
	reports []report
}

// readAll stamps each chunk as it arrives and parses its lines.
func (p *reportParser) readAll(r io.Reader, now func() time.Duration) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		at := now()
		p.partial = append(p.partial, buf[:n]...)
		for {
			i := bytes.IndexByte(p.partial, '\n')
			if i < 0 {
				break
			}
			p.line(string(p.partial[:i]), at)
			p.partial = p.partial[i+1:]
		}
		if len(p.partial) > maxLine {
			return fmt.Errorf("line longer than %d bytes", maxLine)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
}

// line takes a header, a row or neither.
func (p *reportParser) line(s string, at time.Duration) {
	f := strings.Fields(s)
	if slices.Contains(f, p.tool.mark) {
		p.header, p.keyAt = f, -1
		for i, name := range f {
			if p.tool.keyColumn != "" && strings.TrimSuffix(name, ":") == p.tool.keyColumn {
				p.keyAt = i
			}
		}
		return
	}
	if len(f) == 0 || len(f) != len(p.header) || f[0] == "Average:" {
		return
	}
	if p.tool.keyColumn != "" && (p.keyAt < 0 || f[p.keyAt] != p.tool.key) {
		return
	}
	r := report{at: at, fields: make(map[string]float64, len(f))}
	for i, name := range p.header {
		if v, err := strconv.ParseFloat(f[i], 64); err == nil {
			r.fields[name] = v
		}
	}
	if len(r.fields) > 0 {
		p.reports = append(p.reports, r)
	}
}
