//go:build sim

package hypotheses

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/spark-harness/harness/analysis"
)

// line is points of blocks, three levels each; noiseX is the error that X is
// measured with.
func linePoints(rng *rand.Rand, blocks int, slope, noiseX, noiseY float64, draw func(*rand.Rand) float64) []analysis.Point {
	var points []analysis.Point
	for b := range blocks {
		shared := 0.3 * rng.NormFloat64()
		for _, x := range []float64{0, 0.7, 1.4} {
			points = append(points, analysis.Point{X: x + noiseX*rng.NormFloat64(), Y: shared + slope*x + noiseY*draw(rng), Block: b})
		}
	}
	return points
}

func slopeRates() family {
	const truth = 0.5
	sen := func(blocks int, noiseX float64, draw func(*rand.Rand) float64) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			e, err := analysis.TheilSen(linePoints(rng, blocks, truth, noiseX, 0.1, draw), resampling(seed))
			return outside(e, err, truth), e.Value
		}
	}
	deming := func(blocks int, noise float64) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			e, err := analysis.Deming(linePoints(rng, blocks, truth, noise, noise, normal), 1, resampling(seed))
			return outside(e, err, truth), e.Value
		}
	}
	difference := func(blocks int) func(*rand.Rand, uint64) (bool, float64) {
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			a, b := linePoints(rng, blocks, truth, 0, 0.1, normal), linePoints(rng, blocks, truth, 0, 0.1, normal)
			e, err := analysis.SlopeDifference(a, b, resampling(seed))
			return plain(err == nil && e.Lo > 0)
		}
	}
	spearman := func(clusters int) func(*rand.Rand, uint64) (bool, float64) {
		truth := 6 / math.Pi * math.Asin(0.4) // of normals with Pearson's 0.8
		return func(rng *rand.Rand, seed uint64) (bool, float64) {
			var points []analysis.Point
			pair := func() (x, y float64) {
				x = rng.NormFloat64()
				return x, 0.8*x + 0.6*rng.NormFloat64()
			}
			for b := range clusters {
				sx, sy := pair()
				for range 3 {
					x, y := pair()
					points = append(points, analysis.Point{X: sx + x, Y: sy + y, Block: b})
				}
			}
			e, err := analysis.ClusterSpearman(points, resampling(seed))
			return outside(e, err, truth), e.Value
		}
	}
	return family{
		name: "Slopes and correlations over blocks",
		note: "A bootstrap of 5 or 8 blocks knows little of their spread, even expanded (`Resampling.interval`): its limit is 7 %. `SlopeDifference` counts lower bounds above 0, nominally 2.5 %. Theil–Sen with noise in X is pulled to 0, which is why the Deming slope stands beside it in H4. *value* is the slope, whose truth is 0.5, or the correlation, whose truth is 0.786.",
		rows: []rate{
			{of: "`TheilSen`", data: "8 blocks of 3 levels", counts: "missed", limit: 0.07, trial: sen(8, 0, normal)},
			{of: "`TheilSen`", data: "8 blocks, heavy tails", counts: "missed", limit: 0.07, trial: sen(8, 0, t3)},
			{of: "`TheilSen`", data: "5 blocks", counts: "missed", limit: 0.07, trial: sen(5, 0, normal)},
			{of: "`TheilSen`", data: "8 blocks, noise of 0.3 in X", counts: "missed", trial: sen(8, 0.3, normal)},
			{of: "`Deming`", data: "8 blocks, noise of 0.1 in both", counts: "missed", limit: 0.07, trial: deming(8, 0.1)},
			{of: "`Deming`", data: "8 blocks, noise of 0.3 in both", counts: "missed", limit: 0.07, trial: deming(8, 0.3)},
			{of: "`SlopeDifference`", data: "8 blocks, equal slopes", counts: "false", limit: 0.05, trial: difference(8)},
			{of: "`SlopeDifference`", data: "10 blocks, equal slopes", counts: "false", limit: 0.05, trial: difference(10)},
			{of: "`ClusterSpearman`", data: "8 clusters of 3", counts: "missed", limit: 0.05, trial: spearman(8)},
			{of: "`ClusterSpearman`", data: "24 clusters of 3", counts: "missed", limit: 0.05, times: 0.5, trial: spearman(24)},
		},
	}
}

// swept is the plan's sweep of users over 5 repeats with noise of the runs and
// 5 % that a repeat's runs share.
func swept(rng *rand.Rand, noise float64, curve func(users float64) float64) []analysis.Point {
	var points []analysis.Point
	for b := range 5 {
		shared := 0.05 * rng.NormFloat64()
		for _, u := range h0Users(false) {
			points = append(points, analysis.Point{X: float64(u), Y: curve(float64(u)) + shared + noise*rng.NormFloat64(), Block: b})
		}
	}
	return points
}

// bend is a hinge: flat in ln X to the knee, then with a slope of 1.
func bend(knee float64) func(float64) float64 {
	return func(x float64) float64 { return max(0, math.Log(x/knee)) }
}

// lineUp is a queue: latency straight in users past the knee, three times at
// twice the knee.
func lineUp(knee float64) func(float64) float64 {
	return func(x float64) float64 { return math.Log1p(2 * max(0, x/knee-1)) }
}

func kneeRates() family {
	found := func(noise float64, curve func(float64) float64, limit float64, name string) rate {
		counts := map[bool]string{true: "false knee", false: "found"}[limit > 0]
		return rate{
			of: "`FitKnee`", data: fmt.Sprintf("%s, noise %.2f", name, noise), counts: counts, limit: limit, times: 0.5,
			trial: func(rng *rand.Rand, _ uint64) (bool, float64) {
				fit, err := analysis.FitKnee(swept(rng, noise, curve), analysis.Resampling{B: 1})
				if err != nil {
					return false, math.NaN()
				}
				knee, _ := fit.Location()
				if !fit.HasKnee() || limit > 0 {
					return plain(fit.HasKnee())
				}
				return true, knee.Value
			},
		}
	}
	flat, linear, power := func(float64) float64 { return 0 }, func(x float64) float64 { return math.Log1p(0.05 * x) }, func(x float64) float64 { return 0.4 * math.Log(x) }
	rows := []rate{}
	for _, noise := range []float64{0.05, 0.15, 0.30} {
		rows = append(rows,
			found(noise, flat, 0.02, "flat"), found(noise, linear, 0.02, "linear, +5 % a user"), found(noise, power, 0.02, "power 0.4"),
			found(noise, bend(16), 0, "hinge at 16"), found(noise, bend(48), 0, "hinge at 48"), found(noise, lineUp(16), 0, "queue behind 16"),
		)
	}
	rows = append(rows,
		kneeInterval(0.05), kneeInterval(0.15),
		kneeTest(flat, "flat"), kneeTest(linear, "linear, +5 % a user"), kneeTest(power, "power 0.4"),
		uslRate(0.05), uslRate(0.15),
	)
	return family{
		name: "Knees",
		note: "*value* of a knee is where it was found, of USL the peak, whose truth is 60 users. A false knee is a hinge or a queue curve that beats flat, linear and power by a BIC of 10 where there is none: its limit is 2 %. The interval of a knee resamples 5 repeats: its limit is 10 %. USL is a second opinion and decides nothing: counted is how often its peak is off by more than a quarter.",
		rows: rows,
	}
}

func kneeInterval(noise float64) rate {
	return rate{
		of: "`FitKnee`, interval", data: fmt.Sprintf("hinge at 20, between levels, noise %.2f", noise), counts: "missed", limit: 0.10, times: 0.3,
		trial: func(rng *rand.Rand, seed uint64) (bool, float64) {
			fit, err := analysis.FitKnee(swept(rng, noise, bend(20)), resampling(seed))
			if err != nil {
				return true, math.NaN()
			}
			return outside(fit.Knee, nil, 20), fit.Knee.Value
		},
	}
}

func kneeTest(curve func(float64) float64, name string) rate {
	return rate{
		of: "`KneeP`", data: name + ", noise 0.15", counts: "false", limit: 0.05, times: 0.3,
		trial: func(rng *rand.Rand, seed uint64) (bool, float64) {
			return plain(rejected(analysis.KneeP(swept(rng, 0.15, curve), resampling(seed))))
		},
	}
}

func uslRate(noise float64) rate {
	truth := analysis.USL{Lambda: 10, Sigma: 0.05, Kappa: 0.95 / 3600}
	return rate{
		of: "`FitUSL`, peak", data: fmt.Sprintf("peak at 60 users, noise %.2f", noise), counts: "off by a quarter", times: 0.1,
		trial: func(rng *rand.Rand, _ uint64) (bool, float64) {
			points := swept(rng, noise, func(x float64) float64 { return math.Log(truth.At(x)) })
			for i := range points {
				points[i].Y = math.Exp(points[i].Y)
			}
			fit, err := analysis.FitUSL(points)
			peak, ok := fit.Peak()
			if err != nil || !ok {
				return true, math.NaN()
			}
			return math.Abs(peak/60-1) > 0.25, peak
		},
	}
}
