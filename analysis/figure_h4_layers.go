package analysis

import "math"

// scatter are the layers of TTFT over r_await in the legend's order: levels of
// the paging arm, the other arms, the fitted line. Drawn are first the slope's
// interval, then the runs, the line and the estimates.
func (h H4Figure) scatter() []FigureLayer {
	overAwait := func(r H4Repeat) FigurePoint { return FigurePoint{r.readAwait(), only(r.ttft())} }
	level := func(l H4Level) FigurePoint { return FigurePoint{l.median(H4Repeat.readAwait), l.ttft()} }
	layers := []FigureLayer{h.slopeBand()}
	for i, l := range h.Levels {
		color, glyph := h4Look(i, len(h.Levels))
		layers = append(layers,
			FigureLayer{Color: color, Glyph: glyph, Faint: true, Behind: true, Points: pointsOf(l.counted(), overAwait)},
			FigureLayer{Name: l.Name, Color: color, Glyph: glyph, Bars: true, Points: []FigurePoint{level(l)}})
	}
	for _, a := range h.arms()[1:] {
		runs := FigureLayer{Color: a.color, Glyph: a.glyph, Faint: true, Behind: true}
		levels := FigureLayer{Name: a.condition, Color: a.color, Glyph: a.glyph, Bars: true}
		for _, l := range a.levels {
			runs.Points = append(runs.Points, pointsOf(l.counted(), overAwait)...)
			levels.Points = append(levels.Points, level(l))
		}
		layers = append(layers, runs, levels)
	}
	layers = append(layers, h.voids(func(_ h4Arm, _ H4Level, _ int, r H4Repeat) FigurePoint { return overAwait(r) }))
	if h.SlopeAt == nil {
		return layers
	}
	line := fitLayer(h.SlopeAt, h.spanOf(H4Repeat.readAwait))
	line.Name, line.Behind = h.slopeText(), true
	return append(layers, line)
}

// slopeBand is the slope's interval as lines through the runs' geometric
// centre. A wide one must not squeeze the runs into a corner: it ends where
// they do.
func (h H4Figure) slopeBand() FigureLayer {
	band := FigureLayer{Color: FigureBlack, Band: true, Behind: true}
	xs, ys := h.spanOf(H4Repeat.readAwait), h.spanOf(H4Repeat.ttft)
	if h.SlopeAt == nil || !h.sloped() || !(h.Slope.Lo < h.Slope.Hi) || !(xs.lo < xs.hi) {
		return band
	}
	var sum, n float64
	for _, l := range h.Levels {
		for _, x := range l.column(H4Repeat.readAwait) {
			if FigureLog10.drawable(x) {
				sum, n = sum+math.Log(x), n+1
			}
		}
	}
	centre := math.Exp(sum / n)
	middle := h.SlopeAt(centre)
	keep := func(y float64) float64 { return max(ys.lo/1.3, min(ys.hi*1.3, y)) }
	line := fitLayer(h.SlopeAt, xs)
	for _, p := range line.Points {
		one, two := middle*math.Pow(p.X/centre, h.Slope.Lo), middle*math.Pow(p.X/centre, h.Slope.Hi)
		p.Lo, p.Hi = keep(min(one, two)), keep(max(one, two))
		band.Points = append(band.Points, p)
	}
	return band
}

// spanOf is the range of a quantity over the paging arm's runs.
func (h H4Figure) spanOf(of func(H4Repeat) float64) extent {
	e := noExtent()
	for _, l := range h.Levels {
		for _, v := range l.column(of) {
			if FigureLog10.drawable(v) {
				e.add(v)
			}
		}
	}
	return e
}

// byLevel are the layers of TTFT by level: the paging arm in its colours, runs
// left of the estimate in the order they ran, and the other arms right of it.
func (h H4Figure) byLevel() []FigureLayer {
	place := func(a h4Arm, l H4Level, i int, r H4Repeat) FigurePoint {
		return FigurePoint{h.place(a, l.Name) + runShift(a, i, len(l.Repeats)), only(r.ttft())}
	}
	joining := FigureLayer{Color: FigureBlack, Line: FigureSolid}
	for i, l := range h.Levels {
		joining.Points = append(joining.Points, FigurePoint{float64(i + 1), only(l.ttft().Value)})
	}
	layers := []FigureLayer{joining}
	for _, a := range h.arms() {
		runs := FigureLayer{Color: a.color, Glyph: FigureDot, Faint: true}
		levels := FigureLayer{Name: a.condition, Color: a.color, Glyph: a.glyph, Bars: true, Line: FigureDashed}
		for i, l := range a.levels {
			for j, r := range l.Repeats {
				if h.countedRun(l, r) {
					runs.Points = append(runs.Points, place(a, l, j, r))
				}
			}
			p := FigurePoint{h.place(a, l.Name), l.ttft()}
			if a.condition != h4Paging {
				levels.Points = append(levels.Points, p)
				continue
			}
			color, glyph := h4Look(i, len(a.levels))
			layers = append(layers, FigureLayer{Color: color, Glyph: glyph, Bars: true, Points: []FigurePoint{p}})
		}
		if a.condition == h4Paging {
			runs.Name = "runs"
		}
		layers = append(layers, runs, levels)
	}
	return append(layers, h.voids(place))
}

// place is where a level of an arm stands: a level that only the throttled arm
// has needs no room beside it.
func (h H4Figure) place(a h4Arm, level string) float64 {
	slot := h.slot(level)
	if a.condition == "throttled" && slot > len(h.Levels) {
		return float64(slot)
	}
	return float64(slot) + a.shift
}

// runShift spreads the paging arm's runs over the left of their step; the other
// arms' stand behind their estimate.
func runShift(a h4Arm, i, n int) float64 {
	if a.condition != h4Paging {
		return 0
	}
	const from, to = -0.36, -0.12
	return from + (to-from)*(float64(i)+0.5)/float64(n)
}

func (h H4Figure) countedRun(l H4Level, r H4Repeat) bool { return r.Verified || l.verified() == 0 }

// voids are the runs that count nowhere.
func (h H4Figure) voids(place func(a h4Arm, l H4Level, i int, r H4Repeat) FigurePoint) FigureLayer {
	layer := FigureLayer{Name: "void run", Color: FigureBlack, Glyph: FigureCross}
	for _, a := range h.arms() {
		for _, l := range a.levels {
			for i, r := range l.Repeats {
				if !h.countedRun(l, r) {
					layer.Points = append(layer.Points, place(a, l, i, r))
				}
			}
		}
	}
	return layer
}

// readLatency are the layers of what a read waits, by level: whether the load
// arrived at the device at all.
func (h H4Figure) readLatency() []FigureLayer {
	runs := FigureLayer{Color: FigureBlue, Glyph: FigureDot, Faint: true}
	await := FigureLayer{Name: "r_await", Color: FigureBlue, Glyph: FigureDisc, Line: FigureSolid}
	probe := FigureLayer{Name: "probe", Color: FigureVermillion, Glyph: FigureOpenSquare, Line: FigureDashed}
	for i, l := range h.Levels {
		x := float64(i + 1)
		for j, r := range l.Repeats {
			if h.countedRun(l, r) {
				runs.Points = append(runs.Points, FigurePoint{x + runShift(h.arms()[0], j, len(l.Repeats)), only(r.readAwait())})
			}
		}
		await.Points = append(await.Points, FigurePoint{x, only(l.median(H4Repeat.readAwait))})
		probe.Points = append(probe.Points, FigurePoint{x, only(l.median(H4Repeat.probe))})
	}
	comfy := FigureLayer{Name: "r_await, comfy", Color: FigureGrey, Glyph: FigureRing, Line: FigureDashed}
	for _, l := range h.Comfy {
		comfy.Points = append(comfy.Points, FigurePoint{h.place(h.arms()[1], l.Name), only(l.median(H4Repeat.readAwait))})
	}
	return []FigureLayer{runs, await, probe, comfy}
}

func pointsOf(runs []H4Repeat, of func(H4Repeat) FigurePoint) []FigurePoint {
	var points []FigurePoint
	for _, r := range runs {
		points = append(points, of(r))
	}
	return points
}
