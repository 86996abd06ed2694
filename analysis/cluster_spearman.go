package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// ClusterSpearman is the rank correlation of X and Y over all points, with an
// interval from resampling whole blocks (clusters: runs of one machine and one
// day share more than their values; Field and Welsh 2007). A block drawn twice
// counts twice, and ranks are taken anew in every draw. Too few blocks for the
// level (0.95 needs 6) leave the interval infinite, as in ClusteredMedian.
// ErrTooFew for fewer than 3 points, ErrInput for NaN or infinity,
// ErrDegenerate when X or Y is constant.
func ClusterSpearman(points []Point, r Resampling) (Estimate, error) {
	none := Estimate{math.NaN(), math.NaN(), math.NaN()}
	if err := r.Validate(); err != nil {
		return none, err
	}
	ids := blocksOf(points)
	x, y, block := make([]float64, len(points)), make([]float64, len(points)), make([]int, len(points))
	for i, p := range points {
		x[i], y[i] = p.X, p.Y
		block[i], _ = slices.BinarySearch(ids, p.Block)
	}
	if _, err := Spearman(x, y); err != nil {
		return none, err
	}
	ranks := newWeightedRanks(x, y, block)
	e := Estimate{Value: ranks.correlation(slices.Repeat([]int{1}, len(ids))), Lo: math.Inf(-1), Hi: math.Inf(1)}
	if len(ids) < MinN(0.5, r.conf()) {
		return e, nil
	}
	draws := make([]float64, 0, r.draws())
	r.blockWeights(len(ids), func(weights []int) {
		if v := ranks.correlation(weights); !math.IsNaN(v) {
			draws = append(draws, v)
		}
	})
	if 2*len(draws) < r.draws() {
		return none, fmt.Errorf("analysis: correlate clusters: %w: most resamples are constant", ErrDegenerate)
	}
	e.Lo, e.Hi = r.interval(draws, len(ids))
	return e, nil
}

// weightedRanks is Spearman's rho as a function of the blocks' weights: both
// orders are sorted once, and a draw is two walks and a sum.
type weightedRanks struct {
	x, y         []float64
	byX, byY     []int // indices in ascending order
	block        []int
	rankX, rankY []float64 // reused
}

func newWeightedRanks(x, y []float64, block []int) *weightedRanks {
	order := func(v []float64) []int {
		index := make([]int, len(v))
		for i := range index {
			index[i] = i
		}
		slices.SortFunc(index, func(a, b int) int { return cmp.Compare(v[a], v[b]) })
		return index
	}
	return &weightedRanks{x, y, order(x), order(y), block, make([]float64, len(x)), make([]float64, len(y))}
}

// correlation is NaN where the blocks drawn hold one value of X or Y only.
func (w *weightedRanks) correlation(weights []int) float64 {
	n := w.rank(w.rankX, w.x, w.byX, weights)
	w.rank(w.rankY, w.y, w.byY, weights)
	middle := (n + 1) / 2
	var xx, xy, yy float64
	for i, b := range w.block {
		dx, dy, times := w.rankX[i]-middle, w.rankY[i]-middle, float64(weights[b])
		xx += times * dx * dx
		xy += times * dx * dy
		yy += times * dy * dy
	}
	if xx == 0 || yy == 0 {
		return math.NaN()
	}
	return xy / math.Sqrt(xx*yy)
}

// rank fills ranks with the mid-ranks of values, each there as often as its
// block's weight, and returns how many there are.
func (w *weightedRanks) rank(ranks, values []float64, ascending, weights []int) float64 {
	below := 0.0
	for i := 0; i < len(ascending); {
		from, equal := i, 0
		for ; i < len(ascending) && values[ascending[i]] == values[ascending[from]]; i++ {
			equal += weights[w.block[ascending[i]]]
		}
		for _, at := range ascending[from:i] {
			ranks[at] = below + float64(equal+1)/2
		}
		below += float64(equal)
	}
	return below
}
