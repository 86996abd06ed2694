package analysis

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Worked by hand. d = B - A is 3, 5 where A came first and 1, 3 where B did, so
// the treatment is (4 + 2)/2 and the order (4 - 2)/2. Within orders the squares
// add to 4 over 2 degrees of freedom; t is 4.302653, the half width t sqrt(2)/2.
// Two of 1, 3, 3, 5 add to 4, 4, 6, 6, 8 or 8: four of six ways are as far from
// the mean 6 as the observed 4. A + B is 1, 2 and 6, 7: the carry-over is 5, and
// only this way and its mirror are as far apart.
func TestCrossoverKnownAnswers(t *testing.T) {
	pairs := []CrossoverPair{
		{A: -1, B: 2},
		{A: -1.5, B: 3.5},
		{A: 2.5, B: 3.5, BFirst: true},
		{A: 2, B: 5, BFirst: true},
	}
	c, err := CrossoverOf(pairs, Resampling{})
	require.NoError(t, err)
	require.InDelta(t, 3, c.Treatment.Value, 1e-12)
	require.InDelta(t, 3-4.302653*math.Sqrt2/2, c.Treatment.Lo, 1e-5)
	require.InDelta(t, 3+4.302653*math.Sqrt2/2, c.Treatment.Hi, 1e-5)
	require.InDelta(t, 1, c.Order.Value, 1e-12)
	require.InDelta(t, 4./6, c.Order.P, 1e-12)
	require.InDelta(t, 5, c.CarryOver.Value, 1e-12)
	require.InDelta(t, 2./6, c.CarryOver.P, 1e-12)
}

// What is planted is found, each in its own place, though the orders are not
// balanced: 5 pairs begin with A and 3 with B.
func TestCrossoverFindsWhatIsPlanted(t *testing.T) {
	const treatment, order, left = 0.4, 0.25, -0.3 // left: B leaves this for A, A nothing for B
	for _, row := range []struct {
		why                string
		order, left        float64
		biased             float64 // of the treatment
		orderP, carryOverP float64
	}{
		{"nothing but the treatment", 0, 0, 0, 1, 1},
		{"what comes second costs more: the treatment does not", order, 0, 0, 1. / 56, 1},
		{"what B leaves behind is in A after it: the treatment is off by half of it", 0, left, -left / 2, 1. / 56, 1. / 56},
	} {
		var pairs []CrossoverPair
		for i := range 8 {
			p := CrossoverPair{A: 1, B: 1 + treatment, BFirst: i >= 5}
			if p.BFirst {
				p.A += row.order + row.left
			} else {
				p.B += row.order
			}
			pairs = append(pairs, p)
		}
		c, err := CrossoverOf(pairs, Resampling{})
		require.NoError(t, err, row.why)
		require.InDelta(t, treatment+row.biased, c.Treatment.Value, 1e-12, row.why)
		require.InDelta(t, row.left, c.CarryOver.Value, 1e-12, row.why)
		if row.left == 0 {
			require.InDelta(t, row.order, c.Order.Value, 1e-12, row.why)
		}
		// 8 over 3 is 56 ways, and no other is as far from the mean: this one's
		// mirror would mark 5.
		require.InDelta(t, row.orderP, c.Order.P, 1e-12, row.why)
		require.InDelta(t, row.carryOverP, c.CarryOver.P, 1e-12, row.why)
	}
}

// Counting the ways by recursion counts what going through every subset counts.
func TestCrossoverMatchesEnumeration(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for range 60 {
		pairs := make([]CrossoverPair, 3+rng.IntN(7))
		n := 0
		for i := range pairs {
			pairs[i] = CrossoverPair{A: float64(rng.IntN(5)), B: float64(rng.IntN(5)), BFirst: rng.IntN(2) == 0} // ties on purpose
			if pairs[i].BFirst {
				n++
			}
		}
		if n == 0 || n == len(pairs) {
			continue
		}
		c, err := CrossoverOf(pairs, Resampling{})
		require.NoError(t, err)
		distance := func(pattern uint, of func(CrossoverPair) float64) float64 {
			var marked, plain float64
			for i, p := range pairs {
				if pattern>>i&1 == 1 {
					marked += of(p) / float64(n)
				} else {
					plain += of(p) / float64(len(pairs)-n)
				}
			}
			return math.Abs(marked - plain)
		}
		share := func(of func(CrossoverPair) float64) float64 {
			var observed uint
			for i, p := range pairs {
				if p.BFirst {
					observed |= 1 << i
				}
			}
			hits, ways := 0, 0
			for pattern := range uint(1) << len(pairs) {
				if bits.OnesCount(pattern) != n {
					continue
				}
				ways++
				if distance(pattern, of) >= distance(observed, of)-1e-9 {
					hits++
				}
			}
			return float64(hits) / float64(ways)
		}
		require.InDelta(t, share(func(p CrossoverPair) float64 { return p.B - p.A }), c.Order.P, 1e-12, "%v", pairs)
		require.InDelta(t, share(func(p CrossoverPair) float64 { return p.A + p.B }), c.CarryOver.P, 1e-12, "%v", pairs)
	}
}

// randomPairs share a level of their own (sd 0.2) and carry noise (sd 0.1).
func randomPairs(rng *rand.Rand, n int, treatment, order float64) []CrossoverPair {
	pairs := make([]CrossoverPair, n)
	for i, k := range rng.Perm(n) {
		level := 0.2 * rng.NormFloat64()
		p := CrossoverPair{A: level + 0.1*rng.NormFloat64(), B: level + treatment + 0.1*rng.NormFloat64(), BFirst: k%2 == 0}
		if p.BFirst {
			p.A += order
		} else {
			p.B += order
		}
		pairs[i] = p
	}
	return pairs
}

// With 8 pairs the tests of order and carry-over speak at most 5 % of the time
// where there is neither, the interval of the treatment holds it 95 % of the
// time whatever the order costs, and an order effect as large as the noise of
// a pair is seen most of the time.
func TestCrossoverLevelCoverageAndPower(t *testing.T) {
	const trials, treatment = 2000, 0.2
	rng := rand.New(rand.NewPCG(10, 6))
	orders, carries, covered, seen := 0, 0, 0, 0
	for range trials {
		c, err := CrossoverOf(randomPairs(rng, 8, treatment, 0), Resampling{})
		require.NoError(t, err)
		if c.Order.P <= 0.05 {
			orders++
		}
		if c.CarryOver.P <= 0.05 {
			carries++
		}
		c, err = CrossoverOf(randomPairs(rng, 8, treatment, 0.2), Resampling{})
		require.NoError(t, err)
		if c.Treatment.Lo <= treatment && treatment <= c.Treatment.Hi {
			covered++
		}
		if c.Order.P <= 0.05 {
			seen++
		}
	}
	require.InDelta(t, 2./70, float64(orders)/trials, 0.012, "the largest multiple of 2/70 within .05")
	require.InDelta(t, 2./70, float64(carries)/trials, 0.012)
	require.InDelta(t, 0.95, float64(covered)/trials, 0.015)
	require.Greater(t, float64(seen)/trials, 0.6)
}

// More pairs than can be dealt in full are sampled, to about the same p.
func TestCrossoverSamples(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 6))
	pairs := randomPairs(rng, 40, 0.2, 0.05)
	c, err := CrossoverOf(pairs, Resampling{B: 20_000})
	require.NoError(t, err)
	again, err := CrossoverOf(pairs, Resampling{B: 20_000})
	require.NoError(t, err)
	require.Equal(t, c, again, "seeded")
	// The permutation variance of the difference of means of 20 and 20.
	d := make([]float64, len(pairs))
	centre := 0.0
	for i, p := range pairs {
		d[i] = p.B - p.A
		centre += d[i] / 40
	}
	square := 0.0
	for _, v := range d {
		square += (v - centre) * (v - centre)
	}
	normal := math.Erfc(math.Abs(2*c.Order.Value) / math.Sqrt(square/39/10) / math.Sqrt2)
	require.InDelta(t, normal, c.Order.P, 0.015)

	for i := range pairs {
		pairs[i] = CrossoverPair{A: 0, B: 0, BFirst: i < 20}
		if pairs[i].BFirst {
			pairs[i].A = 1
		}
	}
	c, err = CrossoverOf(pairs, Resampling{B: 99})
	require.NoError(t, err)
	require.Equal(t, 0.01, c.Order.P, "a sampled p is never 0")
}

func TestCrossoverRefuses(t *testing.T) {
	ab, ba := CrossoverPair{A: 1, B: 2}, CrossoverPair{A: 1, B: 3, BFirst: true}
	for _, row := range []struct {
		why   string
		pairs []CrossoverPair
		r     Resampling
		want  error
	}{
		{"no pair", nil, Resampling{}, ErrTooFew},
		{"one order only: it cannot be told from the treatment", []CrossoverPair{ab, ab, ab}, Resampling{}, ErrTooFew},
		{"the other order only", []CrossoverPair{ba, ba}, Resampling{}, ErrTooFew},
		{"NaN", []CrossoverPair{ab, ba, {A: math.NaN()}}, Resampling{}, ErrInput},
		{"infinite", []CrossoverPair{ab, ba, {B: math.Inf(1)}}, Resampling{}, ErrInput},
		{"confidence is a share", []CrossoverPair{ab, ba}, Resampling{Conf: 95}, ErrInput},
	} {
		c, err := CrossoverOf(row.pairs, row.r)
		require.ErrorIs(t, err, row.want, row.why)
		require.True(t, math.IsNaN(c.Treatment.Value), row.why)
	}
	c, err := CrossoverOf([]CrossoverPair{ab, ba}, Resampling{})
	require.NoError(t, err)
	require.Equal(t, Estimate{1.5, math.Inf(-1), math.Inf(1)}, c.Treatment, "two pairs have a value and no interval")
	require.Equal(t, []float64{1, 1}, []float64{c.Order.P, c.CarryOver.P}, "and say nothing of order")
}
