package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMSER5(t *testing.T) {
	rng := rand.New(rand.NewPCG(22, 1))
	series := func(n int, mean func(i int) float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = mean(i) + 0.1*rng.NormFloat64()
		}
		return x
	}
	for _, row := range []struct {
		why    string
		x      []float64
		lo, hi int // drop
		steady bool
	}{
		{"a step after 100 is cut at it", series(500, func(i int) float64 { return 5 * float64(max(0, min(1, 100-i))) }), 100, 110, true},
		{"an exponential start-up is cut after a few time constants", series(1000, func(i int) float64 { return 3 * math.Exp(-float64(i)/40) }), 80, 240, true},
		{"steady from the start loses little", series(500, func(int) float64 { return 1 }), 0, 150, true},
		{"a step after 300 of 500 leaves too little", series(500, func(i int) float64 { return 5 * float64(max(0, min(1, 300-i))) }), 300, 320, false},
		{"a constant keeps everything", make([]float64, 60), 0, 0, true},
	} {
		drop, steady, err := MSER5(row.x)
		require.NoError(t, err, row.why)
		require.GreaterOrEqual(t, drop, row.lo, row.why)
		require.LessOrEqual(t, drop, row.hi, row.why)
		require.Equal(t, row.steady, steady, row.why)
		require.Zero(t, drop%5, row.why)
	}
	_, _, err := MSER5(make([]float64, 49))
	require.ErrorIs(t, err, ErrTooFew)
	_, _, err = MSER5([]float64{math.NaN()})
	require.ErrorIs(t, err, ErrInput)
}

// The cut is the one that the definition, computed directly, gives.
func TestMSER5MatchesItsDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 1))
	for range 50 {
		x := ar1(rng, 100+rng.IntN(200), 0.7)
		var means []float64
		for i := 0; i+5 <= len(x); i += 5 {
			means = append(means, (x[i]+x[i+1]+x[i+2]+x[i+3]+x[i+4])/5)
		}
		best, least := 0, math.Inf(1)
		for d := 0; d <= len(means)-5; d++ {
			tail := means[d:]
			var mean, square float64
			for _, v := range tail {
				mean += v / float64(len(tail))
			}
			for _, v := range tail {
				square += (v - mean) * (v - mean)
			}
			if score := square / float64(len(tail)*len(tail)); score < least {
				best, least = d, score
			}
		}
		drop, steady, err := MSER5(x)
		require.NoError(t, err)
		require.Equal(t, 5*best, drop)
		require.Equal(t, 2*best <= len(means), steady)
	}
}

func TestHolm(t *testing.T) {
	// R: p.adjust(c(.01, .04, .03, .005), "holm").
	require.InDeltaSlice(t, []float64{.03, .06, .06, .02}, Holm([]float64{.01, .04, .03, .005}), 1e-12)
	require.InDeltaSlice(t, []float64{1, 1}, Holm([]float64{.6, .7}), 1e-12, "capped at 1")
	require.InDeltaSlice(t, []float64{.05}, Holm([]float64{.05}), 1e-12, "a family of one")
	require.Empty(t, Holm(nil))
	withGap := Holm([]float64{.01, math.NaN(), .02})
	require.InDelta(t, .03, withGap[0], 1e-12, "a planned test without a result still counts")
	require.True(t, math.IsNaN(withGap[1]))
	require.InDelta(t, .04, withGap[2], 1e-12)
}

func TestHolmProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 1))
	for range 200 {
		p := make([]float64, 1+rng.IntN(9))
		for i := range p {
			p[i] = rng.Float64()
		}
		adjusted := Holm(p)
		for i := range p {
			require.GreaterOrEqual(t, adjusted[i], p[i])
			require.LessOrEqual(t, adjusted[i], min(1, p[i]*float64(len(p)))+1e-15, "never harsher than Bonferroni")
			for j := range p {
				if p[i] < p[j] {
					require.LessOrEqual(t, adjusted[i], adjusted[j], "order is kept")
				}
			}
		}
	}
}

// The powers that set the plan: runs that differ by 10 % make pairs that
// differ by 14.1 %; an effect of +20 %.
func TestSimulatedPower(t *testing.T) {
	noise, effect := 0.1*math.Sqrt2, math.Log(1.2)
	for _, row := range []struct {
		n           int
		alpha, want float64
	}{
		{3, 0.05, 0}, {6, 0.05, 0.81}, {6, 0.01, 0}, {8, 0.05, 0.94}, {8, 0.01, 0.62}, {10, 0.05, 0.98}, {10, 0.01, 0.84},
	} {
		require.InDelta(t, row.want, simulatedPower(row.n, noise, effect, row.alpha), 0.03, "%+v", row)
	}
}

func TestPairsNeeded(t *testing.T) {
	for _, row := range []struct {
		why           string
		noise, effect float64
		alpha         float64
		want          int
	}{
		{"without noise the test itself needs 5 at .05", 0, 0.1, 0.05, 5},
		{"and 8 at the first Holm step of nine", 0, 0.1, 0.05 / 9, 8},
		{"a power of 2^-n exactly at alpha is enough", 0, 0.1, 1. / 32, 5},
		{"10 % runs, +20 %: six give 81 %", 0.1 * math.Sqrt2, math.Log(1.2), 0.05, 6},
		{"above 16 the formula: (1.645+.842)² 9 + 1.35 = 57.0", 0.3, 0.1, 0.05, 58},
	} {
		got, err := PairsNeeded(row.noise, row.effect, row.alpha, 0.8)
		require.NoError(t, err, row.why)
		require.InDelta(t, row.want, got, 1, row.why)
		if row.noise == 0 {
			require.Equal(t, row.want, got, row.why)
		}
	}
	before := 0
	for _, noise := range []float64{0.01, 0.05, 0.1, 0.2, 0.4, 0.8} {
		n, err := PairsNeeded(noise, 0.15, 0.05, 0.8)
		require.NoError(t, err)
		require.GreaterOrEqual(t, n, before, "more noise never needs fewer pairs")
		before = n
	}
	for why, bad := range map[string][4]float64{
		"no effect can never be found": {0.1, 0, 0.05, 0.8},
		"negative noise":               {-1, 0.1, 0.05, 0.8},
		"NaN noise":                    {math.NaN(), 0.1, 0.05, 0.8},
		"certainty":                    {0.1, 0.1, 0.05, 1},
		"no level":                     {0.1, 0.1, 0, 0.8},
	} {
		_, err := PairsNeeded(bad[0], bad[1], bad[2], bad[3])
		require.ErrorIs(t, err, ErrInput, why)
	}
	_, err := PairsNeeded(1e9, 1e-3, 0.05, 0.8)
	require.ErrorIs(t, err, ErrTooFew, "no campaign is that long")
}

func TestNoiseAndSESOI(t *testing.T) {
	sd, err := AANoise([]float64{1, 2, 3, 4})
	require.NoError(t, err)
	require.InDelta(t, math.Sqrt(5./3), sd, 1e-12, "n-1 below")
	_, err = AANoise([]float64{1})
	require.ErrorIs(t, err, ErrTooFew)
	require.Equal(t, math.Log(1.1), SESOI(0.01), "ten per cent at least")
	require.Equal(t, 0.4, SESOI(0.2), "twice the noise")
}

func TestBlocksForWidth(t *testing.T) {
	require.Equal(t, 20, BlocksForWidth(5, 2, 1), "half the width, four times the blocks")
	require.Equal(t, 5, BlocksForWidth(5, 0.5, 1), "narrow enough already")
	require.Zero(t, BlocksForWidth(5, math.Inf(1), 1), "no interval, no forecast")
	require.Zero(t, BlocksForWidth(5, math.NaN(), 1))
	require.Zero(t, BlocksForWidth(5, 1, 0))
}

func TestFitUSL(t *testing.T) {
	// SPEC SDM91 on a Sun server: the data and the coefficients that the R
	// package usl documents for them, peak at 96.5 users.
	load := []float64{1, 18, 36, 72, 108, 144, 216}
	through := []float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2}
	var points []Point
	for i := range load {
		points = append(points, Point{X: load[i], Y: through[i]})
	}
	u, err := FitUSL(points)
	require.NoError(t, err)
	require.InDelta(t, 89.995, u.Lambda, 0.01)
	require.InDelta(t, 0.02773, u.Sigma, 1e-5)
	require.InDelta(t, 1.0437e-4, u.Kappa, 1e-8)
	peak, ok := u.Peak()
	require.True(t, ok)
	require.InDelta(t, 96.52, peak, 0.01)

	for _, truth := range []USL{
		{Lambda: 100, Sigma: 0.05, Kappa: 5e-4},
		{Lambda: 0.3, Sigma: 0.4, Kappa: 1e-3},
		{Lambda: 5000, Sigma: 0, Kappa: 1e-2},
	} {
		var exact []Point
		for _, n := range h0Levels {
			exact = append(exact, Point{X: n, Y: truth.At(n)})
		}
		u, err := FitUSL(exact)
		require.NoError(t, err)
		require.InEpsilon(t, truth.Lambda, u.Lambda, 1e-3)
		require.InDelta(t, truth.Sigma, u.Sigma, 1e-3)
		require.InEpsilon(t, truth.Kappa, u.Kappa, 1e-2)
		require.InDelta(t, 1, u.R2, 1e-6)
	}
	_, ok = USL{Lambda: 1, Sigma: 0.1}.Peak()
	require.False(t, ok, "contention alone never turns down")
}

func TestFitUSLRefuses(t *testing.T) {
	flat := []Point{{1, 5, 0}, {2, 5, 0}, {4, 5, 0}, {8, 5, 0}}
	_, err := FitUSL(flat)
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = FitUSL(flat[:3])
	require.ErrorIs(t, err, ErrTooFew)
	_, err = FitUSL(nil)
	require.ErrorIs(t, err, ErrTooFew)
	for _, bad := range []Point{{0.5, 1, 0}, {1, 0, 0}, {math.NaN(), 1, 0}, {1, math.Inf(1), 0}} {
		_, err = FitUSL(append(flat[:4:4], bad))
		require.ErrorIs(t, err, ErrInput, "%+v", bad)
	}
}

func TestLittleGap(t *testing.T) {
	require.InDelta(t, 0, LittleGap(16, 8, 1500*time.Millisecond, 500*time.Millisecond), 1e-12, "8/s × 2 s = 16")
	require.InDelta(t, -0.5, LittleGap(16, 8, time.Second, 0), 1e-12, "half the users are unaccounted for")
	require.True(t, math.IsNaN(LittleGap(0, 8, time.Second, 0)))
}
