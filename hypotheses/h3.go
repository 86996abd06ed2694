package hypotheses

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// h3Least is how many repeats the rule of H3 takes: all of 8 are the least that
// a sign test over its counters can decide on (docs/plan.md).
const h3Least = 8

// h3Thin are the contexts of H3 where it has to measure all of its repeats
// itself: 8 of H2's sweep would take longer than any hypothesis may.
func h3Thin(p Profile, limit int) []int {
	all := h2Contexts(p, limit)
	if p.Name != "quick" {
		return all
	}
	return slices.DeleteFunc(all, func(c int) bool { return c == 512 || c == 4096 })
}

// H3 asks which counters tell of the memory knee before latency does.
func H3() Hypothesis {
	h := Hypothesis{
		ID: "H3", Title: "Paging counters and the knee", Preset: "L70B",
		Claim: "Memory and paging counters signal the knee before latency does.",
	}
	h.Gather, h.Measure, h.Judge = gatherH3, measureH3, h.judgeH3
	return h
}

// h3Repeats is how many repeats a profile asks for: smoke only exercises the path.
func h3Repeats(p Profile) int {
	if p.Thin {
		return p.Repeats
	}
	return h3Least
}

// gatherH3 takes the newest runs of H2 until they have repeats enough, and says
// how many are lacking.
func gatherH3(_ context.Context, a Archive) (Gathered, error) {
	runs, err := a.Runs("H2")
	if err != nil {
		return Gathered{}, err
	}
	runs = a.sound(runs)
	if len(runs) == 0 {
		return Gathered{Blocks: h3Least}, nil
	}
	profile, err := profileOf(a.Config, runs[len(runs)-1])
	if err != nil {
		return Gathered{}, err
	}
	var g Gathered
	have := 0
	for _, f := range slices.Backward(runs) {
		if have >= h3Repeats(profile) {
			break
		}
		g.Runs = append(g.Runs, f)
		have += f.repeats()
	}
	slices.Reverse(g.Runs)
	g.Blocks = max(0, h3Repeats(profile)-have)
	g.Notes = []string{fmt.Sprintf("%d repeats of H2", have)}
	return g, nil
}

// measureH3 measures the blocks that are lacking, by the design of the run that
// they are put beside.
func measureH3(ctx context.Context, r *Rig) (string, error) {
	key := (&analysis.Experiment{Plan: analysis.Head{}, Manifest: r.man}).Key()
	key.Profile = r.Profile.Name
	if n := len(r.Gathered.Runs); n > 0 && r.Gathered.Runs[n-1].Key() != key {
		r.Progress.logf("H3: the runs of H2 found are of another server or profile; all repeats are measured")
		r.Gathered = Gathered{Blocks: h3Least}
	}
	if len(r.Gathered.Runs) == 0 {
		s, err := r.newSweep(ctx, h3Thin)
		if err != nil {
			return "", err
		}
		r.Profile.Repeats = h3Repeats(r.Profile)
		s.notes = append(s.notes, "all repeats are H3's own: there is no run of H2 for this platform, server and model")
		return r.measureSweep(ctx, s, 0, r.Profile.Repeats)
	}
	s, first, err := sweepOf(r.Gathered.Runs)
	if err != nil {
		return "", err
	}
	r.Profile.Repeats = r.Gathered.Blocks
	s.notes = append(slices.Clone(r.Gathered.Notes), fmt.Sprintf("%d more in this run, by the same design", r.Gathered.Blocks), r.Gathered.note())
	return r.measureSweep(ctx, s, first, r.Gathered.Blocks)
}

// sweepOf is the design of the newest of several runs, and the first number that
// none of their blocks has.
func sweepOf(runs []Found) (s sweep, first int, err error) {
	for _, f := range runs {
		var d Design
		b, err := os.ReadFile(filepath.Join(f.Dir, "plan.json"))
		if err != nil {
			return s, 0, fmt.Errorf("hypotheses: read the design to follow: %w", err)
		}
		if err := json.Unmarshal(b, &d); err != nil || len(d.Arms) == 0 || d.Pilot == nil {
			return s, 0, fmt.Errorf("hypotheses: read the design to follow: %s: %w: no arms or no pilot", f.name(), bundle.ErrCorrupt)
		}
		s = sweep{users: d.Arms[0].Users, pilot: *d.Pilot}
		for _, a := range d.Arms {
			s.contexts = append(s.contexts, a.ContextTokens)
			first = max(first, a.Block+1)
		}
		slices.Sort(s.contexts)
		s.contexts = slices.Compact(s.contexts)
	}
	return s, first, nil
}
