package hypotheses

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

const (
	h1Adapters = 8  // a cycle's, one after the other
	h1Cycles   = 10 // restarts; with 8 adapters each 80 cold loads
	h1Pause    = 20 * time.Millisecond
)

// H1 asks what the first touch of an adapter costs.
func H1() Hypothesis {
	h := Hypothesis{
		ID: "H1", Title: "Cold and warm LoRA", Preset: "L8B", LoRA: true,
		Claim: "The first load of an adapter from the disk costs TTFT that a cached one does not.",
	}
	h.Measure, h.Judge = measureH1, h.judgeH1
	return h
}

// measureH1 restarts the server in every cycle, proves the adapters cold, and
// lets one user touch each of them once, and then once more.
func measureH1(ctx context.Context, r *Rig) (string, error) {
	r.Profile.Repeats, r.Profile.Quantile = h1Repeats(r.Profile), 0.5 // touches are few, and paired
	d, _, err := r.openLoRADesign(ctx, true)
	if err != nil {
		return "", err
	}
	n := min(h1Adapters, len(r.lora.list)-1) // one is kept for the read rate
	if slots := r.lora.setup.Slots; slots > 0 {
		n = min(n, slots) // the second touch must find what the first one loaded
	}
	if n < 1 {
		return "", fmt.Errorf("hypotheses: H1 needs at least 2 adapters and has %d (write more with spark adapters make)", len(r.lora.list))
	}
	rng := rand.New(rand.NewPCG(r.Config.Seed, 0x436f6c64))
	for cycle := range r.Profile.Repeats {
		order := rng.Perm(n)
		d.Arms = append(d.Arms, h1Arm(r, *d.Pilot, cycle, order, analysis.ConditionCold), h1Arm(r, *d.Pilot, cycle, order, analysis.ConditionWarm))
	}
	number(d.Arms)
	return r.Run(ctx, d)
}

// h1Repeats is how many restart cycles H1 takes: 8 are the least of its rule.
func h1Repeats(p Profile) int {
	if p.Thin {
		return p.Repeats
	}
	return max(h1Cycles, p.Repeats)
}

// h1Arm is one window of a cycle: every adapter once.
func h1Arm(r *Rig, pilot Pilot, cycle int, order []int, condition string) Arm {
	s := r.lora.setup
	w := r.loraWork()
	w.Adapters.Choice = loadgen.AdapterInOrder
	for _, i := range order {
		w.Adapters.List = append(w.Adapters.List, r.lora.list[i])
	}
	a := Arm{
		Name: fmt.Sprintf("%s-r%d", condition, cycle), Block: cycle, Users: 1, ContextTokens: w.PromptTokens,
		LoRA: &analysis.LoRA{Condition: condition, Adapters: len(order), AdapterBytes: s.AdapterBytes, Slots: s.Slots},
		Load: loadgen.Plan{
			Arrivals: loadgen.Users(1), Workload: w,
			Measure: time.Millisecond, MinRequests: len(order), MaxMeasure: max(r.Profile.MaxWindow, time.Hour), Drain: r.Profile.Drain,
		},
	}
	a.Load.Seed = armSeed(r.Config.Seed, cycle, 0)
	a.Load.Arrivals.Turns = len(order)
	a.Load.Arrivals.Think = loadgen.Think{Kind: loadgen.ThinkConstant, Mean: h1Pause}
	touch := pilot.Alone.CycleMean + h1Pause
	if condition == analysis.ConditionCold {
		a.Load.Seed = armSeed(r.Config.Seed, cycle, 1) // other prompts
		a.Restart, a.TouchBase = true, 4               // a server's very first requests pay for more than adapters
		touch += r.lora.readTime()
		a.Estimate = time.Second
	}
	a.Estimate += r.overhead() + time.Duration(len(order))*touch
	return a
}
