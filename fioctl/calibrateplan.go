package fioctl

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// CalibratePlan says how a device is calibrated and which levels are wanted.
// Use FullPlan or QuickPlan and change what must differ.
type CalibratePlan struct {
	BlockBytes int64  `json:"block_bytes"` // of the load's I/Os
	Seed       uint64 `json:"seed"`        // of orders and offsets
	CPUs       string `json:"cpus,omitempty"`

	// The device must be quiet before: less than QuietBytesPerSec read and
	// written over Quiet, in one of QuietTries.
	Quiet            time.Duration `json:"quiet_ns"`
	QuietTries       int           `json:"quiet_tries"`
	QuietBytesPerSec float64       `json:"quiet_bytes_per_sec"`

	Idle time.Duration `json:"idle_ns"` // of the probe without load

	Depths      []int         `json:"depths"` // ascending
	SweepRounds int           `json:"sweep_rounds"`
	SweepSettle time.Duration `json:"sweep_settle_ns"` // left out of every window of the sweep
	SweepWindow time.Duration `json:"sweep_window_ns"`
	Gain        float64       `json:"gain"` // doubling twice for less is the plateau

	// SaturatedDepth is the least depth of a level without a rate, and
	// RatedDepth of one with a rate: deep enough that a server that shares the
	// device does not hold the rate back.
	SaturatedDepth int `json:"saturated_depth"`
	RatedDepth     int `json:"rated_depth"`

	Goals       []Goal        `json:"goals"` // from the weakest to the strongest
	LevelRounds int           `json:"level_rounds"`
	LevelSettle time.Duration `json:"level_settle_ns"`
	LevelWindow time.Duration `json:"level_window_ns"`
	Steps       int           `json:"steps"`     // of a search for a level
	Tolerance   float64       `json:"tolerance"` // of a level's aim, below which it is accepted
	// Again is how often levels that missed their aim are measured anew; what
	// they miss then stands in the calibration. No round begins after Budget.
	Again  int           `json:"again"`
	Budget time.Duration `json:"budget_ns"` // 0: none

	// Backstop of the levels' jobs: longer than any window they are for.
	Backstop time.Duration `json:"backstop_ns"`
}

// Goal is a level that is wanted. Without an aim it is the absence of load.
type Goal struct {
	Name string `json:"name"` // letters, digits, dash, underscore
	Aim  Aim    `json:"aim"`
}

// KVBlockBytes is the request size of offloaded KV caches, which most of a
// server's paging consists of.
const KVBlockBytes = 128 << 10

// FullPlan takes about seven minutes: depths for 5 s twice, five levels for
// 20 s three times.
func FullPlan() CalibratePlan {
	p := QuickPlan()
	p.Quiet, p.QuietTries = 5*time.Second, 12
	p.Idle = 30 * time.Second
	p.SweepRounds, p.SweepSettle, p.SweepWindow = 2, 2*time.Second, 5*time.Second
	p.Goals = []Goal{
		{"BASELINE", Aim{}},
		{"LOAD25", Aim{Share: 0.25}},
		{"LOAD50", Aim{Share: 0.50}},
		{"LOAD75", Aim{Share: 0.75}},
		{"HEAVY", Aim{Share: 1}},
	}
	p.LevelRounds, p.LevelSettle, p.LevelWindow = 3, 2*time.Second, 20*time.Second
	p.Steps, p.Again, p.Budget = 12, 2, 15*time.Minute
	p.Backstop = 2 * time.Hour
	return p
}

// QuickPlan takes less than 50 s: every depth for half a second twice,
// MODERATE and HEAVY for 1.5 s three times.
func QuickPlan() CalibratePlan {
	return CalibratePlan{
		BlockBytes: KVBlockBytes, Seed: 1,
		Quiet: time.Second, QuietTries: 5, QuietBytesPerSec: 1e6,
		Idle:        1500 * time.Millisecond,
		Depths:      []int{1, 2, 4, 8, 16, 32, 64, 128},
		SweepRounds: 2, SweepSettle: 200 * time.Millisecond, SweepWindow: 500 * time.Millisecond, Gain: 0.03,
		SaturatedDepth: 32, RatedDepth: 8,
		Goals: []Goal{
			{"BASELINE", Aim{}},
			{"MODERATE", Aim{Share: 0.4}},
			{"HEAVY", Aim{Share: 1}},
		},
		LevelRounds: 3, LevelSettle: 400 * time.Millisecond, LevelWindow: 1500 * time.Millisecond,
		Steps: 8, Tolerance: 0.05, Again: 3, Budget: 42 * time.Second,
		Backstop: 30 * time.Minute,
	}
}

// ErrPlan marks a plan that cannot work.
var ErrPlan = errors.New("calibration plan not usable")

// Validate reports every field out of its range, wrapped in ErrPlan.
func (p CalibratePlan) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("fioctl: check plan: %w: "+format, append([]any{ErrPlan}, args...)...))
		}
	}
	check(blockOK(p.BlockBytes), "block of %d bytes is not a multiple of 512 in 512 B to 16 MiB", p.BlockBytes)
	check(p.Quiet >= 0 && p.QuietTries >= 1 && p.QuietBytesPerSec > 0, "the quiet check needs a time, a try and bytes per second above 0")
	check(p.Idle > 0 && p.SweepWindow > 0 && p.LevelWindow > 0, "windows must be longer than 0")
	check(p.SweepSettle >= 0 && p.LevelSettle >= 0 && p.Budget >= 0, "times must not be negative")
	check(p.SweepRounds >= 1 && p.LevelRounds >= 1 && p.Steps >= 1 && p.Again >= 0, "there must be rounds and steps")
	check(len(p.Depths) >= 1 && slices.IsSorted(p.Depths) && len(slices.Compact(slices.Clone(p.Depths))) == len(p.Depths),
		"depths %v must ascend", p.Depths)
	for _, d := range append(slices.Clone(p.Depths), p.SaturatedDepth, p.RatedDepth) {
		check(d >= 1 && d <= maxDepth, "depth %d is outside 1 to %d", d, maxDepth)
	}
	check(p.Gain > 0 && p.Gain < 1, "gain %v is outside 0 to 1", p.Gain)
	check(p.Tolerance > 0 && p.Tolerance < 1, "tolerance %v is outside 0 to 1", p.Tolerance)
	check(p.Backstop > p.LevelSettle+p.LevelWindow, "backstop %v is shorter than a window", p.Backstop)
	check(len(p.Goals) > 0, "no levels are wanted")
	seen := map[string]bool{}
	for _, g := range p.Goals {
		check(plainName(g.Name) && !seen[g.Name], "level name %q must be letters, digits, dashes or underscores, and no other level's", g.Name)
		seen[g.Name] = true
		if err := g.Aim.Validate(); err != nil {
			check(false, "level %s: %v", g.Name, err)
		}
	}
	return errors.Join(errs...)
}

// Validate refuses an aim out of its range and more than one of them.
func (a Aim) Validate() error {
	set := 0
	for _, v := range []float64{a.Share, a.AquSz, a.ProbeMultiple} {
		if v != 0 {
			set++
		}
	}
	switch {
	case set > 1:
		return errors.New("more than one aim is set (keep one of share, aqu_sz, probe_multiple)")
	case a.Share != 0 && !(a.Share > 0 && a.Share <= 1):
		return fmt.Errorf("share %v is outside 0 to 1", a.Share)
	case a.AquSz != 0 && !(a.AquSz > 0 && a.AquSz <= maxDepth):
		return fmt.Errorf("aqu_sz %v is outside 0 to %d", a.AquSz, maxDepth)
	case a.ProbeMultiple != 0 && !(a.ProbeMultiple > 1 && a.ProbeMultiple <= 1e6):
		return fmt.Errorf("probe multiple %v is not above 1", a.ProbeMultiple)
	}
	return nil
}

// none is the aim of a level without load.
func (a Aim) none() bool { return a == Aim{} }

// saturates says whether the level takes no rate.
func (a Aim) saturates() bool { return a.Share == 1 }
