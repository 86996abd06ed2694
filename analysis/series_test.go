package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

// ar1 is an autoregressive series x[t] = phi x[t-1] + noise.
func ar1(rng *rand.Rand, n int, phi float64) []float64 {
	x := make([]float64, n)
	last := rng.NormFloat64() / math.Sqrt(1-phi*phi)
	for i := range x {
		last = phi*last + rng.NormFloat64()
		x[i] = last
	}
	return x
}

func TestCorrelations(t *testing.T) {
	// Anscombe's first set (1973): r = .8164 to four places.
	x := []float64{10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5}
	y := []float64{8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68}
	r, err := Pearson(x, y)
	require.NoError(t, err)
	require.InDelta(t, 0.8164, r, 5e-5)
	// Without ties rho = 1 - 6 sum d² / (n (n²-1)): ranks differ by 1, 1, 0.
	r, err = Spearman([]float64{1, 2, 3}, []float64{20, 10, 500})
	require.NoError(t, err)
	require.InDelta(t, 1-6*2./24, r, 1e-12)
	r, err = Spearman(x, []float64{1e3, 8e1, 1e9, 9e2, 1e5, 1e12, 60, 4, 1e7, 70, 5})
	require.NoError(t, err)
	require.InDelta(t, 1, r, 1e-12, "any rising relation has rank correlation 1")

	for _, row := range []struct {
		why  string
		x, y []float64
		want error
	}{
		{"a constant has no correlation, not one of 0", []float64{1, 1, 1}, []float64{1, 2, 3}, ErrDegenerate},
		{"two pairs are always a line", []float64{1, 2}, []float64{1, 2}, ErrTooFew},
		{"unequal", []float64{1, 2, 3}, []float64{1, 2}, ErrInput},
		{"a gap in telemetry", []float64{1, 2, math.NaN()}, []float64{1, 2, 3}, ErrInput},
	} {
		for _, of := range []func(x, y []float64) (float64, error){Pearson, Spearman} {
			r, err := of(row.x, row.y)
			require.ErrorIs(t, err, row.want, row.why)
			require.True(t, math.IsNaN(r), row.why)
		}
	}
}

func TestEffectiveN(t *testing.T) {
	for _, row := range []struct {
		why    string
		r1, r2 float64
		want   float64
	}{
		{"no memory costs nothing", 0, 0.9, 300},
		{"(1 - .81)/(1 + .81) of 300", 0.9, 0.9, 300 * 0.19 / 1.81},
		{"alternation is not allowed to add data", -0.9, 0.9, 300},
		{"perfect memory leaves nothing", 1, 1, 0},
	} {
		require.InDelta(t, row.want, EffectiveN(300, row.r1, row.r2), 1e-9, row.why)
	}
}

func TestDecorrelation(t *testing.T) {
	// A square wave of period 40: the autocorrelation is a triangle wave that
	// first reaches 0 at a quarter period.
	wave := make([]float64, 400)
	for i := range wave {
		wave[i] = float64(i / 20 % 2)
	}
	lag, err := Decorrelation(wave)
	require.NoError(t, err)
	require.InDelta(t, 10, lag, 1)
	lag, err = Decorrelation([]float64{1, -1, 1, -1, 1, -1})
	require.NoError(t, err)
	require.Equal(t, 1, lag, "alternation decorrelates at once")
	_, err = Decorrelation([]float64{3, 3, 3, 3})
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = Decorrelation(nil)
	require.ErrorIs(t, err, ErrTooFew)
}

// Independent series with memory: the naive test calls every second pair
// related, the two that know of memory keep about 5 %.
func TestCorrelationTestsKeepTheirLevel(t *testing.T) {
	const pairs, n = 200, 300
	rng := rand.New(rand.NewPCG(17, 1))
	naive, effective, shifted := 0, 0, 0
	for range pairs {
		x, y := ar1(rng, n, 0.9), ar1(rng, n, 0.9)
		r, err := Pearson(x, y)
		require.NoError(t, err)
		if s := math.Abs(r) * math.Sqrt((n-2)/(1-r*r)); 2*(distuv.StudentsT{Sigma: 1, Nu: n - 2}).Survival(s) <= 0.05 {
			naive++
		}
		e, err := CorrelateEffective(x, y)
		require.NoError(t, err)
		if e.P <= 0.05 {
			effective++
		}
		s, err := CorrelateShifted(x, y, 40)
		require.NoError(t, err)
		if s.P <= 0.05 {
			shifted++
		}
	}
	require.InDelta(t, 0.53, float64(naive)/pairs, 0.12)
	require.LessOrEqual(t, float64(effective)/pairs, 0.10)
	require.LessOrEqual(t, float64(shifted)/pairs, 0.11)
}

func TestCorrelationTestsFindARelation(t *testing.T) {
	rng := rand.New(rand.NewPCG(18, 1))
	x := ar1(rng, 300, 0.8)
	y := ar1(rng, 300, 0.8)
	for i := range y {
		y[i] += x[i]
	}
	e, err := CorrelateEffective(x, y)
	require.NoError(t, err)
	require.Less(t, e.P, 1e-4)
	require.Less(t, e.N, 150.)
	s, err := CorrelateShifted(x, y, 20)
	require.NoError(t, err)
	require.Equal(t, e.R, mustPearson(t, x, y))
	require.InDelta(t, e.R, s.R, 1e-12)
	require.InDelta(t, 1/(1+s.N), s.P, 1e-12, "no shift comes near: the least p there is")
	require.Equal(t, 300.-2*20-1, s.N)

	same, err := CorrelateEffective(x, x)
	require.NoError(t, err)
	require.Zero(t, same.P, "a perfect relation")
}

func mustPearson(t *testing.T, x, y []float64) float64 {
	t.Helper()
	r, err := Pearson(x, y)
	require.NoError(t, err)
	return r
}

func TestCrossLag(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 1))
	const follow = 7
	x := ar1(rng, 400, 0.5)
	y := make([]float64, len(x))
	for i := range y {
		y[i] = rng.NormFloat64() / 2
		if i >= follow {
			y[i] += x[i-follow]
		}
	}
	lag, err := CrossLag(x, y, 20, 10)
	require.NoError(t, err)
	require.Equal(t, follow, lag.Samples, "y follows x")
	require.Greater(t, lag.R, 0.8)
	require.Less(t, lag.P, 0.01)
	back, err := CrossLag(y, x, 20, 10)
	require.NoError(t, err)
	require.Equal(t, -follow, back.Samples, "x leads y")
	require.InDelta(t, lag.R, back.R, 1e-9)

	hits := 0
	for range 100 {
		none, err := CrossLag(ar1(rng, 300, 0.8), ar1(rng, 300, 0.8), 15, 10)
		require.NoError(t, err)
		if none.P <= 0.05 {
			hits++
		}
	}
	require.LessOrEqual(t, hits, 13, "searching 31 lags keeps its level")
}

func TestSeriesRefuse(t *testing.T) {
	rng := rand.New(rand.NewPCG(20, 1))
	x, y := ar1(rng, 50, 0.5), ar1(rng, 50, 0.5)
	_, err := CorrelateShifted(x, y, 20)
	require.ErrorIs(t, err, ErrTooFew, "nine shifts cannot give .05")
	_, err = CorrelateShifted(x[:3], y, 0)
	require.ErrorIs(t, err, ErrInput)
	_, err = CrossLag(x, y, 15, 5)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = CrossLag(x, y, -1, 5)
	require.ErrorIs(t, err, ErrInput)
	wave := make([]float64, 50)
	for i := range wave {
		wave[i] = math.Sin(2 * math.Pi * float64(i) / 49)
	}
	_, err = CorrelateEffective(wave, wave)
	require.ErrorIs(t, err, ErrTooFew, "two waves at the same time are one coincidence")
}
