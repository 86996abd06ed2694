package loadgen

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/gonum/stat/distuv"
)

// ulps is the distance between two floats of one sign, in steps of the last
// place.
func ulps(a, b float64) int64 {
	d := int64(math.Float64bits(a)) - int64(math.Float64bits(b))
	return max(d, -d)
}

func TestLogarithmIsTheLogarithm(t *testing.T) {
	s := newDraws(1, 99, 0)
	for range 20_000 {
		for _, x := range []float64{s.uniform(), s.uniform() * 1e12, 1 + s.uniform()*1e-6, 1 - s.uniform()*1e-6} {
			require.LessOrEqual(t, ulps(ln(x), math.Log(x)), int64(2), "ln(%v)", x)
		}
	}
	require.Zero(t, ln(1))
	require.Equal(t, 1.0, ln(math.E))
	require.Equal(t, -53*math.Ln2, ln(0x1p-53), "the smallest that uniform gives")
}

func TestExponentialIsTheExponential(t *testing.T) {
	s := newDraws(2, 99, 0)
	for range 20_000 {
		x := -700 * s.uniform()
		require.LessOrEqual(t, ulps(exp(x), math.Exp(x)), int64(2), "exp(%v)", x)
	}
	require.Equal(t, 1.0, exp(0))
	require.Zero(t, exp(-1e9))
}

func TestUniformNeverIsZero(t *testing.T) {
	s := newDraws(3, 99, 0)
	for range 20_000 {
		u := s.uniform()
		require.Greater(t, u, 0.0)
		require.LessOrEqual(t, u, 1.0)
	}
}

// kolmogorov is the largest distance between the empirical distribution of
// values and cdf, times √n; above 1.63 has a chance of 1 %.
func kolmogorov(values []float64, cdf func(float64) float64) float64 {
	slices.Sort(values)
	n := float64(len(values))
	var d float64
	for i, v := range values {
		f := cdf(v)
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	return d * math.Sqrt(n)
}

func TestSamplesFollowTheirDistributions(t *testing.T) {
	gamma := func(shape float64) func(*draws) float64 {
		return func(s *draws) float64 { return s.gamma(shape) }
	}
	for _, row := range []struct {
		name string
		draw func(*draws) float64
		cdf  func(float64) float64
	}{
		{"exponential", (*draws).exponential, distuv.Exponential{Rate: 1}.CDF},
		{"normal", (*draws).normal, distuv.Normal{Sigma: 1}.CDF},
		{"gamma 0.1, by the boost", gamma(0.1), distuv.Gamma{Alpha: 0.1, Beta: 1}.CDF},
		{"gamma 0.5, by the boost", gamma(0.5), distuv.Gamma{Alpha: 0.5, Beta: 1}.CDF},
		{"gamma 1 is exponential", gamma(1), distuv.Exponential{Rate: 1}.CDF},
		{"gamma 4", gamma(4), distuv.Gamma{Alpha: 4, Beta: 1}.CDF},
		{"gamma 1000, nearly normal", gamma(1000), distuv.Gamma{Alpha: 1000, Beta: 1}.CDF},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newDraws(7, 99, 0)
			values := make([]float64, 20_000)
			for i := range values {
				values[i] = row.draw(s)
			}
			require.Less(t, kolmogorov(values, row.cdf), 1.63)
		})
	}
}

func TestKolmogorovSeesAWrongDistribution(t *testing.T) {
	s := newDraws(7, 99, 0)
	values := make([]float64, 20_000)
	for i := range values {
		values[i] = 1.05 * s.exponential()
	}
	require.Greater(t, kolmogorov(values, distuv.Exponential{Rate: 1}.CDF), 1.63)
}

func TestNeighbouringStreamsAreIndependent(t *testing.T) {
	// The first number of each of many streams must itself look random.
	for _, row := range []struct {
		name string
		at   func(i uint64) *draws
	}{
		{"items", func(i uint64) *draws { return newDraws(1, drawThink, i) }},
		{"users", func(i uint64) *draws { return newDraws(1, drawThink, i<<32) }},
		{"seeds", func(i uint64) *draws { return newDraws(i, drawThink, 5) }},
		{"streams", func(i uint64) *draws { return newDraws(1, i, 5) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			values := make([]float64, 20_000)
			for i := range values {
				values[i] = row.at(uint64(i)).uniform()
			}
			require.Less(t, kolmogorov(values, func(x float64) float64 { return x }), 1.63)
		})
	}
}

func TestMixIsABijection(t *testing.T) {
	seen := map[uint64]bool{}
	for i := range uint64(100_000) {
		seen[mix(i)] = true
	}
	require.Len(t, seen, 100_000)
	require.Equal(t, uint64(0xe220a8397b1dcdaf), mix(0), "SplitMix64's first output for seed 0")
}
