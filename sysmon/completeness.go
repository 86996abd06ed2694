package sysmon

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Completeness says how whole a record is over a window.
type Completeness struct {
	Expected  int           `json:"expected"`    // ticks the window should hold
	Ticks     int           `json:"ticks"`       // ticks it holds
	Missed    int           `json:"missed"`      // deadlines that passed unserved
	Resets    int           `json:"resets"`      // counters that ran backwards
	LateP99   time.Duration `json:"late_p99_ns"` // of wake-up minus deadline
	SkewP99   time.Duration `json:"skew_p99_ns"` // of the time one row's reads took
	LongestDt time.Duration `json:"longest_ns"`  // longest distance of neighbouring rows, edges included
	CPUShare  float64       `json:"cpu_share"`   // of one CPU, the sampling thread's; NaN = unknown
	Faults    []Fault       `json:"faults,omitempty"`
	Truncated bool          `json:"truncated,omitempty"`

	interval time.Duration
}

// The bounds of Completeness.Err.
const (
	minTickShare = 0.99  // of expected ticks
	maxLateShare = 0.10  // late p99, of the interval
	maxCPUShare  = 0.005 // of one CPU, at 10 Hz or slower
)

// ErrIncomplete is what Completeness.Err wraps.
var ErrIncomplete = errors.New("telemetry incomplete")

// Completeness counts the ticks of [from, to].
func (t *Table) Completeness(from, to time.Duration) Completeness {
	c := Completeness{Truncated: t.Truncated, CPUShare: math.NaN(), interval: t.Meta.Interval}
	if c.interval > 0 && to > from {
		c.Expected = int((to - from) / c.interval)
	}
	late, skew := []float64{}, []float64{}
	prev := from
	for i, at := range t.T {
		if at < from || at > to {
			continue
		}
		c.Ticks++
		c.LongestDt = max(c.LongestDt, at-prev)
		prev = at
		late = appendFinite(late, t.data[colLate][i])
		skew = appendFinite(skew, t.data[colSkew][i])
		c.Missed += int(zeroNaN(t.data[colMissed][i]))
		c.Resets += int(zeroNaN(t.data[colResets][i]))
	}
	c.LongestDt = max(c.LongestDt, to-prev)
	c.LateP99, c.SkewP99 = p99(late), p99(skew)
	if us, ok := t.Rate("raw_sampler_cpu_us", from, to); ok {
		c.CPUShare = us / 1e6
	}
	for _, f := range t.Faults {
		if f.T >= from && f.T <= to {
			c.Faults = append(c.Faults, f)
		}
	}
	return c
}

// Err is nil when at least 99 % of the ticks are there, 99 % of them less than
// a tenth of a tick late, and no source failed; otherwise it wraps
// ErrIncomplete and names each bound that was broken.
func (c Completeness) Err() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("sysmon: %w: "+format, append([]any{ErrIncomplete}, args...)...))
	}
	if float64(c.Ticks) < minTickShare*float64(c.Expected) || c.Ticks == 0 {
		bad("%d of %d ticks", c.Ticks, c.Expected)
	}
	if float64(c.LateP99) > maxLateShare*float64(c.interval) {
		bad("99 %% of ticks at most %v late, over a tenth of %v", c.LateP99, c.interval)
	}
	for _, f := range c.Faults {
		if !f.Over {
			bad("%s from %v: %s", f.Column, f.T, f.Reason)
		}
	}
	return errors.Join(errs...)
}

// Cheap reports whether sampling cost at most half a percent of one CPU.
func (c Completeness) Cheap() bool { return c.CPUShare <= maxCPUShare }

func appendFinite(s []float64, v float64) []float64 {
	if math.IsNaN(v) {
		return s
	}
	return append(s, v)
}

func zeroNaN(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// p99 is the smallest value that 99 % of the values do not exceed.
func p99(s []float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return time.Duration(s[int(math.Ceil(0.99*float64(len(s))))-1])
}
