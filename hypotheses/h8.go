package hypotheses

import (
	"context"
	"fmt"
	"slices"
)

// H8 asks whether iowait tells of stalls that the disk makes.
func H8() Hypothesis {
	h := Hypothesis{
		ID: "H8", Title: "CPU iowait and tail latency", Preset: "L70B",
		Claim: "iowait tracks the stalls that the disk makes: it rises and falls with tail latency inside a run.",
	}
	h.Gather, h.Judge = gatherH8, h.judgeH8
	return h
}

// gatherH8 takes the newest run of H2 and of H4; where there is neither, H2 is
// measured first.
func gatherH8(ctx context.Context, a Archive) (Gathered, error) {
	runs, err := a.Runs("H2", "H4")
	if err != nil {
		return Gathered{}, err
	}
	if runs = a.sound(runs); len(runs) == 0 {
		if err := a.Measure(ctx, H2()); err != nil {
			return Gathered{}, err
		}
		// Sound or not: the gates of this run are H8's own, and say so.
		if runs, err = a.Runs("H2", "H4"); err != nil {
			return Gathered{}, err
		}
	}
	var g Gathered
	for _, f := range slices.Backward(runs) {
		if !slices.ContainsFunc(g.Runs, func(have Found) bool { return have.Head.Hypothesis == f.Head.Hypothesis }) {
			g.Runs = append(g.Runs, f)
		}
	}
	slices.Reverse(g.Runs)
	for _, f := range g.Runs {
		g.Notes = append(g.Notes, fmt.Sprintf("%d repeats of %s", f.repeats(), f.Head.Hypothesis))
	}
	return g, nil
}
