package hypotheses

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/loadgen"
)

const (
	// Bytes of one fio I/O. KV offload asks for 128 KiB; twice that brings the
	// same bytes and the same queue with half the interrupts, which a machine of
	// few cores feels below the knee.
	h4Block       = 2 * fioctl.KVBlockBytes
	h4ProbePerSec = 50
	// The least depth of HEAVY: 4 MiB under way, as much as a server that reads
	// ahead keeps there. At half of that a disk in a good minute hides it.
	h4HeavyDepth = 16

	// The new question is longer than H2's, so that the steps in which a server
	// computes are small beside the TTFT and one of them more or less is no
	// effect.
	h4Suffix = 64 // tokens

	levelBaseline = "BASELINE"
	levelModerate = "MODERATE"
	levelHeavy    = "HEAVY"

	// Where nobody says what Ck is: this much of the pool, else so many tokens.
	h4PoolShare     = 1.15
	defaultCkTokens = 2048
	// The comfy arm keeps this part of Ck, so that everything fits.
	comfyShare = 4
)

// H4 is the primary claim of the plan: while the server pages, the tail
// follows the disk's read latency.
func H4() Hypothesis {
	h := Hypothesis{
		ID: "H4", Title: "Storage QoS sensitivity", Preset: "L70B",
		Claim: "While the server pages, tail TTFT scales with the disk's read latency.",
	}
	h.Needs, h.Measure, h.Judge = needsLever, measureH4, h.judgeH4
	return h
}

func measureH4(ctx context.Context, r *Rig) (string, error) {
	r.Profile.Repeats = blocksOfEight(r.Profile)
	users, usersNote := r.workUsers()
	ck, ckNote := r.workContext(users)
	comfy := max(ck/comfyShare/16*16, 64)
	d := Design{Notes: []string{usersNote, ckNote}}
	for _, note := range d.Notes {
		r.Progress.logf("H4: %s", note)
	}
	l, err := r.openLevers(ctx)
	if err != nil {
		return "", err
	}
	r.levers = l
	if d.Pilot, err = r.pilot(ctx, h2Work(ck, loadgen.ScopeRequest), 1); err != nil {
		return "", err
	}
	if l.Throttled, err = r.throttleLevels(ctx, *d.Pilot, users, ck); err != nil {
		return "", err
	}
	if err := r.run.WriteJSON("storage.json", l); err != nil {
		return "", err
	}
	treatments := h4Treatments(r.Profile, l)
	rng := rand.New(rand.NewPCG(r.Config.Seed, 0x57494c4c))
	for block, order := range williams(len(treatments), r.Profile.Repeats, rng) {
		for _, i := range order {
			context := ck
			if treatments[i].Comfy() {
				context = comfy
			}
			d.Arms = append(d.Arms, h4Arm(r, *d.Pilot, block, users, context, ck, i, treatments[i]))
		}
	}
	number(d.Arms)
	return r.Run(ctx, d)
}

// h4Arm is H2's arm under a treatment. The arms of a block share their users'
// appointments, so that they differ in the disk alone, but no prompts.
func h4Arm(r *Rig, pilot Pilot, block, users, context, ck, i int, s analysis.Storage) Arm {
	a := h2Arm(r, pilot, block, users, context, ck)
	a.Name = fmt.Sprintf("%s-%s-r%d", s.Condition, s.Level.Name, block)
	a.Load.Seed = armSeed(r.Config.Seed, block, 0)
	a.Load.Arrivals.Think.Pace = max(pilot.Alone.DecodeMean, h2ThinkLeast/2)
	a.Load.Workload.SuffixTokens = min(h4Suffix, context/4)
	a.Load.Workload.PromptSeed = armSeed(r.Config.Seed, block, 1+i)
	a.Storage = &s
	if s.Comfy() {
		a.FlushTokens = ck // nothing of an earlier arm is to be written out under it
		// A tail that waits for nothing is steady: it needs its requests, not time.
		a.Load.Measure = r.Profile.Window * 2 / 3
	}
	a.Estimate += 500 * time.Millisecond // fio's start and end
	return a
}

// h4Treatments are the arms of one block.
func h4Treatments(p Profile, l *Levers) []analysis.Storage {
	all := []analysis.Storage{l.storage(analysis.ConditionPaging, levelBaseline), l.storage(analysis.ConditionComfy, levelBaseline)}
	for _, t := range l.Throttled {
		s := l.storage(analysis.ConditionThrottled, levelBaseline)
		s.Level.Name, s.Limits = t.Name, &t.Limits
		all = append(all, s)
	}
	if l.Fio == nil {
		return all
	}
	for _, level := range h4Goals(p) {
		all = append(all, l.storage(analysis.ConditionPaging, level.Name))
		if level.Name == levelHeavy || p.Name == "full" {
			all = append(all, l.storage(analysis.ConditionComfy, level.Name))
		}
	}
	return append(all, l.storage(analysis.ConditionNull, levelHeavy), l.storage(analysis.ConditionComfyNull, levelHeavy))
}

// h4Goals are the levels of contention beyond BASELINE, rising.
func h4Goals(p Profile) []fioctl.Goal {
	share := func(name string, s float64) fioctl.Goal {
		return fioctl.Goal{Name: name, Aim: fioctl.Aim{Share: s}}
	}
	if p.Name == "full" {
		return []fioctl.Goal{share("LOAD25", 0.25), share("LOAD50", 0.5), share("LOAD75", 0.75), share(levelHeavy, 1)}
	}
	return []fioctl.Goal{share(levelModerate, 0.4), share(levelHeavy, 1)}
}

// h4TargetBytes is the size of fio's file: several times what a disk may cache.
func (r *Rig) h4TargetBytes() int64 {
	switch {
	case r.Config.target > 0:
		return r.Config.target
	case r.Profile.Name == "full":
		return 32 << 30
	}
	return 2 << 30
}

// workContext is the context at which the server pages, and where it came
// from.
func (r *Rig) workContext(users int) (tokens int, note string) {
	if r.Config.Context > 0 {
		return r.Config.Context, fmt.Sprintf("Ck = %d tokens, given by SPARK_CONTEXT", r.Config.Context)
	}
	model := r.target.model()
	if h, exact, ok := r.cal.Find(r.platform(), r.serverKind(), model, func(h Handover) bool { return h.CkTokens > 0 }); ok && exact {
		return h.CkTokens, fmt.Sprintf("Ck = %d tokens, from H2 (%s)", h.CkTokens, h.CkRun)
	}
	limit := math.MaxInt
	if n := r.target.server.Facts.MaxModelLen; n != nil {
		limit = int(*n)
	}
	contexts := slices.Sorted(slices.Values(h2Contexts(Profile{Name: "full"}, limit)))
	if pool := r.man.Facts.KVPoolTokens; pool != nil && len(contexts) > 0 {
		for _, c := range contexts {
			tokens = c
			if float64(users*c) >= h4PoolShare*float64(*pool) {
				break
			}
		}
		return tokens, fmt.Sprintf("Ck = %d tokens, the first context of the sweep whose demand is %.2f × the server's pool: there is no supported H2 run for this platform, server and model (run TestH2 first)", tokens, float64(users*tokens)/float64(*pool))
	}
	tokens = min(defaultCkTokens, max(limit-h2Output, h2Suffix+64))
	return tokens, fmt.Sprintf("Ck = %d tokens, a default: there is no supported H2 run for this platform, server and model, and the server does not tell its pool (run TestH2 first, or set SPARK_CONTEXT)", tokens)
}
