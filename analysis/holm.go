package analysis

import (
	"cmp"
	"math"
	"slices"
)

// Holm adjusts the p values of one family so that each may be compared with
// the family's level (Holm 1979): the i-th smallest of m is multiplied by
// m-i+1, made monotone and capped at 1. Order is kept. A NaN is a test that was
// planned and gave nothing: it stays NaN and still counts in m.
func Holm(p []float64) []float64 {
	order := make([]int, 0, len(p))
	adjusted := make([]float64, len(p))
	for i, v := range p {
		adjusted[i] = math.NaN()
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	floor := 0.0
	for step, i := range order {
		floor = max(floor, min(1, p[i]*float64(len(p)-step)))
		adjusted[i] = floor
	}
	return adjusted
}
