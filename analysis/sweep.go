package analysis

import (
	"fmt"
	"math"
	"slices"
)

// sweep is points reduced to what every fit needs: per block and distinct X
// the count and sum of Y, and per block the sum of Y². A resampled sweep is a
// weighted sum of these, never a copy of points.
type sweep struct {
	levels []float64   // distinct X, ascending
	blocks int         // numbered in ascending order of Point.Block
	count  [][]float64 // [block][level]
	sum    [][]float64
	square []float64
	centre float64 // subtracted from every Y
}

func newSweep(points []Point) (*sweep, error) {
	s := &sweep{}
	var blocks []int
	for _, p := range points {
		if !(p.X > 0) || math.IsInf(p.X, 1) || math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
			return nil, fmt.Errorf("analysis: fit knee: %w: point (%v, %v) needs X > 0 and both finite", ErrInput, p.X, p.Y)
		}
		s.levels = append(s.levels, p.X)
		s.centre += p.Y / float64(len(points))
		blocks = append(blocks, p.Block)
	}
	slices.Sort(s.levels)
	s.levels = slices.Compact(s.levels)
	slices.Sort(blocks)
	blocks = slices.Compact(blocks)
	s.blocks = len(blocks)
	if len(s.levels) < 5 {
		return nil, fmt.Errorf("analysis: fit knee: %w: %d distinct levels, it needs 5", ErrTooFew, len(s.levels))
	}
	for range blocks {
		s.count = append(s.count, make([]float64, len(s.levels)))
		s.sum = append(s.sum, make([]float64, len(s.levels)))
	}
	s.square = make([]float64, s.blocks)
	for _, p := range points {
		l, _ := slices.BinarySearch(s.levels, p.X)
		b, _ := slices.BinarySearch(blocks, p.Block)
		y := p.Y - s.centre
		s.count[b][l]++
		s.sum[b][l] += y
		s.square[b] += y * y
	}
	return s, nil
}

// groups is one sweep, whole or resampled, as a weighted mean per level.
type groups struct {
	u, x, w, m []float64 // X, ln X, count, mean of Y
	within     float64   // sum of squares about the means, which no curve removes
	from, to   int       // levels between which a knee may lie
}

func (s *sweep) groups(weights []int) *groups {
	g := &groups{}
	for l, u := range s.levels {
		var n, sum float64
		for b, weight := range weights {
			n += float64(weight) * s.count[b][l]
			sum += float64(weight) * s.sum[b][l]
		}
		if n == 0 {
			continue // a block that lacks the level, drawn alone
		}
		g.u, g.x = append(g.u, u), append(g.x, math.Log(u))
		g.w, g.m = append(g.w, n), append(g.m, sum/n+s.centre)
		g.within -= sum * sum / n
	}
	for b, weight := range weights {
		g.within += float64(weight) * s.square[b]
	}
	g.within = max(0, g.within)
	g.bracket(1.5 * float64(s.blocks))
	return g
}

// bracket sets from and to: the second and the second-last level, or further
// in until at least need points lie at or beyond either. One and a half points
// per block make that the second level of a full sweep even if a run is
// missing, and keep a knee off the two outermost points of a sweep whose X is
// measured, where every run is a level of its own.
func (g *groups) bracket(need float64) {
	last := len(g.w) - 1
	left, right := 0.0, 0.0
	g.from, g.to = -1, -1
	for i := range g.w {
		if left += g.w[i]; i >= 1 && left >= need && g.from < 0 {
			g.from = i
		}
		if right += g.w[last-i]; i >= 1 && right >= need && g.to < 0 {
			g.to = last - i
		}
	}
	if g.from < 0 || g.to <= g.from {
		g.from, g.to = 1, last-1 // too few points to ask for more
	}
}

// about is the residual sum of squares about curve plus the best constant,
// and that constant.
func (g *groups) about(curve func(i int) float64) (rss, constant float64) {
	var n, sum, square float64
	for i, w := range g.w {
		d := g.m[i] - curve(i)
		n += w
		sum += w * d
		square += w * d * d
	}
	return max(0, square-sum*sum/n) + g.within, sum / n
}

func (g *groups) fitFlat() (rss float64) {
	rss, _ = g.about(func(int) float64 { return 0 })
	return rss
}

func (g *groups) fitPower() (rss float64) {
	var all moments
	for i := range g.x {
		all.add(g.w[i], g.x[i], g.m[i])
	}
	_, slope := all.line()
	rss, _ = g.about(func(i int) float64 { return slope * g.x[i] })
	return rss
}

// fitLinear fits ln(a (1 + b X)): a is a constant after the logarithm, b is
// searched over ln b from a rise no measurement could show to a pure power.
func (g *groups) fitLinear() (rss, b float64) {
	lo, hi := math.Log(1e-3/g.u[len(g.u)-1]), math.Log(1e3/g.u[0])
	lnB, rss := minimise(lo, hi, 32, func(lnB float64) float64 {
		b := math.Exp(lnB)
		rss, _ := g.about(func(i int) float64 { return math.Log1p(b * g.u[i]) })
		return rss
	})
	return rss, math.Exp(lnB)
}

// minimise finds the minimum of f on [lo, hi]: the best of steps+1 grid points,
// then golden section between its neighbours to 1e-3 of a grid step.
func minimise(lo, hi float64, steps int, f func(float64) float64) (x, fx float64) {
	step := (hi - lo) / float64(steps)
	x, fx = lo, math.Inf(1)
	for i := range steps + 1 {
		at := lo + float64(i)*step
		if v := f(at); v < fx {
			x, fx = at, v
		}
	}
	return golden(max(lo, x-step), min(hi, x+step), 1e-3*step, f)
}

// golden is golden-section search of a function with one minimum in [a, b].
func golden(a, b, tolerance float64, f func(float64) float64) (x, fx float64) {
	ratio := (math.Sqrt(5) - 1) / 2
	c, d := b-ratio*(b-a), a+ratio*(b-a)
	fc, fd := f(c), f(d)
	for b-a > tolerance {
		if fc < fd {
			b, d, fd = d, c, fc
			c = b - ratio*(b-a)
			fc = f(c)
		} else {
			a, c, fc = c, d, fd
			d = a + ratio*(b-a)
			fd = f(d)
		}
	}
	if fc < fd {
		return c, fc
	}
	return d, fd
}

// moments are the sums a straight line needs.
type moments struct {
	w, x, y, xx, xy float64
}

func (s *moments) add(w, x, y float64) {
	s.w += w
	s.x += w * x
	s.y += w * y
	s.xx += w * x * x
	s.xy += w * x * y
}

// line is the least-squares line; a single x gives slope 0.
func (s *moments) line() (intercept, slope float64) {
	if spread := s.w*s.xx - s.x*s.x; spread > 1e-12*s.w*s.xx {
		slope = (s.w*s.xy - s.x*s.y) / spread
	}
	return (s.y - slope*s.x) / s.w, slope
}
