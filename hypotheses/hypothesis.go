package hypotheses

import (
	"context"

	"github.com/spark-harness/harness/analysis"
)

// Hypothesis is one row of the test plan as code.
type Hypothesis struct {
	ID    string // "H0"
	Title string
	Claim string // in one sentence
	// Preset is the emulator's model where nothing else is asked for.
	Preset string
	// LoRA says that it is about adapters: another server, and adapters on disk.
	LoRA bool
	// Needs says what this machine lacks to measure it (ErrLacking), before
	// anything is touched; nil where nothing special is needed.
	Needs func(ctx context.Context, c Config) error
	// Gather finds the runs that an analytical hypothesis judges, and measures
	// those that are missing; nil for a hypothesis that judges its own.
	Gather func(ctx context.Context, a Archive) (Gathered, error)
	// Measure makes the design and lets the rig run it; it returns the run's
	// directory. An analytical hypothesis is asked only for the blocks that
	// Gather found lacking (Rig.Gathered), and may have none.
	Measure func(ctx context.Context, r *Rig) (dir string, err error)
	// Judge is a pure function of the run.
	Judge func(e *analysis.Experiment) Judgement
}

// Judgement is all that a judge derives from a run.
type Judgement struct {
	Verdict analysis.Verdict
	// Handover is what later hypotheses take from this one; zero for nothing.
	Handover Handover
	Figure   analysis.Figure
	Table    analysis.Table
	Bench    analysis.Bench
}

// All is the plan in order.
func All() []Hypothesis { return []Hypothesis{H0(), H1(), H2(), H3(), H4(), H5(), H6(), H7(), H8()} }

// ByID finds a hypothesis of the plan.
func ByID(id string) (Hypothesis, bool) {
	for _, h := range All() {
		if h.ID == id {
			return h, true
		}
	}
	return Hypothesis{}, false
}

// verdict is h's verdict on e before any claim.
func (h Hypothesis) verdict(e *analysis.Experiment, blocks int) analysis.Verdict {
	return analysis.Verdict{
		Hypothesis: h.ID, Title: h.Title, Claim: h.Claim, Target: e.Target(),
		Quantile: quantileName(e), Power: analysis.Power{Blocks: blocks},
	}
}

func quantileName(e *analysis.Experiment) string {
	return Profile{Quantile: e.Plan.Profile.Quantile}.QuantileName()
}
