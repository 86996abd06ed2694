package analysis

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// SignTest is the one-sided p of something that held in holds of n independent
// blocks, when chance alone lets it hold in half of them: P(Binomial(n, 1/2) >=
// holds) (Arbuthnott 1710; Conover 1999, 3.4). Blocks that tie are left out
// before. All of 8 gives 2^-8 = .0039. ErrTooFew for n < 1, ErrInput unless
// 0 <= holds <= n.
func SignTest(holds, n int) (p float64, err error) {
	if n < 1 {
		return math.NaN(), fmt.Errorf("analysis: test signs: %w: no block", ErrTooFew)
	}
	if holds < 0 || holds > n {
		return math.NaN(), fmt.Errorf("analysis: test signs: %w: %d of %d", ErrInput, holds, n)
	}
	return binomialTail(holds, n, 0.5), nil
}

// binomialTail is P(Binomial(n, p) >= k).
func binomialTail(k, n int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	// The regularised incomplete beta function, without cancellation.
	return distuv.Beta{Alpha: float64(k), Beta: float64(n - k + 1)}.CDF(p)
}

// Proportion is the share of hits among n trials with its exact interval at
// conf (Clopper and Pearson 1934), which covers at least conf whatever the
// truth. ErrTooFew for n < 1, ErrInput unless 0 <= hits <= n and conf is in
// (0,1).
func Proportion(hits, n int, conf float64) (Estimate, error) {
	none := Estimate{math.NaN(), math.NaN(), math.NaN()}
	if n < 1 {
		return none, fmt.Errorf("analysis: estimate proportion: %w: no trial", ErrTooFew)
	}
	if hits < 0 || hits > n || !(conf > 0 && conf < 1) {
		return none, fmt.Errorf("analysis: estimate proportion: %w: %d of %d at confidence %v", ErrInput, hits, n, conf)
	}
	e := Estimate{Value: float64(hits) / float64(n), Lo: 0, Hi: 1}
	tail := (1 - conf) / 2
	if hits > 0 {
		e.Lo = distuv.Beta{Alpha: float64(hits), Beta: float64(n - hits + 1)}.Quantile(tail)
	}
	if hits < n {
		e.Hi = distuv.Beta{Alpha: float64(hits + 1), Beta: float64(n - hits)}.Quantile(1 - tail)
	}
	return e, nil
}
