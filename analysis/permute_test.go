package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// darwin are the height differences (eighths of an inch) of Darwin's 15 pairs
// of crossed and self-fertilised maize, on which Fisher showed the test (The
// Design of Experiments, 1935, section 21): of 2^15 sign patterns 835 have a
// sum larger than the observed 314 and 28 the same, 863 in one tail, so
// p = .0263, .0527 two-sided.
var darwin = []float64{49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48}

func TestSignFlipKnownAnswers(t *testing.T) {
	for _, row := range []struct {
		why  string
		d    []float64
		side Side
		want float64
	}{
		{"Fisher's count on Darwin's maize", darwin, Greater, 863. / 32768},
		{"both tails", darwin, TwoSided, 2 * 863. / 32768},
		{"all of 8 pairs agree: the least p of 8 is 2^-8", []float64{1, 2, 3, 4, 5, 6, 7, 8}, Greater, 1. / 256},
		{"the least of 5 is 2^-5: no .01 with 5 pairs", []float64{5, 5, 5, 5, 5}, Greater, 1. / 32},
		{"wrong direction", []float64{1, 2, 3}, Less, 1},
		{"right direction", []float64{-1, -2, -3}, Less, 1. / 8},
		{"no effect at all: every pattern is as large", []float64{0, 0, 0}, TwoSided, 1},
		{"rounding: .1 + .2 - .3 is a tie with 0 either way", []float64{0.1, 0.2, -0.3}, Greater, 5. / 8},
		{"one pair", []float64{3}, Greater, 0.5},
	} {
		p, err := SignFlip(row.d, row.side, Resampling{})
		require.NoError(t, err, row.why)
		require.InDelta(t, row.want, p, 1e-12, row.why)
	}
}

// Meeting in the middle counts what going through every pattern counts.
func TestSignFlipMatchesEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := 1; n <= 12; n++ {
		d := make([]float64, n)
		sum := 0.0
		for i := range d {
			d[i] = float64(rng.IntN(9) - 3) // ties on purpose
			sum += d[i]
		}
		hits := 0
		for pattern := range uint(1) << n {
			flipped := 0.0
			for i, v := range d {
				flipped += v * float64(1-2*int(pattern>>i&1))
			}
			if flipped >= sum {
				hits++
			}
		}
		p, err := SignFlip(d, Greater, Resampling{})
		require.NoError(t, err)
		require.InDelta(t, float64(hits)/float64(uint(1)<<n), p, 1e-12, "%v", d)
	}
}

// Above 32 pairs the patterns are sampled; the result agrees with the exact
// one of the same data cut short, and with the normal tail.
func TestSignFlipSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 2))
	d := make([]float64, 100)
	var sum, square float64
	for i := range d {
		d[i] = 0.15 + rng.NormFloat64()
		sum, square = sum+d[i], square+d[i]*d[i]
	}
	p, err := SignFlip(d, Greater, Resampling{B: 20000})
	require.NoError(t, err)
	normal := 0.5 * math.Erfc(sum/math.Sqrt(square)/math.Sqrt2)
	require.InDelta(t, normal, p, 4*math.Sqrt(normal/20000)+0.003)
	again, err := SignFlip(d, Greater, Resampling{B: 20000})
	require.NoError(t, err)
	require.Equal(t, p, again, "seeded")
	least, err := SignFlip(slices.Repeat([]float64{1}, 40), Greater, Resampling{B: 99})
	require.NoError(t, err)
	require.Equal(t, 0.01, least, "a sampled p is never 0")
}

// Under the null p <= alpha happens with probability at most alpha.
func TestSignFlipLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 2))
	const campaigns = 4000
	hits := 0
	for range campaigns {
		d := make([]float64, 8)
		for i := range d {
			d[i] = rng.NormFloat64()
		}
		p, err := SignFlip(d, Greater, Resampling{})
		require.NoError(t, err)
		if p <= 0.05 {
			hits++
		}
	}
	require.InDelta(t, 12./256, float64(hits)/campaigns, 0.011, "12/256 is the largest multiple of 1/256 within .05")
}

func TestHodgesLehmannKnownAnswers(t *testing.T) {
	// Hollander and Wolfe's depression data (table 3.1, differences y - x): the
	// Walsh averages' median is -0.46, and the exact 96.1 % interval
	// [-0.786, -0.010] is theirs (example 3.3 and 3.4).
	depression := []float64{-0.952, 0.147, -1.022, -0.430, -0.620, -0.590, -0.490, 0.080, -0.010}
	e, err := HodgesLehmann(depression, 0.95)
	require.NoError(t, err)
	require.InDelta(t, -0.46, e.Value, 1e-9)
	require.InDelta(t, -0.786, e.Lo, 1e-9)
	require.InDelta(t, -0.010, e.Hi, 1e-9)

	for _, row := range []struct {
		why    string
		n      int
		conf   float64
		lo, hi float64
	}{
		{"5 pairs carry 90 %: the extremes", 5, 0.90, 1, 5},
		{"5 pairs do not carry 95 %", 5, 0.95, math.Inf(-1), math.Inf(1)},
		{"6 pairs carry 95 %: the extremes", 6, 0.95, 1, 6},
		{"one pair carries nothing", 1, 0.5, math.Inf(-1), math.Inf(1)},
	} {
		d := make([]float64, row.n)
		for i := range d {
			d[i] = float64(i + 1)
		}
		e, err := HodgesLehmann(d, row.conf)
		require.NoError(t, err, row.why)
		require.Equal(t, Estimate{float64(row.n+1) / 2, row.lo, row.hi}, e, row.why)
	}
}

// Critical values of Wilcoxon's signed-rank statistic, from any table.
func TestSignedRankCritical(t *testing.T) {
	for _, row := range []struct {
		n    int
		tail float64
		want int
	}{
		{5, 0.05, 0},
		{6, 0.025, 0},
		{8, 0.025, 3},
		{10, 0.025, 8},
		{10, 0.05, 10},
		{12, 0.005, 7},
		{15, 0.025, 25},
		{20, 0.025, 52},
		{30, 0.025, 137},
		{50, 0.025, 434},
		{4, 0.05, -1},
		{5, 0.025, -1},
	} {
		require.Equal(t, row.want, signedRankCritical(row.n, row.tail), "n %d, tail %v", row.n, row.tail)
	}
	// Where counting ends the normal approximation has long arrived.
	exact := signedRankCritical(200, 0.025)
	variance := 200. * 201 * 401 / 24
	require.InDelta(t, 200.*201/4-1.95996*math.Sqrt(variance), exact, 2)
	require.InEpsilon(t, 201.*202/4-1.95996*math.Sqrt(201.*202*403/24), signedRankCritical(201, 0.025), 1e-3)
}

func TestEquivalent(t *testing.T) {
	bound := math.Log(1.1)
	for _, row := range []struct {
		why  string
		d    []float64
		want bool
	}{
		{"eight pairs within 3 %", []float64{.01, -.02, .03, 0, -.01, .02, -.03, .01}, true},
		{"a clear 20 % is not nothing", []float64{.18, .17, .19, .18, .2, .18, .17, .18}, false},
		{"noise beyond the bound proves nothing", []float64{.3, -.3, .25, -.2, .28, -.31, .1, -.1}, false},
		{"four pairs have no 90 % interval", []float64{0, 0, 0, 0}, false},
	} {
		got, e, err := Equivalent(row.d, bound, 0.05)
		require.NoError(t, err, row.why)
		require.Equal(t, row.want, got, "%s: %+v", row.why, e)
	}
	_, _, err := Equivalent([]float64{1}, -1, 0.05)
	require.ErrorIs(t, err, ErrInput)
	_, _, err = Equivalent(nil, 1, 0.05)
	require.ErrorIs(t, err, ErrTooFew)
}

func TestLnRatios(t *testing.T) {
	d, err := LnRatios([]float64{1, 2}, []float64{math.E, 1})
	require.NoError(t, err)
	require.InDeltaSlice(t, []float64{1, -math.Ln2}, d, 1e-12)
	for why, pair := range map[string][2][]float64{
		"unequal":  {{1}, {1, 2}},
		"zero":     {{0}, {1}},
		"negative": {{-1}, {-1}},
		"failed":   {{1}, {math.Inf(1)}},
		"absent":   {{1}, {math.NaN()}},
	} {
		_, err := LnRatios(pair[0], pair[1])
		require.ErrorIs(t, err, ErrInput, why)
	}
}

func TestPermutationsRefuse(t *testing.T) {
	_, err := SignFlip(nil, Greater, Resampling{})
	require.ErrorIs(t, err, ErrTooFew)
	_, err = SignFlip([]float64{math.NaN()}, Greater, Resampling{})
	require.ErrorIs(t, err, ErrInput)
	_, err = SignFlip([]float64{1}, Greater, Resampling{B: -1})
	require.ErrorIs(t, err, ErrInput)
	_, err = HodgesLehmann(nil, 0.95)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = HodgesLehmann([]float64{1}, 95)
	require.ErrorIs(t, err, ErrInput)
}
