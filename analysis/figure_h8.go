package analysis

import (
	"fmt"
	"math"
	"slices"
)

// H8Figure is what the figure of iowait and tail latency, its table and its
// benchmark lines show: the slices of every run, and how they go together
// inside each block.
type H8Figure struct {
	Caption FigureCaption
	Width   FigureWidth
	Verdict string // outcome and reasons, printed under the title; "" for none
	Blocks  []H8Block
	// Relations are the correlations with TTFT within a block.
	Relations []H8Relation
	Limit     float64 // that the first one's lower bound must exceed; 0 for none
}

// H8Block is one repeat of one run.
type H8Block struct {
	Run   string // hypothesis whose run it is, "H2"
	Block int
	Steps []H8Step // in the order of time
}

// H8Step is one slice of a window. NaN is absent; so is a time of 0.
type H8Step struct {
	TTFTMillis      float64 // p95
	IOWaitCores     float64
	ReadAwaitMillis float64
	IOPressurePct   float64 // io PSI some
	BusyCores       float64
	Share           float64 // fio's, of the device's maximum
}

// H8Relation is a correlation with TTFT within blocks.
type H8Relation struct {
	Name  string
	Given string    // what was allowed for, as the axis says it; "" for nothing
	Rhos  []float64 // by block, as Blocks; NaN where there is none
	Mean  Estimate
}

// FigureH8 lays the figure out: slices as TTFT over iowait, r_await and io PSI,
// each with the trend inside every block; and the correlations by block.
func FigureH8(h H8Figure) Figure {
	scatter := func(label string, x FigureAxis, height float64, named bool, of func(H8Step) float64) FigureSection {
		p := FigurePanel{Y: FigureAxis{Label: label + " p95 TTFT of a slice (ms)", Scale: FigureLog10}, HeightIn: height}
		p.Layers = h.scatter(x.Scale, of)
		if !named {
			unnamed(&p)
		}
		return FigureSection{X: x, Panels: []FigurePanel{p}}
	}
	first := scatter("(a)", FigureAxis{Label: "iowait (cores)"}, 1.5, true, H8Step.ioWait)
	await := scatter("(b)", FigureAxis{Label: "r_await (ms)", Scale: FigureLog10}, 1, false, H8Step.readAwait)
	psi := scatter("(c)", FigureAxis{Label: "io PSI some (% of time)"}, 1, false, H8Step.pressure)
	rho := FigurePanel{Y: FigureAxis{Label: "(d) rank correlation with TTFT"}, HeightIn: 1, Layers: h.correlations()}
	ticks := []FigureTick{}
	for i, r := range h.Relations {
		ticks = append(ticks, FigureTick{At: float64(i + 1), Label: visible(r.Name), Sub: visible(r.Given)})
	}
	await.Beside = true
	h.Caption.Notes = slices.Concat([]string{"lines: trend inside one repeat"}, h.Caption.Notes)
	return Figure{
		Title:    "H8 iowait and tail latency",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        first.X,
		Panels:   first.Panels,
		Sections: []FigureSection{
			await, psi,
			{X: FigureAxis{Label: "within one repeat", Scale: FigureCategory, Ticks: ticks}, Panels: []FigurePanel{rho}},
		},
		Caption: h.Caption,
	}
}

func (s H8Step) ioWait() float64    { return s.IOWaitCores }
func (s H8Step) readAwait() float64 { return positive(s.ReadAwaitMillis) }
func (s H8Step) pressure() float64  { return s.IOPressurePct }
func (s H8Step) ttft() float64      { return positive(s.TTFTMillis) }

func (h H8Figure) subtitle() string {
	s := visible(h.Verdict)
	if len(h.Relations) > 0 && reported(h.Relations[0].Mean) {
		s = joined(s, "ρ("+visible(h.Relations[0].Name)+", TTFT) = "+bracketed(h.Relations[0].Mean))
	}
	return s
}

// runs are the names of the runs in their order.
func (h H8Figure) runs() []string {
	var names []string
	for _, b := range h.Blocks {
		if !slices.Contains(names, b.Run) {
			names = append(names, b.Run)
		}
	}
	return names
}

// h8Look is how the i-th run is drawn.
func h8Look(i int) (FigureColor, FigureGlyph) {
	colors := []FigureColor{FigureBlue, FigureVermillion, FigureGreen, FigurePurple}
	glyphs := []FigureGlyph{FigureDisc, FigureOpenTriangle, FigureOpenSquare, FigureDiamond}
	return colors[i%len(colors)], glyphs[i%len(glyphs)]
}

// scatter are the slices by run, and the trend of each block.
func (h H8Figure) scatter(x FigureScale, of func(H8Step) float64) []FigureLayer {
	var layers, trends []FigureLayer
	for i, run := range h.runs() {
		color, glyph := h8Look(i)
		blocks, steps := 0, 0
		dots := FigureLayer{Color: color, Glyph: glyph, Faint: true, Behind: true}
		for _, b := range h.Blocks {
			if b.Run != run {
				continue
			}
			blocks++
			var own []FigurePoint
			for _, s := range b.Steps {
				if p := (FigurePoint{of(s), only(s.ttft())}); x.drawable(p.X) && FigureLog10.drawable(p.Value) {
					own = append(own, p)
					steps++
				}
			}
			dots.Points = append(dots.Points, own...)
			if line := trendOf(x, own); line != nil {
				trends = append(trends, FigureLayer{Color: color, Line: FigureSolid, Thin: true, Points: line})
			}
		}
		dots.Name = fmt.Sprintf("%s (%s, %s)", visible(run), counted(blocks, "repeat"), counted(steps, "slice"))
		layers = append(layers, dots)
	}
	return withoutEmpty(FigureLog10, append(layers, trends...))
}

// trendOf is the least-squares line through points as they are drawn, over their
// range; nil where X does not vary.
func trendOf(x FigureScale, points []FigurePoint) []FigurePoint {
	var m moments
	over := noExtent()
	at := func(v float64) float64 {
		if x.log() {
			return math.Log(v)
		}
		return v
	}
	for _, p := range points {
		m.add(1, at(p.X), math.Log(p.Value))
		over.add(p.X)
	}
	if len(points) < 3 || !(over.lo < over.hi) {
		return nil
	}
	a, b := m.line()
	var line []FigurePoint
	for _, v := range []float64{over.lo, over.hi} {
		line = append(line, FigurePoint{v, only(math.Exp(a + b*at(v)))})
	}
	return line
}

// correlations are one panel: each block's as a dot of its run, the mean beside
// with its interval, and the limit.
func (h H8Figure) correlations() []FigureLayer {
	var layers []FigureLayer
	n := float64(len(h.Relations))
	if n == 0 {
		return nil
	}
	layers = append(layers, level("", FigureGrey, FigureSolid, extent{0.6, n + 0.4}, only(0)))
	if h.Limit > 0 {
		layers = append(layers, level(fmt.Sprintf("limit %g", h.Limit), FigureGreen, FigureDashed, extent{0.6, n + 0.4}, only(h.Limit)))
	}
	for i, run := range h.runs() {
		color, glyph := h8Look(i)
		dots := FigureLayer{Color: color, Glyph: glyph, Faint: true, Dodge: -6 + 3*float64(i%4)}
		for k, r := range h.Relations {
			for j, v := range r.Rhos {
				if j < len(h.Blocks) && h.Blocks[j].Run == run && !math.IsNaN(v) {
					dots.Points = append(dots.Points, FigurePoint{float64(k + 1), only(v)})
				}
			}
		}
		layers = append(layers, dots)
	}
	mean := FigureLayer{Name: "mean", Color: FigureBlack, Glyph: FigureSquare, Dodge: 7}
	for k, r := range h.Relations {
		if estimated(&r.Mean) {
			mean.Points = append(mean.Points, FigurePoint{float64(k + 1), r.Mean})
		}
	}
	layers = append(layers, mean.barred())
	if !slices.ContainsFunc(layers[1:], func(l FigureLayer) bool { return l.Glyph != FigureNoGlyph && l.drawableOn(FigureLinear) }) {
		return nil // the lines alone say nothing
	}
	return withoutEmpty(FigureLinear, layers)
}
