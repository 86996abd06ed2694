package hypotheses

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// H5 asks how the tail and the reads grow with the adapters in use.
func H5() Hypothesis {
	h := Hypothesis{
		ID: "H5", Title: "LoRA working-set scaling", Preset: "L8B", LoRA: true,
		Claim: "The tail and the reads grow with the number of adapters and their churn.",
	}
	h.Measure, h.Judge = measureH5, h.judgeH5
	return h
}

// measureH5 crosses sets of adapters with sticky users and a storm, beside the
// base model; every arm begins on a server that has forgotten all adapters.
func measureH5(ctx context.Context, r *Rig) (string, error) {
	r.Profile.Repeats = blocksOfEight(r.Profile)
	d, users, err := r.openLoRADesign(ctx, true)
	if err != nil {
		return "", err
	}
	sets := h5Sets(r.Profile, len(r.lora.list))
	if len(sets) < 2 {
		return "", fmt.Errorf("hypotheses: H5 needs sets of 4 and at least 16 adapters and has %d (write more with spark adapters make)", len(r.lora.list))
	}
	cells := []h5Cell{{analysis.ConditionBase, 0}}
	for _, n := range sets {
		cells = append(cells, h5Cell{analysis.ConditionSticky, n}, h5Cell{analysis.ConditionStorm, n})
	}
	rng := rand.New(rand.NewPCG(r.Config.Seed, 0x53657473))
	for block, order := range williams(len(cells), r.Profile.Repeats, rng) {
		for _, i := range order {
			d.Arms = append(d.Arms, h5Arm(r, *d.Pilot, block, users, i, cells[i]))
		}
	}
	number(d.Arms)
	return r.Run(ctx, d)
}

// h5Cell is one condition of the design.
type h5Cell struct {
	condition string
	adapters  int
}

// h5Sets are the plan's sets as far as there are adapters; thin takes the ends.
func h5Sets(p Profile, have int) []int {
	all := []int{4, 16, 64}
	if p.Thin {
		all = []int{4, 64}
	}
	var sets []int
	for _, n := range all {
		if n <= have {
			sets = append(sets, n)
		}
	}
	return sets
}

func h5Arm(r *Rig, pilot Pilot, block, users, i int, c h5Cell) Arm {
	a := r.loraArm(pilot, block, users, c.adapters, c.condition)
	a.Restart = true
	a.Estimate += time.Second
	a.Load.Workload.PromptSeed = armSeed(r.Config.Seed, block, 1+i)
	switch c.condition {
	case analysis.ConditionSticky:
		a.Load.Workload.Adapters.Choice = loadgen.AdapterSticky
		a.TouchAdapters = users // each its own
	case analysis.ConditionStorm:
		a.Load.Workload.Adapters.Choice = loadgen.AdapterRandom
	}
	return a
}
