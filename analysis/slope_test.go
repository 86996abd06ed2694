package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheilSenKnownAnswers(t *testing.T) {
	// Six pair slopes -1, .5, 1.5, 5/3, 2, 4: the median lies between the two in
	// the middle. One block moves nothing by centring.
	four := []Point{{1, 1, 0}, {2, 3, 0}, {3, 2, 0}, {4, 6, 0}}
	e, err := TheilSen(four, Resampling{})
	require.NoError(t, err)
	require.InDelta(t, (1.5+5./3)/2, e.Value, 1e-12)
	require.True(t, math.IsInf(e.Lo, -1) && math.IsInf(e.Hi, 1), "one block has no interval")

	// Three points: slopes 1, 2, 3 exactly; an odd count has one middle.
	e, err = TheilSen([]Point{{0, 0, 5}, {1, 1, 5}, {2, 4, 5}}, Resampling{})
	require.NoError(t, err)
	require.Equal(t, 2., e.Value)

	// Two of ten points far off: least squares would say about 60.
	var line []Point
	for i := range 10 {
		line = append(line, Point{float64(i), 2 * float64(i), 0})
	}
	line[8].Y, line[9].Y = 500, 500
	e, err = TheilSen(line, Resampling{})
	require.NoError(t, err)
	require.InDelta(t, 2, e.Value, 1e-12)
}

// Blocks at different levels with the opposite trend between them: only
// centring shows the slope that each block has (Simpson's paradox).
func TestSlopesAreWithinBlocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	var points []Point
	for b := range 8 {
		for level := range 5 {
			x := float64(level) + 3*float64(b)
			points = append(points, Point{x, 0.5*float64(level) - 10*float64(b) + 0.1*rng.NormFloat64(), b})
		}
	}
	r := Resampling{B: 500}
	theil, err := TheilSen(points, r)
	require.NoError(t, err)
	deming, err := Deming(points, 1, r)
	require.NoError(t, err)
	for _, e := range []Estimate{theil, deming} {
		require.InDelta(t, 0.5, e.Value, 0.05)
		require.Less(t, e.Lo, 0.5)
		require.Greater(t, e.Hi, 0.5)
		require.Greater(t, e.Lo, 0.3)
	}
}

// A draw by weights equals the slope of points copied and renamed.
func TestSlopeWeightsAreCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	var points []Point
	for b := range 3 {
		for range 4 {
			points = append(points, Point{rng.NormFloat64(), rng.NormFloat64(), b})
		}
	}
	var drawn []Point // block 0 twice, block 1 not, block 2 once
	for _, p := range points {
		switch p.Block {
		case 0:
			drawn = append(drawn, p, Point{p.X, p.Y, 10})
		case 2:
			drawn = append(drawn, p)
		}
	}
	direct, err := TheilSen(drawn, Resampling{B: 1})
	require.NoError(t, err)
	for seed := range uint64(1000) {
		var weights []int
		r := Resampling{B: 1, Seed: seed}
		r.blockWeights(3, func(w []int) { weights = slices.Clone(w) })
		if slices.Equal(weights, []int{2, 0, 1}) {
			e, err := TheilSen(points, r)
			require.NoError(t, err)
			require.InDelta(t, direct.Value, e.Lo, 1e-9)
			require.Equal(t, e.Lo, e.Hi, "one draw")
			return
		}
	}
	t.Fatal("no seed drew blocks 0, 0, 2")
}

func TestDeming(t *testing.T) {
	// Orthogonal regression (ratio 1) is the long axis of the cloud: for the
	// corners (±2, ±1) turned by 30 degrees it is tan 30 degrees.
	var corners []Point
	sin, cos := math.Sincos(math.Pi / 6)
	for _, c := range [][2]float64{{2, 1}, {2, -1}, {-2, 1}, {-2, -1}} {
		corners = append(corners, Point{c[0]*cos - c[1]*sin, c[0]*sin + c[1]*cos, 0})
	}
	e, err := Deming(corners, 1, Resampling{})
	require.NoError(t, err)
	require.InDelta(t, math.Tan(math.Pi/6), e.Value, 1e-12)

	// Exchanging X and Y with the inverse ratio gives the inverse slope.
	rng := rand.New(rand.NewPCG(5, 1))
	var points, swapped []Point
	for b := range 6 {
		for range 10 {
			truth := rng.NormFloat64()
			p := Point{truth + 0.5*rng.NormFloat64(), 2*truth + 0.5*rng.NormFloat64(), b}
			points, swapped = append(points, p), append(swapped, Point{p.Y, p.X, b})
		}
	}
	e, err = Deming(points, 4, Resampling{B: 100})
	require.NoError(t, err)
	inverse, err := Deming(swapped, 0.25, Resampling{B: 100})
	require.NoError(t, err)
	require.InDelta(t, 1, e.Value*inverse.Value, 1e-9)

	// Noise in X halves what least squares sees; Deming sees the slope.
	var wide []Point
	for b := range 20 {
		for range 50 {
			truth := rng.NormFloat64()
			wide = append(wide, Point{truth + rng.NormFloat64(), truth + rng.NormFloat64(), b})
		}
	}
	var sxx, sxy float64
	for _, p := range wide {
		sxx, sxy = sxx+p.X*p.X, sxy+p.X*p.Y
	}
	require.InDelta(t, 0.5, sxy/sxx, 0.1, "attenuated")
	e, err = Deming(wide, 1, Resampling{B: 200})
	require.NoError(t, err)
	require.InDelta(t, 1, e.Value, 0.12)

	falling, err := Deming([]Point{{0, 0, 0}, {1, -3, 0}, {2, -6, 0}}, 1, Resampling{})
	require.NoError(t, err)
	require.InDelta(t, -3, falling.Value, 1e-12, "sign")
}

func TestSlopesRefuse(t *testing.T) {
	good := []Point{{1, 1, 0}, {2, 3, 0}, {3, 2, 0}}
	for _, row := range []struct {
		why    string
		points []Point
		want   error
	}{
		{"two points are one line", good[:2], ErrTooFew},
		{"NaN", append(slices.Clone(good), Point{math.NaN(), 1, 0}), ErrInput},
		{"infinite", append(slices.Clone(good), Point{1, math.Inf(1), 0}), ErrInput},
		{"X differs only between blocks", []Point{{1, 1, 0}, {1, 2, 0}, {2, 3, 1}, {2, 9, 1}}, ErrDegenerate},
	} {
		_, err := TheilSen(row.points, Resampling{})
		require.ErrorIs(t, err, row.want, row.why)
		_, err = Deming(row.points, 1, Resampling{})
		require.ErrorIs(t, err, row.want, row.why)
	}
	_, err := Deming(good, 0, Resampling{})
	require.ErrorIs(t, err, ErrInput)
	_, err = Deming([]Point{{1, 1, 0}, {2, 1, 0}, {3, 1, 0}}, 1, Resampling{})
	require.ErrorIs(t, err, ErrDegenerate, "Y constant")
	_, err = TheilSen(good, Resampling{Conf: -1})
	require.ErrorIs(t, err, ErrInput)
}
