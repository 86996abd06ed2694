package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/montanaflynn/stats"
)

// Side is the direction that a test looks in.
type Side int

// The three sides; a plan that states a direction tests that side only.
const (
	TwoSided Side = iota
	Greater       // effect > 0
	Less          // effect < 0
)

// exactPairs is the most pairs whose 2^n sign patterns are counted in full.
const exactPairs = 32

// LnRatios is the paired effect d_i = ln(b_i / a_i) of treatment b on a, one
// per block. ErrInput unless both have equal length and all values are
// positive and finite.
func LnRatios(a, b []float64) ([]float64, error) {
	if len(a) != len(b) {
		return nil, fmt.Errorf("analysis: pair effects: %w: %d and %d values", ErrInput, len(a), len(b))
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = math.Log(b[i] / a[i])
		if !(a[i] > 0 && b[i] > 0) || math.IsNaN(d[i]) || math.IsInf(d[i], 0) {
			return nil, fmt.Errorf("analysis: pair effects: %w: pair %d is (%v, %v), both must be positive and finite", ErrInput, i, a[i], b[i])
		}
	}
	return d, nil
}

// SignFlip is the permutation p value of paired effects d: under the null each
// is as likely with either sign, so the p value is the share of the 2^n sign
// patterns whose sum is at least the observed (Fisher 1935). It is exact to 32
// pairs and Monte Carlo above (r), where it is (1 + hits)/(1 + B), never 0.
// The least p value of n pairs is 2^-n one-sided, so 5 pairs cannot pass .01.
// ErrTooFew without a pair, ErrInput for NaN or infinite d.
func SignFlip(d []float64, side Side, r Resampling) (p float64, err error) {
	if err := r.Validate(); err != nil {
		return math.NaN(), err
	}
	if err := finite("flip signs", d); err != nil {
		return math.NaN(), err
	}
	observed, size := 0.0, 0.0
	for _, v := range d {
		observed += v
		size += math.Abs(v)
	}
	switch side {
	case Less:
		observed = -observed // the distribution of flipped sums is symmetric
	case TwoSided:
		observed = math.Abs(observed)
	}
	atLeast := observed - 1e-12*size // equal sums may differ by rounding
	if len(d) <= exactPairs {
		p = exactTail(d, atLeast)
	} else {
		p = sampledTail(d, atLeast, r)
	}
	if side == TwoSided {
		p = min(1, 2*p)
	}
	return p, nil
}

// exactTail is the share of sign patterns whose sum is >= limit. Each half of
// d has few patterns; sorted, the pairs over the limit are counted in one pass
// (meet in the middle), so 2^n patterns cost 2^(n/2) steps.
func exactTail(d []float64, limit float64) float64 {
	low, high := flippedSums(d[:len(d)/2]), flippedSums(d[len(d)/2:])
	hits, from := 0, len(high)
	for _, s := range low {
		for from > 0 && s+high[from-1] >= limit {
			from--
		}
		hits += len(high) - from
	}
	return float64(hits) / float64(len(low)) / float64(len(high))
}

// flippedSums is the sum of d under each of its 2^n sign patterns, ascending.
func flippedSums(d []float64) []float64 {
	sums := make([]float64, 1, 1<<len(d))
	for _, v := range d {
		for _, s := range sums {
			sums = append(sums, s+v)
		}
		for i := range len(sums) / 2 {
			sums[i] -= v
		}
	}
	slices.Sort(sums)
	return sums
}

func sampledTail(d []float64, limit float64, r Resampling) float64 {
	rng, hits := r.rng(streamSigns), 0
	for range r.draws() {
		var sum float64
		var signs uint64
		for i, v := range d {
			if i%64 == 0 {
				signs = rng.Uint64()
			}
			if signs&1 == 0 {
				v = -v
			}
			sum += v
			signs >>= 1
		}
		if sum >= limit {
			hits++
		}
	}
	return float64(1+hits) / float64(1+r.draws())
}

// HodgesLehmann is the median of the Walsh averages (d_i + d_j)/2, i <= j, with
// the interval that inverts the signed-rank permutation test exactly (Hollander,
// Wolfe and Chicken 2014, 3.2 and 3.3). Effects are ln ratios, so exp of each
// part is a ratio. Too few pairs for conf (0.95 needs 6, 0.90 needs 5) leave
// the interval infinite. A one-sided bound at 0.95 is Lo or Hi at conf 0.90.
// ErrTooFew without a pair, ErrInput for conf outside (0,1) or d not finite.
func HodgesLehmann(d []float64, conf float64) (Estimate, error) {
	none := Estimate{math.NaN(), math.NaN(), math.NaN()}
	if !(conf > 0 && conf < 1) {
		return none, fmt.Errorf("analysis: estimate paired effect: %w: confidence %v is outside (0,1)", ErrInput, conf)
	}
	if err := finite("estimate paired effect", d); err != nil {
		return none, err
	}
	walsh := make([]float64, 0, len(d)*(len(d)+1)/2)
	for i := range d {
		for j := range i + 1 {
			walsh = append(walsh, (d[i]+d[j])/2)
		}
	}
	slices.Sort(walsh)
	middle, err := stats.Median(walsh)
	if err != nil {
		return none, fmt.Errorf("analysis: estimate paired effect: %w", err)
	}
	e := Estimate{middle, math.Inf(-1), math.Inf(1)}
	if k := signedRankCritical(len(d), (1-conf)/2); k >= 0 {
		e.Lo, e.Hi = walsh[k], walsh[len(walsh)-1-k]
	}
	return e, nil
}

// signedRankCritical is the largest w with P(W <= w) <= tail for Wilcoxon's
// signed-rank statistic of n pairs, -1 if none. Exact to 200 pairs by counting
// the subsets of 1..n with sum w, normal above.
func signedRankCritical(n int, tail float64) int {
	most := n * (n + 1) / 2
	if n > 200 {
		mean, variance := float64(most)/2, float64(n)*float64(n+1)*float64(2*n+1)/24
		z := -math.Sqrt2 * math.Erfinv(1-2*tail)
		return int(math.Floor(mean + z*math.Sqrt(variance) - 0.5))
	}
	share := make([]float64, most+1)
	share[0] = 1
	for rank := 1; rank <= n; rank++ {
		for w := most; w >= 0; w-- {
			share[w] /= 2
			if w >= rank {
				share[w] += share[w-rank] / 2
			}
		}
	}
	cumulative := 0.0
	for w, s := range share {
		if cumulative += s; cumulative > tail*(1+1e-12) {
			return w - 1
		}
	}
	return most
}

// Equivalent is the two one-sided tests of Schuirmann (1987): the effect is
// shown to be smaller than bound in either direction when the (1 - 2 alpha)
// interval of its Hodges-Lehmann estimate lies inside (-bound, bound). alpha
// 0.05 gives the usual 90 % interval, which is returned. For an effect of ten
// per cent in ln ratios pass bound math.Log(1.1). Errors as HodgesLehmann, and
// ErrInput unless bound > 0 and alpha is in (0, 0.5).
func Equivalent(d []float64, bound, alpha float64) (bool, Estimate, error) {
	if !(bound > 0 && alpha > 0 && alpha < 0.5) {
		return false, Estimate{math.NaN(), math.NaN(), math.NaN()},
			fmt.Errorf("analysis: test equivalence: %w: bound %v must be positive and alpha %v in (0,0.5)", ErrInput, bound, alpha)
	}
	e, err := HodgesLehmann(d, 1-2*alpha)
	if err != nil {
		return false, e, err
	}
	return -bound < e.Lo && e.Hi < bound, e, nil
}

// finite reports an empty list as ErrTooFew and a NaN or infinity as ErrInput.
func finite(verb string, lists ...[]float64) error {
	for _, list := range lists {
		if len(list) == 0 {
			return fmt.Errorf("analysis: %s: %w: no data", verb, ErrTooFew)
		}
		for i, v := range list {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("analysis: %s: %w: value %d is %v", verb, ErrInput, i, v)
			}
		}
	}
	return nil
}

// shuffle permutes values in place.
func shuffle(rng *rand.Rand, values []float64) {
	rng.Shuffle(len(values), func(i, j int) { values[i], values[j] = values[j], values[i] })
}
