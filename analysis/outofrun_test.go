package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOutOfRunR2(t *testing.T) {
	points := func(slope, noise, shift float64) (all []Point) {
		rng := rand.New(rand.NewPCG(3, 3))
		for b := range 8 {
			for range 25 {
				x := rng.NormFloat64()
				all = append(all, Point{X: x, Y: slope*x + noise*rng.NormFloat64() + shift*float64(b), Block: b})
			}
		}
		return all
	}
	r2, err := OutOfRunR2(points(2, 0, 0))
	require.NoError(t, err)
	require.InDelta(t, 1, r2, 1e-9, "a line without noise")
	r2, err = OutOfRunR2(points(2, 2, 0))
	require.NoError(t, err)
	require.InDelta(t, 0.5, r2, 0.15, "as much noise as signal")
	r2, err = OutOfRunR2(points(0, 1, 0))
	require.NoError(t, err)
	require.InDelta(t, 0, r2, 0.05, "what predicts nothing is no better than the mean")
	// By hand: four runs of one point each; the lines through the others are
	// 3 - x/2, 1 + x, 5x/2 and x, their means 7/3, 2, 5/3 and 1.
	hand := []Point{{0, 0, 1}, {1, 1, 2}, {2, 2, 3}, {1, 4, 4}}
	r2, err = OutOfRunR2(hand)
	require.NoError(t, err)
	require.InDelta(t, -0.8, r2, 1e-6)

	_, err = OutOfRunR2(hand[:2])
	require.ErrorIs(t, err, ErrTooFew)
	_, err = OutOfRunR2([]Point{{1, 0, 1}, {1, 1, 2}, {1, 2, 3}})
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = OutOfRunR2([]Point{{0, 1, 1}, {1, 1, 2}, {2, 1, 3}})
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = OutOfRunR2([]Point{{0, 1, 1}, {1, math.NaN(), 2}, {2, 1, 3}})
	require.ErrorIs(t, err, ErrInput)
}
