package hypotheses

import (
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// The primary claim's p value, for Holm's correction over the hypotheses that
// are reported together; see docs/decisions/0019-error-rates.md. Each is against
// no effect at all: that the effect is large enough is for its interval to show.

// risesP is the sign-flip p of effects, one per block, above 0; nil without any.
func risesP(d []float64, seed uint64) *float64 {
	p, err := analysis.SignFlip(d, analysis.Greater, analysis.Resampling{Seed: seed})
	if err != nil {
		return nil
	}
	return analysis.Num(p)
}

// kneeP is the permutation p of a knee in a sweep; nil where nothing can be
// fitted.
func kneeP(points []analysis.Point, seed uint64) *float64 {
	p, err := analysis.KneeP(points, analysis.Resampling{Seed: seed})
	if err != nil {
		return nil
	}
	return analysis.Num(p)
}

// bothP is the p of two claims that must both hold: the larger one (Berger 1982,
// the intersection-union test). nil unless both are known.
func bothP(a, b *float64) *float64 {
	if a == nil || b == nil {
		return nil
	}
	return analysis.Num(max(*a, *b))
}

// slopesP is the p that the endpoint rises with the number of adapters under a
// storm, and more so than with sticky users: block by block the slopes, and
// their differences.
func (d h5Data) slopesP() *float64 {
	storm, sticky := analysis.BlockSlopes(d.points(d.storm)), analysis.BlockSlopes(d.points(d.sticky))
	var slopes, differences []float64
	for _, block := range blocksOf(d.storm) {
		s, ok := storm[block]
		if !ok {
			continue
		}
		slopes = append(slopes, s)
		if own, ok := sticky[block]; ok {
			differences = append(differences, s-own)
		}
	}
	return bothP(risesP(slopes, d.seed), risesP(differences, d.seed))
}

// cyclesP is the p that first touches take longer: cycle by cycle the median ln
// ratio, because touches of one cycle share its restart.
func (d h1Data) cyclesP() *float64 {
	var medians []float64
	for _, c := range d.cycles {
		var ln []float64
		for _, p := range c.pairs {
			ln = append(ln, math.Log(p.cold/p.warm))
		}
		if len(ln) > 0 && !slices.ContainsFunc(ln, math.IsNaN) {
			medians = append(medians, analysis.Median(ln))
		}
	}
	return risesP(medians, d.seed)
}
