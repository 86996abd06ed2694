package loadgen

import (
	"iter"
	"math"
	"time"
)

// Arrival is one request that a plan wants.
type Arrival struct {
	// ID counts a schedule's arrivals from 0 in order of due time.
	ID int64
	// User and Turn fix the prompt; turns of a user count from 0.
	User, Turn int
	// Due is when the request should be sent, from the start of the load.
	Due time.Duration
}

// Schedule yields the plan's arrivals in order of due time, up to Horizon. It
// needs no clock, and gives the same nanoseconds on any machine. Of a closed
// loop it yields each user's first arrival only: later ones become due when
// their user is free, ThinkTime after the answer before (or see Think.Pace).
//
// The plan must be valid.
func (p Plan) Schedule() iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		horizon := p.Horizon()
		users := p.Arrivals.Users
		var n int64
		for due := range p.dues() {
			if due >= horizon {
				return
			}
			a := Arrival{ID: n, User: int(n), Due: due}
			if users > 0 {
				a.User, a.Turn = int(n%int64(users)), int(n/int64(users))
			}
			if !yield(a) {
				return
			}
			n++
		}
	}
}

// ThinkTime is how long user thinks before its turn (counted from 0) in a
// closed loop. It depends on nothing but the seed, so runs can be compared user
// by user.
func (p Plan) ThinkTime(user, turn int) time.Duration {
	t := p.Arrivals.Think
	if turn <= 0 || t.Mean <= 0 {
		return 0
	}
	switch t.Kind {
	case ThinkConstant:
		return t.Mean
	case ThinkExponential:
		s := newDraws(p.Seed, drawThink, pair(user, turn))
		return nanos(float64(t.Mean) * s.exponential())
	}
	return 0
}

// next is the turn after one whose user became free at free.
func (p Plan) next(a Arrival, free time.Duration) Arrival {
	n := Arrival{User: a.User, Turn: a.Turn + 1}
	think := p.ThinkTime(n.User, n.Turn)
	if pace := p.Arrivals.Think.Pace; pace > 0 {
		n.Due = max(a.Due+pace+think, free)
		return n
	}
	n.Due = free + think
	return n
}

func (p Plan) dues() iter.Seq[time.Duration] {
	a := p.Arrivals
	switch a.Kind {
	case ArrivalsClosed:
		return p.startDues()
	case ArrivalsConstant:
		return countedDues(func(n float64) float64 { return float64(n*1e9) / a.PerSec })
	case ArrivalsPoisson:
		s := newDraws(p.Seed, drawArrivals, 0)
		return renewalDues(a.PerSec, s.exponential)
	case ArrivalsGamma:
		s := newDraws(p.Seed, drawArrivals, 0)
		return renewalDues(a.PerSec, func() float64 { return s.gamma(a.Shape) / a.Shape })
	case ArrivalsRamp:
		return p.rampDues()
	case ArrivalsTrace:
		return func(yield func(time.Duration) bool) {
			for _, d := range a.Trace {
				if !yield(d) {
					return
				}
			}
		}
	}
	return func(func(time.Duration) bool) {}
}

// startDues spaces the users' starts evenly: user u of n starts at u/n of the
// spread.
func (p Plan) startDues() iter.Seq[time.Duration] {
	n := p.Arrivals.Users
	step := float64(p.Arrivals.StartSpread) / float64(n)
	return func(yield func(time.Duration) bool) {
		for u := range n {
			if !yield(nanos(float64(u) * step)) {
				return
			}
		}
	}
}

// countedDues places arrival n at at(n) nanoseconds, from n = 0. Computing each
// from its number keeps errors from adding up.
func countedDues(at func(n float64) float64) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for n := 0.0; ; n++ {
			if !yield(nanos(at(n))) {
				return
			}
		}
	}
}

// renewalDues adds independent gaps of mean 1/perSec, in whole nanoseconds.
func renewalDues(perSec float64, unitGap func() float64) iter.Seq[time.Duration] {
	mean := 1e9 / perSec
	return func(yield func(time.Duration) bool) {
		var due time.Duration
		for due < math.MaxInt64/4 {
			due += nanos(mean * unitGap())
			if !yield(due) {
				return
			}
		}
	}
}

// rampDues places arrival n where the integral of the rate reaches n. The rate
// is f until the end of the warm-up w, then f + s·(t−w) until w+m, then g; each
// piece is solved in closed form, the quadratic in the form that does not
// cancel: t−w = 2k / (f + √(f² + 2·s·k)), with k arrivals into the piece.
func (p Plan) rampDues() iter.Seq[time.Duration] {
	f, g := p.Arrivals.PerSec, p.Arrivals.ToPerSec
	w, m := float64(p.Warmup)/1e9, float64(p.Measure)/1e9
	flat := float64(f * w)
	ramp := float64(float64(f+g) * float64(m/2))
	slope := (g - f) / m
	return countedDues(func(n float64) float64 {
		switch k := n - flat; {
		case n < flat:
			return float64(n/f) * 1e9
		case k <= ramp:
			disc := max(float64(f*f)+float64(float64(2*slope)*k), 0)
			return float64(w+ratio(float64(2*k), f+math.Sqrt(disc))) * 1e9
		default:
			return float64(float64(w+m)+ratio(k-ramp, g)) * 1e9 // a ramp down to 0 never gets here again
		}
	})
}

// ratio is a/b, but 0 for 0/0: the first arrival of a ramp from rate 0.
func ratio(a, b float64) float64 {
	if a == 0 {
		return 0
	}
	return a / b
}

// nanos rounds a count of nanoseconds; beyond what a plan can use it saturates,
// because converting out-of-range floats differs between processors.
func nanos(ns float64) time.Duration {
	const limit = 1 << 61
	if !(ns < limit) {
		return limit
	}
	return time.Duration(int64(float64(ns) + 0.5))
}
