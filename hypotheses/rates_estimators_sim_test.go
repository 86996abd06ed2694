//go:build sim

package hypotheses

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// family is a table of estimators.
type family struct {
	name, note string
	rows       []rate
}

func simEstimators() []family {
	return []family{quantileRates(), pairRates(), slopeRates(), kneeRates(), seriesRates(), planRates()}
}

// outside says that an interval does not hold the truth. An error is a miss:
// nothing here is out of any estimator's range.
func outside(e analysis.Estimate, err error, truth float64) bool {
	return err != nil || !(e.Lo <= truth && truth <= e.Hi)
}

// rejected says that a test at .05 rejects.
func rejected(p float64, err error) bool { return err == nil && p <= 0.05 }

func plain(hit bool) (bool, float64) { return hit, math.NaN() }

// resampling draws fewer than a judge does: over hundreds of rows' trials the
// draws' own noise averages out.
func resampling(seed uint64) analysis.Resampling { return analysis.Resampling{B: 1000, Seed: seed} }

// ar is a series with memory phi, of unit variance.
func ar(rng *rand.Rand, n int, phi float64) []float64 {
	x := make([]float64, n)
	last := rng.NormFloat64()
	for i := range x {
		x[i] = last
		last = phi*last + math.Sqrt(1-phi*phi)*rng.NormFloat64()
	}
	return x
}

// t3 is Student's t with 3 degrees of freedom.
func t3(rng *rand.Rand) float64 { return machine{heavy: true}.draw(rng) }

const z99 = 2.3263478740408408 // the normal's .99 quantile

// runsWith are runs of windows of latencies whose logarithms have memory phi inside
// a run, unit scale 0.6, and a run's own level of sd spread.
func runsWith(rng *rand.Rand, runs, windows, per int, phi, spread float64) [][][]float64 {
	out := make([][][]float64, runs)
	for i := range out {
		level := spread * rng.NormFloat64()
		x := ar(rng, windows*per, phi)
		for w := range windows {
			var window []float64
			for _, v := range x[w*per : (w+1)*per] {
				window = append(window, math.Exp(0.6*v+level))
			}
			out[i] = append(out[i], window)
		}
	}
	return out
}

// ascending is all values, ascending.
func ascending(runs [][][]float64) []float64 {
	var all []float64
	for _, run := range runs {
		for _, window := range run {
			all = append(all, window...)
		}
	}
	slices.Sort(all)
	return all
}

func quantileRates() family {
	of := func(name string, runs int, phi, spread float64, estimate func(runs [][][]float64, seed uint64) (analysis.Estimate, error)) func(*rand.Rand, uint64) (bool, float64) {
		truth := math.Exp(z99 * math.Hypot(0.6, spread))
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			e, err := estimate(runsWith(rng, runs, 30, 34, phi, spread), seed)
			return outside(e, err, truth), e.Value / truth
		}
	}
	order := func(runs [][][]float64, _ uint64) (analysis.Estimate, error) {
		e, ok := analysis.QuantileCI(ascending(runs), 0.99, 0.95)
		if !ok {
			return e, analysis.ErrTooFew
		}
		return e, nil
	}
	stages := func(runs [][][]float64, seed uint64) (analysis.Estimate, error) {
		r := resampling(seed)
		r.B = 400
		return analysis.BootstrapQuantile(runs, 0.99, r)
	}
	const one, two = "`QuantileCI` p99", "`BootstrapQuantile` p99"
	return family{
		name: "Quantiles",
		note: "The order-statistic interval is for independent draws: with memory, or over runs that differ, it misses as often as these rows show, and no rule uses it there. The two-stage bootstrap resamples runs, of which few tell little: its limit is 10 % with 5 of them. *value* is the estimate over the truth.",
		rows: []rate{
			{of: one, data: "one run, 1,020 independent requests", counts: "missed", limit: 0.05, trial: of(one, 1, 0, 0, order)},
			{of: one, data: "one run, 1,020 requests, AR(1) 0.8", counts: "missed", trial: of(one, 1, 0.8, 0, order)},
			{of: one, data: "5 runs pooled, runs differ by 10 %", counts: "missed", trial: of(one, 5, 0, 0.1, order)},
			{of: two, data: "8 runs, AR(1) 0.5, runs differ by 5 %", counts: "missed", limit: 0.05, times: 0.4, trial: of(two, 8, 0.5, 0.05, stages)},
			{of: two, data: "8 runs, AR(1) 0.8, runs differ by 10 %", counts: "missed", limit: 0.05, times: 0.4, trial: of(two, 8, 0.8, 0.1, stages)},
			{of: two, data: "5 runs, AR(1) 0.8, runs differ by 10 %", counts: "missed", limit: 0.10, times: 0.4, trial: of(two, 5, 0.8, 0.1, stages)},
			{of: two, data: "5 runs, AR(1) 0.5, runs differ by 20 %", counts: "missed", limit: 0.10, times: 0.4, trial: of(two, 5, 0.5, 0.2, stages)},
			clusteredMedian(8), clusteredMedian(10),
		},
	}
}

// clusteredMedian is H1's estimator: cycles of 8 touches that share their cycle's
// level.
func clusteredMedian(clusters int) rate {
	return rate{
		of: "`ClusteredMedian`", data: map[int]string{8: "8", 10: "10"}[clusters] + " clusters of 8, half of the variance theirs", counts: "missed", limit: 0.05,
		trial: func(rng *rand.Rand, seed uint64) (bool, float64) {
			var data [][]float64
			for range clusters {
				level := rng.NormFloat64()
				var values []float64
				for range 8 {
					values = append(values, level+rng.NormFloat64())
				}
				data = append(data, values)
			}
			e, err := analysis.ClusteredMedian(data, 0.95, resampling(seed))
			return plain(outside(e, err, 0))
		},
	}
}

// effects draws n paired effects.
func effects(rng *rand.Rand, n int, mean, sd float64, draw func(*rand.Rand) float64) []float64 {
	d := make([]float64, n)
	for i := range d {
		d[i] = mean + sd*draw(rng)
	}
	return d
}

func normal(rng *rand.Rand) float64 { return rng.NormFloat64() }

func pairRates() family {
	flip := func(n int, mean, sd float64, draw func(*rand.Rand) float64) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			p, err := analysis.SignFlip(effects(rng, n, mean, sd, draw), analysis.Greater, resampling(seed))
			return plain(rejected(p, err))
		}
	}
	page := func(rise float64, draw func(*rand.Rand) float64) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			rows := make([][]float64, 8)
			for i := range rows {
				shared := rng.NormFloat64()
				for level := range 3 {
					rows[i] = append(rows[i], shared+rise*float64(level)+0.1*draw(rng))
				}
			}
			_, p, err := analysis.Page(rows, resampling(seed))
			return plain(rejected(p, err))
		}
	}
	lehmann := func(n int, draw func(*rand.Rand) float64) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, _ uint64) (bool, float64) {
			e, err := analysis.HodgesLehmann(effects(rng, n, 0.3, 0.1, draw), 0.95)
			return plain(outside(e, err, 0.3))
		}
	}
	same := func(mean, sd float64) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, _ uint64) (bool, float64) {
			ok, _, err := analysis.Equivalent(effects(rng, 8, mean, sd, normal), math.Log(1.1), 0.05)
			return plain(ok && err == nil)
		}
	}
	skewed := func(rng *rand.Rand) float64 { return rng.ExpFloat64() - 1 }
	return family{
		name: "Paired effects and trends",
		note: "The null of the sign-flip test is symmetry about 0. A difference of two runs is symmetric when both are alike but for their names; a skewed difference (last of its null rows) is no null of any rule here, and shows what the test then does: it has no limit.",
		rows: []rate{
			{of: "`SignFlip`", data: "8 pairs, normal, no effect", counts: "false", limit: 0.05, trial: flip(8, 0, 0.1, normal)},
			{of: "`SignFlip`", data: "8 pairs, heavy tails, no effect", counts: "false", limit: 0.05, trial: flip(8, 0, 0.1, t3)},
			{of: "`SignFlip`", data: "40 pairs (Monte Carlo), normal, no effect", counts: "false", limit: 0.05, trial: flip(40, 0, 0.1, normal)},
			{of: "`SignFlip`", data: "8 pairs, exponential about its mean", counts: "false", trial: flip(8, 0, 0.1, skewed)},
			{of: "`SignFlip`", data: "8 pairs, 10 % in noise of 0.1", counts: "found", trial: flip(8, math.Log(1.1), 0.1, normal)},
			{of: "`SignFlip`", data: "8 pairs, 20 % in noise of 0.1", counts: "found", trial: flip(8, math.Log(1.2), 0.1, normal)},
			{of: "`Page`", data: "8 blocks of 3 levels, no trend", counts: "false", limit: 0.05, trial: page(0, normal)},
			{of: "`Page`", data: "8 blocks of 3 levels, heavy tails, no trend", counts: "false", limit: 0.05, trial: page(0, t3)},
			{of: "`Page`", data: "8 blocks, 10 % per level in noise of 0.1", counts: "found", trial: page(math.Log(1.1), normal)},
			{of: "`HodgesLehmann`", data: "8 pairs, normal", counts: "missed", limit: 0.05, trial: lehmann(8, normal)},
			{of: "`HodgesLehmann`", data: "10 pairs, heavy tails", counts: "missed", limit: 0.05, trial: lehmann(10, t3)},
			{of: "`Equivalent`", data: "8 pairs, effect of exactly 10 %, noise 0.05", counts: "false", limit: 0.05, trial: same(math.Log(1.1), 0.05)},
			{of: "`Equivalent`", data: "8 pairs, effect of exactly 10 %, noise 0.15", counts: "false", limit: 0.05, trial: same(math.Log(1.1), 0.15)},
			{of: "`Equivalent`", data: "8 pairs, no effect, noise 0.05", counts: "shown", trial: same(0, 0.05)},
			{of: "`Equivalent`", data: "8 pairs, no effect, noise 0.10", counts: "shown", trial: same(0, 0.1)},
			crossoverRate("order"), crossoverRate("carry-over"), crossoverRate("treatment"),
		},
	}
}

// crossoverRate is one of the three answers of an AB/BA design without order
// effects.
func crossoverRate(which string) rate {
	counts := map[bool]string{true: "missed", false: "false"}[which == "treatment"]
	return rate{
		of: "`CrossoverOf`, " + which, data: "10 pairs, treatment 20 %, noise 0.1", counts: counts, limit: 0.05,
		trial: func(rng *rand.Rand, seed uint64) (bool, float64) {
			var pairs []analysis.CrossoverPair
			for i := range 10 {
				shared := rng.NormFloat64()
				pairs = append(pairs, analysis.CrossoverPair{
					A: shared + 0.1*rng.NormFloat64(), B: shared + math.Log(1.2) + 0.1*rng.NormFloat64(), BFirst: i%2 == 1,
				})
			}
			c, err := analysis.CrossoverOf(pairs, resampling(seed))
			switch which {
			case "order":
				return plain(rejected(c.Order.P, err))
			case "carry-over":
				return plain(rejected(c.CarryOver.P, err))
			}
			return plain(outside(c.Treatment, err, math.Log(1.2)))
		},
	}
}
