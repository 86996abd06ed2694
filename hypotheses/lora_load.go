package hypotheses

import (
	"context"
	"fmt"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

const (
	// Prompts are short and never asked twice: KV depends on the adapter, so that a
	// context kept for one is computed anew for the next, and a storm over kept
	// contexts would measure that. See docs/decisions/0013-adapters-and-contexts.md.
	loraPrompt = 256 // tokens, as H0 asks
	loraOutput = 16  // tokens
	// Users think for as long as it takes to keep the disk this busy when every
	// request reads its adapter: the storm should wait for the disk, not drown it.
	loraDiskShare = 0.35
)

// loraWork is one request of the three hypotheses.
func (r *Rig) loraWork() loadgen.Workload {
	return loadgen.Workload{
		PromptTokens: r.loraContext(), OutputTokens: loraOutput,
		Nonce: loadgen.Nonce{Position: loadgen.NonceStart, Scope: loadgen.ScopeRequest},
	}
}

// loraContext is the prompt's length: the user's, in full on a server that is
// none of ours H2's Ck, else short.
func (r *Rig) loraContext() int {
	switch {
	case r.Config.Context > 0:
		return r.Config.Context
	case r.Profile.Name == "full" && r.target.kind == kindAttached:
		users, _ := r.workUsers()
		tokens, _ := r.workContext(users)
		return tokens
	}
	return loraPrompt
}

// openLoRADesign begins a design: adapters, users, pilot, and where it restarts
// the server, the means to do so.
func (r *Rig) openLoRADesign(ctx context.Context, restarts bool) (d Design, users int, err error) {
	if err := r.openLoRA(ctx); err != nil {
		return d, 0, err
	}
	if restarts && r.target.child == nil {
		means, err := r.lora.control.Choose(ctx, r.target.server)
		if err != nil {
			return d, 0, err
		}
		r.Progress.logf("%s: the server is made to forget its adapters by: %s", r.hypothesis, means)
	}
	users, note := r.workUsers()
	s := r.lora.setup
	slots := "nobody knows how many fit"
	if s.Slots > 0 {
		slots = fmt.Sprintf("%d fit", s.Slots)
	}
	d.Notes = []string{
		note,
		fmt.Sprintf("%d adapters of %.1f MB, %s, read cold at %.2f GB/s", len(s.Adapters), float64(s.AdapterBytes)/1e6, slots, s.ReadBytesPerSec/1e9),
		fmt.Sprintf("prompts of %d tokens, none asked twice", r.loraContext()),
	}
	if s.Slots == 0 {
		r.Progress.logf("%s: the server does not tell how many adapters its memory holds: say it with SPARK_LORA_SLOTS, or the verdict will be SLOTS_UNKNOWN", r.hypothesis)
	}
	for _, note := range d.Notes {
		r.Progress.logf("%s: %s", r.hypothesis, note)
	}
	d.LoRA = &r.lora.setup
	d.Pilot, err = r.pilot(ctx, r.loraWork(), 1)
	return d, users, err
}

// loraArm is an arm under a condition: users at a pace, dealt to the first n
// adapters.
func (r *Rig) loraArm(pilot Pilot, block, users, n int, condition string) Arm {
	s := r.lora.setup
	a := Arm{
		Name: fmt.Sprintf("%s-n%d-r%d", condition, n, block), Block: block, Users: users, ContextTokens: r.loraContext(),
		LoRA: &analysis.LoRA{Condition: condition, Adapters: n, AdapterBytes: s.AdapterBytes, Slots: s.Slots},
		Load: loadgen.Plan{
			Arrivals: loadgen.Users(users), Workload: r.loraWork(), Seed: armSeed(r.Config.Seed, block, 0),
			Warmup: r.Profile.Warmup, Measure: r.Profile.Window,
			MinRequests: r.Profile.MinRequests, MaxMeasure: r.Profile.MaxWindow, Drain: r.Profile.Drain,
		},
		TouchBase: users, TouchAdapters: r.touches(n),
	}
	a.Load.Workload.Adapters.List = r.lora.list[:n]
	read := r.lora.readTime()
	cycle := max(seconds(float64(users)*read.Seconds()/loraDiskShare), h2ThinkLeast+pilot.Alone.CycleMean)
	think := (cycle - pilot.Alone.CycleMean).Round(10 * time.Millisecond)
	a.Load.Arrivals.Think = loadgen.Think{Kind: loadgen.ThinkExponential, Mean: think, Pace: pilot.Alone.CycleMean}
	a.Load.Arrivals.StartSpread = think
	a.Estimate = r.overhead() + a.Load.Warmup + pilot.Alone.CycleMean*3 + time.Duration(a.TouchAdapters)*read +
		max(r.Profile.Window, cycle*time.Duration(r.Profile.MinRequests/users+1))
	return a
}

// touches is how many adapters are asked for once before an arm: as many as
// memory holds, so that the measured ones find it full.
func (r *Rig) touches(n int) int {
	if slots := r.lora.setup.Slots; slots > 0 {
		return min(n, slots)
	}
	return n
}
