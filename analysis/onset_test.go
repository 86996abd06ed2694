package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// onsetLevels are H2's contexts as demand over the pool.
func onsetLevels() []float64 { return []float64{0.23, 0.45, 0.67, 0.9, 1.12, 1.35, 1.8, 3.6} }

// counterSweep is a counter over a sweep of so many repeats: noise is the sd of
// its logarithm, floor that of what is there without cause.
func counterSweep(rng *rand.Rand, repeats int, noise, floor float64, of func(x float64) float64) []Point {
	var points []Point
	for b := range repeats {
		for _, x := range onsetLevels() {
			y := of(x)*math.Exp(noise*rng.NormFloat64()) + floor*math.Abs(rng.NormFloat64())
			points = append(points, Point{X: x, Y: y, Block: b})
		}
	}
	return points
}

func ramp(rest, at, growth float64) func(float64) float64 {
	return func(x float64) float64 { return rest + growth*math.Max(0, x-at) }
}

func filled(at, ceiling float64) func(float64) float64 {
	return func(x float64) float64 { return ceiling * (1 - math.Exp(-math.Max(0, x-at))) }
}

func TestOnsetKnownAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, row := range []struct {
		why   string
		of    func(float64) float64
		falls bool
	}{
		{"from nothing", ramp(0, 1, 300), false},
		{"from a level far above its growth", ramp(1e6, 1, 300), false},
		{"in another unit", ramp(0, 1, 3e-5), false},
		{"a fall", func(x float64) float64 { return 100 - ramp(0, 1, 3)(x) }, true},
		{"below nothing", ramp(-50, 1, 3), false},
	} {
		points, err := OnsetPoints(counterSweep(rng, 3, 0, 0, row.of), row.falls)
		require.NoError(t, err, row.why)
		fit, err := FitKnee(points, Resampling{B: 1})
		require.NoError(t, err, row.why)
		require.True(t, fit.HasKnee(), row.why)
		knee, curve := fit.Location()
		require.Equal(t, "queue", curve, "the shape is kept: %s", row.why)
		require.InDelta(t, 1, knee.Value, 0.01, row.why)
		own, err := BlockKnees(points, curve)
		require.NoError(t, err)
		require.Len(t, own, 3)
		for _, k := range own {
			require.InDelta(t, 1, k, 0.01, row.why)
		}
	}
	rising, err := OnsetPoints(counterSweep(rng, 3, 0, 0, ramp(0, 1, 3)), true)
	require.NoError(t, err)
	fit, err := FitKnee(rising, Resampling{B: 1})
	require.NoError(t, err)
	require.Less(t, fit.Rise.Value, 0.0, "what should fall and rises is no signal")
}

func TestOnsetOfWhatDoesNotMove(t *testing.T) {
	at := func(y ...float64) (points []Point) {
		for i, v := range y {
			points = append(points, Point{X: float64(i + 1), Y: v})
		}
		return points
	}
	nan := math.NaN()
	_, err := OnsetPoints(at(0, 0, 0, 0), false)
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = OnsetPoints(at(7, 7, nan, 7), true)
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = OnsetPoints(at(nan, nan), false)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = OnsetPoints(nil, false)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = OnsetPoints(at(1, math.Inf(1)), false)
	require.ErrorIs(t, err, ErrInput)
	some, err := OnsetPoints(at(1, nan, 3), false)
	require.NoError(t, err)
	require.Len(t, some, 2, "what is absent is left out")

	knees, err := BlockKnees(append(at(1, 2, 3, 4, 5), Point{X: 1, Y: 1, Block: 9}), "hinge")
	require.NoError(t, err)
	require.Len(t, knees, 2)
	require.True(t, math.IsNaN(knees[1]), "one level has no knee")
}

// onsetCase is a planted counter: where its knee is, 0 for none.
type onsetCase struct {
	name string
	knee float64
	of   func(float64) float64
}

func onsetCases() []onsetCase {
	return []onsetCase{
		{"rest, then ramp at 0.7", 0.7, ramp(1, 0.7, 100)},
		{"rest, then ramp at 1", 1, ramp(1, 1, 100)},
		{"rest, then ramp at 1.5", 1.5, ramp(1, 1.5, 100)},
		{"a high rest, ramp at 1", 1, ramp(100, 1, 100)},
		{"ramp at 1 into a ceiling", 1, filled(1, 100)},
		{"a step between 0.9 and 1.12", 0.95, func(x float64) float64 { return 100 * math.Min(1, math.Max(0, x-0.9)*100) }},
		{"noise alone", 0, ramp(50, 99, 0)},
		{"a smooth power", 0, func(x float64) float64 { return 50 * math.Pow(x, 0.5) }},
		{"a straight line", 0, ramp(10, 0, 40)},
	}
}

// onsetRates runs a case: how often a knee is found, and the median and the
// middle 80 % of the repeats' own knees where it is.
func onsetRates(c onsetCase, sweeps int, noise float64) (found float64, knee Estimate) {
	var own []float64
	for seed := range uint64(sweeps) {
		rng := rand.New(rand.NewPCG(seed, 77))
		points, err := OnsetPoints(counterSweep(rng, 8, noise, 0.5, c.of), false)
		if err != nil {
			continue
		}
		points = OnsetFoot(points)
		fit, err := FitKnee(points, Resampling{B: 1})
		if err != nil || !fit.HasKnee() {
			continue
		}
		found++
		_, curve := fit.Location()
		if knees, err := BlockKnees(points, curve); err == nil {
			own = append(own, knees...)
		}
	}
	knee = only(Median(own))
	slices.Sort(own)
	if len(own) > 0 {
		knee.Lo, _ = Quantile(own, 0.1)
		knee.Hi, _ = Quantile(own, 0.9)
	}
	return found / float64(sweeps), knee
}

func TestOnsetRates(t *testing.T) {
	for _, c := range onsetCases() {
		found, knee := onsetRates(c, 25, 0.1)
		if c.knee == 0 {
			require.LessOrEqual(t, found, 0.08, c.name)
			continue
		}
		require.GreaterOrEqual(t, found, 0.95, c.name)
		require.InEpsilon(t, c.knee, knee.Value, 0.15, c.name)
	}
}
