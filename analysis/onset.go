package analysis

import (
	"fmt"
	"math"
	"slices"
)

// onsetFloor is the share of a counter's range below which its movements weigh
// little; see OnsetPoints and docs/decisions/0015.
const onsetFloor = 0.1

// OnsetPoints makes the values of a counter, which may be 0 and have no
// logarithm, into points that FitKnee takes: y becomes ln(0.1 + (y - least) /
// range), range being that of the medians by level. A counter that rests and
// then grows by so much per unit of X keeps exactly the shape of the queue
// curve, ln(t0 + c max(0, X-k)), with the same k, whatever is added to it or it
// is multiplied with: its knee is found by the rule and with the bias of the
// latency's own. falls turns a counter whose pressure shows as a fall.
//
// Points whose Y is NaN are left out. ErrTooFew without any point, ErrInput for
// an infinite Y, ErrDegenerate for a counter whose median is the same at every
// level.
func OnsetPoints(points []Point, falls bool) ([]Point, error) {
	sign := 1.0
	if falls {
		sign = -1
	}
	var out []Point
	byLevel := map[float64][]float64{}
	least := math.Inf(1)
	for _, p := range points {
		if math.IsNaN(p.Y) {
			continue
		}
		if math.IsInf(p.Y, 0) {
			return nil, fmt.Errorf("analysis: find onset: %w: a value of %v", ErrInput, p.Y)
		}
		p.Y *= sign
		least = min(least, p.Y)
		byLevel[p.X] = append(byLevel[p.X], p.Y)
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("analysis: find onset: %w: no value", ErrTooFew)
	}
	medians := noExtent()
	for _, values := range byLevel {
		medians.add(Median(values))
	}
	spread := medians.hi - medians.lo
	if !(spread > 1e-9*math.Max(math.Abs(medians.lo), math.Abs(medians.hi))) {
		return nil, fmt.Errorf("analysis: find onset: %w: the counter is the same at every level", ErrDegenerate)
	}
	for i := range out {
		out[i].Y = math.Log(onsetFloor + (out[i].Y-least)/spread)
	}
	return out, nil
}

// OnsetFoot leaves of points, as OnsetPoints made them, the levels up to the first
// whose median over the blocks has come half of the counter's way, and at least
// 5: a counter with a ceiling, such as what a disk can read, bends down above
// it, and a ramp fitted through the bend begins before the counter does, or is
// not found at all. Levels are counted in each block from its lowest, because
// blocks of several runs lie at slightly different X.
func OnsetFoot(points []Point) []Point {
	half := math.Log(onsetFloor + 0.5)
	place := map[Point]int{} // of a level in its block
	var byPlace [][]float64
	for _, block := range blocksOf(points) {
		var xs []float64
		for _, p := range points {
			if p.Block == block {
				xs = append(xs, p.X)
			}
		}
		slices.Sort(xs)
		xs = slices.Compact(xs)
		for _, p := range points {
			if p.Block != block {
				continue
			}
			i, _ := slices.BinarySearch(xs, p.X)
			for len(byPlace) <= i {
				byPlace = append(byPlace, nil)
			}
			byPlace[i] = append(byPlace[i], p.Y)
			place[p] = i
		}
	}
	last := 0
	for last < len(byPlace)-1 {
		if last >= 4 && slices.ContainsFunc(byPlace[:last+1], func(y []float64) bool { return Median(y) >= half }) {
			break
		}
		last++
	}
	return slices.DeleteFunc(slices.Clone(points), func(p Point) bool { return place[p] > last })
}

// BlockKnees is each block's own knee, of the curve that Location named over all
// blocks together, in ascending order of the blocks' numbers: one block tells
// where its knee is, not whether there is one. NaN for a block of fewer than 5
// distinct X. Errors as for FitKnee.
func BlockKnees(points []Point, curve string) (knees []float64, err error) {
	byBlock := map[int][]Point{}
	for _, p := range points {
		byBlock[p.Block] = append(byBlock[p.Block], p)
	}
	for _, block := range blocksOf(points) {
		own := byBlock[block]
		levels := map[float64]bool{}
		for _, p := range own {
			levels[p.X] = true
		}
		if len(levels) < 5 {
			knees = append(knees, math.NaN())
			continue
		}
		fit, err := FitKnee(own, Resampling{B: 1})
		if err != nil {
			return nil, err
		}
		knee := fit.Knee.Value
		if curve == fit.Queue.Name {
			knee = fit.Queue.Knee.Value
		}
		knees = append(knees, knee)
	}
	return slices.Clip(knees), nil
}
