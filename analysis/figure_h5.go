package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// H5Figure is what the figure of the adapters' working set, its table and its
// benchmark lines show: tail TTFT and reads over the number of adapters.
type H5Figure struct {
	Caption  FigureCaption
	Width    FigureWidth
	Quantile string // of the TTFT, such as "p99"; "" means p99
	Verdict  string // outcome and reasons, printed under the title; "" for none
	Sets     []H5Cell
	// PredictedBytes is what a request of a storm should read, the chance that its
	// adapter is not in memory times its size; nil for none.
	PredictedBytes func(adapters int) float64
	// StormSlope is that of ln TTFT over log2(adapters) when storming, Interaction
	// the slope when storming less the sticky one, Ratio the TTFT of the largest
	// storm over that of the smallest; zero or NaN for none.
	StormSlope, Interaction, Ratio Estimate
}

// H5Cell is one number of adapters under one condition.
type H5Cell struct {
	Adapters  int    // 0 for the base model
	Condition string // ConditionSticky, ConditionStorm or ConditionBase
	// TTFT is the cell's estimate in ms. Where its Value is not positive the median
	// over repeats is drawn; without Lo and Hi there is no error bar.
	TTFT    Estimate
	Repeats []H5Repeat
}

// H5Repeat is one run of a cell.
type H5Repeat struct {
	Block int
	LoRARun
}

// h5Tolerance is how far from the prediction the rule of H5 lets bytes be.
const h5Tolerance = 0.25

// FigureH5 lays the figure out: TTFT over the number of adapters, sticky and
// storming, with the base model's level; beneath it what a request and a second
// read, with the prediction.
func FigureH5(h H5Figure) Figure {
	q := orP99(h.Quantile)
	ttft := FigurePanel{Y: FigureAxis{Label: "(a) " + q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.5}
	ttft.Layers = append(h.layers(ttft.Y.Scale, H5Repeat.ttft, func(c H5Cell) Estimate { return c.TTFT }), h.room(h.anyTTFT()))
	bytes := FigurePanel{Y: FigureAxis{Label: "(b) read per request (MB)"}, HeightIn: 1.1}
	if measured := h.layers(bytes.Y.Scale, H5Repeat.megabytes, nil); len(measured) > 0 {
		bytes.Layers = append(h.predicted(), measured...)
	}
	reads := FigurePanel{Y: FigureAxis{Label: "(c) device read (MB/s)"}, HeightIn: 0.8}
	reads.Layers = h.layers(reads.Y.Scale, H5Repeat.readMBps, nil)
	for _, p := range []*FigurePanel{&bytes, &reads} {
		for i := range p.Layers {
			if p.Layers[i].Glyph != FigureNoGlyph || p.Layers[i].Color == FigureGrey {
				p.Layers[i].Name = "" // as in the panel above
			}
		}
	}
	if h.Caption.Interval == "" && slices.ContainsFunc(h.Sets, func(c H5Cell) bool { return c.TTFT.Lo < c.TTFT.Hi }) {
		h.Caption.Interval = "bars: 95 % interval"
	}
	x := FigureAxis{Label: "adapters in use", Scale: FigureLog2, Ticks: h.ticks()}
	f := Figure{
		Title:    "H5 Adapter working set",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        x,
		Panels:   []FigurePanel{ttft, bytes, reads},
		Caption:  h.Caption,
	}
	if h.Width == FigurePage { // reads beside latency, over an axis of their own
		for _, p := range []*FigurePanel{&bytes, &reads} {
			if len(p.Layers) > 0 {
				p.Layers = append(p.Layers, h.room(0))
			}
		}
		f.Panels = []FigurePanel{ttft}
		f.Sections = []FigureSection{{X: x, Panels: []FigurePanel{bytes, reads}, Beside: true}}
	}
	return f
}

func (h H5Figure) subtitle() string {
	s := visible(h.Verdict)
	if storm := h.of(ConditionStorm); len(storm) > 1 && reported(h.Ratio) {
		s = joined(s, fmt.Sprintf("storm %d ÷ %d = %s", storm[len(storm)-1].Adapters, storm[0].Adapters, bracketed(h.Ratio)))
	}
	if reported(h.StormSlope) {
		s = joined(s, "storm slope "+bracketed(h.StormSlope))
	}
	if reported(h.Interaction) {
		s = joined(s, "storm − sticky "+bracketed(h.Interaction)+" per doubling")
	}
	return s
}

// of are the cells of a condition in ascending order of adapters; the base
// model has no number.
func (h H5Figure) of(condition string) []H5Cell {
	var cells []H5Cell
	for _, c := range h.Sets {
		if c.Condition == condition && (c.Adapters > 0 || condition == ConditionBase) {
			cells = append(cells, c)
		}
	}
	slices.SortStableFunc(cells, func(a, b H5Cell) int { return cmp.Compare(a.Adapters, b.Adapters) })
	return cells
}

// span is the range of the numbers of adapters.
func (h H5Figure) span() extent {
	e := noExtent()
	for _, c := range h.Sets {
		if c.Adapters > 0 {
			e.add(float64(c.Adapters))
		}
	}
	return e
}

// wider has room at both ends of a logarithmic axis for runs beside their cell.
func (e extent) wider() extent { return extent{e.lo / 1.25, e.hi * 1.25} }

// room draws nothing, at a height that is drawn anyway, and keeps the axis wide.
func (h H5Figure) room(y float64) FigureLayer {
	over := h.span().wider()
	return FigureLayer{Points: []FigurePoint{{over.lo, only(y)}, {over.hi, only(y)}}}
}

// anyTTFT is one that is drawn, NaN without any.
func (h H5Figure) anyTTFT() float64 {
	for _, c := range h.Sets {
		if v := orMedian(c.TTFT, c.column(H5Repeat.ttft)).Value; c.Adapters > 0 && FigureLog10.drawable(v) {
			return v
		}
	}
	return math.NaN()
}

func (h H5Figure) ticks() []FigureTick {
	ticks := []FigureTick{}
	var seen []int
	for _, c := range h.Sets {
		if c.Adapters > 0 && !slices.Contains(seen, c.Adapters) {
			seen = append(seen, c.Adapters)
			ticks = append(ticks, FigureTick{At: float64(c.Adapters), Label: strconv.Itoa(c.Adapters)})
		}
	}
	return ticks
}

// layers are one panel: the base model's level, then runs and estimates of both
// conditions, a little apart. estimate is nil where the median has to do.
func (h H5Figure) layers(y FigureScale, of func(H5Repeat) float64, estimate func(H5Cell) Estimate) []FigureLayer {
	var layers []FigureLayer
	at := func(c H5Cell) Estimate {
		if estimate == nil {
			return only(medianOfPresent(c.column(of)))
		}
		return orMedian(estimate(c), c.column(of))
	}
	if over := h.span().wider(); over.lo < over.hi {
		for _, c := range h.of(ConditionBase) {
			layers = append(layers, level("no adapter", FigureGrey, FigureDashed, over, at(c)))
		}
	}
	for _, look := range []struct {
		condition string
		color     FigureColor
		glyph     FigureGlyph
		aside     float64
	}{{ConditionSticky, FigureBlue, FigureDisc, -3}, {ConditionStorm, FigureVermillion, FigureDiamond, 3}} {
		runs := FigureLayer{Color: look.color, Glyph: FigureDot, Faint: true, Behind: true, Dodge: 2.2 * look.aside}
		cells := FigureLayer{Name: look.condition, Color: look.color, Glyph: look.glyph, Line: FigureSolid, Dodge: look.aside / 3}
		for _, c := range h.of(look.condition) {
			for _, r := range c.Repeats {
				runs.Points = append(runs.Points, FigurePoint{float64(c.Adapters), only(of(r))})
			}
			cells.Points = append(cells.Points, FigurePoint{float64(c.Adapters), at(c)})
		}
		layers = append(layers, runs, cells.barred())
	}
	return withoutEmpty(y, layers)
}

// predicted is the prediction with what the rule allows around it. It is
// sampled at whole numbers of adapters.
func (h H5Figure) predicted() []FigureLayer {
	over := h.span()
	if h.PredictedBytes == nil || !(over.lo < over.hi) || len(h.of(ConditionStorm)) == 0 {
		return nil
	}
	layer := FigureLayer{Name: "predicted ± 25 %", Color: FigureGreen, Line: FigureDashed, Band: true, Behind: true}
	last := 0
	for i := range 61 {
		n := int(math.Round(over.lo * math.Pow(over.hi/over.lo, float64(i)/60)))
		if n == last {
			continue
		}
		last = n
		mb := h.PredictedBytes(n) / bytesPerMB
		layer.Points = append(layer.Points, FigurePoint{float64(n), Estimate{mb, mb * (1 - h5Tolerance), mb * (1 + h5Tolerance)}})
	}
	return withoutEmpty(FigureLinear, []FigureLayer{layer})
}

func (c H5Cell) column(of func(H5Repeat) float64) []float64 {
	values := make([]float64, len(c.Repeats))
	for i, r := range c.Repeats {
		values[i] = of(r)
	}
	return values
}

func (c H5Cell) median(of func(H5Repeat) float64) float64 { return medianOfPresent(c.column(of)) }
