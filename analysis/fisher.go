package analysis

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// MeanCorrelation is a correlation averaged over runs.
type MeanCorrelation struct {
	Rho  Estimate // back from Fisher's z
	P    float64  // one-sided, of a mean above 0
	Runs int
}

// FisherMean averages the correlations of several runs: the mean of
// z = atanh(rho) with Student's t interval over the runs, brought back by tanh
// (Fisher 1921; Silver and Dunlap 1987 on averaging z). The unit is the run:
// n[i], the points behind rho[i], only weighs it (n-3, the inverse variance of
// z) and does not count as evidence, because points of a run are not
// independent. A perfect correlation of n points has no finite z and counts as
// 1 - 1/(2n). conf is the interval's level. ErrTooFew for fewer than 2 runs or a
// run of fewer than 4 points, ErrInput for unequal lengths, |rho| > 1, NaN or a
// conf outside (0,1).
func FisherMean(rho []float64, n []int, conf float64) (MeanCorrelation, error) {
	nan := math.NaN()
	none := MeanCorrelation{Rho: Estimate{nan, nan, nan}, P: nan, Runs: len(rho)}
	if len(rho) != len(n) || !(conf > 0 && conf < 1) {
		return none, fmt.Errorf("analysis: average correlations: %w: %d correlations, %d counts, confidence %v", ErrInput, len(rho), len(n), conf)
	}
	if len(rho) < 2 {
		return none, fmt.Errorf("analysis: average correlations: %w: %d runs, it needs 2", ErrTooFew, len(rho))
	}
	z, weight := make([]float64, len(rho)), make([]float64, len(rho))
	for i, r := range rho {
		if !(math.Abs(r) <= 1) {
			return none, fmt.Errorf("analysis: average correlations: %w: correlation %d is %v", ErrInput, i, r)
		}
		if n[i] < 4 {
			return none, fmt.Errorf("analysis: average correlations: %w: correlation %d is of %d points, it needs 4", ErrTooFew, i, n[i])
		}
		z[i], weight[i] = fisherZ(r, n[i]), float64(n[i]-3)
	}
	mean, se := weightedMean(z, weight)
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(len(z) - 1)}
	half := t.Quantile(0.5+conf/2) * se
	m := MeanCorrelation{Rho: Estimate{math.Tanh(mean), math.Tanh(mean - half), math.Tanh(mean + half)}, Runs: len(z)}
	switch m.P = t.Survival(mean / se); {
	case se == 0 && mean > 0: // all runs alike
		m.P = 0
	case se == 0:
		m.P = 1
	}
	return m, nil
}

// fisherZ is atanh of a correlation of n points, kept finite.
func fisherZ(rho float64, n int) float64 {
	most := 1 - 1/float64(2*n)
	return math.Atanh(max(-most, min(most, rho)))
}

// weightedMean is the mean with the standard error that the scatter of the
// values themselves gives it (Cochran 1977, 6.4, as a ratio of means).
func weightedMean(values, weights []float64) (mean, se float64) {
	var total, square float64
	for i, w := range weights {
		total += w
		mean += w * values[i]
	}
	mean /= total
	for i, w := range weights {
		square += w * w * (values[i] - mean) * (values[i] - mean)
	}
	k := float64(len(values))
	return mean, math.Sqrt(square*k/(k-1)) / total
}
