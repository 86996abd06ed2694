package hypotheses

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

const (
	h0Prompt = 256 // tokens: short, so that nothing pages
	h0Output = 32  // tokens

	workShare = 0.65 // of the knee's lower bound: the plan's 0.6 to 0.7
)

// h0Users is the sweep of the plan; thin is the least that a knee can be
// fitted to.
func h0Users(thin bool) []int {
	if thin {
		return []int{1, 4, 8, 16, 32, 64}
	}
	return []int{1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}
}

// H0 finds the usable concurrency: the knee at which queueing begins.
func H0() Hypothesis {
	h := Hypothesis{
		ID: "H0", Title: "Queue knee", Preset: "L8B",
		Claim: "Queueing saturates before the hardware: there is a usable concurrency.",
	}
	h.Measure, h.Judge = measureH0, h.judgeH0
	return h
}

func measureH0(ctx context.Context, r *Rig) (string, error) {
	work := loadgen.Workload{
		PromptTokens: h0Prompt, OutputTokens: h0Output,
		// Unique from the first token: every request is computed in full.
		Nonce: loadgen.Nonce{Position: loadgen.NonceStart, Scope: loadgen.ScopeRequest},
	}
	levels := h0Users(r.Profile.Thin)
	pilot, err := r.pilot(ctx, work, levels[len(levels)-1])
	if err != nil {
		return "", err
	}
	d := Design{Pilot: pilot}
	var blocks [][]Arm
	for b := range r.Profile.Repeats {
		var block []Arm
		for _, users := range levels {
			block = append(block, h0Arm(r, *pilot, work, b, users))
		}
		blocks = append(blocks, block)
	}
	d.Arms = shuffle(blocks, r.Config.Seed)
	return r.Run(ctx, d)
}

func h0Arm(r *Rig, pilot Pilot, work loadgen.Workload, block, users int) Arm {
	cycle := pilot.Cycle(users)
	a := Arm{
		Name: fmt.Sprintf("u%d-r%d", users, block), Block: block, Users: users, ContextTokens: work.PromptTokens,
		Load: loadgen.Plan{
			Arrivals: loadgen.Users(users), Workload: work, Seed: armSeed(r.Config.Seed, block, users),
			// All users start at once and queue; after one cycle the queue is as
			// long as it stays.
			Warmup:  max(r.Profile.Warmup, cycle*5/4),
			Measure: r.Profile.Window, MinRequests: r.Profile.MinRequests, MaxMeasure: r.Profile.MaxWindow,
			Drain: r.Profile.Drain,
		},
	}
	// Users spread over a cycle do not move in lockstep.
	a.Load.Arrivals.StartSpread = min(cycle, pilot.Alone.CycleMean)
	perSec := float64(users) / cycle.Seconds()
	a.Estimate = r.overhead() + a.Load.Warmup + max(r.Profile.Window, seconds(float64(r.Profile.MinRequests)/perSec)) + cycle
	return a
}

// judgeH0 applies the rule of H0; see docs/plan.md.
func (h Hypothesis) judgeH0(e *analysis.Experiment) Judgement {
	q := e.Plan.Profile.Quantile
	levels := analysis.Levels(e.Arms, func(a *analysis.Measured) float64 { return float64(a.Users) })
	points, blocks := kneePoints(levels, q)
	v := h.verdict(e, blocks)
	g := gatesOf(e)
	fit, err := analysis.FitKnee(points, analysis.Resampling{Seed: e.Plan.Seed})
	if err != nil {
		return g.unfit(v, err)
	}
	v.P = kneeP(points, e.Plan.Seed)
	knee, curve := fit.Location()
	v.Claims = []analysis.Claim{
		kneeClaim(fit, curve),
		{Text: "the knee's interval spans at most a factor of 2", Value: analysis.Num(knee.Hi / knee.Lo), Limit: analysis.Num(2), Unit: "ratio", Holds: knee.Hi/knee.Lo <= 2},
		h0Throughput(levels, knee.Value, e.Plan.Seed),
		h0Little(levels),
		h0Hardware(levels, knee.Value),
	}
	reasons, refuted := h0Reasons(e, fit, levels, knee, q)
	v = g.decide(v, fit.BlocksNeeded(), refuted, reasons)
	if !fit.HasKnee() {
		return h.reportH0(e, v, levels, fit, nil, 0)
	}
	work := 0
	if v.Outcome == analysis.Supported { // a value that is not shown is not handed on
		work = max(1, int(workShare*knee.Lo))
	}
	j := h.reportH0(e, v, levels, fit, &knee, work)
	j.Handover = Handover{UWorkUsers: work}
	return j
}

// kneePoints are the arms' endpoints as ln ms, and the number of blocks.
// Withheld quantiles give no point.
func kneePoints(levels []analysis.Level, q float64) (points []analysis.Point, blocks int) {
	seen := map[int]bool{}
	for _, l := range levels {
		for _, a := range l.Arms {
			seen[a.Block] = true
			if ms, ok := a.QuantileMs(q); ok && ms > 0 {
				points = append(points, analysis.Point{X: l.X, Y: math.Log(ms), Block: a.Block})
			}
		}
	}
	return points, len(seen)
}

func kneeClaim(fit *analysis.KneeFit, curve string) analysis.Claim {
	margin := max(fit.Margin, fit.Queue.Margin)
	return analysis.Claim{
		Text:  fmt.Sprintf("a curve with a knee (%s) beats flat, linear and power by BIC", curve),
		Value: analysis.Num(margin), Limit: analysis.Num(analysis.KneeMargin), Holds: fit.HasKnee(),
	}
}

// h0Throughput: past the knee more users bring little more throughput.
func h0Throughput(levels []analysis.Level, knee float64, seed uint64) analysis.Claim {
	ratio := blockRatio(levels, knee, 2*knee, (*analysis.Measured).ThroughputPerSec, seed)
	return analysis.NewClaim("throughput at twice the knee over that at the knee", ratio, 1.2, "ratio", ratio.Value <= 1.2)
}

// h0Little: users = throughput × response time. It holds in any closed loop
// that was really closed and really measured.
func h0Little(levels []analysis.Level) analysis.Claim {
	w := 0.0
	for _, l := range levels {
		gap := l.Median(func(a *analysis.Measured) float64 {
			return analysis.LittleGap(l.X, a.ThroughputPerSec(), time.Duration(a.Cycle*1e6), 0)
		})
		w = max(w, math.Abs(gap))
	}
	return upTo("Little's law: users against throughput × response time, worst level", "share", w, 0.05)
}

// quietReads is a rise in disk reads that no queue is made of.
const quietReads = 10.0 // MB/s

// h0Hardware: at the knee the hardware stands below its own plateau. What the
// disk does on the idle machine is somebody else's and taken off. There is no
// GPU telemetry yet: nothing to hold against a plateau, and no claim of it.
func h0Hardware(levels []analysis.Level, knee float64) analysis.Claim {
	read := func(a *analysis.Measured) float64 { return a.Telemetry.ReadMBPerSec }
	var idle []float64
	for _, a := range allArms(levels) {
		idle = append(idle, a.Quiet.DiskBytesPerSec/1e6)
	}
	base, plateau := analysis.Median(idle), 0.0
	for _, l := range levels {
		plateau = max(plateau, l.Median(read))
	}
	at, limit := interpolate(levels, knee, read)-base, max(quietReads, 0.9*(plateau-base))
	return analysis.Claim{
		Text:  "the load's disk reads at the knee stand below 90 % of their plateau, or are under 10 MB/s",
		Value: analysis.Num(at), Limit: analysis.Num(limit), Unit: "MB/s", Holds: at < limit,
	}
}

// h0Reasons names what stands against the hypothesis, and whether the data show
// that there is no knee at all.
func h0Reasons(e *analysis.Experiment, fit *analysis.KneeFit, levels []analysis.Level, knee analysis.Estimate, q float64) (reasons []string, refuted bool) {
	if n := e.Manifest.Facts.MaxNumSeqs; n != nil && fit.HasKnee() && math.Abs(knee.Value/float64(*n)-1) <= 0.15 {
		return []string{"CONFIG_LIMIT"}, false
	}
	if fit.HasKnee() {
		return nil, false
	}
	if flat(levels, q) {
		return []string{"FLAT"}, true
	}
	return []string{"NO_KNEE"}, false
}
