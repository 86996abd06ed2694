package hypotheses

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

const (
	h2Output = 32 // tokens, fixed: only the context is swept
	h2Suffix = 16 // tokens of a new question after the kept context
	// Users think, on average, for as many times as long as an answer takes to
	// decode: this keeps most sessions idle at any moment, on a server of any
	// speed. See docs/decisions/0001-session-nonce.md.
	h2ThinkPerDecode = 2
	h2ThinkLeast     = 50 * time.Millisecond

	defaultUsers = 8 // where neither H0 nor the user says
)

// h2Contexts is the sweep of the plan up to the server's limit: thin is the
// least that a knee can be fitted to, quick ends at 4,096 tokens.
func h2Contexts(p Profile, limit int) []int {
	all := []int{256, 512, 768, 1024, 1280, 1536, 2048, 4096}
	switch {
	case p.Thin:
		all = []int{256, 512, 1024, 2048, 4096}
	case p.Name == "full":
		all = append(all, 3072, 8192, 16384, 32768, 65536)
	}
	var fit []int
	for _, c := range all {
		if c+h2Output <= limit {
			fit = append(fit, c)
		}
	}
	return fit
}

// H2 finds the hockey stick: the context at which the users' KV outgrows the
// server's memory, and what happens to the tail beyond.
func H2() Hypothesis {
	h := Hypothesis{
		ID: "H2", Title: "UMA pressure hockey stick", Preset: "L70B",
		Claim: "Context × concurrency beyond the memory's headroom pages KV to the disk, and the tail rises sharply.",
	}
	h.Measure, h.Judge = measureH2, h.judgeH2
	return h
}

func measureH2(ctx context.Context, r *Rig) (string, error) {
	s, err := r.newSweep(ctx, h2Contexts)
	if err != nil {
		return "", err
	}
	return r.measureSweep(ctx, s, 0, r.Profile.Repeats)
}

// sweep is what H2's blocks have in common.
type sweep struct {
	users    int
	contexts []int // ascending
	pilot    Pilot
	notes    []string
}

// newSweep looks at the server and chooses the sweep: contexts are those of a
// profile up to the server's limit.
func (r *Rig) newSweep(ctx context.Context, contexts func(p Profile, limit int) []int) (sweep, error) {
	users, note := r.workUsers()
	limit := math.MaxInt
	if n := r.target.server.Facts.MaxModelLen; n != nil {
		limit = int(*n)
	}
	s := sweep{users: users, contexts: contexts(r.Profile, limit), notes: []string{note}}
	if len(s.contexts) < 5 {
		return s, fmt.Errorf("hypotheses: %s needs at least 5 contexts and the server's limit of %d tokens leaves %d (start it with a longer context)", r.hypothesis, limit, len(s.contexts))
	}
	r.Progress.logf("%s: %s", r.hypothesis, note)
	pilot, err := r.pilot(ctx, h2Work(slices.Max(s.contexts), loadgen.ScopeRequest), 1)
	if err == nil {
		s.pilot = *pilot
	}
	return s, err
}

// measureSweep measures so many blocks of a sweep, numbered from first: blocks of
// other numbers have other prompts and another order.
func (r *Rig) measureSweep(ctx context.Context, s sweep, first, blocks int) (string, error) {
	var all [][]Arm
	for b := range blocks {
		var block []Arm
		for _, c := range s.contexts {
			block = append(block, h2Arm(r, s.pilot, first+b, s.users, c, slices.Max(s.contexts)))
		}
		all = append(all, block)
	}
	return r.Run(ctx, Design{Notes: s.notes, Pilot: &s.pilot, Arms: shuffle(all, r.Config.Seed+uint64(first))})
}

// h2Work is one user's turn: a context of the user's own and a new question.
func h2Work(context int, scope loadgen.NonceScope) loadgen.Workload {
	return loadgen.Workload{
		PromptTokens: context, OutputTokens: h2Output, SuffixTokens: h2Suffix,
		Nonce: loadgen.Nonce{Position: loadgen.NonceStart, Scope: scope},
	}
}

func h2Arm(r *Rig, pilot Pilot, block, users, context, longest int) Arm {
	a := Arm{
		Name: fmt.Sprintf("c%d-r%d", context, block), Block: block, Users: users, ContextTokens: context, Prime: true,
		Load: loadgen.Plan{
			Arrivals: loadgen.Users(users), Workload: h2Work(context, loadgen.ScopeUser),
			Seed:   armSeed(r.Config.Seed, block, context),
			Warmup: r.Profile.Warmup, Measure: r.Profile.Window,
			MinRequests: r.Profile.MinRequests, MaxMeasure: r.Profile.MaxWindow, Drain: r.Profile.Drain,
		},
	}
	think := max(h2ThinkLeast, (h2ThinkPerDecode * pilot.Alone.DecodeMean).Round(10*time.Millisecond))
	a.Load.Arrivals.Think = loadgen.Think{Kind: loadgen.ThinkExponential, Mean: think}
	a.Load.Arrivals.StartSpread = think
	a.Load.Workload.FirstTurn = primeRounds
	// The pilot computed the longest context alone, uncached, and so tells what
	// priming costs: every user's context, primeRounds times, about two at once.
	// A turn on a kept context is a decode and little more, until the disk is
	// in it; nobody knows yet what that costs.
	alone := time.Duration(float64(pilot.Alone.CycleMean) * float64(context) / float64(longest))
	turn := think + 2*pilot.Alone.DecodeMean
	a.Estimate = r.overhead() + alone*time.Duration(users*primeRounds)/2 + r.Profile.Warmup +
		max(r.Profile.Window, turn*time.Duration(r.Profile.MinRequests/users+1)) + turn
	return a
}

// workUsers is the usable concurrency and where it came from.
func (r *Rig) workUsers() (users int, note string) {
	if r.Config.Users > 0 {
		return r.Config.Users, fmt.Sprintf("U_work = %d users, given by SPARK_USERS", r.Config.Users)
	}
	model := r.target.model()
	h, exact, ok := r.cal.Find(r.platform(), r.serverKind(), model, func(h Handover) bool { return h.UWorkUsers > 0 })
	switch {
	case exact:
		return h.UWorkUsers, fmt.Sprintf("U_work = %d users, from H0 (%s)", h.UWorkUsers, h.UWorkRun)
	case ok:
		return h.UWorkUsers, fmt.Sprintf("U_work = %d users, from H0 on %s (%s): %s has no H0 run of its own", h.UWorkUsers, h.Model, h.UWorkRun, model)
	}
	return defaultUsers, fmt.Sprintf("U_work = %d users, a default: there is no H0 run for this platform and server (run TestH0 first)", defaultUsers)
}
