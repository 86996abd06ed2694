package analysis

import (
	"fmt"
	"math"
)

// OutOfRunR2 is how much of Y a straight line on X explains in blocks (runs)
// that it was not fitted to: each block is predicted from the least-squares line
// through all others, and R2 is 1 - sum (y - predicted)^2 / sum (y - mean of the
// others)^2 (Hastie, Tibshirani and Friedman 2009, 7.10). 1 is perfect, 0 no
// better than the others' mean, negative worse. ErrTooFew for fewer than 3
// blocks or points, ErrInput for NaN or infinity, ErrDegenerate when X is
// constant outside a block or Y does not vary.
func OutOfRunR2(points []Point) (float64, error) {
	const verb = "predict out of run"
	ids := blocksOf(points)
	if len(ids) < 3 {
		return math.NaN(), fmt.Errorf("analysis: %s: %w: %d runs, it needs 3", verb, ErrTooFew, len(ids))
	}
	for i, p := range points {
		if math.IsNaN(p.X+p.Y) || math.IsInf(p.X, 0) || math.IsInf(p.Y, 0) {
			return math.NaN(), fmt.Errorf("analysis: %s: %w: point %d is (%v, %v)", verb, ErrInput, i, p.X, p.Y)
		}
	}
	var left, whole float64
	for _, held := range ids {
		var others moments
		for _, p := range points {
			if p.Block != held {
				others.add(1, p.X, p.Y)
			}
		}
		if !(others.w*others.xx-others.x*others.x > 1e-12*others.w*others.xx) {
			return math.NaN(), fmt.Errorf("analysis: %s: %w: X is constant outside run %d", verb, ErrDegenerate, held)
		}
		a, b := others.line()
		for _, p := range points {
			if p.Block == held {
				left += (p.Y - a - b*p.X) * (p.Y - a - b*p.X)
				whole += (p.Y - others.y/others.w) * (p.Y - others.y/others.w)
			}
		}
	}
	if whole == 0 {
		return math.NaN(), fmt.Errorf("analysis: %s: %w: Y does not vary", verb, ErrDegenerate)
	}
	return 1 - left/whole, nil
}
