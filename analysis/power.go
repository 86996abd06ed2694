package analysis

import (
	"fmt"
	"math"

	"github.com/montanaflynn/stats"
	"gonum.org/v1/gonum/stat/distuv"
)

// AANoise is the standard deviation of the ln ratios of A/A pairs, two runs of
// one arm: what a pair shows when nothing differs. It needs two (ErrTooFew).
func AANoise(d []float64) (float64, error) {
	if err := finite("measure a/a noise", d); err != nil {
		return math.NaN(), err
	}
	if len(d) < 2 {
		return math.NaN(), fmt.Errorf("analysis: measure a/a noise: %w: %d pair, it needs 2", ErrTooFew, len(d))
	}
	return stats.StandardDeviationSample(d)
}

// SESOI is the smallest effect of interest in ln ratios: the larger of ten per
// cent, ln 1.1, and twice the A/A noise, below which no campaign of ordinary
// size decides.
func SESOI(noise float64) float64 {
	return max(math.Log(1.1), 2*noise)
}

// simulatedPairs is the largest plan whose power is simulated; above it the
// permutation test and Student's t agree.
const simulatedPairs = 16

// PairsNeeded is the fewest pairs with which the one-sided SignFlip test at
// alpha finds an effect (ln ratio > 0) among normal noise of standard
// deviation noise with probability power. Up to 16 pairs it simulates 2,000
// campaigns per size (seeded, so always the same answer), above it uses
// (z_alpha + z_power)² (noise/effect)² + z_alpha²/2 (Guenther 1981). The test
// itself demands log2(1/alpha) pairs even without noise: 5 at .05, 8 at the
// first Holm step of nine tests, .05/9. ErrInput unless effect > 0, noise >= 0,
// and alpha and power are inside (0,1).
func PairsNeeded(noise, effect, alpha, power float64) (int, error) {
	inside := func(p float64) bool { return p > 0 && p < 1 }
	if !(effect > 0) || !(noise >= 0) || math.IsInf(noise, 1) || math.IsInf(effect, 1) || !inside(alpha) || !inside(power) {
		return 0, fmt.Errorf("analysis: plan pairs: %w: noise %v, effect %v, alpha %v, power %v", ErrInput, noise, effect, alpha, power)
	}
	least := max(1, int(math.Ceil(math.Log2(1/alpha)-1e-9)))
	za, zp := -distuv.UnitNormal.Quantile(alpha), distuv.UnitNormal.Quantile(power)
	share := math.Pow((za+zp)*noise/effect, 2) + za*za/2
	if share > math.MaxInt32 {
		return 0, fmt.Errorf("analysis: plan pairs: %w: an effect of %v in noise of %v would need %.0f pairs", ErrTooFew, effect, noise, share)
	}
	if share > simulatedPairs {
		return max(least, int(math.Ceil(share))), nil
	}
	for n := least; n < 4*simulatedPairs; n++ {
		if n > simulatedPairs || simulatedPower(n, noise, effect, alpha) >= power {
			return n, nil
		}
	}
	return 4 * simulatedPairs, nil
}

// simulatedPower is the share of 2,000 campaigns of n pairs that SignFlip finds.
func simulatedPower(n int, noise, effect, alpha float64) float64 {
	const campaigns = 2000
	rng := Resampling{}.rng(streamPower)
	d := make([]float64, n)
	found := 0
	for range campaigns {
		for i := range d {
			d[i] = effect + noise*rng.NormFloat64()
		}
		if p, err := SignFlip(d, Greater, Resampling{}); err == nil && p <= alpha {
			found++
		}
	}
	return float64(found) / campaigns
}

// BlocksForWidth is how many blocks would bring an interval of width got, from
// blocks, down to width want: intervals shrink with the root of the count. 0,
// not computed, unless all are positive and finite.
func BlocksForWidth(blocks int, got, want float64) int {
	need := float64(blocks) * math.Pow(got/want, 2)
	if !(got > 0 && want > 0 && blocks > 0 && need < math.MaxInt32) {
		return 0
	}
	return max(blocks, int(math.Ceil(need-1e-9)))
}
