package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// ClusteredMedian is the median of all values of clusters (the touches of a
// restart cycle), the mean of the two middle ones of an even number, with an
// interval from resampling whole clusters: values of one cluster share what
// happened to it, so only other clusters say how far the median may move. conf
// is the interval's level, 0 for r's. A cluster without a value is left out.
// Too few clusters for conf (0.95 needs 6, 0.90 needs 5) leave the interval
// infinite: all n of them lie on one side of the truth with chance 2^-n, and no
// resample leaves their range. ErrTooFew without a value, ErrInput for NaN or
// infinity or a conf outside [0,1).
func ClusteredMedian(clusters [][]float64, conf float64, r Resampling) (Estimate, error) {
	none := Estimate{math.NaN(), math.NaN(), math.NaN()}
	if conf != 0 {
		r.Conf = conf
	}
	if err := r.Validate(); err != nil {
		return none, err
	}
	type member struct {
		value   float64
		cluster int
	}
	var all []member
	n := 0
	for _, values := range clusters {
		if len(values) == 0 {
			continue
		}
		if err := finite("find clustered median", values); err != nil {
			return none, err
		}
		for _, v := range values {
			all = append(all, member{v, n})
		}
		n++
	}
	if n == 0 {
		return none, fmt.Errorf("analysis: find clustered median: %w: no data", ErrTooFew)
	}
	slices.SortFunc(all, func(a, b member) int { return cmp.Compare(a.value, b.value) })
	median := func(weights []int) float64 {
		return weightedMedian(len(all), func(i int) (float64, int) { return all[i].value, weights[all[i].cluster] })
	}
	e := Estimate{Value: median(slices.Repeat([]int{1}, n)), Lo: math.Inf(-1), Hi: math.Inf(1)}
	if n < MinN(0.5, r.conf()) {
		return e, nil
	}
	draws := make([]float64, 0, r.draws())
	r.blockWeights(n, func(weights []int) { draws = append(draws, median(weights)) })
	e.Lo, e.Hi = r.interval(draws, n)
	return e, nil
}

// weightedMedian is the median of n ascending values, each there as often as
// its weight says; NaN where all weights are 0.
func weightedMedian(n int, at func(i int) (value float64, weight int)) float64 {
	total := 0
	for i := range n {
		_, w := at(i)
		total += w
	}
	seen := 0
	for i := range n {
		v, w := at(i)
		seen += w
		if 2*seen > total {
			return v
		}
		if 2*seen == total && total > 0 {
			for i++; ; i++ {
				if next, w := at(i); w > 0 {
					return v + (next-v)/2
				}
			}
		}
	}
	return math.NaN()
}
