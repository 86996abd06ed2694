package analysis

import (
	"math"
	"slices"
)

// H1Figure is what the figure of cold and warm adapters, its table and its
// benchmark lines show.
type H1Figure struct {
	Caption  FigureCaption
	Width    FigureWidth
	Verdict  string // outcome and reasons, printed under the title; "" for none
	Adapters []H1Adapter
	Cycles   []H1Cycle
	// Ratio is the median of cold over warm TTFT, Excess that of cold less warm in
	// ms; zero or NaN for none.
	Ratio, Excess Estimate
	// ReadMs is what reading an adapter takes at the calibrated rate, in ms; 0 or
	// NaN where unknown.
	ReadMs float64
}

// H1Adapter is one adapter's touches, the n-th of each list in the n-th of
// Cycles; NaN is absent.
type H1Adapter struct {
	Name       string
	Cold, Warm []float64 // TTFT in ms
	LoadMs     []float64 // how long the cold touch waited for its adapter, by the server's own account
}

// H1Cycle is one restart: what the device read and what the page cache held.
// NaN is absent.
type H1Cycle struct {
	Cycle                int
	ColdBytes, WarmBytes float64 // the device read in the window
	AdapterBytes         float64 // of all files that were touched
	// Resident shares of those files just before the cold touches, and after
	// them: 0 to 1.
	ResidentBefore, ResidentAfter float64
}

// What the rule of H1 asks of bytes read over adapter bytes.
const (
	h1ColdLeast = 0.9
	h1ColdMost  = 1.5
	h1WarmMost  = 0.05
)

// FigureH1 lays the figure out: each adapter's cold and warm TTFT, a line per
// cycle, and beneath it what cold costs beside what reading takes; then by
// cycle what the device read and the page cache held.
func FigureH1(h H1Figure) Figure {
	h.Caption.Notes = slices.Concat(h.notes(), h.Caption.Notes)
	ttft := FigurePanel{Y: FigureAxis{Label: "(a) TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.5, Layers: h.touches()}
	excess := FigurePanel{Y: FigureAxis{Label: "(b) cold − warm (ms)"}, HeightIn: 1.1, Layers: h.excess()}
	bytes := FigurePanel{Y: FigureAxis{Label: "(c) read ÷ adapter bytes"}, HeightIn: 0.9, Layers: h.bytes()}
	cache := FigurePanel{Y: FigureAxis{Label: "(d) in the page cache (%)"}, HeightIn: 0.6, Layers: h.residency()}
	names := make([]string, len(h.Adapters))
	for i, a := range h.Adapters {
		names[i] = a.Name
	}
	return Figure{
		Title:    "H1 Cold and warm adapters",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        namedAxis("adapter", names),
		Panels:   []FigurePanel{ttft, excess},
		Sections: []FigureSection{{
			X:      namedAxis("restart cycle", numbered(h.Cycles, func(c H1Cycle) int { return c.Cycle })),
			Panels: []FigurePanel{bytes, cache},
			Beside: true,
		}},
		Caption: h.Caption,
	}
}

func (h H1Figure) subtitle() string {
	s := visible(h.Verdict)
	if reported(h.Ratio) {
		s = joined(s, "cold ÷ warm = "+bracketed(h.Ratio))
	}
	if reported(h.Excess) {
		s = joined(s, "cold − warm = "+bracketed(h.Excess)+" ms")
	}
	if h.ReadMs > 0 {
		s = joined(s, "reading takes "+numberLabel(round3(h.ReadMs))+" ms")
	}
	return s
}

func (h H1Figure) notes() []string {
	loads, marks := 0, "large marks: medians over cycles"
	for _, a := range h.Adapters {
		for _, v := range a.Cold {
			if v > 0 {
				loads++
			}
		}
		if medianInterval(a.cold()).Lo > 0 {
			marks = "marks with bars: medians over cycles with their 95 % interval"
		}
	}
	if h.Caption.Samples != "" {
		return []string{marks}
	}
	return []string{counted(loads, "cold load") + " of " + counted(len(h.Adapters), "adapter") + " in " + counted(len(h.Cycles), "cycle"), marks}
}

// crowded says that there is no room to tell the touches of an adapter apart.
func (h H1Figure) crowded() bool { return len(h.Adapters) > mostNames }

// touches are the layers of each adapter's cold touches, left of its place, and
// its warm ones, right of it, joined by cycle.
func (h H1Figure) touches() []FigureLayer {
	const aside, dodge = 0.17, 4.5
	layers := slices.Concat(
		h.side("cold", FigureVermillion, FigureDiamond, -aside, -dodge, H1Adapter.cold),
		h.side("warm", FigureBlue, FigureDisc, aside, dodge, H1Adapter.warm),
	)
	for i, a := range h.Adapters {
		for k := range min(len(a.Cold), len(a.Warm)) {
			if a.Cold[k] > 0 && a.Warm[k] > 0 && !h.crowded() {
				layers = append(layers, FigureLayer{
					Color: FigureGrey, Faint: true, Line: FigureSolid, Thin: true, Behind: true,
					Points: []FigurePoint{{float64(i+1) - aside, only(a.Cold[k])}, {float64(i+1) + aside, only(a.Warm[k])}},
				})
			}
		}
	}
	return withoutEmpty(FigureLog10, layers)
}

// side is one side's touches and medians; a touch that did not happen leaves no
// gap.
func (h H1Figure) side(name string, c FigureColor, g FigureGlyph, aside, dodge float64, of func(H1Adapter) []float64) []FigureLayer {
	if h.crowded() {
		aside, dodge = 0, 0
	}
	runs := FigureLayer{Color: c, Glyph: FigureDot, Faint: true, Behind: true}
	medians := FigureLayer{Name: name, Color: c, Glyph: g, Dodge: dodge}
	for i, a := range h.Adapters {
		x := float64(i+1) + aside
		for _, v := range of(a) {
			if v > 0 {
				runs.Points = append(runs.Points, FigurePoint{x, only(v)})
			}
		}
		medians.Points = append(medians.Points, FigurePoint{x, medianInterval(of(a))})
	}
	return []FigureLayer{runs, medians.barred()}
}

// excess are what cold touches cost more than warm ones, the whole run's
// estimate, what reading takes, and what the server says that it waited.
func (h H1Figure) excess() []FigureLayer {
	over := extent{0.6, float64(len(h.Adapters)) + 0.4}
	runs := FigureLayer{Color: FigureBlack, Glyph: FigureDot, Faint: true, Behind: true, Dodge: -5}
	each := FigureLayer{Name: "each", Color: FigureBlack, Glyph: FigureDisc}
	own := FigureLayer{Name: "server's load", Color: FigureGreen, Glyph: FigureOpenTriangle, Dodge: 6}
	if h.crowded() {
		runs.Dodge, own.Dodge = 0, 0
	}
	for i, a := range h.Adapters {
		d := a.excess()
		for _, v := range d {
			if !math.IsNaN(v) {
				runs.Points = append(runs.Points, FigurePoint{float64(i + 1), only(v)})
			}
		}
		each.Points = append(each.Points, FigurePoint{float64(i + 1), medianInterval(d)})
		own.Points = append(own.Points, FigurePoint{float64(i + 1), only(medianOfPresent(a.LoadMs))})
	}
	layers := []FigureLayer{runs, each.barred()}
	if reported(h.Excess) {
		layers = append(layers, level("all", FigureBlack, FigureSolid, over, h.Excess))
	}
	layers = append(layers, own)
	if layers = withoutEmpty(FigureLinear, layers); len(layers) > 0 && h.ReadMs > 0 {
		layers = append(layers, level("bytes ÷ rate", FigureOrange, FigureDashed, over, only(h.ReadMs)))
	}
	return layers
}

// bytes are what the device read by cycle over what the adapters hold, with
// what the rule asks.
func (h H1Figure) bytes() []FigureLayer {
	over := extent{0.6, float64(len(h.Cycles)) + 0.4}
	series := func(name string, c FigureColor, g FigureGlyph, of func(H1Cycle) float64) FigureLayer {
		l := FigureLayer{Name: name, Color: c, Glyph: g, Line: FigureSolid}
		for i, cycle := range h.Cycles {
			l.Points = append(l.Points, FigurePoint{float64(i + 1), only(of(cycle) / positive(cycle.AdapterBytes))})
		}
		return l
	}
	layers := withoutEmpty(FigureLinear, []FigureLayer{
		series("cold", FigureVermillion, FigureDiamond, func(c H1Cycle) float64 { return c.ColdBytes }),
		series("warm", FigureBlue, FigureDisc, func(c H1Cycle) float64 { return c.WarmBytes }),
	})
	if len(layers) == 0 {
		return nil
	}
	asked := level("asked", FigureGreen, FigureNoLine, over, Estimate{1, h1ColdLeast, h1ColdMost})
	warm := level("", FigureGreen, FigureNoLine, over, Estimate{0, 0, h1WarmMost})
	return append(layers, asked, warm)
}

func (h H1Figure) residency() []FigureLayer {
	series := func(name string, c FigureColor, g FigureGlyph, of func(H1Cycle) float64) FigureLayer {
		l := FigureLayer{Name: name, Color: c, Glyph: g, Line: FigureSolid}
		for i, cycle := range h.Cycles {
			l.Points = append(l.Points, FigurePoint{float64(i + 1), only(100 * of(cycle))})
		}
		return l
	}
	return withoutEmpty(FigureLinear, []FigureLayer{
		series("before", FigureVermillion, FigureOpenSquare, func(c H1Cycle) float64 { return c.ResidentBefore }),
		series("after", FigureBlue, FigureSquare, func(c H1Cycle) float64 { return c.ResidentAfter }),
	})
}

func (a H1Adapter) cold() []float64 { return positives(a.Cold) }
func (a H1Adapter) warm() []float64 { return positives(a.Warm) }

// excess is cold less warm in ms, ratio cold over warm, by cycle.
func (a H1Adapter) excess() []float64 { return differences(a.cold(), a.warm()) }
func (a H1Adapter) ratio() []float64  { return ratios(a.Cold, a.Warm) }

// positives makes times that were not measured absent.
func positives(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = positive(v)
	}
	return out
}
