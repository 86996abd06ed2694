package analysis

import (
	"math"
	"slices"
)

// enoughHits tell a p to a tenth of itself.
const enoughHits = 100

// KneeP is the one-sided p of "the sweep has a knee" against the best of the
// curves without one. The statistic is the BIC by which a hinge that rises or a
// queue curve beats flat, linear and power (the larger of KneeFit.Margin and
// QueueFit.Margin). The null keeps the best smooth curve and deals its
// residuals anew among the points of their block (Freedman and Lane 1983; r), so
// that the search for the knee, for which an F test has no valid degrees of
// freedom (Davies 1987), is in the null too. P is (1 + hits)/(1 + B),
// or 100 over the draws it took to hit so often: a p that is not small needs no
// more of them, and is as valid (Besag and Clifford 1991).
//
// The queue curve is searched on a grid here, for the data and the null alike.
// Errors as for FitKnee.
func KneeP(points []Point, r Resampling) (float64, error) {
	if err := r.Validate(); err != nil {
		return math.NaN(), err
	}
	s, err := newSweep(points)
	if err != nil {
		return math.NaN(), err
	}
	whole := s.groups(slices.Repeat([]int{1}, s.blocks))
	m := newMargins(whole, len(points))
	observed, smooth := m.of(whole)

	blocks := blocksOf(points)
	left := make([][]float64, len(blocks)) // residuals by block
	at := make([][]int, len(blocks))       // their levels
	for _, p := range points {
		b, _ := slices.BinarySearch(blocks, p.Block)
		l, _ := slices.BinarySearch(whole.u, p.X)
		at[b] = append(at[b], l)
		left[b] = append(left[b], p.Y-smooth[l])
	}
	rng, hits := r.rng(streamKnee), 0
	null := *whole
	null.m = make([]float64, len(whole.m))
	for draw := range r.draws() {
		clear(null.m)
		null.within = 0
		for b, residuals := range left {
			shuffle(rng, residuals)
			for i, e := range residuals {
				null.m[at[b][i]] += e
				null.within += e * e
			}
		}
		for l, sum := range null.m {
			null.within -= sum * sum / null.w[l]
			null.m[l] = smooth[l] + sum/null.w[l]
		}
		null.within = max(0, null.within)
		if m.most(&null) < observed-1e-9 {
			continue // nearly always where there is a knee, and cheap to know
		}
		if margin, _ := m.of(&null); margin >= observed-1e-9 {
			hits++
		}
		if hits == enoughHits {
			return float64(hits) / float64(draw+1), nil
		}
	}
	return float64(1+hits) / float64(1+r.draws()), nil
}

// margins is what a sweep's curves need that does not change with its Y.
type margins struct {
	n     int
	queue []shape
}

// shape is a curve but for its constant: its weighted value at each level, and
// its weighted sums.
type shape struct {
	weighted    []float64
	sum, square float64
}

func newMargins(g *groups, n int) *margins {
	m := &margins{n: n}
	grid := func(lo, hi float64, steps int, each func(v float64)) {
		for i := range steps + 1 {
			each(math.Exp(lo + (hi-lo)*float64(i)/float64(steps)))
		}
	}
	grid(g.x[g.from], g.x[g.to], 20, func(knee float64) {
		grid(math.Log(0.01), math.Log(1000), 20, func(growth float64) {
			var s shape
			for i, u := range g.u {
				v := math.Log1p(growth * max(0, u/knee-1))
				s.weighted = append(s.weighted, g.w[i]*v)
				s.sum += g.w[i] * v
				s.square += g.w[i] * v * v
			}
			m.queue = append(m.queue, s)
		})
	})
	return m
}

// most bounds the margin from above: no curve leaves less than the spread about
// the levels' means.
func (m *margins) most(g *groups) float64 {
	without := min(modelOf("flat", 1, g.fitFlat(), m.n).BIC, modelOf("power", 2, g.fitPower(), m.n).BIC)
	return without - modelOf("", 3, g.within, m.n).BIC
}

// of is the BIC by which the better curve with a knee beats the best without,
// and that one's value at each level.
func (m *margins) of(g *groups) (margin float64, smooth []float64) {
	var n, sum, square float64
	for i, w := range g.w {
		n += w
		sum += w * g.m[i]
		square += w * g.m[i] * g.m[i]
	}
	rssQueue := math.Inf(1)
	for _, s := range m.queue {
		cross := 0.0
		for l, w := range s.weighted {
			cross += w * g.m[l]
		}
		d := sum - s.sum
		rssQueue = min(rssQueue, square-2*cross+s.square-d*d/n)
	}
	rssQueue = max(0, rssQueue) + g.within
	rssLinear, b := g.fitLinear()
	hinge := g.fitHinge()
	models := []Model{modelOf("flat", 1, g.fitFlat(), m.n), modelOf("linear", 2, rssLinear, m.n), modelOf("power", 2, g.fitPower(), m.n)}
	without := slices.MinFunc(models, byBIC)
	with := modelOf("queue", 3, rssQueue, m.n).BIC
	if hinge.rise > 0 {
		with = min(with, modelOf("hinge", 4, hinge.rss, m.n).BIC)
	}
	return without.BIC - with, g.smooth(without.Name, b)
}

// smooth is the fitted curve of that name at each level, b the linear one's.
func (g *groups) smooth(name string, b float64) []float64 {
	shape := make([]float64, len(g.x))
	switch name {
	case "linear":
		for i, u := range g.u {
			shape[i] = math.Log1p(b * u)
		}
	case "power":
		var all moments
		for i := range g.x {
			all.add(g.w[i], g.x[i], g.m[i])
		}
		_, slope := all.line()
		for i, x := range g.x {
			shape[i] = slope * x
		}
	}
	_, constant := g.about(func(i int) float64 { return shape[i] })
	for i := range shape {
		shape[i] += constant
	}
	return shape
}
