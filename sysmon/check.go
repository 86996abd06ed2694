package sysmon

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/internal/clock"
	"golang.org/x/sync/errgroup"
)

// CheckConfig says how to hold the sampler against iostat, vmstat and mpstat.
type CheckConfig struct {
	Device   string        `json:"device"`         // whole disk to compare, from DeviceOf; required
	Duration time.Duration `json:"duration_ns"`    // of the comparison, whole seconds; 0 = 60 s; at least 3 s
	Interval time.Duration `json:"interval_ns"`    // sampling meanwhile; 0 = 10 ms
	Load     *CheckLoad    `json:"load,omitempty"` // load to make meanwhile; nil = none, the caller makes it
}

// CheckReport is the outcome, column by column.
type CheckReport struct {
	Device   string        `json:"device"`
	Duration time.Duration `json:"duration_ns"`
	Lines    []CheckLine   `json:"lines"`
	Ticks    int           `json:"ticks"`       // of our sampler
	SkewP99  time.Duration `json:"skew_p99_ns"` // see Completeness
	Faults   []Fault       `json:"faults,omitempty"`
}

// CheckLine compares one column of one tool, second by second.
type CheckLine struct {
	Tool    string  `json:"tool"`
	Column  string  `json:"column"`  // as the tool's header names it
	Ours    string  `json:"ours"`    // how we compute it
	Limit   float64 `json:"limit"`   // allowed difference: percent, or points of a percentage
	Points  bool    `json:"points"`  // the limit is in points, not relative
	Seconds int     `json:"seconds"` // compared
	Idle    int     `json:"idle"`    // not compared: too few events for a relative difference
	Unsure  int     `json:"unsure"`  // not compared: the second's edges are not known well enough
	Within  int     `json:"within"`  // seconds inside the limit
	Median  float64 `json:"median"`  // difference beyond what printing and 10 ms ticks resolve, in the limit's unit
	Worst   float64 `json:"worst"`   // largest such difference
	Mean    float64 `json:"mean"`    // the tool's value averaged over the compared seconds
}

// minAgree is the share of seconds that must lie inside the limit. Two programs
// read the same counters some tenths of a millisecond apart; a burst that falls
// between the two reads is seen by one in this second, by the other in the next.
const minAgree = 0.95

// minForBias is how many seconds a judgement on the median needs.
const minForBias = 10

// A second is compared only if its edges are known: the two reports arrived one
// second apart to maxJitter, and our ticks around each arrival lie at most
// maxGap apart. On a machine short of CPU a tool reads late, or its line waits in
// the pipe, and what is compared then is the scheduler. The rule looks at times
// alone, never at the values, so it cannot hide a disagreement.
const (
	maxJitter = 10 * time.Millisecond
	maxGap    = 25 * time.Millisecond
	minSure   = 0.5 // share of seconds that must be sure for a verdict
)

// ErrDisagree is what CheckReport.Err wraps.
var ErrDisagree = errors.New("disagrees with the system's tools")

// OK reports whether at least 95 % of the compared seconds lie inside the limit
// and, from ten seconds on, the median difference lies inside half of it: a
// larger median is a bias, but of two or three bursts it says nothing. A line
// without any compared second is OK: an idle column shows nothing.
func (l CheckLine) OK() bool {
	if float64(l.Within) < minAgree*float64(l.Seconds) {
		return false
	}
	return l.Seconds < minForBias || l.Median <= l.Limit/2
}

// Err is nil when every line is OK, each tool had something to compare, and at
// least half of the seconds were sure.
func (r CheckReport) Err() error {
	var errs []error
	compared := map[string]int{}
	for _, l := range r.Lines {
		compared[l.Tool] += l.Seconds
		if all := l.Seconds + l.Idle + l.Unsure; float64(all-l.Unsure) < minSure*float64(all) {
			errs = append(errs, fmt.Errorf("sysmon: %w: %s %s: the times of %d of %d seconds are unsure (repeat on a quiet machine)",
				ErrDisagree, l.Tool, l.Column, l.Unsure, all))
		}
		if !l.OK() {
			errs = append(errs, fmt.Errorf("sysmon: %w: %s %s: %d of %d seconds within %g, worst %.2f",
				ErrDisagree, l.Tool, l.Column, l.Within, l.Seconds, l.Limit, l.Worst))
		}
	}
	for _, t := range checkTools(r.Device, 1) {
		if compared[t.name] == 0 {
			errs = append(errs, fmt.Errorf("sysmon: %w: nothing of %s could be compared (put the device under load)", ErrDisagree, t.name))
		}
	}
	return errors.Join(errs...)
}

// Text is the report as a table for reading.
func (r CheckReport) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "device %s, %v, %d ticks, reads take %v (p99)\n", r.Device, r.Duration, r.Ticks, r.SkewP99)
	fmt.Fprintf(&b, "%-7s %-9s %12s %8s %6s %8s %8s %6s %8s\n", "tool", "column", "mean", "within", "unsure", "median", "worst", "limit", "unit")
	for _, l := range r.Lines {
		unit, verdict := "%", "ok"
		if l.Points {
			unit = "points"
		}
		if l.Seconds == 0 {
			verdict = "idle"
		} else if !l.OK() {
			verdict = "DIFFERS"
		}
		fmt.Fprintf(&b, "%-7s %-9s %12.2f %5d/%-2d %6d %8.3f %8.3f %6.1f %8s %s\n",
			l.Tool, l.Column, l.Mean, l.Within, l.Seconds, l.Unsure, l.Median, l.Worst, l.Limit, unit, verdict)
	}
	return b.String()
}

// Check runs iostat -x, vmstat and mpstat at one second beside the sampler and
// compares each second: rates within 2 %, waits within 5 %, CPU shares within
// 1 point. The tools' seconds are not ours, so the sampler runs at 100 Hz and
// each of our values is computed from raw counters over exactly the time between
// the arrivals of two reports. Check needs sysstat and procps (ErrNoTool) and
// blocks for Duration and a second; ctx ends it early with its error.
func Check(ctx context.Context, cfg CheckConfig) (CheckReport, error) {
	if cfg.Duration == 0 {
		cfg.Duration = time.Minute
	}
	if cfg.Interval == 0 {
		cfg.Interval = 10 * time.Millisecond
	}
	if cfg.Device == "" || cfg.Duration < 3*time.Second {
		return CheckReport{}, fmt.Errorf("sysmon: check: %w: needs a device and at least 3s", ErrConfig)
	}
	tools := checkTools(cfg.Device, int(cfg.Duration/time.Second)+1)
	if err := findTools(tools); err != nil {
		return CheckReport{}, err
	}
	load, err := cfg.Load.prepare()
	if err != nil {
		return CheckReport{}, err
	}
	tab, reports, err := checkMeasure(ctx, cfg, tools, load)
	if err = errors.Join(err, load.remove()); err != nil {
		return CheckReport{}, err
	}
	r := CheckReport{Device: cfg.Device, Duration: cfg.Duration, Ticks: len(tab.T), Faults: tab.Faults}
	r.SkewP99 = tab.Completeness(tab.T[0], tab.T[len(tab.T)-1]).SkewP99
	for i, t := range tools {
		for _, c := range t.compare {
			r.Lines = append(r.Lines, compareLine(tab, t.name, c, reports[i]))
		}
	}
	return r, nil
}

// checkMeasure runs sampler, load and tools together until the tools are done.
func checkMeasure(ctx context.Context, cfg CheckConfig, tools []tool, load *loadFile) (*Table, [][]report, error) {
	s, err := New(Config{Interval: cfg.Interval, Device: cfg.Device})
	if err != nil {
		return nil, nil, err
	}
	tab := newTable(s.Meta())
	background, stop := context.WithCancel(ctx)
	defer stop()
	var back, front errgroup.Group
	back.Go(func() error {
		return s.Run(background, func(r Row) error { return tab.add(r) })
	})
	back.Go(func() error { return load.run(background) })

	reports := make([][]report, len(tools))
	clk := clock.New()
	err = pause(ctx, 500*time.Millisecond) // the first reports need ticks before them
	if err == nil {
		for i, t := range tools {
			front.Go(func() (err error) {
				reports[i], err = t.run(ctx, clk)
				return err
			})
		}
		err = errors.Join(front.Wait(), pause(ctx, 5*cfg.Interval))
	}
	stop()
	return tab, reports, errors.Join(err, back.Wait(), s.Close())
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("sysmon: check: %w", ctx.Err())
	case <-t.C:
		return nil
	}
}

// resolution is the difference that both numbers can show without disagreeing:
// the tool prints so many digits, and /proc/stat counts ticks of 10 ms, of which
// a CPU has 100 a second; the kernel moves the last one between idle and iowait
// as it looks.
func (c comparison) resolution(cpus int) float64 {
	return c.rounding + c.ticks/float64(max(cpus, 1))
}

// sure reports whether a second's edges are known; see maxJitter.
func sure(tab *Table, from, to time.Duration) bool {
	if jitter := (to - from - time.Second).Abs(); jitter > maxJitter {
		return false
	}
	for _, at := range []time.Duration{from, to} {
		a, b := tab.around(at)
		if a < 0 || tab.T[b]-tab.T[a] > maxGap {
			return false
		}
	}
	return true
}

// compareLine compares one column over the windows between reports. The first
// report only marks where the first window begins: it covers the time since
// boot, or since a start that is not known.
func compareLine(tab *Table, name string, c comparison, reports []report) CheckLine {
	l := CheckLine{Tool: name, Column: c.column, Ours: c.formula, Limit: c.limit, Points: c.points}
	var diffs []float64
	var sum float64
	for i := 1; i < len(reports); i++ {
		theirs, found := reports[i].fields[c.column]
		from, to := reports[i-1].at, reports[i].at
		if !found {
			continue
		}
		if !sure(tab, from, to) {
			l.Unsure++
			continue
		}
		events, ok := c.events(tab, from, to)
		if !ok || events < c.minEvents {
			l.Idle++
			continue
		}
		ours, ok := c.ours(tab, from, to)
		if !ok {
			l.Idle++
			continue
		}
		d := max(0, math.Abs(ours-theirs)-c.resolution(tab.Meta.CPUs))
		if !c.points {
			d = 100 * d / max(math.Abs(theirs), math.Abs(ours))
		}
		l.Seconds++
		sum += theirs
		diffs = append(diffs, d)
		if d <= c.limit {
			l.Within++
		}
	}
	if l.Seconds > 0 {
		slices.Sort(diffs)
		l.Median, l.Worst = diffs[len(diffs)/2], diffs[len(diffs)-1]
		l.Mean = sum / float64(l.Seconds)
	}
	return l
}
