package loadgen

import (
	"math"
	"math/bits"
	"math/rand/v2"
)

// A schedule must be the same to the bit on amd64 and arm64. The math package
// does not promise that: some of its functions are assembly on one processor
// only, and compilers may fuse x*y+z into one rounding where the processor can.
// So the few functions that sampling needs are here, with every product rounded
// by an explicit float64 conversion, which the language forbids to fuse.

// What random numbers are drawn for keeps the choices of one seed apart.
const (
	drawArrivals = 1 + iota
	drawThink
	drawCommon
	drawOwn
	drawSuffix
	drawNonce
	drawProbe
	drawAdapter
)

// draws is a sequence of random numbers fixed by (seed, what for, item).
type draws struct{ pcg rand.PCG }

func newDraws(seed, what, item uint64) *draws {
	s := &draws{}
	s.pcg.Seed(mix(seed+mix(what)), mix(item+mix(seed^what)))
	return s
}

// pair packs user and turn into one number, without collisions for 32 bits each.
func pair(user, turn int) uint64 { return uint64(uint32(user))<<32 | uint64(uint32(turn)) }

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection of
// 64 bits, so distinct inputs stay distinct.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// uniform is in (0,1]: never 0, so its logarithm is finite.
func (s *draws) uniform() float64 {
	return float64(s.pcg.Uint64()>>11+1) * 0x1p-53
}

// exponential has mean 1.
func (s *draws) exponential() float64 { return -ln(s.uniform()) }

// normal is standard, by Marsaglia's polar method (one of its two values).
func (s *draws) normal() float64 {
	for {
		u := float64(2*s.uniform()) - 1
		v := float64(2*s.uniform()) - 1
		q := float64(u*u) + float64(v*v)
		if q > 0 && q < 1 {
			return float64(u * math.Sqrt(float64(-2*ln(q))/q))
		}
	}
}

// gamma has the given shape and scale 1: Marsaglia and Tsang, "A simple method
// for generating gamma variables", 2000; shapes below 1 by their section 6.
func (s *draws) gamma(shape float64) float64 {
	if shape < 1 {
		boost := exp(ln(s.uniform()) / shape)
		return float64(s.gamma(shape+1) * boost)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(float64(9*d))
	for {
		x := s.normal()
		v := 1 + float64(c*x)
		if v <= 0 {
			continue
		}
		v = float64(float64(v*v) * v)
		accept := float64(float64(x*x)/2) + d - float64(d*v) + float64(d*ln(v))
		if ln(s.uniform()) < accept {
			return float64(d * v)
		}
	}
}

// ln is the natural logarithm of a positive, finite, normal x, after FreeBSD's
// e_log.c (Sun Microsystems 1993, freely granted), which errs by less than one
// unit in the last place.
func ln(x float64) float64 {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		l1    = 6.666666666666735130e-01
		l2    = 3.999999999940941908e-01
		l3    = 2.857142874366239149e-01
		l4    = 2.222219843214978396e-01
		l5    = 1.818357216161805012e-01
		l6    = 1.531383769920937332e-01
		l7    = 1.479819860511658591e-01
	)
	frac, e := math.Frexp(x)
	if frac < math.Sqrt2/2 {
		frac *= 2
		e--
	}
	f := frac - 1
	k := float64(e)
	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := float64(s2 * horner(s4, l7, l5, l3, l1))
	t2 := float64(s4 * horner(s4, l6, l4, l2))
	hfsq := float64(float64(0.5*f) * f)
	low := float64(s*(hfsq+(t1+t2))) + float64(k*ln2Lo)
	return float64(k*ln2Hi) - ((hfsq - low) - f)
}

// exp is e^x, after FreeBSD's e_exp.c (Sun Microsystems 1993, freely granted);
// below −708 it is 0.
func exp(x float64) float64 {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		log2e = 1.44269504088896338700e+00
		p1    = 1.66666666666666657415e-01
		p2    = -2.77777777770155933842e-03
		p3    = 6.61375632143793436117e-05
		p4    = -1.65339022054652515390e-06
		p5    = 4.13813679705723846039e-08
	)
	if x < -708 {
		return 0
	}
	k := math.Floor(float64(log2e*x) + 0.5)
	hi := x - float64(k*ln2Hi)
	lo := float64(k * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := r - float64(t*horner(t, p5, p4, p3, p2, p1))
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return math.Ldexp(y, int(k))
}

// horner evaluates the polynomial with the given coefficients, highest first.
func horner(x float64, coeffs ...float64) float64 {
	var y float64
	for _, c := range coeffs {
		y = float64(y*x) + c
	}
	return y
}

// below is uniform over [0,n) for 0 < n, by Lemire's multiplication; its bias
// of n/2^64 is nothing here.
func (s *draws) below(n uint64) uint64 {
	hi, _ := bits.Mul64(s.pcg.Uint64(), n)
	return hi
}
