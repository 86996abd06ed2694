package hypotheses

import (
	"fmt"
	"math"

	"github.com/spark-harness/harness/analysis"
)

// effect is how much the endpoint moves from one condition to another, paired
// by block, as a ratio with its 95 % interval; same says that it is shown to stay
// within the smallest effect of interest.
type effect struct {
	what  string
	ratio analysis.Estimate
	d     []float64 // ln ratios
	err   error     // no pairs
	same  bool
	tight analysis.Estimate // the 90 % interval that the two one-sided tests read
}

// effectOf pairs two levels by block at the quantile q.
func effectOf(what string, from, to analysis.Level, q float64) effect {
	e := effect{what: what, ratio: absent(), tight: absent()}
	e.d, e.err = lnRatios(from, to, q)
	if e.err == nil && len(e.d) == 0 {
		e.err = fmt.Errorf("hypotheses: %s: no block has both", what)
	}
	if e.err != nil {
		return e
	}
	if hl, err := analysis.HodgesLehmann(e.d, 0.95); err == nil {
		e.ratio = expOf(hl)
	}
	if same, hl, err := analysis.Equivalent(e.d, analysis.SESOI(0), 0.05); err == nil {
		e.same, e.tight = same, expOf(hl)
	}
	return e
}

func (e effect) claim(limit float64) analysis.Claim {
	return analysis.NewClaim(e.what+" (lower bound)", e.ratio, limit, "ratio", e.ratio.Lo >= limit)
}

// moved says that the endpoint is shown to differ, by more than 10 %.
func (e effect) moved() bool {
	return e.tight.Lo > 1 && e.tight.Value > 1.1 || e.tight.Hi < 1 && e.tight.Value < 1/1.1
}

// needed is how many blocks would bring the ratio's lower bound over limit, 0
// where it is there or nobody can tell.
func (e effect) needed(limit float64) int {
	noise, err := analysis.AANoise(e.d)
	if err != nil || e.ratio.Lo >= limit {
		return 0
	}
	n, err := analysis.PairsNeeded(noise, analysis.SESOI(0), 0.05/9, 0.8)
	if err != nil {
		return 0
	}
	return n
}

func expOf(e analysis.Estimate) analysis.Estimate {
	return analysis.Estimate{Value: math.Exp(e.Value), Lo: math.Exp(e.Lo), Hi: math.Exp(e.Hi)}
}
