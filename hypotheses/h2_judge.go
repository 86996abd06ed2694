package hypotheses

import (
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// judgeH2 applies the rule of H2; see docs/plan.md.
func (h Hypothesis) judgeH2(e *analysis.Experiment) Judgement {
	q := e.Plan.Profile.Quantile
	levels, pool, known := demandLevels(e)
	points, blocks := kneePoints(levels, q)
	v := h.verdict(e, blocks)
	g := gatesOf(e)
	fit, err := analysis.FitKnee(points, analysis.Resampling{Seed: e.Plan.Seed})
	if err != nil {
		return g.unfit(v, err)
	}
	v.P = kneeP(points, e.Plan.Seed)
	knee, curve := fit.Location()
	paging := pagingOf(levels, pool, knee.Value, kvBytesPerToken(e), known)
	v.Claims = append([]analysis.Claim{
		kneeClaim(fit, curve),
		h2Rise(fit),
		h2Ratio(fit, curve),
		h2PoolFull(levels, knee, poolFull(levels), known),
	}, paging.claims()...)
	if fit.HasKnee() {
		v.Mechanism = paging.mechanism()
	}
	reasons, refuted := h2Reasons(fit, levels, paging, known, q)
	v = g.decide(v, fit.BlocksNeeded(), refuted, reasons)
	j := h.reportH2(e, v, levels, fit, known)
	if v.Outcome == analysis.Supported {
		j.Handover = Handover{CkTokens: pagingContext(levels, knee.Value, known)}
	}
	return j
}

// demandLevels are the arms by context, at the measured demand over the pool; at
// the context itself where nobody knows the pool.
func demandLevels(e *analysis.Experiment) (levels []analysis.Level, pool float64, known bool) {
	pool, known = kvPoolTokens(e)
	levels = analysis.Levels(e.Arms, func(a *analysis.Measured) float64 { return float64(a.ContextTokens) })
	if known {
		for i := range levels {
			levels[i].X = levels[i].Median(demandTokens) / pool
		}
	}
	return levels, pool, known
}

// pagingContext is Ck: the first context past the knee, and past the point where
// the pool is full even with nobody in flight. A fitted knee may lie somewhat
// before that point, where the server pages now and then only.
func pagingContext(levels []analysis.Level, knee float64, poolKnown bool) int {
	past := knee
	if poolKnown {
		past = max(knee, poolFull(levels).Hi)
	}
	for _, l := range levels {
		if l.X > past {
			return l.Arms[0].ContextTokens
		}
	}
	return 0
}

// kvPoolTokens is the size of the server's KV pool: by the user, else by the
// server itself.
func kvPoolTokens(e *analysis.Experiment) (tokens float64, known bool) {
	if n := e.Manifest.Facts.KVPoolTokens; n != nil && *n > 0 {
		return float64(*n), true
	}
	return 1, false
}

// kvBytesPerToken is what one token takes in the pool; NaN where nobody tells.
func kvBytesPerToken(e *analysis.Experiment) float64 {
	if n := e.Manifest.Facts.KVBytesPerToken; n != nil && *n > 0 {
		return float64(*n)
	}
	return math.NaN()
}

// demandTokens is the KV that all users' sessions need together, by the
// server's own count of tokens: the context of every user, which the next turn
// needs again, and of those in flight also the question and the answer, which
// nobody needs afterwards.
func demandTokens(a *analysis.Measured) float64 {
	question := float64(a.Load.Workload.SuffixTokens)
	inFlight := 0.0
	if a.Summary.Rates != nil {
		inFlight = a.Summary.Rates.InFlight
	}
	return float64(a.Users)*(a.PromptTokensMean-question) + inFlight*(question+a.OutputTokensMean)
}

func h2Rise(fit *analysis.KneeFit) analysis.Claim {
	return analysis.NewClaim("the slope of ln TTFT over ln demand rises at the knee by (lower bound)", fit.Rise, 0.3, "", fit.Rise.Lo > 0.3)
}

func h2Ratio(fit *analysis.KneeFit, curve string) analysis.Claim {
	ratio := fit.RatioAt(1.5, 0.75)
	if curve == "queue" {
		ratio = fit.Queue.RatioAt(1.5, 0.75)
	}
	return analysis.NewClaim("TTFT at 1.5 × knee over that at 0.75 × knee (lower bound)", ratio, 1.5, "ratio", ratio.Lo >= 1.5)
}

// h2PoolFull: the knee is where the pool is predicted to be full. A sweep
// cannot place a knee more finely than between two of its own levels, so the
// interval is widened to the levels around it.
func h2PoolFull(levels []analysis.Level, knee, full analysis.Estimate, known bool) analysis.Claim {
	c := analysis.Claim{Text: "the knee's interval, no finer than the sweep's grid, meets the point where the pool is predicted to be full", Unit: "demand/pool"}
	if !known {
		c.Text += " (the server does not tell its pool; set SPARK_KV_TOKENS)"
		return c
	}
	c.Text += fmt.Sprintf(", %.3g to %.3g", full.Lo, full.Hi)
	lo, hi := knee.Lo, knee.Hi
	for _, l := range levels {
		if l.X <= knee.Lo {
			lo = l.X
		}
	}
	for _, l := range slices.Backward(levels) {
		if l.X >= knee.Hi {
			hi = l.X
		}
	}
	c.Value, c.Lo, c.Hi, c.Limit = analysis.Num(knee.Value), analysis.Num(lo), analysis.Num(hi), analysis.Num(1)
	c.Holds = lo <= full.Hi && full.Lo <= hi
	return c
}

// poolFull is where the pool is predicted to be full, in demand over pool: at
// 1 on average, for moments already where all users are in flight at once and
// hold their questions and answers too, and always only where it is full with
// nobody in flight.
func poolFull(levels []analysis.Level) analysis.Estimate {
	average := interpolate(levels, 1, demandTokens)
	most := interpolate(levels, 1, func(a *analysis.Measured) float64 {
		return float64(a.Users) * (a.PromptTokensMean + a.OutputTokensMean)
	})
	least := interpolate(levels, 1, func(a *analysis.Measured) float64 {
		return float64(a.Users) * (a.PromptTokensMean - float64(a.Load.Workload.SuffixTokens))
	})
	return analysis.Estimate{Value: 1, Lo: min(1, average/most), Hi: max(1, average/least)}
}

// h2Reasons names what stands against the hypothesis, and whether the data show
// that there is no rise at all.
func h2Reasons(fit *analysis.KneeFit, levels []analysis.Level, p paging, known bool, q float64) (reasons []string, refuted bool) {
	if !known {
		reasons = append(reasons, "POOL_UNKNOWN")
	}
	if fit.HasKnee() {
		switch {
		case p.mechanism() == mechanismUnknown:
			reasons = append(reasons, "MECHANISM_UNKNOWN")
		case !p.real():
			reasons = append(reasons, "MEMORY_KNEE_NO_PAGING")
		}
		return reasons, false
	}
	if known && levels[len(levels)-1].X < 1 {
		// Everything fitted: the sweep never reached the condition it is about.
		return append(reasons, "NEVER_FULL"), false
	}
	if flat(levels, q) {
		return append(reasons, "FLAT"), true
	}
	return append(reasons, "NO_KNEE"), false
}
