package hypotheses

import (
	"fmt"
	"time"
)

// Profile says how long and how often to measure.
type Profile struct {
	Name        string        `json:"name"`
	Window      time.Duration `json:"window_ns"`     // measured time of one arm, at least
	MinRequests int           `json:"min_requests"`  // good requests of one arm, at least
	MaxWindow   time.Duration `json:"max_window_ns"` // an arm that cannot reach MinRequests ends here
	Warmup      time.Duration `json:"warmup_ns"`     // at least; every user also finishes a first turn
	Drain       time.Duration `json:"drain_ns"`      // at most, for requests in flight at the end
	Repeats     int           `json:"repeats"`       // blocks of the design
	Quantile    float64       `json:"quantile"`      // endpoint of the verdict
	Settle      time.Duration `json:"settle_ns"`     // quiet time required before an arm
	SettleMax   time.Duration `json:"settle_max_ns"` // how long to wait for a quiet machine
	Edge        time.Duration `json:"edge_ns"`       // idle time before and after an arm, so that counters at its edges have nothing in flight
	Thin        bool          `json:"thin"`          // fewest levels, to exercise the path
}

// ProfileByName returns the profile of the test plan. smoke only exercises the
// path (its medians decide nothing); quick decides on p95, because a p99 of a
// few seconds has no interval; full is the plan as written.
func ProfileByName(name string) (Profile, error) {
	switch name {
	case "smoke":
		return Profile{Name: name, Window: 500 * time.Millisecond, MinRequests: 8, MaxWindow: 5 * time.Second, Warmup: 100 * time.Millisecond, Drain: 10 * time.Second, Repeats: 2, Quantile: 0.5, Settle: 100 * time.Millisecond, SettleMax: 5 * time.Second, Edge: 250 * time.Millisecond, Thin: true}, nil
	case "quick":
		// 80 good requests leave a margin over the 72 that a p95 interval needs.
		return Profile{Name: name, Window: 3 * time.Second, MinRequests: 80, MaxWindow: 20 * time.Second, Warmup: 300 * time.Millisecond, Drain: 30 * time.Second, Repeats: 5, Quantile: 0.95, Settle: 200 * time.Millisecond, SettleMax: 30 * time.Second, Edge: 150 * time.Millisecond}, nil
	case "full":
		return Profile{Name: name, Window: 300 * time.Second, MinRequests: 1000, MaxWindow: 2 * time.Hour, Warmup: 20 * time.Second, Drain: 10 * time.Minute, Repeats: 5, Quantile: 0.99, Settle: 10 * time.Second, SettleMax: 10 * time.Minute, Edge: time.Second}, nil
	}
	return Profile{}, fmt.Errorf("hypotheses: profile %q: %w: want smoke, quick or full", name, ErrSetting)
}

// QuantileName is "p99" for 0.99.
func (p Profile) QuantileName() string { return fmt.Sprintf("p%g", p.Quantile*100) }

// profileFor is the profile asked for, else quick on the emulator and full on
// a real server.
func (c Config) profileFor(kind string) (Profile, error) {
	switch {
	case c.profile != nil:
		return *c.profile, nil
	case c.Profile != "":
		return ProfileByName(c.Profile)
	case kind == kindEmulator:
		return ProfileByName("quick")
	}
	return ProfileByName("full")
}
