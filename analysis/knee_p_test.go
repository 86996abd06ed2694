package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Curves without a knee get small p values as seldom as they should, and those
// with one nearly always, whichever curve has it.
func TestKneeP(t *testing.T) {
	const trials = 25
	for _, row := range []struct {
		why         string
		curve       func(float64) float64
		least, most float64 // share with p <= .05
	}{
		{"flat", flatCurve, 0, 0.2},
		{"linear", linearCurve(0.05), 0, 0.2},
		{"power", powerCurve(0.5), 0, 0.2},
		{"hinge", hingeCurve(16, 0, 1), 1, 1},
		{"steep early queue, which the hinge misses", doublingQueue(4, 20), 1, 1},
	} {
		rng := rand.New(rand.NewPCG(41, 1))
		hits := 0
		for i := range trials {
			p, err := KneeP(sweepOf(rng, 5, 0.15, 0.05, row.curve), Resampling{B: 99, Seed: uint64(i)})
			require.NoError(t, err)
			if p <= 0.05 {
				hits++
			}
		}
		share := float64(hits) / trials
		require.GreaterOrEqual(t, share, row.least, row.why)
		require.LessOrEqual(t, share, row.most, row.why)
	}
}

func TestKneePIsTheClaimsOwnStatistic(t *testing.T) {
	rng := rand.New(rand.NewPCG(42, 1))
	for _, curve := range []func(float64) float64{hingeCurve(16, 0.1, 1), doublingQueue(16, 8), powerCurve(0.4)} {
		points := sweepOf(rng, 5, 0.1, 0.05, curve)
		fit, err := FitKnee(points, Resampling{B: 1})
		require.NoError(t, err)
		s, err := newSweep(points)
		require.NoError(t, err)
		whole := s.groups([]int{1, 1, 1, 1, 1})
		margin, _ := newMargins(whole, len(points)).of(whole)
		exact := max(fit.Margin, fit.Queue.Margin)
		require.LessOrEqual(t, margin, exact+1e-6)
		require.Greater(t, margin, exact-0.2*math.Abs(exact)-1, "a grid loses a little")
	}
	p, err := KneeP(sweepOf(rng, 5, 0.05, 0, hingeCurve(16, 0, 1)), Resampling{})
	require.NoError(t, err)
	require.Equal(t, 1./4001, p)
	_, err = KneeP([]Point{{1, 1, 0}}, Resampling{})
	require.ErrorIs(t, err, ErrTooFew)
}

func TestBlockSlopes(t *testing.T) {
	points := []Point{{1, 2, 3}, {2, 4, 3}, {3, 6, 3}, {1, 5, 4}, {2, 4, 4}, {1, 1, 5}, {1, 2, 5}, {1, 1, 6}, {2, math.NaN(), 6}}
	require.Equal(t, map[int]float64{3: 2, 4: -1}, BlockSlopes(points), "a block of one X, or with a gap, has no slope")
	require.Empty(t, BlockSlopes(nil))
}
