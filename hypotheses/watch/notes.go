package watch

import (
	"slices"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// Phases of a run, as the page and spark_phase name them.
const (
	PhasePreparing = "preparing" // server, pilot, prompt lengths
	PhaseSettling  = "settling"  // waiting for a quiet machine
	PhasePriming   = "priming"   // contexts are made known
	PhaseWarmUp    = "warm-up"
	PhaseMeasuring = "measuring"
	PhaseDraining  = "draining" // the last requests, and the idle edge
	PhaseJudging   = "judging"
	PhaseIdle      = "idle"
)

// phases are all of them, in the order of a run.
func phases() []string {
	return []string{PhasePreparing, PhaseSettling, PhasePriming, PhaseWarmUp, PhaseMeasuring, PhaseDraining, PhaseJudging, PhaseIdle}
}

// Target is what a hypothesis is measured on.
type Target struct {
	URL      string `json:"url"`
	Model    string `json:"model"`
	Kind     string `json:"kind"` // "emulator", "attach", ...
	Emulated bool   `json:"emulated"`
	Control  string `json:"control,omitempty"` // planted null of the emulator; "" for none
	Profile  string `json:"profile"`
	Endpoint string `json:"endpoint"` // quantile of the verdict: "p99"
	Device   string `json:"device,omitempty"`
}

// Arm is one planned arm.
type Arm struct {
	Name          string
	Block         int
	Users         int
	ContextTokens int
}

// Result is how a hypothesis ended.
type Result struct {
	Outcome string   // SUPPORTED, ...; "" where Err says why there is none
	Reasons []string // codes
	Dir     string   // of the run
	Err     error
}

// Queue names the hypotheses that are going to be measured, in order.
func (h *Hub) Queue(ids ...string) {
	if h == nil {
		return
	}
	ids = slices.Clone(ids)
	h.note(func(s *state, _ time.Duration) { s.queue = ids; s.changed() })
}

// Begin starts a hypothesis. One may begin within another, which goes on when
// the inner ends.
func (h *Hub) Begin(id, title, claim string) {
	if h == nil {
		return
	}
	h.note(func(s *state, at time.Duration) {
		s.runs = append(s.runs, &run{ID: id, Title: title, Claim: claim, Began: secs(at)})
		if n := len(s.runs); n > maxRuns {
			s.runs = slices.Clone(s.runs[n-maxRuns:])
		}
		s.open = append(s.open, s.runs[len(s.runs)-1])
		s.phase(PhasePreparing, at)
	})
}

// Target says what the hypothesis at hand is measured on.
func (h *Hub) Target(t Target) {
	if h == nil {
		return
	}
	h.note(func(s *state, _ time.Duration) {
		if r := s.current(); r != nil {
			r.Target = &t
			s.changed()
		}
	})
}

// Plan lists the arms of the hypothesis at hand, in the order of measuring.
func (h *Hub) Plan(arms []Arm) {
	if h == nil {
		return
	}
	list := make([]arm, len(arms))
	for i, a := range arms {
		list[i] = arm{Name: a.Name, Block: a.Block, Users: a.Users, Context: a.ContextTokens, State: "waiting"}
	}
	h.note(func(s *state, _ time.Duration) {
		if r := s.current(); r != nil {
			r.Arms = list
			s.changed()
		}
	})
}

// ArmBegin starts the arm with this index; left estimates the rest of the
// hypothesis, this arm included, and later what comes after the hypothesis.
func (h *Hub) ArmBegin(i int, left, later time.Duration) {
	if h == nil {
		return
	}
	h.note(func(s *state, at time.Duration) {
		r := s.current()
		if r == nil || i >= len(r.Arms) {
			return
		}
		r.Arms[i].State, r.Arms[i].Began = "running", secs(at)
		r.EndsAt = secs(at + left)
		if later > 0 {
			r.AllEndAt = secs(at + left + later)
		}
		s.arm = i
		s.phase(PhaseSettling, at)
	})
}

// ArmEnd ends the arm that runs, with the summary that goes into the bundle.
func (h *Hub) ArmEnd(sum loadgen.Summary) {
	if h == nil {
		return
	}
	kept := sum // a copy that a nil Hub does not make
	h.note(func(s *state, at time.Duration) {
		r := s.current()
		if r == nil || s.arm < 0 || s.arm >= len(r.Arms) {
			return
		}
		r.Arms[s.arm].done(kept, secs(at))
		s.arm = -1
		s.changed()
	})
}

// Phase says what the run does from now on.
func (h *Hub) Phase(name string) {
	if h == nil {
		return
	}
	h.note(func(s *state, at time.Duration) { s.phase(name, at) })
}

// Load says that p's load begins now: its warm-up, and then the measured window.
func (h *Hub) Load(p loadgen.Plan) {
	if h == nil {
		return
	}
	warmup := p.Warmup
	h.note(func(s *state, at time.Duration) {
		if warmup > 0 {
			s.phase(PhaseWarmUp, at)
		}
		s.measureAt = at + warmup
	})
}

// Server takes the server's own gauges; nil is absent.
func (h *Hub) Server(running, waiting *float64) {
	if h == nil {
		return
	}
	h.note(func(s *state, at time.Duration) { s.addServer(running, waiting, at) })
}

// End ends the hypothesis at hand.
func (h *Hub) End(res Result) {
	if h == nil {
		return
	}
	h.note(func(s *state, at time.Duration) {
		r := s.current()
		if r == nil {
			return
		}
		s.open = s.open[:len(s.open)-1]
		s.arm = -1
		r.end(res, secs(at))
		s.phase(PhaseIdle, at)
	})
}

// Log keeps a line for the page; Live replaces the line that says what happens
// now.
func (h *Hub) Log(line string) {
	if h == nil {
		return
	}
	h.note(func(s *state, _ time.Duration) { s.log(line) })
}

// Live replaces the line that says what happens now.
func (h *Hub) Live(line string) {
	if h == nil {
		return
	}
	h.note(func(s *state, _ time.Duration) { s.live = line; s.changed() })
}
