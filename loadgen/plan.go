package loadgen

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Phase says which part of a run an arrival belongs to, by its due time.
type Phase string

// The phases in order. Only arrivals due in PhaseMeasure are judged; the load
// goes on unchanged through PhaseDrain, so that the last measured requests end
// under the same load as the first.
const (
	PhaseWarmup  Phase = "warmup"
	PhaseMeasure Phase = "measure"
	PhaseDrain   Phase = "drain"
)

// MaxPlanned is the longest that any one phase of a plan may last.
const MaxPlanned = 30 * 24 * time.Hour

// windowSteps bounds how many ends a measured window can have.
const windowSteps = 1024

// Plan is everything about a load that can move a number. It is a value: the
// same Plan gives the same due times, think times and prompt bytes on any
// machine. Durations count from the start of the load.
type Plan struct {
	Arrivals Arrivals `json:"arrivals"`
	Workload Workload `json:"workload"`

	// Warmup is load that is sent and recorded but not judged.
	Warmup time.Duration `json:"warmup_ns"`
	// Measure is the least length of the measured window; it must be positive. A
	// closed loop whose users all end (Arrivals.Turns) ends the window earlier.
	Measure time.Duration `json:"measure_ns"`
	// MinRequests extends the window until as many measured requests have
	// succeeded; 0 asks for none.
	MinRequests int `json:"min_requests,omitempty"`
	// MaxMeasure caps the extended window; 0 means 10 × Measure.
	MaxMeasure time.Duration `json:"max_measure_ns,omitempty"`
	// Drain is the longest that measured requests still in flight at the
	// window's end are waited for. What is left then counts as cancelled, and
	// arrivals never sent count as dropped.
	Drain time.Duration `json:"drain_ns"`

	// MaxInFlight bounds the requests on the wire; further arrivals wait in the
	// plan's queue and the wait is charged to them. 0 sets no bound.
	MaxInFlight int `json:"max_in_flight,omitempty"`
	// Seed fixes every random choice of arrivals, think times, prompts and adapters.
	Seed uint64 `json:"seed"`
	// SLO says which successes count as goodput; the zero SLO accepts all.
	SLO SLO `json:"slo,omitzero"`
}

// SLO bounds what a user accepts; a zero field sets no bound.
type SLO struct {
	TTFT time.Duration `json:"ttft_ns,omitempty"` // first token − due
	E2E  time.Duration `json:"e2e_ns,omitempty"`  // last token − due
	TPOT time.Duration `json:"tpot_ns,omitempty"` // per output token after the first event
}

// Validate reports every fault of the plan, joined, each naming the field and
// what to write instead.
func (p Plan) Validate() error {
	var f faults
	f.span("Warmup", p.Warmup, 0)
	f.span("Measure", p.Measure, 1)
	f.span("Drain", p.Drain, 0)
	f.span("MaxMeasure", p.MaxMeasure, 0)
	if p.MaxMeasure > 0 && p.MaxMeasure < p.Measure {
		f.add("MaxMeasure", "%v is below Measure %v (raise it, or 0 for 10 × Measure)", p.MaxMeasure, p.Measure)
	}
	f.atLeast("MinRequests", p.MinRequests, 0)
	f.atLeast("MaxInFlight", p.MaxInFlight, 0)
	f.span("SLO.TTFT", p.SLO.TTFT, 0)
	f.span("SLO.E2E", p.SLO.E2E, 0)
	f.span("SLO.TPOT", p.SLO.TPOT, 0)
	p.Arrivals.validate(&f, p.Warmup+p.Measure)
	p.Workload.validate(&f)
	return f.err()
}

// Cap is the longest the measured window may become.
func (p Plan) Cap() time.Duration {
	switch {
	case p.MinRequests == 0:
		return p.Measure
	case p.MaxMeasure > 0:
		return p.MaxMeasure
	}
	return min(10*p.Measure, MaxPlanned)
}

// WindowStep is the grain in which the measured window grows past Measure.
// Ends on a fixed grid are known before the arrivals that they judge, and they
// cannot be drawn towards the moment of a lucky completion.
func (p Plan) WindowStep() time.Duration {
	return max((p.Cap()-p.Measure+windowSteps-1)/windowSteps, 100*time.Millisecond)
}

// WindowEnd is the earliest end of the measured window, counted from the start
// of the load, that is not before now: Warmup+Measure, then in steps of
// WindowStep, and never past Warmup+Cap. Call it with the moment at which
// MinRequests was reached; arrivals due at or after the end are PhaseDrain. It
// is for users that go on: where all end before it (Arrivals.Turns) so does the
// window, and a run's Summary.Window tells when.
func (p Plan) WindowEnd(now time.Duration) time.Duration {
	first := p.Warmup + p.Measure
	if now <= first {
		return first
	}
	step := p.WindowStep()
	grown := min(now-first, MaxPlanned)
	return min(first+(grown+step-1)/step*step, p.Warmup+p.Cap())
}

// Horizon is the end of the last arrival that the plan may need.
func (p Plan) Horizon() time.Duration { return p.Warmup + p.Cap() + p.Drain }

// PhaseOf is the phase of an arrival due at due, in a run whose measured window
// ends at end (both counted from the start of the load; see WindowEnd).
func (p Plan) PhaseOf(due, end time.Duration) Phase {
	switch {
	case due < p.Warmup:
		return PhaseWarmup
	case due < end:
		return PhaseMeasure
	}
	return PhaseDrain
}

// faults collects what Validate finds.
type faults []error

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, fmt.Errorf("loadgen: plan: %s: %s", field, fmt.Sprintf(format, args...)))
}

func (f *faults) err() error { return errors.Join(*f...) }

func (f *faults) span(field string, d, least time.Duration) {
	switch {
	case d < least:
		f.add(field, "%v is too short (needs at least %v)", d, least)
	case d > MaxPlanned:
		f.add(field, "%v is too long (at most %v)", d, MaxPlanned)
	}
}

func (f *faults) atLeast(field string, n, least int) {
	if n < least {
		f.add(field, "%d is too small (needs at least %d)", n, least)
	}
}

// number checks that v is a finite number in [lo, hi].
func (f *faults) number(field string, v, lo, hi float64) {
	if math.IsNaN(v) || v < lo || v > hi {
		f.add(field, "%v is not a number from %v to %v", v, lo, hi)
	}
}

func oneOf[T ~string](f *faults, field string, got T, allowed ...T) {
	if !slices.Contains(allowed, got) {
		f.add(field, "%q is unknown (use one of %q)", string(got), allowed)
	}
}
