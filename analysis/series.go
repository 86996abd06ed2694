package analysis

import (
	"fmt"
	"math"

	"github.com/montanaflynn/stats"
	"gonum.org/v1/gonum/stat/distuv"
)

// Pearson is the product-moment correlation of x and y (Pearson 1895). ErrTooFew for fewer
// than 3 pairs, ErrInput for unequal lengths, NaN or infinity, ErrDegenerate
// when either is constant: no correlation is not a correlation of 0.
func Pearson(x, y []float64) (float64, error) {
	return correlate("correlate", x, y, stats.Pearson)
}

// Spearman is the correlation of the ranks of x and y, ties at mid-ranks
// (Spearman 1904).
// Errors as for Pearson.
func Spearman(x, y []float64) (float64, error) {
	return correlate("correlate ranks", x, y, stats.Spearman)
}

func correlate(verb string, x, y []float64, of func(x, y stats.Float64Data) (float64, error)) (float64, error) {
	if len(x) != len(y) {
		return math.NaN(), fmt.Errorf("analysis: %s: %w: %d and %d values", verb, ErrInput, len(x), len(y))
	}
	if len(x) < 3 {
		return math.NaN(), fmt.Errorf("analysis: %s: %w: %d pairs, it needs 3", verb, ErrTooFew, len(x))
	}
	if err := finite(verb, x, y); err != nil {
		return math.NaN(), err
	}
	rho, err := of(x, y)
	if err != nil {
		return math.NaN(), fmt.Errorf("analysis: %s: %w: %w", verb, ErrDegenerate, err)
	}
	return rho, nil
}

// Decorrelation is the lag, in samples, of the first autocorrelation of x that
// is not positive, at least 1: values further apart than that are taken as
// independent, and blocks of a series bootstrap are at least that long. ErrTooFew
// for fewer than 3 samples or when none is found within half the series,
// ErrDegenerate for a constant.
func Decorrelation(x []float64) (int, error) {
	if err := finite("measure decorrelation", x); err != nil {
		return 0, err
	}
	for lag := 1; lag <= len(x)/2; lag++ {
		rho, err := stats.AutoCorrelation(x, lag)
		if err != nil {
			return 0, fmt.Errorf("analysis: measure decorrelation: %w: %w", ErrDegenerate, err)
		}
		if rho <= 0 {
			return lag, nil
		}
	}
	return 0, fmt.Errorf("analysis: measure decorrelation: %w: %d samples are correlated throughout", ErrTooFew, len(x))
}

// EffectiveN is the number of independent pairs that n pairs of two series are
// worth, n (1 - r1 r2)/(1 + r1 r2) with their lag-1 autocorrelations (Bartlett
// 1935), never more than n nor less than 0.
func EffectiveN(n int, r1, r2 float64) float64 {
	product := r1 * r2
	return max(0, min(float64(n), float64(n)*(1-product)/(1+product)))
}

// Correlation is a correlation of two series with a p value that respects
// their own memory.
type Correlation struct {
	R float64 // Pearson
	P float64 // two-sided
	N float64 // independent pairs, or circular shifts, behind P
}

// CorrelateEffective tests Pearson's r by Student's t with EffectiveN in place
// of the count. Errors as for Pearson; ErrTooFew also when fewer than 3
// effective pairs are left.
func CorrelateEffective(x, y []float64) (Correlation, error) {
	rho, err := Pearson(x, y)
	if err != nil {
		return Correlation{}, err
	}
	r1, err1 := stats.AutoCorrelation(x, 1)
	r2, err2 := stats.AutoCorrelation(y, 1)
	n := EffectiveN(len(x), r1, r2)
	if err1 != nil || err2 != nil || n < 3 {
		return Correlation{}, fmt.Errorf("analysis: correlate series: %w: %.1f independent pairs in %d", ErrTooFew, n, len(x))
	}
	c := Correlation{R: rho, N: n}
	if math.Abs(rho) < 1 {
		t := math.Abs(rho) * math.Sqrt((n-2)/(1-rho*rho))
		c.P = 2 * distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 2}.Survival(t)
	}
	return c, nil
}

// CorrelateShifted tests Pearson's r against the correlations of x with y
// turned round by every shift of more than minShift samples either way (two
// decorrelation times is the rule): turned series keep their memory and lose
// their relation. With long memory P is too small (10 to 12 % of unrelated pairs
// of 300 samples with AR(1) 0.95 come below .05): prefer CorrelateEffective, and
// ShiftMean over several runs. P is (1 + shifts with |r| at least as large)/(1 + shifts).
// Errors as for Pearson, and ErrTooFew for fewer than 19 shifts, which could
// not give P <= 0.05.
func CorrelateShifted(x, y []float64, minShift int) (Correlation, error) {
	turned, err := circular(x, y)
	if err != nil {
		return Correlation{}, err
	}
	c := Correlation{R: turned[0]}
	hits := 0
	for s := max(1, minShift+1); s < len(x)-max(0, minShift); s++ {
		c.N++
		if math.Abs(turned[s]) >= math.Abs(c.R)-1e-12 {
			hits++
		}
	}
	if c.N < 19 {
		return Correlation{}, fmt.Errorf("analysis: correlate series: %w: %.0f shifts beyond %d in %d samples, it needs 19", ErrTooFew, c.N, minShift, len(x))
	}
	c.P = float64(1+hits) / (1 + c.N)
	return c, nil
}

// Lag is where y follows x.
type Lag struct {
	Samples int     // positive: y follows x by so many samples
	R       float64 // circular correlation at that lag
	P       float64 // against the largest |R| in windows of equal width elsewhere
}

// CrossLag finds the lag of largest |correlation| between x and y within
// ±reach samples. P compares that maximum with the maxima over every window of
// the same width among the circular shifts beyond reach + minShift, so looking
// at many lags is paid for. What is left out near 0 is missing elsewhere, so that
// P is too small in a single series with long memory (docs/error-rates.md); over
// several runs ShiftLag keeps its level. Errors as for CorrelateShifted.
func CrossLag(x, y []float64, reach, minShift int) (Lag, error) {
	if reach < 0 || minShift < 0 {
		return Lag{}, fmt.Errorf("analysis: find lag: %w: reach %d and shift %d must not be negative", ErrInput, reach, minShift)
	}
	turned, err := circular(x, y)
	if err != nil {
		return Lag{}, err
	}
	n := len(turned)
	around := func(mid int) (at int) {
		at = mid
		for s := mid - reach; s <= mid+reach; s++ {
			if math.Abs(turned[(s+n)%n]) > math.Abs(turned[(at+n)%n]) {
				at = s
			}
		}
		return at
	}
	best := around(0)
	lag := Lag{Samples: best, R: turned[(best+n)%n]}
	hits, windows := 0, 0
	for mid := 2*reach + minShift + 1; mid < n-2*reach-minShift; mid++ {
		windows++
		if math.Abs(turned[around(mid)%n]) >= math.Abs(lag.R)-1e-12 {
			hits++
		}
	}
	if windows < 19 {
		return Lag{}, fmt.Errorf("analysis: find lag: %w: %d samples leave %d windows of ±%d lags, it needs 19", ErrTooFew, n, windows, reach)
	}
	lag.P = float64(1+hits) / float64(1+windows)
	return lag, nil
}

// circular is the correlation of x[t] with y[t+s mod n] for each s.
func circular(x, y []float64) ([]float64, error) {
	if _, err := Pearson(x, y); err != nil {
		return nil, err
	}
	a, b := standardise(x), standardise(y)
	out := make([]float64, len(a))
	for s := range out {
		sum := 0.0
		for t, v := range a[:len(a)-s] {
			sum += v * b[t+s]
		}
		for t, v := range a[len(a)-s:] {
			sum += v * b[t]
		}
		out[s] = sum
	}
	return out, nil
}

// standardise centres x and scales it to a sum of squares of 1.
func standardise(x []float64) []float64 {
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += v / float64(len(x))
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v - mean
		square += out[i] * out[i]
	}
	for i := range out {
		out[i] /= math.Sqrt(square)
	}
	return out
}
