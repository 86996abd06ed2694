package loadgen

import (
	"slices"
	"time"
)

// ArrivalKind names an arrival process.
type ArrivalKind string

// The arrival processes. Closed is the one in which a slow server slows its
// users; all others send on schedule whatever the server does.
const (
	ArrivalsClosed   ArrivalKind = "closed"
	ArrivalsConstant ArrivalKind = "constant"
	ArrivalsPoisson  ArrivalKind = "poisson"
	ArrivalsGamma    ArrivalKind = "gamma"
	ArrivalsRamp     ArrivalKind = "ramp"
	ArrivalsTrace    ArrivalKind = "trace"
)

// MaxPerSec is the highest arrival rate a plan may ask for.
const MaxPerSec = 1e6

// Arrivals says when requests become due. Use a constructor (Users, Constant,
// Poisson, Gamma, Ramp, Trace) and set further fields on its result.
type Arrivals struct {
	Kind ArrivalKind `json:"kind"`

	// Users is, in a closed loop, how many users wait for their answer before
	// they ask again. In an open loop it deals the arrivals round robin to so
	// many users, whose prompts then have turns; 0 makes each arrival a new user.
	Users int `json:"users,omitempty"`
	// Think is how long a closed-loop user waits between answer and question.
	Think Think `json:"think,omitzero"`
	// Turns ends a closed-loop user after so many requests of this load, however
	// each of them ended; 0 never does. When all users have ended, the measured
	// window ends at once, whatever it still lacks of Plan.Measure and MinRequests.
	Turns int `json:"turns,omitempty"`
	// StartSpread spaces the first requests of closed-loop users evenly over so
	// long a time, so that they do not begin in lockstep.
	StartSpread time.Duration `json:"start_spread_ns,omitempty"`

	// PerSec is the mean rate of an open loop; for a ramp, its rate before and
	// at the start of the measured window.
	PerSec float64 `json:"per_sec,omitempty"`
	// ToPerSec is a ramp's rate from Warmup+Measure on.
	ToPerSec float64 `json:"to_per_sec,omitempty"`
	// Shape of gamma gaps: their coefficient of variation is 1/√Shape, so below
	// 1 is burstier than Poisson and above 1 is more even.
	Shape float64 `json:"shape,omitempty"`
	// Trace holds due times from the start of the load, in order.
	Trace []time.Duration `json:"trace_ns,omitempty"`
}

// ThinkKind names a distribution of think times.
type ThinkKind string

// The distributions of think times; the empty kind is ThinkNone.
const (
	ThinkNone        ThinkKind = "none"
	ThinkConstant    ThinkKind = "constant"
	ThinkExponential ThinkKind = "exponential"
)

// Think is the pause of a closed-loop user between an answer and the next
// question. It belongs to the user, not to the latency: due is set after it.
type Think struct {
	Kind ThinkKind     `json:"kind"`
	Mean time.Duration `json:"mean_ns,omitempty"`
	// Pace, where positive, paces users instead of pausing them: a turn is due
	// Pace, the time that an answer is expected to take, and the think time after
	// the turn before was due, or when its answer is there if that is later. Runs
	// with one seed then ask at the same instants as long as answers are in time,
	// instead of drifting apart by what each answer took.
	Pace time.Duration `json:"pace_ns,omitempty"`
}

// Users is a closed loop of n users without think time.
func Users(n int) Arrivals { return Arrivals{Kind: ArrivalsClosed, Users: n} }

// Constant is an open loop with even gaps of 1/perSec, the first at 0.
func Constant(perSec float64) Arrivals { return Arrivals{Kind: ArrivalsConstant, PerSec: perSec} }

// Poisson is an open loop with independent exponential gaps of mean 1/perSec.
func Poisson(perSec float64) Arrivals { return Arrivals{Kind: ArrivalsPoisson, PerSec: perSec} }

// Gamma is an open loop with independent gamma gaps of mean 1/perSec.
func Gamma(perSec, shape float64) Arrivals {
	return Arrivals{Kind: ArrivalsGamma, PerSec: perSec, Shape: shape}
}

// Ramp is an open loop at rate from during the warm-up, whose rate then moves
// linearly over Measure to to, and stays there.
func Ramp(from, to float64) Arrivals {
	return Arrivals{Kind: ArrivalsRamp, PerSec: from, ToPerSec: to}
}

// Trace is an open loop that replays due times, counted from the load's start.
func Trace(dues []time.Duration) Arrivals { return Arrivals{Kind: ArrivalsTrace, Trace: dues} }

// Closed reports whether users wait for their answers.
func (a Arrivals) Closed() bool { return a.Kind == ArrivalsClosed }

func (a Arrivals) validate(f *faults, window time.Duration) {
	oneOf(f, "Arrivals.Kind", a.Kind, ArrivalsClosed, ArrivalsConstant, ArrivalsPoisson,
		ArrivalsGamma, ArrivalsRamp, ArrivalsTrace)
	switch a.Kind {
	case ArrivalsClosed:
		f.atLeast("Arrivals.Users", a.Users, 1)
	case ArrivalsConstant, ArrivalsPoisson, ArrivalsGamma:
		f.number("Arrivals.PerSec", a.PerSec, 1e-6, MaxPerSec)
	case ArrivalsRamp:
		f.number("Arrivals.PerSec", a.PerSec, 0, MaxPerSec)
		f.number("Arrivals.ToPerSec", a.ToPerSec, 0, MaxPerSec)
		if a.PerSec == 0 && a.ToPerSec == 0 {
			f.add("Arrivals.ToPerSec", "the ramp from 0 to 0 sends nothing (give one end a rate)")
		}
	case ArrivalsTrace:
		a.validateTrace(f)
	}
	if a.Kind == ArrivalsGamma {
		f.number("Arrivals.Shape", a.Shape, 0.01, 1e6)
	}
	f.atLeast("Arrivals.Users", a.Users, 0)
	f.span("Arrivals.StartSpread", a.StartSpread, 0)
	if a.StartSpread > window {
		f.add("Arrivals.StartSpread", "%v is longer than Warmup+Measure, %v (shorten it)", a.StartSpread, window)
	}
	f.span("Arrivals.Think.Mean", a.Think.Mean, 0)
	f.span("Arrivals.Think.Pace", a.Think.Pace, 0)
	oneOf(f, "Arrivals.Think.Kind", a.Think.Kind, "", ThinkNone, ThinkConstant, ThinkExponential)
	f.atLeast("Arrivals.Turns", a.Turns, 0)
	if !a.Closed() && a.Turns > 0 {
		f.add("Arrivals.Turns", "an open loop has no users that end (leave it 0, or use Users)")
	}
	if !a.Closed() && (a.Think.Mean > 0 || a.Think.Pace > 0 || a.StartSpread > 0) {
		f.add("Arrivals.Think", "an open loop has no think time and no start spread (leave both 0, or use Users)")
	}
}

func (a Arrivals) validateTrace(f *faults) {
	switch {
	case len(a.Trace) == 0:
		f.add("Arrivals.Trace", "is empty (give at least one due time)")
	case !slices.IsSorted(a.Trace):
		f.add("Arrivals.Trace", "goes back in time (sort it)")
	case a.Trace[0] < 0:
		f.add("Arrivals.Trace", "begins at %v (due times count from the start of the load, 0)", a.Trace[0])
	case a.Trace[len(a.Trace)-1] > MaxPlanned:
		f.add("Arrivals.Trace", "ends at %v (at most %v)", a.Trace[len(a.Trace)-1], MaxPlanned)
	}
}
