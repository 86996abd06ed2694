package hypotheses

import (
	"context"

	"github.com/spark-harness/harness/analysis"
)

// h7Arms is how many arms H7 needs at least.
const h7Arms = 24

// H7 asks whether what the disk counts of itself follows the access pattern.
func H7() Hypothesis {
	h := Hypothesis{
		ID: "H7", Title: "NVMe telemetry closure", Preset: "L8B", LoRA: true,
		Claim:  "Host Read Commands and Data Units Read scale with the access pattern.",
		Gather: gatherH7,
	}
	h.Judge = h.judgeH7
	return h
}

// gatherH7 rests on the newest run of H1, H5 and H6 each, all of one machine,
// server, model and profile. Where they have too few arms and no H6 is among
// them, H6 is measured: it alone has enough.
func gatherH7(ctx context.Context, a Archive) (Gathered, error) {
	g, arms, err := newestOfH7(a)
	if err != nil {
		return g, err
	}
	if arms < h7Arms && !g.has("H6") {
		a.Progress.logf("H7: %d arms of H1, H5 and H6 are there and it needs %d: measuring H6", arms, h7Arms)
		if err := a.Measure(ctx, H6()); err != nil {
			return g, err
		}
		g, _, err = newestOfH7(a)
	}
	return g, err
}

// newestOfH7 finds the newest run of each hypothesis, and counts their arms.
func newestOfH7(a Archive) (g Gathered, arms int, err error) {
	all, err := a.Runs("H1", "H5", "H6")
	if err != nil {
		return g, 0, err
	}
	newest := map[string]int{}
	for i, f := range all { // oldest first
		newest[f.Head.Hypothesis] = i
	}
	for i, f := range all {
		if newest[f.Head.Hypothesis] == i {
			g.Runs = append(g.Runs, f)
			arms += len(f.Head.Arms)
		}
	}
	return g, arms, nil
}

// has says that a run of the hypothesis is among them.
func (g Gathered) has(id string) bool {
	for _, f := range g.Runs {
		if f.Head.Hypothesis == id {
			return true
		}
	}
	return false
}

// predicted is what an arm should read from the disk by its access pattern, in
// bytes, and who said how often an adapter was missing.
type predicted struct {
	bytes  float64
	server bool // counted by the server; else from the design
}

// predictedBytes is adapters and KV, idle edge to idle edge. Adapters: what the
// server says that it read for them, else loads by its count times the file's
// size, else loads by the design times that size. KV: what the server says came
// back from its disk; one that tells nothing of it is taken to keep none there,
// as prompts are never asked twice.
func predictedBytes(a *analysis.Measured) predicted {
	kv := a.DiskInBytes()
	if kv != kv {
		kv = 0
	}
	size := float64(a.LoRA.AdapterBytes)
	switch in, loads := a.AdapterInBytes(), a.AdapterLoads(); {
	case in == in:
		return predicted{in + kv, true}
	case loads == loads:
		return predicted{loads*size + kv, true}
	}
	return predicted{designLoads(a)*size + kv, false}
}

// designLoads is how often an arm should load an adapter, by its design alone: a
// cold window each of its adapters once; the base model, a warm window and one
// hot adapter none; users who stay with theirs, each one's adapter once where the
// arm began cold; a storm, what is asked before it (as many as memory holds, of
// which a server that was not made cold still has its share), and then a miss of
// max(0, 1 - slots/adapters) per request.
func designLoads(a *analysis.Measured) float64 {
	use, sent := a.LoRA, a.Summary.Requests
	cold := use.Cold != nil && use.Cold.Means != ""
	requests := float64(sent.Warmup + sent.Due + sent.Drain)
	switch use.Condition {
	case analysis.ConditionCold:
		return float64(use.Adapters)
	case analysis.ConditionSticky:
		inUse := min(use.Adapters, a.Users)
		if inUse == 0 || !cold {
			return requests * missOf(use.Slots, inUse)
		}
		return float64(inUse) + requests*missOf(use.Slots, inUse)
	case analysis.ConditionStorm:
		before := float64(use.Adapters)
		if use.Slots > 0 {
			before = min(before, float64(use.Slots))
		}
		if !cold {
			before *= missOf(use.Slots, use.Adapters)
		}
		return before + requests*missOf(use.Slots, use.Adapters)
	}
	return 0
}

// missOf is uniformMiss, 0 where nobody knows how many adapters fit.
func missOf(slots, n int) float64 {
	if slots <= 0 || n <= 0 {
		return 0
	}
	return uniformMiss(slots, n)
}
