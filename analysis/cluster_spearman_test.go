package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClusterSpearman(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	var points []Point
	var x, y []float64
	for b := range 8 {
		for range 5 {
			p := Point{X: math.Round(3 * rng.NormFloat64()), Y: rng.NormFloat64(), Block: 10 * b}
			p.Y += p.X / 3
			points, x, y = append(points, p), append(x, p.X), append(y, p.Y)
		}
	}
	want, err := Spearman(x, y)
	require.NoError(t, err)
	e, err := ClusterSpearman(points, Resampling{Seed: 1})
	require.NoError(t, err)
	require.InDelta(t, want, e.Value, 1e-12, "with ties")
	require.Less(t, e.Lo, e.Value)
	require.Greater(t, e.Hi, e.Value)
	require.LessOrEqual(t, e.Hi, 1.)

	// A draw of weights is Spearman of that many copies.
	ranks := newWeightedRanks(x[:15], y[:15], []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2})
	copies := func(v []float64) (out []float64) {
		for range 2 {
			out = append(out, v[:5]...)
		}
		return append(out, v[10:15]...)
	}
	want, err = Spearman(copies(x), copies(y))
	require.NoError(t, err)
	require.InDelta(t, want, ranks.correlation([]int{2, 0, 1}), 1e-12)

	few, err := ClusterSpearman(points[:25], Resampling{})
	require.NoError(t, err)
	require.True(t, math.IsInf(few.Lo, -1) && math.IsInf(few.Hi, 1), "five clusters bound nothing at .95")
	_, err = ClusterSpearman([]Point{{1, 1, 0}, {1, 2, 1}, {1, 3, 2}}, Resampling{})
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = ClusterSpearman(points[:2], Resampling{})
	require.ErrorIs(t, err, ErrTooFew)
}

// Clusters that share a shift of both X and Y: the interval over clusters covers
// about its level, where one over points would not.
func TestClusterSpearmanCovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 1))
	// X and Y of one point have Pearson's 0.8 within and between clusters alike,
	// so the population's Spearman is 6/pi asin(0.4).
	truth := 6 / math.Pi * math.Asin(0.4)
	pair := func() (x, y float64) {
		x = rng.NormFloat64()
		return x, 0.8*x + 0.6*rng.NormFloat64()
	}
	const trials = 150
	covered := 0
	for i := range trials {
		var points []Point
		for b := range 8 {
			sx, sy := pair()
			for range 6 {
				dx, dy := pair()
				points = append(points, Point{sx + dx, sy + dy, b})
			}
		}
		e, err := ClusterSpearman(points, Resampling{B: 300, Seed: uint64(i)})
		require.NoError(t, err)
		if e.Lo <= truth && truth <= e.Hi {
			covered++
		}
	}
	require.GreaterOrEqual(t, float64(covered)/trials, 0.88)
}
