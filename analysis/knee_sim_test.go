package analysis

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// trials is how often the simulations below repeat: few in the suite, as many
// as SPARK_SIMULATIONS asks for when error rates are to be measured.
func trials(t *testing.T, few int) int {
	if n, err := strconv.Atoi(os.Getenv("SPARK_SIMULATIONS")); err == nil && n > 0 {
		return n
	}
	if testing.Short() {
		return few / 2
	}
	return few
}

// Curves without a knee must not show one: at most 2 % may, at the noise of a
// good (5 %), a fair (15 %) and a bad (30 %) machine. Kneedle reports one on
// 61 to 71 % of flat sweeps.
func TestFalseKnees(t *testing.T) {
	n := trials(t, 60)
	for _, row := range []struct {
		name  string
		curve func(float64) float64
	}{
		{"flat", flatCurve},
		{"linear, +1 % a user", linearCurve(0.01)},
		{"linear, +5 % a user, which bends near 20", linearCurve(0.05)},
		{"linear, +30 % a user", linearCurve(0.3)},
		{"power 0.3", powerCurve(0.3)},
		{"power 1", powerCurve(1)},
		{"falling", powerCurve(-0.2)},
		{"saturating: a hinge that bends down is no knee", hingeCurve(16, 0.5, -0.5)},
	} {
		for _, noise := range []float64{0.05, 0.15, 0.30} {
			rng := rand.New(rand.NewPCG(11, 1))
			found := 0
			for range n {
				f, whole := judged(t, sweepOf(rng, 5, noise, 0.05, row.curve))
				queue := modelOf("queue", 3, whole.fitQueue().rss, f.N)
				if f.Found || f.smooth().BIC-queue.BIC > KneeMargin {
					found++
				}
			}
			share := float64(found) / float64(n)
			t.Logf("%-45s noise %.2f: false knees %.1f %%", row.name, noise, 100*share)
			require.LessOrEqual(t, share, 0.02, "%s at noise %v", row.name, noise)
		}
	}
}

// A true knee is found, and where it is, at 15 % noise.
func TestTrueKnees(t *testing.T) {
	n := trials(t, 150)
	for _, row := range []struct {
		name  string
		curve func(float64) float64
		knee  float64
		power float64 // least share of sweeps that find it
	}{
		{"hinge at 16", hingeCurve(16, 0, 1), 16, 0.98},
		{"hinge at 48", hingeCurve(48, 0, 1), 48, 0.98},
		{"hinge at 20, between levels", hingeCurve(20, 0, 1), 20, 0.98},
		{"hinge at 16 on a slope", hingeCurve(16, 0.2, 1), 16, 0.98},
		{"queue at 16 that doubles at 2k is that hinge", doublingQueue(16, 2), 16, 0.98},
	} {
		rng := rand.New(rand.NewPCG(12, 1))
		found, knees := 0, make([]float64, 0, n)
		for range n {
			f, _ := judged(t, sweepOf(rng, 5, 0.15, 0.05, row.curve))
			knees = append(knees, math.Exp(f.hinge.knee))
			if f.Found {
				found++
			}
		}
		slices.Sort(knees)
		t.Logf("%-45s found %.1f %%, median %.1f, 90 %% within [%.1f, %.1f]", row.name,
			100*float64(found)/float64(n), knees[n/2], knees[n/20], knees[n-1-n/20])
		require.GreaterOrEqual(t, float64(found)/float64(n), row.power, row.name)
		require.InEpsilon(t, row.knee, knees[n/2], 0.04, row.name)
		require.Greater(t, knees[n/20], 0.8*row.knee, row.name)
		require.Less(t, knees[n-1-n/20], 1.25*row.knee, row.name)
	}
}

// Past a queue's knee latency is straight in users, concave in their
// logarithm: the hinge settles left of the knee, the more the steeper the
// queue. The queue curve does not.
func TestQueueCurveIsUnbiasedWhereTheHingeIsNot(t *testing.T) {
	n := trials(t, 60)
	for _, row := range []struct {
		ratio, knee, hinge float64 // hinge: where the hinge settles
	}{
		{2, 16, 16},
		{3, 16, 13.7},
		{8, 16, 10.7},
		{2, 48, 48},
		{3, 48, 44.7},
		{8, 48, 38.5},
	} {
		rng := rand.New(rand.NewPCG(13, 1))
		var hinges, queues []float64
		found := 0
		for range n {
			f, whole := judged(t, sweepOf(rng, 5, 0.15, 0.05, doublingQueue(row.knee, row.ratio)))
			hinges, queues = append(hinges, math.Exp(f.hinge.knee)), append(queues, whole.fitQueue().knee)
			if f.Found {
				found++
			}
		}
		slices.Sort(hinges)
		slices.Sort(queues)
		t.Logf("latency(2k)/latency(k) %v, knee %v: hinge finds %.0f %%, median %.1f; queue median %.1f, 90 %% within [%.1f, %.1f]",
			row.ratio, row.knee, 100*float64(found)/float64(n), hinges[n/2], queues[n/2], queues[n/20], queues[n-1-n/20])
		require.InEpsilon(t, row.knee, queues[n/2], 0.05, "queue curve")
		require.InEpsilon(t, row.hinge, hinges[n/2], 0.05, "hinge, with its bias")
		require.GreaterOrEqual(t, float64(found)/float64(n), 0.95)
	}
}

// A steep queue that starts early is concave over most of the sweep: the hinge
// may take that for its bend and report no rise. HasKnee and Location do not.
func TestEarlySteepQueue(t *testing.T) {
	rng := rand.New(rand.NewPCG(14, 1))
	for _, knee := range []float64{3, 4, 8} {
		f, err := FitKnee(sweepOf(rng, 5, 0.15, 0.05, doublingQueue(knee, 50)), Resampling{B: 200})
		require.NoError(t, err)
		require.True(t, f.HasKnee())
		got, model := f.Location()
		require.Equal(t, "queue", model)
		require.InEpsilon(t, knee, got.Value, 0.1)
		ratio := f.Queue.RatioAt(1.5, 0.75)
		require.InEpsilon(t, 25.5, ratio.Value, 0.25, "1 + 49 × 0.5")
		require.Less(t, ratio.Lo, ratio.Value)
		require.InEpsilon(t, 1, ratio.Value*f.Queue.RatioAt(0.75, 1.5).Value, 1e-9, "upside down")
	}
}

// Nominal 95 % intervals over 5 blocks cover 90 to 99 %; plain percentiles
// would cover the rise 80 %.
func TestKneeIntervalsCover(t *testing.T) {
	n := trials(t, 100)
	rng := rand.New(rand.NewPCG(21, 1))
	knee, rise := 0, 0
	for i := range n {
		s, err := newSweep(sweepOf(rng, 5, 0.15, 0.05, hingeCurve(20, 0, 1)))
		require.NoError(t, err)
		r := Resampling{B: 2000, Seed: uint64(i)}
		fitted := map[[5]int]hinge{}
		var knees, rises []float64
		r.blockWeights(5, func(w []int) {
			key := [5]int(w)
			if _, seen := fitted[key]; !seen {
				fitted[key] = s.groups(w).fitHinge()
			}
			knees, rises = append(knees, fitted[key].knee), append(rises, fitted[key].rise)
		})
		if lo, hi := r.interval(knees, 5); lo <= math.Log(20) && math.Log(20) <= hi {
			knee++
		}
		if lo, hi := r.interval(rises, 5); lo <= 1 && 1 <= hi {
			rise++
		}
	}
	t.Logf("coverage of the knee %.1f %%, of the rise %.1f %%", 100*float64(knee)/float64(n), 100*float64(rise)/float64(n))
	require.GreaterOrEqual(t, float64(knee)/float64(n), 0.87)
	require.GreaterOrEqual(t, float64(rise)/float64(n), 0.84)
}

// H2's X is measured demand, so no two runs share a level. Six contexts by five
// repeats still show no knee where there is none, and the one there is.
func TestMeasuredLevels(t *testing.T) {
	n := trials(t, 200)
	jittered := func(rng *rand.Rand, curve func(float64) float64) []Point {
		var points []Point
		for b := range 5 {
			for _, level := range []float64{0.25, 0.5, 1, 1.5, 2, 4} {
				x := level * math.Exp(0.03*rng.NormFloat64())
				points = append(points, Point{x, curve(x) + 0.15*rng.NormFloat64(), b})
			}
		}
		return points
	}
	rng := rand.New(rand.NewPCG(31, 1))
	for i, curve := range []func(float64) float64{flatCurve, linearCurve(1), powerCurve(0.5)} {
		found := 0
		for range n {
			f, g := judged(t, jittered(rng, curve))
			require.GreaterOrEqual(t, g.from, 7, "eight of the lowest points stay at or below the knee")
			if f.Found {
				found++
			}
		}
		t.Logf("curve %d: false knees %.1f %%", i, 100*float64(found)/float64(n))
		require.LessOrEqual(t, float64(found)/float64(n), 0.02, "curve %d", i)
	}
	found, knees := 0, make([]float64, 0, n)
	for range n {
		f, _ := judged(t, jittered(rng, hingeCurve(1, 0.1, 1.5)))
		knees = append(knees, math.Exp(f.hinge.knee))
		if f.Found {
			found++
		}
	}
	slices.Sort(knees)
	t.Logf("knee at 1: found %.1f %%, median %.2f, 90 %% within [%.2f, %.2f]",
		100*float64(found)/float64(n), knees[n/2], knees[n/20], knees[n-1-n/20])
	require.InDelta(t, 1, knees[n/2], 0.05)
	require.GreaterOrEqual(t, float64(found)/float64(n), 0.9)
}
