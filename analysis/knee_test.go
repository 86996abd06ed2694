package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// h0Levels is the user sweep of H0.
var h0Levels = []float64{1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}

// sweepOf is a sweep of a known curve over h0Levels: every run carries
// normal noise of sd noise in ln latency, and every block one of sd shared.
func sweepOf(rng *rand.Rand, blocks int, noise, shared float64, curve func(x float64) float64) []Point {
	var points []Point
	for b := range blocks {
		offset := shared * rng.NormFloat64()
		for _, x := range h0Levels {
			points = append(points, Point{x, curve(x) + offset + noise*rng.NormFloat64(), b})
		}
	}
	return points
}

func flatCurve(float64) float64 { return 3 }

func linearCurve(b float64) func(float64) float64 {
	return func(x float64) float64 { return math.Log1p(b * x) }
}

func powerCurve(b float64) func(float64) float64 {
	return func(x float64) float64 { return b * math.Log(x) }
}

func hingeCurve(knee, before, rise float64) func(float64) float64 {
	return func(x float64) float64 { return before*math.Log(x) + rise*max(0, math.Log(x/knee)) }
}

// doublingQueue is a queue whose latency at 2k is ratio × that at k.
func doublingQueue(knee, ratio float64) func(float64) float64 {
	return func(x float64) float64 { return math.Log1p((ratio - 1) * max(0, x/knee-1)) }
}

func judged(t *testing.T, points []Point) (*KneeFit, *groups) {
	t.Helper()
	s, err := newSweep(points)
	require.NoError(t, err)
	whole := s.groups(slices.Repeat([]int{1}, s.blocks))
	return fitCurves(whole, len(points)), whole
}

// Without noise every curve is recovered exactly and named.
func TestFitKneeRecoversExactCurves(t *testing.T) {
	for _, row := range []struct {
		name, best, location string
		curve                func(float64) float64
		found                bool
		knee                 float64
	}{
		{"flat", "flat", "", flatCurve, false, 0},
		{"linear", "linear", "", linearCurve(0.07), false, 0},
		{"power", "power", "", powerCurve(0.4), false, 0},
		{"hinge between levels", "hinge", "hinge", hingeCurve(37, 0.1, 0.8), true, 37},
		{"hinge on a level", "hinge", "hinge", hingeCurve(64, -0.1, 2), true, 64},
		{"hinge at the first place with points both sides", "hinge", "hinge", hingeCurve(2, 0.1, 1.5), true, 2},
		{"hinge at the last place", "hinge", "hinge", hingeCurve(192, 0.1, 1.5), true, 192},
		{"queue", "hinge", "queue", doublingQueue(20, 5), true, 20},
	} {
		f, err := FitKnee(sweepOf(rand.New(rand.NewPCG(1, 1)), 3, 0, 0, row.curve), Resampling{B: 20})
		require.NoError(t, err, row.name)
		require.Equal(t, row.best, f.Best, row.name)
		require.Equal(t, row.found, f.Found, row.name)
		if row.found {
			knee, model := f.Location()
			require.Equal(t, row.location, model, row.name)
			require.InEpsilon(t, row.knee, knee.Value, 2e-3, row.name)
			require.InEpsilon(t, row.knee, knee.Lo, 2e-3, row.name)
			require.InEpsilon(t, row.knee, knee.Hi, 2e-3, row.name)
		}
	}
}

func TestFitKneeNumbers(t *testing.T) {
	const before, rise = 0.1, 0.8
	f, err := FitKnee(sweepOf(rand.New(rand.NewPCG(2, 1)), 5, 0.05, 0.05, hingeCurve(32, before, rise)), Resampling{B: 500})
	require.NoError(t, err)
	require.Equal(t, 70, f.N)
	require.Equal(t, 5, f.Blocks)
	for name, e := range map[string]struct {
		got  Estimate
		want float64
	}{
		"knee":                        {f.Knee, 32},
		"slope before":                {f.Before, before},
		"slope rise":                  {f.Rise, rise},
		"ln latency at 64":            {f.At(64), before*math.Log(64) + rise*math.Log(2)},
		"1.5 over 0.75 knees":         {f.RatioAt(1.5, 0.75), math.Exp(before*math.Log(2) + rise*math.Log(1.5))},
		"both below: the slope alone": {f.RatioAt(0.5, 0.25), math.Exp(before * math.Log(2))},
	} {
		require.LessOrEqual(t, e.got.Lo, e.want, name)
		require.GreaterOrEqual(t, e.got.Hi, e.want, name)
		require.Less(t, e.got.Lo, e.got.Hi, name)
		require.InDelta(t, e.want, e.got.Value, 0.1*math.Abs(e.want)+0.05, name)
	}
	for _, m := range f.Models {
		n := float64(f.N)
		require.InDelta(t, n*math.Log(m.RSS/n)+float64(m.Params)*math.Log(n), m.BIC, 1e-9, m.Name)
	}
}

// The exact hinge against brute force: no knee on a fine grid, with its
// least-squares lines, leaves less.
func TestFitHingeBeatsAnyGrid(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for range 50 {
		_, g := judged(t, sweepOf(rng, 3, 0.5, 0.1, hingeCurve(1+100*rng.Float64(), rng.NormFloat64(), rng.NormFloat64())))
		exact := g.fitHinge()
		lo, hi := g.x[1], g.x[len(g.x)-2]
		require.True(t, lo <= exact.knee && exact.knee <= hi)
		for i := range 2000 {
			h := g.bentAt(lo + (hi-lo)*float64(i)/1999)
			rss := g.within
			for j, x := range g.x {
				d := g.m[j] - h.at(x)
				rss += g.w[j] * d * d
			}
			require.GreaterOrEqual(t, rss, exact.rss-1e-9)
		}
	}
}

// RSS from per-level sums is the RSS over the points.
func TestSweepKeepsTheResiduals(t *testing.T) {
	points := sweepOf(rand.New(rand.NewPCG(9, 9)), 4, 0.3, 0.1, hingeCurve(16, 0, 1))
	f, _ := judged(t, points)
	var mean, flat, bent float64
	for _, p := range points {
		mean += p.Y / float64(len(points))
	}
	for _, p := range points {
		flat += (p.Y - mean) * (p.Y - mean)
		d := p.Y - f.hinge.at(math.Log(p.X))
		bent += d * d
	}
	require.InEpsilon(t, flat, f.Models[0].RSS, 1e-9)
	require.InEpsilon(t, bent, f.Models[3].RSS, 1e-9)
}

func TestFitKneeInvariances(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	points := sweepOf(rng, 5, 0.1, 0.05, hingeCurve(24, 0.1, 1))
	r := Resampling{B: 200, Seed: 3}
	base, err := FitKnee(points, r)
	require.NoError(t, err)
	again, err := FitKnee(points, r)
	require.NoError(t, err)
	require.Equal(t, base, again, "same seed, same fit")

	shuffled := slices.Clone(points)
	rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	mixed, err := FitKnee(shuffled, r)
	require.NoError(t, err)
	require.InEpsilon(t, base.Knee.Lo, mixed.Knee.Lo, 1e-9, "the order of points is no information")

	scaled := slices.Clone(points)
	for i := range scaled {
		scaled[i].X *= 1 << 20
		scaled[i].Y += math.Log(1000)
	}
	bytes, err := FitKnee(scaled, r)
	require.NoError(t, err)
	require.InEpsilon(t, base.Knee.Value*(1<<20), bytes.Knee.Value, 1e-6, "the knee follows the unit of X")
	require.InEpsilon(t, base.Knee.Hi*(1<<20), bytes.Knee.Hi, 1e-6)
	require.InEpsilon(t, base.Rise.Lo, bytes.Rise.Lo, 1e-6, "slopes have no unit")
	require.InDelta(t, base.Margin, bytes.Margin, 1e-3, "nor has evidence")
}

func TestFitKneeRefuses(t *testing.T) {
	good := sweepOf(rand.New(rand.NewPCG(1, 1)), 2, 0.1, 0, flatCurve)
	with := func(x, y float64) []Point { return append(slices.Clone(good), Point{x, y, 0}) }
	for _, row := range []struct {
		why    string
		points []Point
		r      Resampling
		want   error
	}{
		{"nothing", nil, Resampling{}, ErrTooFew},
		{"four levels leave no line either side and a doubt", good[:4], Resampling{}, ErrTooFew},
		{"no logarithm of 0 users", with(0, 1), Resampling{}, ErrInput},
		{"negative", with(-1, 1), Resampling{}, ErrInput},
		{"NaN level", with(math.NaN(), 1), Resampling{}, ErrInput},
		{"infinite level", with(math.Inf(1), 1), Resampling{}, ErrInput},
		{"a run that failed altogether", with(1, math.Inf(1)), Resampling{}, ErrInput},
		{"no latency", with(1, math.NaN()), Resampling{}, ErrInput},
		{"bad resampling", good, Resampling{Conf: 2}, ErrInput},
	} {
		_, err := FitKnee(row.points, row.r)
		require.ErrorIs(t, err, row.want, row.why)
	}
}

// One repeat has a knee and no interval; a level that only one block has does
// not break the resamples that lack it.
func TestFitKneeOddDesigns(t *testing.T) {
	one := sweepOf(rand.New(rand.NewPCG(1, 1)), 1, 0.02, 0, hingeCurve(16, 0, 1))
	f, err := FitKnee(one, Resampling{})
	require.NoError(t, err)
	require.InEpsilon(t, 16, f.Knee.Value, 0.1)
	require.True(t, math.IsInf(f.Knee.Lo, -1) && math.IsInf(f.Knee.Hi, 1))

	ragged := append(sweepOf(rand.New(rand.NewPCG(1, 1)), 3, 0.02, 0, hingeCurve(16, 0, 1)), Point{20, math.Log(20. / 16), 1})
	f, err = FitKnee(ragged, Resampling{B: 200})
	require.NoError(t, err)
	require.InEpsilon(t, 16, f.Knee.Value, 0.1)
	require.True(t, f.Found)
}

func TestBlocksNeeded(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	clear, err := FitKnee(sweepOf(rng, 5, 0.05, 0, hingeCurve(16, 0, 1)), Resampling{B: 10})
	require.NoError(t, err)
	require.Equal(t, 5, clear.BlocksNeeded(), "found: what there is suffices")
	falling, err := FitKnee(sweepOf(rng, 3, 0.02, 0, hingeCurve(16, 0.5, -0.5)), Resampling{B: 10})
	require.NoError(t, err)
	require.Zero(t, falling.BlocksNeeded(), "no number of blocks makes a bend down a knee")

	// Copies of the same blocks are further blocks that look like these: the
	// forecast must name the very number at which the margin is passed.
	faint := sweepOf(rand.New(rand.NewPCG(1, 5)), 2, 0.4, 0, hingeCurve(16, 0, 1))
	first, err := FitKnee(faint, Resampling{B: 10})
	require.NoError(t, err)
	require.False(t, first.Found)
	need := first.BlocksNeeded()
	require.Greater(t, need, 2)
	for copies := 1; copies <= 5; copies++ {
		var points []Point
		for c := range copies {
			for _, p := range faint {
				points = append(points, Point{p.X, p.Y, 2*c + p.Block})
			}
		}
		f, _ := judged(t, points)
		require.Equal(t, 2*copies >= need, f.Found, "%d blocks, forecast %d", 2*copies, need)
	}
}

func BenchmarkFitKnee(b *testing.B) {
	points := sweepOf(rand.New(rand.NewPCG(1, 1)), 5, 0.15, 0.05, hingeCurve(16, 0.1, 1))
	for b.Loop() {
		if _, err := FitKnee(points, Resampling{B: 1000}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFitHinge(b *testing.B) {
	s, err := newSweep(sweepOf(rand.New(rand.NewPCG(1, 1)), 5, 0.15, 0.05, hingeCurve(16, 0.1, 1)))
	require.NoError(b, err)
	g := s.groups([]int{1, 1, 1, 1, 1})
	for b.Loop() {
		g.fitHinge()
	}
}
