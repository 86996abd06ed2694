package analysis

import (
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/optimize"
)

// USL is the Universal Scalability Law X(N) = l N / (1 + s (N-1) + k N (N-1))
// (Gunther 2007) fitted to throughput over users. It is a second opinion only:
// batching servers have increasing returns at small N, which it cannot show.
type USL struct {
	Lambda float64 // throughput of one user, in the unit of the data
	Sigma  float64 // contention, in [0,1]
	Kappa  float64 // coherence, >= 0
	R2     float64 // share of the variance explained
}

// FitUSL fits the law to points (X users >= 1, Y throughput) by nonlinear
// least squares: Nelder-Mead from a dozen starts, the best of which is kept.
// ErrTooFew for fewer than 4 distinct X, ErrInput for values not positive and
// finite, ErrDegenerate when Y is constant or the search does not settle.
func FitUSL(points []Point) (USL, error) {
	distinct := map[float64]bool{}
	var mean, square float64
	for _, p := range points {
		if !(p.X >= 1 && p.Y > 0) || math.IsInf(p.X, 1) || math.IsInf(p.Y, 1) {
			return USL{}, fmt.Errorf("analysis: fit usl: %w: point (%v, %v) needs users >= 1 and throughput > 0", ErrInput, p.X, p.Y)
		}
		distinct[p.X] = true
		mean += p.Y / float64(len(points))
	}
	if len(distinct) < 4 {
		return USL{}, fmt.Errorf("analysis: fit usl: %w: %d distinct levels, it needs 4", ErrTooFew, len(distinct))
	}
	for _, p := range points {
		square += (p.Y - mean) * (p.Y - mean)
	}
	if square < 1e-18*mean*mean {
		return USL{}, fmt.Errorf("analysis: fit usl: %w: throughput is constant", ErrDegenerate)
	}
	// Bounds by folding: |s| and |k| keep the search free of edges.
	fold := func(v []float64) USL {
		return USL{Lambda: math.Exp(v[0]), Sigma: math.Abs(v[1]), Kappa: math.Abs(v[2])}
	}
	misfit := func(v []float64) float64 {
		u, sum := fold(v), 0.0
		for _, p := range points {
			d := (p.Y - u.At(p.X)) / mean
			sum += d * d
		}
		return sum + 1e6*max(0, u.Sigma-1)
	}
	best := &optimize.Result{}
	best.F = math.Inf(1)
	for _, start := range uslStarts(points) {
		result, err := optimize.Minimize(optimize.Problem{Func: misfit}, start,
			&optimize.Settings{FuncEvaluations: 20000, Converger: &optimize.FunctionConverge{Relative: 1e-12, Absolute: 1e-15, Iterations: 200}},
			&optimize.NelderMead{})
		if result != nil && err == nil && result.F < best.F {
			best = result
		}
	}
	if math.IsInf(best.F, 1) {
		return USL{}, fmt.Errorf("analysis: fit usl: %w: the search did not settle", ErrDegenerate)
	}
	u := fold(best.X)
	u.Sigma = min(1, u.Sigma)
	u.R2 = 1 - best.F*mean*mean/square
	return u, nil
}

// uslStarts are (ln l, s, k) to start from: the throughput per user at the
// lowest level, with contention and coherence from none to strong, k scaled to
// a peak near the highest level, its root and their middle.
func uslStarts(points []Point) [][]float64 {
	low, high := points[0], points[0]
	for _, p := range points {
		if p.X < low.X {
			low = p
		}
		if p.X > high.X {
			high = p
		}
	}
	lambda := math.Log(low.Y / low.X)
	var starts [][]float64
	for _, sigma := range []float64{0.01, 0.2, 0.8} {
		for _, power := range []float64{0.5, 1, 1.5, 2} {
			starts = append(starts, []float64{lambda, sigma, (1 - sigma) / math.Pow(high.X, power)})
		}
	}
	return starts
}

// At is the throughput at n users.
func (u USL) At(n float64) float64 {
	return u.Lambda * n / (1 + u.Sigma*(n-1) + u.Kappa*n*(n-1))
}

// Peak is the number of users with the highest throughput,
// N* = sqrt((1-s)/k); ok is false when throughput never falls (k = 0, or so
// small that the peak lies beyond 1e9 users).
func (u USL) Peak() (users float64, ok bool) {
	if users = math.Sqrt((1 - u.Sigma) / u.Kappa); !(users < 1e9) {
		return math.NaN(), false
	}
	return users, true
}

// LittleGap is by how much a closed loop departs from Little's law, as a share
// of users: throughput × (residence + think) / users - 1, throughput in
// requests per second over the window in which users was constant, residence
// and think the mean times of a request in and between visits. 0 is exact;
// NaN unless users > 0.
func LittleGap(users, perSec float64, residence, think time.Duration) float64 {
	if !(users > 0) {
		return math.NaN()
	}
	return perSec*(residence+think).Seconds()/users - 1
}
