package hypotheses

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

const (
	h6Pairs = 10
	// The storm goes over so many times what the server's memory holds, at least.
	h6StormOverSlots = 2
)

// H6 asks what switching between adapters costs over staying with one.
func H6() Hypothesis {
	h := Hypothesis{
		ID: "H6", Title: "LoRA storm A/B", Preset: "L8B", LoRA: true,
		Claim: "High-entropy adapter switching is the worst case.",
	}
	h.Measure, h.Judge = measureH6, h.judgeH6
	return h
}

// measureH6 pairs one hot adapter with a storm over all, in ABBA or BAAB order
// on one server, with the base model at the far end of every hot arm.
func measureH6(ctx context.Context, r *Rig) (string, error) {
	r.Profile.Repeats = h6Repeats(r.Profile)
	d, users, err := r.openLoRADesign(ctx, false)
	if err != nil {
		return "", err
	}
	all := len(r.lora.list)
	if all < 2 {
		return "", fmt.Errorf("hypotheses: H6 needs at least 2 adapters and has %d (write more with spark adapters make)", all)
	}
	rng := rand.New(rand.NewPCG(r.Config.Seed, 0x41424241))
	stormFirst := false
	for block := range r.Profile.Repeats {
		if block%2 == 0 {
			stormFirst = rng.IntN(2) == 1
		} else {
			stormFirst = !stormFirst
		}
		arms := []Arm{h6Arm(r, *d.Pilot, block, users, analysis.ConditionBase, 0), h6Arm(r, *d.Pilot, block, users, analysis.ConditionHot, 1), h6Arm(r, *d.Pilot, block, users, analysis.ConditionStorm, all)}
		if stormFirst {
			arms[0], arms[2] = arms[2], arms[0]
		}
		d.Arms = append(d.Arms, arms...)
	}
	number(d.Arms)
	return r.Run(ctx, d)
}

// h6Repeats is an even number of pairs, so that both orders occur equally often.
func h6Repeats(p Profile) int {
	n := p.Repeats
	if !p.Thin {
		n = max(h6Pairs, n)
	}
	return n + n%2
}

func h6Arm(r *Rig, pilot Pilot, block, users int, condition string, n int) Arm {
	a := r.loraArm(pilot, block, users, n, condition)
	level := map[string]int{analysis.ConditionBase: 1, analysis.ConditionHot: 2, analysis.ConditionStorm: 3}[condition]
	a.Load.Workload.PromptSeed = armSeed(r.Config.Seed, block, level)
	switch condition {
	case analysis.ConditionHot:
		a.Load.Workload.Adapters.Choice = loadgen.AdapterHotOne
	case analysis.ConditionStorm:
		a.Load.Workload.Adapters.Choice = loadgen.AdapterRandom
	}
	return a
}
