package analysis

import (
	"math"
	"slices"
)

// scatter are the layers of TTFT over r_await in the legend's order: levels of
// the paging arm, the fitted line, the other arms. Drawn are first the slope's
// interval, then runs and line, and the estimates over them.
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
	if h.SlopeAt != nil {
		line := fitLayer(h.SlopeAt, h.spanOf(H4Repeat.readAwait))
		line.Name, line.Behind = h.slopeText(), true
		layers = append(layers, line)
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
	return append(layers, h.voids(func(_ h4Arm, _ H4Level, _ int, r H4Repeat) FigurePoint { return overAwait(r) }))
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
				if l.counts(r) {
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

// voids are the runs that count nowhere.
func (h H4Figure) voids(place func(a h4Arm, l H4Level, i int, r H4Repeat) FigurePoint) FigureLayer {
	layer := FigureLayer{Name: "void run", Color: FigureBlack, Glyph: FigureCross}
	for _, a := range h.arms() {
		for _, l := range a.levels {
			for i, r := range l.Repeats {
				if !l.counts(r) {
					layer.Points = append(layer.Points, place(a, l, i, r))
				}
			}
		}
	}
	return layer
}

// readLatency are the layers of what a read waits, by level: whether the load
// arrived at the device, and at the server.
func (h H4Figure) readLatency() []FigureLayer {
	arms := h.arms()
	paging, comfy, throttled := arms[0], arms[1], arms[3]
	medians := func(a h4Arm, of func(H4Repeat) float64) (points []FigurePoint) {
		for _, l := range a.levels {
			points = append(points, FigurePoint{h.place(a, l.Name), only(l.median(of))})
		}
		return points
	}
	runs := FigureLayer{Color: FigureBlue, Glyph: FigureDot, Faint: true}
	for _, l := range h.Levels {
		for i, r := range l.Repeats {
			if l.counts(r) {
				runs.Points = append(runs.Points, FigurePoint{h.place(paging, l.Name) + runShift(paging, i, len(l.Repeats)), only(r.readAwait())})
			}
		}
	}
	// The paging arm's line ends where the throttled one's begins: the levels of
	// the two are no one order.
	series := func(name string, c FigureColor, g FigureGlyph, line FigureLine, of func(H4Repeat) float64) []FigureLayer {
		l := FigureLayer{Name: name, Color: c, Glyph: g, Line: line, Points: medians(paging, of)}
		more := l
		more.Name, more.Points = "", medians(throttled, of)
		return []FigureLayer{l, more}
	}
	layers := append([]FigureLayer{runs}, series("r_await", FigureBlue, FigureDisc, FigureSolid, H4Repeat.readAwait)...)
	layers = append(layers, series("probe", FigureVermillion, FigureOpenSquare, FigureDashed, H4Repeat.probe)...)
	layers = append(layers, series("server's wait", FigureGreen, FigureOpenTriangle, FigureNoLine, H4Repeat.serverRead)...)
	layers = append(layers, FigureLayer{
		Name: "r_await, comfy", Color: FigureGrey, Glyph: FigureRing, Line: FigureDashed, Points: medians(comfy, H4Repeat.readAwait),
	})
	// What was not measured anywhere is no gap in what was.
	return slices.DeleteFunc(layers, func(l FigureLayer) bool {
		return !slices.ContainsFunc(l.Points, func(p FigurePoint) bool { return FigureLog10.drawable(p.Value) })
	})
}

func pointsOf(runs []H4Repeat, of func(H4Repeat) FigurePoint) []FigurePoint {
	var points []FigurePoint
	for _, r := range runs {
		points = append(points, of(r))
	}
	return points
}
