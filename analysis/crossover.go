package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

// CrossoverPair is one pair of a two-treatment, two-period design: ln endpoints
// under A and B, and which of them ran first.
type CrossoverPair struct {
	A, B   float64
	BFirst bool
}

// Crossover is what a two-treatment, two-period design says, in ln units.
type Crossover struct {
	// Treatment is B over A, free of order.
	Treatment Estimate
	// Order is the second period over the first, whatever the treatment.
	Order Effect
	// CarryOver is how much more B leaves behind for A than A for B: what pairs
	// that begin with B have in all above those that begin with A.
	CarryOver Effect
}

// Effect is a value in ln units with its two-sided p.
type Effect struct{ Value, P float64 }

// exactArrangements is the most ways to deal the orders that are all counted.
const exactArrangements = 200_000

// CrossoverOf analyses an AB/BA design (Hills and Armitage 1979; Jones and
// Kenward 2014, 2.3). With d = B - A of each pair, the treatment is the mean of
// the two orders' mean d, so that what comes second costs both alike, and its
// interval is Student's over the scatter within orders, n - 2 degrees of
// freedom (r.Conf). The order effect is half the difference of those means. The
// carry-over compares A + B between the orders; it is the least powerful of the
// three, because all that differs between pairs is in it. Both p values are
// exact: under the null the orders are as likely dealt to the pairs in any
// other way, so p is the share of those ways with a difference at least as
// large; where there are more than 200,000 it is sampled and never 0. The least p
// of 4 + 4 pairs is 2/70.
//
// ErrTooFew unless both orders occur; two pairs leave the interval infinite.
// ErrInput for NaN or infinity.
func CrossoverOf(pairs []CrossoverPair, r Resampling) (Crossover, error) {
	none := Crossover{Treatment: Estimate{math.NaN(), math.NaN(), math.NaN()}}
	if err := r.Validate(); err != nil {
		return none, err
	}
	d, s := make([]float64, len(pairs)), make([]float64, len(pairs))
	first := make([]bool, len(pairs))
	n := 0
	for i, p := range pairs {
		if err := finite("analyse crossover", []float64{p.A, p.B}); err != nil {
			return none, err
		}
		d[i], s[i], first[i] = p.B-p.A, p.A+p.B, p.BFirst
		if p.BFirst {
			n++
		}
	}
	if n == 0 || n == len(pairs) {
		return none, fmt.Errorf("analysis: analyse crossover: %w: %d pairs begin with B and %d with A, it needs both", ErrTooFew, n, len(pairs)-n)
	}
	ab, ba := groupMeans(d, first)
	sab, sba := groupMeans(s, first)
	dealt := dealing{n: len(pairs), k: n, r: r}
	c := Crossover{Treatment: Estimate{Value: (ab + ba) / 2}}
	c.Order = Effect{(ab - ba) / 2, dealt.p(d, first)}
	c.CarryOver = Effect{sba - sab, dealt.p(s, first)}
	half := r.halfWidth(d, first)
	c.Treatment.Lo, c.Treatment.Hi = c.Treatment.Value-half, c.Treatment.Value+half
	return c, nil
}

// groupMeans are the means of the values that are not marked and that are.
func groupMeans(values []float64, marked []bool) (plain, mark float64) {
	var a, b mean
	for i, v := range values {
		if marked[i] {
			b.add(v)
		} else {
			a.add(v)
		}
	}
	return a.value(), b.value()
}

// halfWidth is that of Student's interval of the mean of two groups' means.
func (r Resampling) halfWidth(values []float64, marked []bool) float64 {
	n, k := len(values), 0
	plain, mark := groupMeans(values, marked)
	square := 0.0
	for i, v := range values {
		centre := plain
		if marked[i] {
			centre = mark
			k++
		}
		square += (v - centre) * (v - centre)
	}
	if n < 3 {
		return math.Inf(1)
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(n - 2)}.Quantile(0.5 + r.conf()/2)
	return t * math.Sqrt(square/float64(n-2)) / 2 * math.Sqrt(1/float64(k)+1/float64(n-k))
}

// dealing is every way to mark k of n pairs.
type dealing struct {
	n, k int
	r    Resampling
}

// p is the two-sided permutation p of the difference of group means. With the
// sum and the group sizes fixed, that difference moves with the marked sum
// alone.
func (d dealing) p(values []float64, marked []bool) float64 {
	centre, size := 0.0, 0.0
	for _, v := range values {
		centre += v / float64(d.n)
	}
	centred := make([]float64, d.n)
	observed := 0.0
	for i, v := range values {
		centred[i] = v - centre
		size += math.Abs(v)
		if marked[i] {
			observed += centred[i]
		}
	}
	atLeast := math.Abs(observed) - 1e-12*size // equal sums may differ by rounding
	if ways := binomial(d.n, d.k); ways <= exactArrangements {
		return float64(dealtTail(centred, d.k, 0, atLeast)) / ways
	}
	return d.sampled(centred, atLeast)
}

// dealtTail counts the ways to take k more of values so that the sum, with what
// was taken, is as far from 0 as limit.
func dealtTail(values []float64, k int, sum, limit float64) int {
	if k == 0 {
		if math.Abs(sum) >= limit {
			return 1
		}
		return 0
	}
	if len(values) < k {
		return 0
	}
	return dealtTail(values[1:], k-1, sum+values[0], limit) + dealtTail(values[1:], k, sum, limit)
}

func (d dealing) sampled(values []float64, limit float64) float64 {
	rng := d.r.rng(streamOrders)
	hits := 0
	for range d.r.draws() {
		if math.Abs(drawnSum(rng, values, d.k)) >= limit {
			hits++
		}
	}
	return float64(1+hits) / float64(1+d.r.draws())
}

// drawnSum is the sum of k of values, drawn without replacement. It shuffles
// values.
func drawnSum(rng *rand.Rand, values []float64, k int) (sum float64) {
	for i := range k {
		j := i + rng.IntN(len(values)-i)
		values[i], values[j] = values[j], values[i]
		sum += values[i]
	}
	return sum
}

// binomial is n over k.
func binomial(n, k int) float64 {
	ways := 1.0
	for i := range min(k, n-k) {
		ways = ways * float64(n-i) / float64(i+1)
	}
	return math.Round(ways)
}
