package v25

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Mpstat is the lines "all" of one mpstat log: means over all CPUs, one per
// interval of one second, in order.
type Mpstat struct {
	CPUs   int       // as the log's first line says; 0 if it does not
	IOWait []float64 // % of all CPUs
	Busy   []float64 // 100 − %idle − %iowait
	Broken int       // lines of CPU all that could not be read
}

// ReadMpstat reads mpstat -P ALL 1 N: 24-hour and 12-hour clocks, decimal
// points and commas. Averages at the end are left out, whatever they are called
// in the machine's language. It fails without one line of all CPUs.
func ReadMpstat(r io.Reader) (Mpstat, error) {
	var m Mpstat
	var header []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m.CPUs == 0 {
			m.CPUs = cpusOf(line)
		}
		fields := strings.Fields(line)
		if len(fields) < 3 || !clockTime(fields[0]) {
			continue
		}
		if slices.Contains(fields, "CPU") {
			header = fields
			continue
		}
		at := slices.Index(header, "CPU")
		if at < 0 || at >= len(fields) || fields[at] != "all" {
			continue
		}
		wait, idle := column(header, fields, "%iowait"), column(header, fields, "%idle")
		if len(fields) != len(header) || !percent(wait) || !percent(idle) {
			m.Broken++
			continue
		}
		m.IOWait = append(m.IOWait, wait)
		m.Busy = append(m.Busy, max(0, 100-idle-wait))
	}
	if err := lines.Err(); err != nil {
		return m, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if len(m.IOWait) == 0 {
		return m, fmt.Errorf("%w: no line of all CPUs (empty, or mpstat was not installed)", ErrMalformed)
	}
	return m, nil
}

// cpusOf is the number in "(20 CPU)".
func cpusOf(line string) int {
	before, _, ok := strings.Cut(line, " CPU)")
	if i := strings.LastIndexByte(before, '('); ok && i >= 0 {
		if n, ok := digits(before[i+1:]); ok && n < 1<<20 {
			return int(n)
		}
	}
	return 0
}

// clockTime reports whether s is a time of day such as 22:46:01.
func clockTime(s string) bool {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return false
	}
	for _, p := range parts {
		if len(p) == 0 || len(p) > 2 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}

func column(header, fields []string, name string) float64 {
	if i := slices.Index(header, name); i >= 0 && i < len(fields) {
		return parsed(strings.ReplaceAll(fields[i], ",", "."))
	}
	return absent()
}

func percent(v float64) bool { return v >= 0 && v <= 100.01 }
