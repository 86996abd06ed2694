package analysis

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/floats"
)

// PartialSpearman is the rank correlation of x and y once the controls have
// been allowed for: all are turned into mid-ranks, and Pearson's r is taken of
// what least squares on the ranks of the controls leaves of x and of y (Kendall
// 1942; Conover 1999, 5.4, for ranks). Controls that are constant, or that others
// already explain, take nothing away and are dropped; without any it is
// Spearman. Relations of ranks are not quite straight, so that of a strong common
// cause a little remains: 0.012 of 0.48 where x and y are half z, all normal. Errors as for Pearson, ErrTooFew also unless there are more than
// 2 pairs beyond the controls, ErrDegenerate when the controls leave nothing of
// x or of y.
func PartialSpearman(x, y []float64, controls ...[]float64) (float64, error) {
	if _, err := Spearman(x, y); err != nil {
		return math.NaN(), err
	}
	restX, restY, err := residualRanks(x, y, controls)
	if err != nil {
		return math.NaN(), err
	}
	r := floats.Dot(restX, restY) / (floats.Norm(restX, 2) * floats.Norm(restY, 2))
	return max(-1, min(1, r)), nil // rounding may leave 1 by a digit
}

// residualRanks is what the controls' ranks leave of the ranks of x and y, both
// of mean 0.
func residualRanks(x, y []float64, controls [][]float64) (restX, restY []float64, err error) {
	const verb = "correlate partial ranks"
	var basis [][]float64 // orthonormal
	for i, c := range controls {
		if len(c) != len(x) {
			return nil, nil, fmt.Errorf("analysis: %s: %w: control %d has %d values, x has %d", verb, ErrInput, i, len(c), len(x))
		}
		if err := finite(verb, c); err != nil {
			return nil, nil, err
		}
		if rest, left := project(centredRanks(c), basis); left {
			floats.Scale(1/floats.Norm(rest, 2), rest)
			basis = append(basis, rest)
		}
	}
	if len(x) < 3+len(basis) {
		return nil, nil, fmt.Errorf("analysis: %s: %w: %d pairs with %d controls, it needs 3 more than controls", verb, ErrTooFew, len(x), len(basis))
	}
	restX, leftX := project(centredRanks(x), basis)
	restY, leftY := project(centredRanks(y), basis)
	if !leftX || !leftY {
		return nil, nil, fmt.Errorf("analysis: %s: %w: the controls leave nothing of x or of y", verb, ErrDegenerate)
	}
	return restX, restY, nil
}

// project takes the parts along basis out of v, in place; left is false where
// nothing but rounding remains.
func project(v []float64, basis [][]float64) (rest []float64, left bool) {
	whole := floats.Norm(v, 2)
	for range 2 { // the second pass removes what rounding left (Giraud et al. 2005)
		for _, b := range basis {
			floats.AddScaled(v, -floats.Dot(v, b), b)
		}
	}
	return v, floats.Norm(v, 2) > 1e-9*whole
}

// centredRanks are mid-ranks less their mean.
func centredRanks(values []float64) []float64 {
	ranks := midRanks(values)
	floats.AddConst(-float64(len(values)+1)/2, ranks)
	return ranks
}
