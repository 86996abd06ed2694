package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// setsOf are blocks over log2 of 4, 16 and 64 adapters, Y = slope × X beside
// what a block shares and noise.
func setsOf(rng *rand.Rand, slope, noise float64, tilt []float64) []Point {
	var points []Point
	for b, own := range tilt {
		for _, x := range []float64{2, 4, 6} {
			points = append(points, Point{x, own*x + slope*x + noise*rng.NormFloat64(), b})
		}
	}
	return points
}

func TestSlopeDifferenceKnownAnswers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	storm, sticky := setsOf(rng, 0.5, 0, make([]float64, 8)), setsOf(rng, 0.125, 0, make([]float64, 8))
	e, err := SlopeDifference(storm, sticky, Resampling{B: 50})
	require.NoError(t, err)
	require.Equal(t, Estimate{0.375, 0.375, 0.375}, e, "straight lines leave no doubt")
	back, err := SlopeDifference(sticky, storm, Resampling{B: 50})
	require.NoError(t, err)
	require.Equal(t, Estimate{-0.375, -0.375, -0.375}, back)

	one, err := SlopeDifference(storm[:3], sticky[:3], Resampling{})
	require.NoError(t, err)
	require.Equal(t, Estimate{0.375, math.Inf(-1), math.Inf(1)}, one, "one block bounds nothing")

	// Block 9 is in the storm alone, and blocks 1 to 7 in the sticky one alone.
	lone := append(storm[:3:3], Point{2, 0, 9}, Point{4, 1, 9}, Point{6, 2, 9})
	e, err = SlopeDifference(lone, sticky, Resampling{B: 200})
	require.NoError(t, err)
	require.InDelta(t, 0.375, e.Value, 1e-12)
	require.False(t, math.IsNaN(e.Lo) || math.IsNaN(e.Hi), "draws without either are left out")
}

// What tilts a whole block leaves the difference: blocks drawn together give a
// narrow interval where each alone would give a wide one.
func TestSlopeDifferenceTakesBlocksTogether(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 5))
	tilt := make([]float64, 8)
	for i := range tilt {
		tilt[i] = 0.3 * rng.NormFloat64()
	}
	storm, sticky := setsOf(rng, 0.2, 0.02, tilt), setsOf(rng, 0, 0.02, tilt)
	r := Resampling{B: 1000}
	together, err := SlopeDifference(storm, sticky, r)
	require.NoError(t, err)
	require.InDelta(t, 0.2, together.Value, 0.1)
	alone, err := TheilSen(storm, r)
	require.NoError(t, err)
	require.Less(t, together.Hi-together.Lo, (alone.Hi-alone.Lo)/3)
	swapped := make([]Point, len(sticky))
	for i, p := range sticky {
		swapped[i] = Point{p.X, p.Y, 7 - p.Block}
	}
	apart, err := SlopeDifference(storm, swapped, r)
	require.NoError(t, err)
	require.Greater(t, apart.Hi-apart.Lo, 2*(together.Hi-together.Lo), "numbers of blocks are what ties them")
}

// With 8 blocks the interval holds the interaction at its level, and its lower
// bound passes 0 seldom where there is none.
func TestSlopeDifferenceCovers(t *testing.T) {
	const trials = 400
	rng := rand.New(rand.NewPCG(3, 5))
	for _, truth := range []float64{0, 0.05} {
		covered, above := 0, 0
		for i := range trials {
			tilt := make([]float64, 8)
			for b := range tilt {
				tilt[b] = 0.02 * rng.NormFloat64()
			}
			e, err := SlopeDifference(setsOf(rng, 0.1+truth, 0.1, tilt), setsOf(rng, 0.1, 0.1, tilt), Resampling{B: 300, Seed: uint64(i)})
			require.NoError(t, err)
			if e.Lo <= truth && truth <= e.Hi {
				covered++
			}
			if e.Lo > 0 {
				above++
			}
		}
		require.GreaterOrEqual(t, float64(covered)/trials, 0.92, "truth %v", truth)
		if truth == 0 {
			require.LessOrEqual(t, float64(above)/trials, 0.045, "2.5 %% is asked")
		}
	}
}

func TestSlopeDifferenceRefuses(t *testing.T) {
	good := []Point{{1, 1, 0}, {2, 3, 0}, {3, 2, 0}}
	for _, row := range []struct {
		why  string
		a, b []Point
		want error
	}{
		{"two points are one line", good[:2], good, ErrTooFew},
		{"so they are on the other side", good, good[:2], ErrTooFew},
		{"nothing at all", nil, nil, ErrTooFew},
		{"NaN", good, []Point{{1, 1, 0}, {math.NaN(), 3, 0}, {3, 2, 0}}, ErrInput},
		{"one size only", []Point{{1, 1, 0}, {1, 3, 0}, {1, 2, 0}}, good, ErrDegenerate},
	} {
		_, err := SlopeDifference(row.a, row.b, Resampling{})
		require.ErrorIs(t, err, row.want, row.why)
	}
	_, err := SlopeDifference(good, good, Resampling{B: -1})
	require.ErrorIs(t, err, ErrInput)
}
