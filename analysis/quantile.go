package analysis

import (
	"errors"
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// Conditions under which an estimator declines; test with errors.Is.
var (
	ErrTooFew     = errors.New("too few observations")
	ErrDegenerate = errors.New("data do not determine the estimate")
	ErrInput      = errors.New("input out of range")
)

// Estimate is a value with its interval, all in the unit of the data. Lo or Hi
// is infinite where the data bound that side nowhere.
type Estimate struct {
	Value, Lo, Hi float64
}

// Quantile is the q-quantile of ascending values by nearest rank upward: the
// smallest value with at least a share q of the set at or below it (Hyndman
// and Fan 1996, type 1). It is always one of the values, so a +Inf that stands
// for a failure stays one. ok is false for an empty set or q outside [0,1].
func Quantile(sorted []float64, q float64) (value float64, ok bool) {
	if len(sorted) == 0 || !(q >= 0 && q <= 1) {
		return math.NaN(), false
	}
	return sorted[rank(len(sorted), q)-1], true
}

// rank is max(1, ceil(q n)), where a product that misses an integer by
// rounding alone (0.07 × 100 = 7.000000000000001) counts as that integer.
func rank(n int, q float64) int {
	product := q * float64(n)
	if near := math.Round(product); math.Abs(product-near) < 1e-9*math.Max(1, near) {
		product = near
	}
	return min(n, max(1, int(math.Ceil(product))))
}

// QuantileCI is the distribution-free interval of the q-quantile of
// independent draws: two order statistics of ascending values, chosen by
// QuantileRanks. ok is false where there is none. Requests of one run are not
// independent; across runs use BootstrapQuantile.
func QuantileCI(sorted []float64, q, conf float64) (e Estimate, ok bool) {
	lo, hi, ok := QuantileRanks(len(sorted), q, conf)
	if !ok {
		return Estimate{math.NaN(), math.NaN(), math.NaN()}, false
	}
	value, _ := Quantile(sorted, q)
	return Estimate{value, sorted[lo-1], sorted[hi-1]}, true
}

// QuantileRanks gives the 1-based ranks lo < hi whose order statistics hold the
// q-quantile between them with confidence at least conf: the number of draws
// at or below it is Binomial(n, q), lo is the largest rank with
// P(B < lo) <= (1-conf)/2 and hi the smallest with P(B >= hi) <= (1-conf)/2
// (David and Nagaraja, Order Statistics, 7.1). ok is false where n is too small
// for both to exist; see MinN. q and conf must lie inside (0,1).
func QuantileRanks(n int, q, conf float64) (lo, hi int, ok bool) {
	if n < MinN(q, conf) || MinN(q, conf) == 0 {
		return 0, 0, false
	}
	tail := (1 - conf) / 2
	below := distuv.Binomial{N: float64(n), P: q}
	lo = sort.Search(n, func(r int) bool { return below.CDF(float64(r)) > tail })
	hi = 1 + sort.Search(n, func(r int) bool { return 1-below.CDF(float64(r)) <= tail })
	return lo, min(hi, n), true
}

// MinN is the fewest draws that give the q-quantile a two-sided interval of
// confidence conf: 368 for p99 and 72 for p95 at 0.95. Its largest value must
// exceed the quantile with probability 1-q^n >= 1-(1-conf)/2, and its smallest
// fall below it likewise. 0 when q or conf is outside (0,1).
func MinN(q, conf float64) int {
	if !(q > 0 && q < 1 && conf > 0 && conf < 1) {
		return 0
	}
	extreme := max(q, 1-q)
	return max(2, int(math.Ceil(math.Log((1-conf)/2)/math.Log(extreme))))
}
