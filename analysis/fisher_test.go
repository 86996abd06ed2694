package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFisherMean(t *testing.T) {
	z := func(v float64) float64 { return math.Tanh(v) }
	m, err := FisherMean([]float64{z(0.2), z(0.4), z(0.6)}, []int{30, 30, 30}, 0.95)
	require.NoError(t, err)
	// z 0.2, 0.4, 0.6: mean 0.4, standard error 0.2/sqrt 3, t(.975, 2) = 4.302653.
	half := 4.302653 * 0.2 / math.Sqrt(3)
	require.InDelta(t, z(0.4), m.Rho.Value, 1e-9)
	require.InDelta(t, z(0.4-half), m.Rho.Lo, 1e-6)
	require.InDelta(t, z(0.4+half), m.Rho.Hi, 1e-6)
	// With 2 degrees of freedom P(T > t) = (1 - t/sqrt(t²+2))/2.
	s := math.Sqrt(12)
	require.InDelta(t, (1-s/math.Sqrt(s*s+2))/2, m.P, 1e-9)
	require.Equal(t, 3, m.Runs)

	m, err = FisherMean([]float64{1, z(0.3)}, []int{10, 10}, 0.95)
	require.NoError(t, err)
	require.InDelta(t, z((math.Atanh(0.95)+0.3)/2), m.Rho.Value, 1e-9, "a perfect correlation of 10 points counts as .95")
	long, err := FisherMean([]float64{z(0.1), z(0.7)}, []int{1003, 13}, 0.95)
	require.NoError(t, err)
	require.InDelta(t, z((1000*0.1+10*0.7)/1010), long.Rho.Value, 1e-9, "a longer run weighs more")
	m, err = FisherMean([]float64{0.5, 0.5}, []int{10, 10}, 0.95)
	require.NoError(t, err)
	require.Zero(t, m.P)
}

func TestFisherMeanRefuses(t *testing.T) {
	for _, row := range []struct {
		why  string
		rho  []float64
		n    []int
		conf float64
		want error
	}{
		{"one run says nothing of runs", []float64{0.5}, []int{30}, 0.95, ErrTooFew},
		{"three points", []float64{0.5, 0.4}, []int{30, 3}, 0.95, ErrTooFew},
		{"no correlation", []float64{0.5, 1.1}, []int{30, 30}, 0.95, ErrInput},
		{"NaN", []float64{0.5, math.NaN()}, []int{30, 30}, 0.95, ErrInput},
		{"unequal", []float64{0.5, 0.4}, []int{30}, 0.95, ErrInput},
		{"confidence in per cent", []float64{0.5, 0.4}, []int{30, 30}, 95, ErrInput},
	} {
		m, err := FisherMean(row.rho, row.n, row.conf)
		require.ErrorIs(t, err, row.want, row.why)
		require.True(t, math.IsNaN(m.Rho.Value) && math.IsNaN(m.P), row.why)
	}
}

// Over runs of independent pairs the test keeps its level, whatever memory the
// series of a run have: the run is the unit.
func TestFisherMeanKeepsItsLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 1))
	const trials = 400
	hits := 0
	for range trials {
		var rho []float64
		for range 8 {
			r, err := Spearman(ar1(rng, 60, 0.9), ar1(rng, 60, 0.9))
			require.NoError(t, err)
			rho = append(rho, r)
		}
		m, err := FisherMean(rho, []int{60, 60, 60, 60, 60, 60, 60, 60}, 0.95)
		require.NoError(t, err)
		if m.P <= 0.05 {
			hits++
		}
	}
	require.InDelta(t, 0.05, float64(hits)/trials, 0.04)
}
