package analysis

import (
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/sysmon"
)

// Slice is one step of an arm's measured window: what its requests saw and what
// the machine did meanwhile. Instants count from the run's epoch.
type Slice struct {
	From, To time.Duration
	Requests int     // good ones that were due in it
	TTFTMs   float64 // their p95, nearest rank; NaN under sliceRequests of them
	Counters Counters
}

// sliceRequests is how many requests a slice's p95 is told from at least: a
// slice is a point of a series, not a result, and noise in it is the test's to
// allow for.
const sliceRequests = 3

// sliceWidth is how a window is cut for all that looks inside it: 10 s, or 1 s
// where it is shorter than 30 s.
func sliceWidth(window time.Duration) time.Duration {
	if window < 30*time.Second {
		return time.Second
	}
	return 10 * time.Second
}

// slicesOf cuts the measured window into steps of sliceWidth; a rest shorter
// than a step is left out, and a window shorter than one is a step of its own.
func (m *Measured) slicesOf(t *sysmon.Table, served serverReads) []Slice {
	w := m.Summary.Window
	width := min(sliceWidth(w.Length()), w.Length())
	if width <= 0 {
		return nil
	}
	due := slices.Clone(m.byDue)
	slices.SortStableFunc(due, func(a, b timed) int { return int(a.due - b.due) })
	var out []Slice
	for from := w.Start; from+width <= w.End; from += width {
		to := from + width
		s := Slice{From: from, To: to, TTFTMs: math.NaN(), Counters: countersOf(t, served, from, to)}
		var ms []float64
		for len(due) > 0 && due[0].due < to {
			if due[0].due >= from {
				ms = append(ms, due[0].ms)
			}
			due = due[1:]
		}
		if s.Requests = len(ms); len(ms) >= sliceRequests {
			slices.Sort(ms)
			s.TTFTMs, _ = Quantile(ms, 0.95)
		}
		out = append(out, s)
	}
	return out
}
