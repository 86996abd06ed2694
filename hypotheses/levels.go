package hypotheses

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/spark-harness/harness/analysis"
)

func absent() analysis.Estimate {
	return analysis.Estimate{Value: math.NaN(), Lo: math.NaN(), Hi: math.NaN()}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// interpolate is the median of a quantity at x, straight in ln x between the
// neighbouring levels; beyond the sweep it is that of the nearest level. NaN
// where a neighbour has none.
func interpolate(levels []analysis.Level, x float64, of func(*analysis.Measured) float64) float64 {
	i := slices.IndexFunc(levels, func(l analysis.Level) bool { return l.X >= x })
	switch {
	case i < 0:
		return levels[len(levels)-1].Median(of)
	case i == 0 || levels[i].X == x:
		return levels[i].Median(of)
	}
	a, b := levels[i-1], levels[i]
	w := (math.Log(x) - math.Log(a.X)) / (math.Log(b.X) - math.Log(a.X))
	return a.Median(of)*(1-w) + b.Median(of)*w
}

// blockRatio is the quantity at hi over that at lo, interpolated, with an
// interval from resampling whole blocks.
func blockRatio(levels []analysis.Level, lo, hi float64, of func(*analysis.Measured) float64, seed uint64) analysis.Estimate {
	ratio := func(ls []analysis.Level) float64 { return interpolate(ls, hi, of) / interpolate(ls, lo, of) }
	blocks := blocksOf(levels)
	rng := rand.New(rand.NewPCG(seed, 0x424c4f434b))
	draws := make([]float64, 0, 1000)
	for range cap(draws) {
		weight := map[int]int{}
		for range blocks {
			weight[blocks[rng.IntN(len(blocks))]]++
		}
		draws = append(draws, ratio(weighted(levels, weight)))
	}
	slices.Sort(draws)
	e := analysis.Estimate{Value: ratio(levels)}
	e.Lo, _ = analysis.Quantile(draws, 0.025)
	e.Hi, _ = analysis.Quantile(draws, 0.975)
	return e
}

func blocksOf(levels []analysis.Level) []int {
	var blocks []int
	for _, l := range levels {
		for _, a := range l.Arms {
			if !slices.Contains(blocks, a.Block) {
				blocks = append(blocks, a.Block)
			}
		}
	}
	return blocks
}

// weighted repeats each arm as often as its block was drawn.
func weighted(levels []analysis.Level, weight map[int]int) []analysis.Level {
	out := make([]analysis.Level, len(levels))
	for i, l := range levels {
		out[i].X = l.X
		for _, a := range l.Arms {
			for range weight[a.Block] {
				out[i].Arms = append(out[i].Arms, a)
			}
		}
	}
	return out
}

// lnRatios pairs two levels by block: ln of b's endpoint over a's.
func lnRatios(a, b analysis.Level, q float64) ([]float64, error) {
	var from, to []float64
	for _, x := range a.Arms {
		for _, y := range b.Arms {
			if x.Block != y.Block {
				continue
			}
			lo, okLo := x.QuantileMs(q)
			hi, okHi := y.QuantileMs(q)
			if okLo && okHi {
				from, to = append(from, lo), append(to, hi)
			}
		}
	}
	d, err := analysis.LnRatios(from, to)
	if err != nil {
		return nil, fmt.Errorf("hypotheses: pair levels %g and %g: %w", a.X, b.X, err)
	}
	return d, nil
}

// flat says that the endpoint is shown to be the same at the lowest and the
// highest level, within the smallest effect of interest. Data that cannot show
// it are not flat.
func flat(levels []analysis.Level, q float64) bool {
	d, err := lnRatios(levels[0], levels[len(levels)-1], q)
	if err != nil {
		return false
	}
	same, _, err := analysis.Equivalent(d, analysis.SESOI(0), 0.05)
	return err == nil && same
}

// levelEstimate is the level's endpoint over its repeats: the two-stage
// bootstrap of the quantile of all its good requests.
func levelEstimate(l analysis.Level, q float64, seed uint64) analysis.Estimate {
	var runs [][][]float64
	for _, a := range l.Arms {
		if len(a.TTFT) > 0 {
			runs = append(runs, a.TTFTWindows())
		}
	}
	e, err := analysis.BootstrapQuantile(runs, q, analysis.Resampling{Seed: seed, B: 1000})
	if err != nil {
		return absent()
	}
	return e
}
