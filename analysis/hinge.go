package analysis

import "math"

// hinge is y = a + before x + rise max(0, x - knee), all in ln X.
type hinge struct {
	a, before, rise, knee, rss float64
}

func (h hinge) at(x float64) float64 {
	return h.a + h.before*x + h.rise*max(0, x-h.knee)
}

// fitHinge is the least-squares hinge with its knee between levels from and
// to, exact after Hudson (1966): for every segment the two free lines through
// the levels either side, if they meet inside it, and for every level the
// hinge that bends there.
func (g *groups) fitHinge() hinge {
	best := hinge{rss: math.Inf(1)}
	try := func(h hinge) {
		h.rss = g.within
		for i, x := range g.x {
			d := g.m[i] - h.at(x)
			h.rss += g.w[i] * d * d
		}
		if h.rss < best.rss {
			best = h
		}
	}
	var left, all moments
	for i := range g.x {
		all.add(g.w[i], g.x[i], g.m[i])
	}
	for i := range g.to + 1 {
		left.add(g.w[i], g.x[i], g.m[i])
		if i < g.from {
			continue
		}
		try(g.bentAt(g.x[i]))
		if i == g.to {
			break
		}
		right := moments{all.w - left.w, all.x - left.x, all.y - left.y, all.xx - left.xx, all.xy - left.xy}
		a, s1 := left.line()
		b, s2 := right.line()
		if knee := (a - b) / (s2 - s1); g.x[i] <= knee && knee <= g.x[i+1] {
			try(hinge{a: a, before: s1, rise: s2 - s1, knee: knee})
		}
	}
	return best
}

// bentAt is the least-squares hinge with the given knee: with v = min(0, x-k)
// and h = max(0, x-k), v h = 0 everywhere, so the normal equations of
// y = c + s v + t h need no solver.
func (g *groups) bentAt(knee float64) hinge {
	var n, sv, sh, sy, vv, hh, vy, hy float64
	for i, x := range g.x {
		w, y := g.w[i], g.m[i]
		n += w
		sy += w * y
		if d := x - knee; d < 0 {
			sv += w * d
			vv += w * d * d
			vy += w * d * y
		} else {
			sh += w * d
			hh += w * d * d
			hy += w * d * y
		}
	}
	if vv == 0 || hh == 0 {
		return hinge{rss: math.Inf(1)}
	}
	c := (sy - sv*vy/vv - sh*hy/hh) / (n - sv*sv/vv - sh*sh/hh)
	s, t := (vy-c*sv)/vv, (hy-c*sh)/hh
	return hinge{a: c - s*knee, before: s, rise: t - s, knee: knee}
}

// queueCurve is y = ln(t0) + ln(1 + growth max(0, X/knee - 1)).
type queueCurve struct {
	t0, knee, growth, rss float64
}

// fitQueue is the least-squares queue curve with its knee between levels from
// and to. For a knee, growth is searched over its logarithm
// from 0.01, which no sweep could show, to 1,000; the knee by a grid in ln X,
// then golden section. t0 is the constant after the logarithm.
func (g *groups) fitQueue() queueCurve {
	best := queueCurve{rss: math.Inf(1)}
	at := func(lnKnee float64) float64 {
		c := g.queueAt(math.Exp(lnKnee))
		if c.rss < best.rss {
			best = c
		}
		return c.rss
	}
	minimise(g.x[g.from], g.x[g.to], 24, at)
	return best
}

func (g *groups) queueAt(knee float64) queueCurve {
	over := make([]float64, len(g.u))
	for i, u := range g.u {
		over[i] = max(0, u/knee-1)
	}
	// about, written out: nearly all of a bootstrap's time is spent here.
	fit := func(growth float64) (rss, lnT0 float64) {
		var n, sum, square float64
		for i, w := range g.w {
			d := g.m[i]
			if over[i] > 0 {
				d -= math.Log(1 + growth*over[i])
			}
			n += w
			sum += w * d
			square += w * d * d
		}
		return max(0, square-sum*sum/n) + g.within, sum / n
	}
	lnGrowth, _ := minimise(math.Log(0.01), math.Log(1000), 12, func(lnGrowth float64) float64 {
		rss, _ := fit(math.Exp(lnGrowth))
		return rss
	})
	growth := math.Exp(lnGrowth)
	rss, lnT0 := fit(growth)
	return queueCurve{math.Exp(lnT0), knee, growth, rss}
}
