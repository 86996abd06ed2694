package analysis

import (
	"fmt"
	"math"
	"slices"
)

// H7Figure is what the figure of the disk's own counters, its table and its
// benchmark lines show: what arms read against what they should have.
type H7Figure struct {
	Caption FigureCaption
	Width   FigureWidth
	Verdict string // outcome and reasons, printed under the title; "" for none
	// Source is where Reads and Bytes of the arms come from; Logged says that it is
	// the disk's own log, and not its stand-in.
	Source string
	Logged bool
	// Correlation is the rank correlation of predicted bytes with reads; zero or
	// NaN for none.
	Correlation Estimate
	// LogicalBlock and MaxRequest bound a read, in bytes; NaN for unknown.
	LogicalBlock, MaxRequest float64
	Arms                     []H7Arm
}

// H7Arm is one arm of any run. Bytes are between its idle edges; NaN is absent.
type H7Arm struct {
	Hypothesis, Run, Name string
	Block                 int
	Condition             string
	Adapters, Requests    int
	PredictedBytes        float64
	ByServer              bool    // the prediction rests on the server's own count of loads
	Reads, Bytes          float64 // by the figure's source
	Source, Device        string  // of the arm
	LogReads, LogBytes    float64 // by the disk's log
	BlockReads            float64
	BlockBytes            float64 // by the block layer
	PagedBytes            float64 // by pgpgin, all disks
	Residual, Tolerance   float64 // of the second count against the block layer's
}

// h7Look is how the arms of one condition of one hypothesis are drawn.
type h7Look struct {
	hypothesis, condition string
	color                 FigureColor
	glyph                 FigureGlyph
	aside                 float64 // points: many arms are predicted to read the same
}

// h7Looks are the conditions in the order of the legend: a colour for each
// hypothesis, a shape for each thing that its arms do.
func h7Looks() []h7Look {
	return []h7Look{
		{"H1", ConditionCold, FigureBlue, FigureDisc, -5},
		{"H1", ConditionWarm, FigureBlue, FigureRing, -6},
		{"H5", ConditionBase, FigureGreen, FigureCross, -2},
		{"H5", ConditionSticky, FigureGreen, FigureOpenSquare, -2},
		{"H5", ConditionStorm, FigureGreen, FigureDiamond, 1.5},
		{"H6", ConditionBase, FigureVermillion, FigureCross, 2},
		{"H6", ConditionHot, FigureVermillion, FigureOpenTriangle, 6},
		{"H6", ConditionStorm, FigureVermillion, FigureDiamond, 4},
	}
}

// FigureH7 lays the figure out: bytes that the host read against bytes predicted,
// with the line on which they are equal; the residual of the two counts over its
// tolerance; and bytes per read between their bounds.
func FigureH7(h H7Figure) Figure {
	floor := h.floor()
	h.Caption.Notes = slices.Concat(h.notes(floor), h.Caption.Notes)
	name := "diskstats"
	if h.Logged {
		name = "SMART"
	}
	bytes := FigurePanel{Y: FigureAxis{Label: "(a) read by " + name + " (MB)", Scale: FigureLog10, Ticks: h.ticks(floor, H7Arm.megabytes)}, HeightIn: 1.7}
	bytes.Layers = append(h.equal(floor), h.layers(floor, true, func(a H7Arm) float64 { return max(a.megabytes(), floor) })...)
	residual := FigurePanel{Y: FigureAxis{Label: "(b) residual ÷ tolerance"}, HeightIn: 0.9}
	residual.Layers = h.layers(floor, false, H7Arm.share)
	size := FigurePanel{Y: FigureAxis{Label: "(c) KiB per read", Scale: FigureLog10}, HeightIn: 0.9}
	size.Layers = h.layers(floor, false, H7Arm.kibPerRead)
	over := h.span(floor)
	over.lo, over.hi = over.lo/1.4, over.hi*1.15 // behind all glyphs
	if len(residual.Layers) > 0 {
		residual.Layers = append([]FigureLayer{{
			Name: "closes", Color: FigureGrey, Line: FigureDashed, Band: true, Behind: true,
			Points: []FigurePoint{{over.lo, Estimate{0, -1, 1}}, {over.hi, Estimate{0, -1, 1}}},
		}}, residual.Layers...)
	}
	if len(size.Layers) > 0 {
		for _, bound := range []struct {
			name  string
			color FigureColor
			bytes float64
		}{{"largest request", FigureBlack, h.MaxRequest}, {"logical block", FigurePurple, h.LogicalBlock}} {
			if bound.bytes > 0 {
				size.Layers = append(size.Layers, level(bound.name, bound.color, FigureDashed, over, only(bound.bytes/1024)))
			}
		}
	}
	return Figure{
		Title:    "H7 NVMe telemetry closure",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        FigureAxis{Label: "predicted adapter and KV bytes (MB)", Scale: FigureLog10, Ticks: h.ticks(floor, H7Arm.predicted)},
		Panels:   []FigurePanel{bytes, residual, size},
		Caption:  h.Caption,
	}
}

func (h H7Figure) subtitle() string {
	s := joined(visible(h.Verdict), "source: "+visible(h.Source))
	if reported(h.Correlation) {
		s = joined(s, "ρ = "+bracketed(h.Correlation))
	}
	return s
}

func (h H7Figure) notes(floor float64) []string {
	var notes []string
	zero := func(a H7Arm) bool { return a.predicted() < floor || a.megabytes() < floor }
	if slices.ContainsFunc(h.Arms, zero) {
		notes = append(notes, fmt.Sprintf("at 0: under %s MB", numberLabel(floor)))
	}
	second := "pgpgin of all disks − diskstats"
	if h.Logged {
		second = "SMART − diskstats"
	}
	return append(notes, "residual: "+second+", tolerance max(1 %, 1.024 MB)")
}

func (a H7Arm) megabytes() float64 { return a.Bytes / bytesPerMB }
func (a H7Arm) predicted() float64 { return a.PredictedBytes / bytesPerMB }
func (a H7Arm) share() float64     { return a.Residual / a.Tolerance }

// kibPerRead is absent without reads, and where the log counts no unit of them.
func (a H7Arm) kibPerRead() float64 {
	if !(a.Reads > 0 && a.Bytes > 0) {
		return math.NaN()
	}
	return a.Bytes / a.Reads / 1024
}

// floor is where 0 stands on a logarithmic axis: the power of ten that is at most
// a third of everything predicted.
func (h H7Figure) floor() float64 {
	least := math.Inf(1)
	for _, a := range h.Arms {
		if v := a.predicted(); v > 0 {
			least = min(least, v)
		}
	}
	if math.IsInf(least, 0) || !FigureLog10.drawable(least) {
		return 0.1
	}
	return math.Pow(10, math.Floor(math.Log10(least/3)))
}

// span is the range of the horizontal axis.
func (h H7Figure) span(floor float64) extent {
	e := noExtent()
	for _, a := range h.Arms {
		if v := a.predicted(); FigureLog10.drawable(v) || v == 0 {
			e.add(max(v, floor))
		}
	}
	return e
}

// ticks are the decades, and 0 at the floor where anything stands there.
func (h H7Figure) ticks(floor float64, of func(H7Arm) float64) []FigureTick {
	ticks, top := []FigureTick{}, floor
	for _, a := range h.Arms {
		if v := of(a); v < floor {
			ticks = []FigureTick{{At: floor, Label: "0"}}
		}
		if v := of(a); FigureLog10.drawable(v) {
			top = max(top, v)
		}
	}
	for v := floor * 10; v <= top*10; v *= 10 {
		ticks = append(ticks, FigureTick{At: v, Label: numberLabel(v)})
	}
	for v := floor; v <= top*10; v *= 10 {
		for _, m := range []float64{2, 5} {
			ticks = append(ticks, FigureTick{At: v * m, Label: numberLabel(v * m)})
		}
	}
	return ticks
}

// equal is the line on which the host read what was predicted.
func (h H7Figure) equal(floor float64) []FigureLayer {
	over, from := h.span(floor), 2*floor // 0 is not on the line
	if !(from < over.hi) || !slices.ContainsFunc(h.Arms, func(a H7Arm) bool { return a.Bytes >= 0 }) {
		return nil
	}
	return []FigureLayer{{Name: "equal", Color: FigureGrey, Line: FigureDashed, Behind: true, Points: []FigurePoint{{from, only(from)}, {over.hi, only(over.hi)}}}}
}

// layers are the arms of each condition, of which the first panel names them.
// Those that should read nothing stand side by side at 0: they are many.
func (h H7Figure) layers(floor float64, named bool, of func(H7Arm) float64) []FigureLayer {
	var layers []FigureLayer
	for _, look := range h7Looks() {
		some := FigureLayer{Color: look.color, Glyph: look.glyph, Dodge: look.aside / 4}
		none := FigureLayer{Color: look.color, Glyph: look.glyph, Dodge: look.aside}
		for _, a := range h.Arms {
			v := of(a)
			switch {
			case a.Hypothesis != look.hypothesis || a.Condition != look.condition || !named && math.IsNaN(v):
			case a.predicted() < floor:
				none.Points = append(none.Points, FigurePoint{floor, only(v)})
			default:
				some.Points = append(some.Points, FigurePoint{a.predicted(), only(v)})
			}
		}
		name := look.hypothesis + " " + look.condition
		for _, l := range []FigureLayer{some, none} {
			if !slices.ContainsFunc(l.Points, func(p FigurePoint) bool { return !math.IsNaN(p.Value) }) {
				continue
			}
			if named {
				l.Name, name = name, ""
			}
			layers = append(layers, l)
		}
	}
	return layers
}
