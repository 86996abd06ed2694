package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// TheilSen is the median slope over all pairs of points (Sen 1968), X and Y
// each centred on the mean of their block, so that what a block shares does
// not tilt it. The interval resamples blocks (r); one block leaves it
// infinite. Outliers to a share of 29 % do not move it. ErrTooFew for fewer
// than 3 points, ErrInput for NaN or infinity, ErrDegenerate when no two
// points of a block differ in X. It costs n² memory: meant for runs, not requests.
func TheilSen(points []Point, r Resampling) (Estimate, error) {
	c, err := centre("fit theil-sen", points, r)
	if err != nil {
		return Estimate{math.NaN(), math.NaN(), math.NaN()}, err
	}
	return c.estimate(c.theilSen()), nil
}

// theilSen returns the slope as a function of the blocks' weights.
func (c *centred) theilSen() func(weights []int) float64 {
	type pair struct {
		slope float64
		a, b  int
	}
	var pairs []pair
	for i, p := range c.points {
		for _, q := range c.points[:i] {
			if dx := p.X - q.X; math.Abs(dx) > c.tiny {
				pairs = append(pairs, pair{(p.Y - q.Y) / dx, p.Block, q.Block})
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.slope, b.slope) })
	// A block drawn w times makes w copies of its points, so a pair of points
	// appears once per pair of copies: the slope is a weighted median.
	return func(weights []int) float64 {
		return weightedMedian(len(pairs), func(i int) (float64, int) {
			return pairs[i].slope, weights[pairs[i].a] * weights[pairs[i].b]
		})
	}
}

// SlopeDifference is the Theil-Sen slope of a less that of b, the interaction
// of a condition with X. Its interval resamples blocks, those of a and b of one
// number together: a block's own noise is in both slopes and mostly leaves
// their difference. Errors as for TheilSen, for either; blocks that only one of
// the two has count in that one alone.
func SlopeDifference(a, b []Point, r Resampling) (Estimate, error) {
	none := Estimate{math.NaN(), math.NaN(), math.NaN()}
	ids := blocksOf(slices.Concat(a, b))
	ca, err := centreOn(ids, "compare slopes", a, r)
	if err != nil {
		return none, err
	}
	cb, err := centreOn(ids, "compare slopes", b, r)
	if err != nil {
		return none, err
	}
	sa, sb := ca.theilSen(), cb.theilSen()
	return ca.estimate(func(weights []int) float64 { return sa(weights) - sb(weights) }), nil
}

// Deming is the slope of the line when both X and Y carry error, ratio being
// the error variance of Y over that of X (1 for two ln latencies of one run;
// Deming 1943): least squares alone is pulled to 0 by noise in X. Blocks and
// errors as for TheilSen, ErrInput unless ratio > 0, and ErrDegenerate also
// when X and Y do not covary.
func Deming(points []Point, ratio float64, r Resampling) (Estimate, error) {
	none := Estimate{math.NaN(), math.NaN(), math.NaN()}
	if !(ratio > 0) || math.IsInf(ratio, 1) {
		return none, fmt.Errorf("analysis: fit deming: %w: variance ratio %v is not positive", ErrInput, ratio)
	}
	c, err := centre("fit deming", points, r)
	if err != nil {
		return none, err
	}
	xx, xy, yy := make([]float64, c.blocks), make([]float64, c.blocks), make([]float64, c.blocks)
	for _, p := range c.points {
		xx[p.Block] += p.X * p.X
		xy[p.Block] += p.X * p.Y
		yy[p.Block] += p.Y * p.Y
	}
	e := c.estimate(func(weights []int) float64 {
		var sxx, sxy, syy float64
		for b, w := range weights {
			sxx += float64(w) * xx[b]
			sxy += float64(w) * xy[b]
			syy += float64(w) * yy[b]
		}
		d := syy - ratio*sxx
		return (d + math.Sqrt(d*d+4*ratio*sxy*sxy)) / (2 * sxy)
	})
	if math.IsNaN(e.Value) || math.IsInf(e.Value, 0) {
		return none, fmt.Errorf("analysis: fit deming: %w: X and Y do not covary", ErrDegenerate)
	}
	return e, nil
}

// centred is points less their block's means, blocks numbered from 0 in
// ascending order.
type centred struct {
	points []Point
	blocks int
	tiny   float64 // differences in X below it are rounding
	r      Resampling
}

func centre(verb string, points []Point, r Resampling) (*centred, error) {
	return centreOn(blocksOf(points), verb, points, r)
}

// blocksOf are the numbers of the points' blocks, ascending.
func blocksOf(points []Point) []int {
	var ids []int
	for _, p := range points {
		ids = append(ids, p.Block)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// centreOn numbers blocks by their place in ids, which holds them all.
func centreOn(ids []int, verb string, points []Point, r Resampling) (*centred, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if len(points) < 3 {
		return nil, fmt.Errorf("analysis: %s: %w: %d points, a slope needs 3", verb, ErrTooFew, len(points))
	}
	c := &centred{points: slices.Clone(points), blocks: len(ids), r: r}
	for _, p := range points {
		if err := finite(verb, []float64{p.X, p.Y}); err != nil {
			return nil, err
		}
		c.tiny = max(c.tiny, 1e-12*math.Abs(p.X))
	}
	n, x, y := make([]float64, c.blocks), make([]float64, c.blocks), make([]float64, c.blocks)
	for i := range c.points {
		p := &c.points[i]
		p.Block, _ = slices.BinarySearch(ids, p.Block)
		n[p.Block]++
		x[p.Block] += p.X
		y[p.Block] += p.Y
	}
	varies := false
	for i := range c.points {
		p := &c.points[i]
		p.X -= x[p.Block] / n[p.Block]
		p.Y -= y[p.Block] / n[p.Block]
		varies = varies || math.Abs(p.X) > c.tiny
	}
	if !varies {
		return nil, fmt.Errorf("analysis: %s: %w: X does not vary within any block", verb, ErrDegenerate)
	}
	return c, nil
}

// estimate is of on all blocks, with the interval of its resamples; a resample
// of blocks that determine no slope is left out.
func (c *centred) estimate(of func(weights []int) float64) Estimate {
	e := Estimate{Value: of(slices.Repeat([]int{1}, c.blocks)), Lo: math.Inf(-1), Hi: math.Inf(1)}
	if c.blocks < 2 {
		return e
	}
	draws := make([]float64, 0, c.r.draws())
	c.r.blockWeights(c.blocks, func(weights []int) {
		if v := of(weights); !math.IsNaN(v) && !math.IsInf(v, 0) {
			draws = append(draws, v)
		}
	})
	e.Lo, e.Hi = c.r.interval(draws, c.blocks)
	return e
}
