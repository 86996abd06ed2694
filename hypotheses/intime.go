package hypotheses

import (
	"cmp"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// inTime are the arms in the order in which they were measured.
func inTime(arms []*analysis.Measured) []*analysis.Measured {
	out := slices.Clone(arms)
	slices.SortStableFunc(out, func(a, b *analysis.Measured) int {
		return cmp.Compare(a.Summary.Window.Start, b.Summary.Window.Start)
	})
	return out
}
