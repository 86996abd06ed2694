package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func normals(rng *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

func TestPartialSpearmanOfOneControlIsTheFormula(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	z := normals(rng, 40)
	x, y := normals(rng, 40), normals(rng, 40)
	for i := range z {
		x[i] += z[i]
		y[i] += z[i] + x[i]/2
	}
	rho := func(a, b []float64) float64 {
		r, err := Spearman(a, b)
		require.NoError(t, err)
		return r
	}
	// (r_xy - r_xz r_yz) / sqrt((1 - r_xz²)(1 - r_yz²)), on ranks.
	xz, yz := rho(x, z), rho(y, z)
	want := (rho(x, y) - xz*yz) / math.Sqrt((1-xz*xz)*(1-yz*yz))
	got, err := PartialSpearman(x, y, z)
	require.NoError(t, err)
	require.InDelta(t, want, got, 1e-12)

	steady := make([]float64, len(z))
	got, err = PartialSpearman(x, y, steady, z, z, steady)
	require.NoError(t, err)
	require.InDelta(t, want, got, 1e-12, "constant and repeated controls take nothing more away")
	got, err = PartialSpearman(x, y)
	require.NoError(t, err)
	require.InDelta(t, rho(x, y), got, 1e-12, "no control: Spearman")
	for i := range z {
		steady[i] = math.Exp(z[i])
	}
	got, err = PartialSpearman(x, y, steady)
	require.NoError(t, err)
	require.InDelta(t, want, got, 1e-12, "any rising function of a control is that control")
}

// What two series owe to a third is taken out, and what they owe to each other
// stays.
func TestPartialSpearmanTellsACommonCause(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 1))
	var common, own float64
	const trials = 200
	for range trials {
		z := normals(rng, 50)
		x, y, related := normals(rng, 50), normals(rng, 50), normals(rng, 50)
		for i := range z {
			x[i] += 2 * z[i]
			y[i] += 2 * z[i]
			related[i] += 2*z[i] + x[i]
		}
		r, err := PartialSpearman(x, y, z)
		require.NoError(t, err)
		common += r / trials
		r, err = PartialSpearman(x, related, z)
		require.NoError(t, err)
		own += r / trials
	}
	require.InDelta(t, 0, common, 0.12, "Spearman itself says 0.8")
	require.Greater(t, own, 0.5)
}

func TestPartialSpearmanRefuses(t *testing.T) {
	x, y := []float64{1, 2, 3, 4, 5}, []float64{2, 1, 4, 3, 5}
	for _, row := range []struct {
		why      string
		x, y     []float64
		controls [][]float64
		want     error
	}{
		{"x is its own control", x, y, [][]float64{x}, ErrDegenerate},
		{"two pairs are left", x[:4], y[:4], [][]float64{{1, 3, 2, 4}, {4, 1, 3, 2}}, ErrTooFew},
		{"a control of another length", x, y, [][]float64{{1, 2}}, ErrInput},
		{"a control with a gap", x, y, [][]float64{{1, 2, math.NaN(), 4, 5}}, ErrInput},
		{"constant y", x, []float64{1, 1, 1, 1, 1}, nil, ErrDegenerate},
	} {
		_, err := PartialSpearman(row.x, row.y, row.controls...)
		require.ErrorIs(t, err, row.want, row.why)
	}
}
