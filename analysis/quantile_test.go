package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

func TestQuantile(t *testing.T) {
	five := []float64{15, 20, 35, 40, 50}
	inf := math.Inf(1)
	for _, row := range []struct {
		why    string
		sorted []float64
		q      float64
		want   float64
		ok     bool
	}{
		{"textbook nearest rank: ceil(.25) = 1", five, 0.05, 15, true},
		{"ceil(1.5) = 2", five, 0.30, 20, true},
		{"exactly rank 2 is rank 2, not 3", five, 0.40, 20, true},
		{"ceil(2.5) = 3, the middle", five, 0.50, 35, true},
		{"the maximum is a quantile", five, 1, 50, true},
		{"rank is at least 1", five, 0, 15, true},
		{"upward: p99 of five is the largest", five, 0.99, 50, true},
		{"one value is every quantile", []float64{7}, 0.5, 7, true},
		{"a failure stays +Inf, never interpolated", []float64{1, 2, 3, inf}, 0.99, inf, true},
		{"failures above the rank do not matter", []float64{1, 2, 3, inf}, 0.75, 3, true},
		{"an empty set is absent, never 0", nil, 0.5, 0, false},
		{"q is a share, not a percentage", five, 99, 0, false},
		{"negative q", five, -0.1, 0, false},
		{"NaN q", five, math.NaN(), 0, false},
	} {
		got, ok := Quantile(row.sorted, row.q)
		require.Equal(t, row.ok, ok, row.why)
		if row.ok {
			require.Equal(t, row.want, got, row.why)
		} else {
			require.True(t, math.IsNaN(got), row.why)
		}
	}
}

// q n misses integers by rounding (0.07 × 100 > 7), which must not cost a rank.
func TestQuantileRankSurvivesRounding(t *testing.T) {
	for _, n := range []int{100, 1000, 368_000} {
		for percent := 1; percent <= 100; percent++ {
			require.Equal(t, n*percent/100, rank(n, float64(percent)/100), "%d %% of %d", percent, n)
		}
	}
}

func TestMinN(t *testing.T) {
	for _, row := range []struct {
		why  string
		q    float64
		conf float64
		want int
	}{
		{".99^368 = .0248 <= .025 < .99^367 = .0250", 0.99, 0.95, 368},
		{".95^72 = .0249 <= .025 < .95^71 = .0262", 0.95, 0.95, 72},
		{"mirror image of p99", 0.01, 0.95, 368},
		{"median: .5^6 = .0156 <= .025 < .5^5 = .031", 0.50, 0.95, 6},
		{"ln .005 / ln .99 = 527.2", 0.99, 0.99, 528},
		{"ln .025 / ln .999 = 3687.03", 0.999, 0.95, 3688},
		{"the maximum has no upper bound", 1, 0.95, 0},
		{"no confidence is complete", 0.99, 1, 0},
		{"NaN", math.NaN(), 0.95, 0},
	} {
		require.Equal(t, row.want, MinN(row.q, row.conf), row.why)
	}
}

func TestQuantileRanks(t *testing.T) {
	for _, row := range []struct {
		why    string
		n      int
		q      float64
		lo, hi int
		ok     bool
	}{
		{"sign-test table for medians: n 10 gives ranks 2 and 9, 97.9 %", 10, 0.5, 2, 9, true},
		{"sign-test table: n 20 gives 6 and 15, 95.9 %", 20, 0.5, 6, 15, true},
		{"sign-test table: n 100 gives 40 and 61, 96.5 %", 100, 0.5, 40, 61, true},
		{"one short for p99", 367, 0.99, 0, 0, false},
		{"first p99 interval ends at the maximum", 368, 0.99, 360, 368, true},
		{"one short for p95", 71, 0.95, 0, 0, false},
		{"first p95 interval ends at the maximum", 72, 0.95, 64, 72, true},
		{"nothing from nothing", 0, 0.5, 0, 0, false},
	} {
		lo, hi, ok := QuantileRanks(row.n, row.q, 0.95)
		require.Equal(t, row.ok, ok, row.why)
		require.Equal(t, []int{row.lo, row.hi}, []int{lo, hi}, row.why)
	}
}

// Each rank is the tightest whose tail is still within half of 5 %, judged by
// the binomial masses themselves rather than by the distribution function.
func TestQuantileRanksAreTight(t *testing.T) {
	for _, q := range []float64{0.05, 0.5, 0.95, 0.99} {
		for _, n := range []int{400, 777, 1000, 5000} {
			lo, hi, ok := QuantileRanks(n, q, 0.95)
			require.True(t, ok)
			b := distuv.Binomial{N: float64(n), P: q}
			below := func(r int) (sum float64) { // P(B < r)
				for i := range r {
					sum += b.Prob(float64(i))
				}
				return sum
			}
			require.LessOrEqual(t, below(lo), 0.025)
			require.Greater(t, below(lo+1), 0.025, "q %v n %d: a higher rank would do", q, n)
			require.LessOrEqual(t, 1-below(hi), 0.025+1e-12)
			require.Greater(t, 1-below(hi-1), 0.025, "q %v n %d: a lower rank would do", q, n)
		}
	}
}

// The interval promises 95 % for independent draws of any distribution.
func TestQuantileCICovers(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	truth := -math.Log(0.05) // p95 of the unit exponential
	const trials = 1000
	covered := 0
	for range trials {
		values := make([]float64, 200)
		for i := range values {
			values[i] = rng.ExpFloat64()
		}
		slices.Sort(values)
		e, ok := QuantileCI(values, 0.95, 0.95)
		require.True(t, ok)
		require.LessOrEqual(t, e.Lo, e.Value)
		require.LessOrEqual(t, e.Value, e.Hi)
		if e.Lo <= truth && truth <= e.Hi {
			covered++
		}
	}
	require.InDelta(t, 0.96, float64(covered)/trials, 0.02)
	_, ok := QuantileCI(make([]float64, 71), 0.95, 0.95)
	require.False(t, ok, "71 values give no p95 interval")
}
