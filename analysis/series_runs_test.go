package analysis

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// ar1Runs are runs of two series with memory; share of X is in Y lag samples
// later.
func ar1Runs(rng *rand.Rand, runs, n int, phi, share float64, lag int) []SeriesPair {
	out := make([]SeriesPair, runs)
	for i := range out {
		x, y := ar1(rng, n+lag, phi), ar1(rng, n, phi)
		for t := range y {
			y[t] += share * x[t]
		}
		out[i] = SeriesPair{X: x[lag:], Y: y}
	}
	return out
}

func TestShiftMean(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	runs := ar1Runs(rng, 6, 60, 0.7, 1, 0)
	got, err := ShiftMean(runs, Greater, Resampling{Seed: 1})
	require.NoError(t, err)
	rhos, ns := []float64{}, []int{}
	for i, run := range runs {
		rho, err := Spearman(run.X, run.Y)
		require.NoError(t, err)
		require.InDelta(t, rho, got.Rho[i], 1e-9)
		rhos, ns = append(rhos, rho), append(ns, 60)
	}
	want, err := FisherMean(rhos, ns, 0.95)
	require.NoError(t, err)
	require.InDelta(t, want.Rho.Value, got.Mean, 1e-9, "the statistic is FisherMean's")
	require.InDelta(t, 1./4001, got.P, 1e-9, "no arrangement comes near")
	less, err := ShiftMean(runs, Less, Resampling{Seed: 1})
	require.NoError(t, err)
	require.InDelta(t, 1, less.P, 1e-9)

	for i := range runs {
		runs[i].Controls = [][]float64{runs[i].X}
	}
	_, err = ShiftMean(runs, Greater, Resampling{})
	require.ErrorIs(t, err, ErrDegenerate, "its own control")
	_, err = ShiftMean(ar1Runs(rng, 1, 19, 0, 0, 0), Greater, Resampling{})
	require.ErrorIs(t, err, ErrTooFew, "nineteen shifts")
	_, err = ShiftMean(nil, Greater, Resampling{})
	require.ErrorIs(t, err, ErrTooFew)
}

// Six runs of 60 samples with memory: the level is kept, half a standard
// deviation is found, and a common cause is none when it is a control.
func TestShiftMeanKeepsItsLevelAndFinds(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	const trials = 150
	rate := func(make func() []SeriesPair) float64 {
		hits := 0
		for i := range trials {
			got, err := ShiftMean(make(), Greater, Resampling{B: 400, Seed: uint64(i)})
			require.NoError(t, err)
			if got.P <= 0.05 {
				hits++
			}
		}
		return float64(hits) / trials
	}
	require.LessOrEqual(t, rate(func() []SeriesPair { return ar1Runs(rng, 6, 60, 0.7, 0, 0) }), 0.10)
	require.GreaterOrEqual(t, rate(func() []SeriesPair { return ar1Runs(rng, 6, 60, 0.7, 0.5, 0) }), 0.8)
	common := func(controlled bool) func() []SeriesPair {
		return func() []SeriesPair {
			runs := ar1Runs(rng, 6, 60, 0.5, 0, 0)
			for i := range runs {
				z := ar1(rng, 60, 0.5)
				for t := range z {
					runs[i].X[t] += z[t]
					runs[i].Y[t] += z[t]
				}
				if controlled {
					runs[i].Controls = [][]float64{z}
				}
			}
			return runs
		}
	}
	require.GreaterOrEqual(t, rate(common(false)), 0.8)
	require.LessOrEqual(t, rate(common(true)), 0.2, "taken out of ranks, a little remains")
}

func TestShiftLag(t *testing.T) {
	rng := rand.New(rand.NewPCG(10, 1))
	const follow = 3
	lag, err := ShiftLag(ar1Runs(rng, 5, 80, 0.5, 1, follow), 6, Resampling{B: 500})
	require.NoError(t, err)
	require.Equal(t, follow, lag.Samples, "Y follows X")
	require.Less(t, lag.P, 0.01)
	require.Greater(t, lag.R, 0.4)

	const trials = 100
	hits := 0
	for i := range trials {
		none, err := ShiftLag(ar1Runs(rng, 5, 60, 0.6, 0, 0), 6, Resampling{B: 200, Seed: uint64(i)})
		require.NoError(t, err)
		if none.P <= 0.05 {
			hits++
		}
	}
	require.LessOrEqual(t, hits, 12, "thirteen lags are paid for")
	_, err = ShiftLag(ar1Runs(rng, 5, 60, 0.6, 0, 0), -1, Resampling{})
	require.ErrorIs(t, err, ErrInput)
	_, err = ShiftLag(ar1Runs(rng, 5, 60, 0.6, 0, 0), 30, Resampling{})
	require.ErrorIs(t, err, ErrInput)
}
