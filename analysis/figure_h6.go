package analysis

import (
	"math"
	"slices"
)

// H6Figure is what the figure of the adapter storm, its table and its benchmark
// lines show: pairs of one server with and without a storm.
type H6Figure struct {
	Caption  FigureCaption
	Width    FigureWidth
	Quantile string // of the TTFT, such as "p99"; "" means p99
	Verdict  string // outcome and reasons, printed under the title; "" for none
	Pairs    []H6Pair
	// BaseTTFT, HotTTFT and StormTTFT are the conditions' estimates in ms. Where the
	// Value is not positive the median over pairs is drawn, with the 95 % interval
	// of order statistics where there are six or more.
	BaseTTFT, HotTTFT, StormTTFT Estimate
	// Ratio is the storm's TTFT over that of one hot adapter, LoRACompute the hot
	// adapter's over the base model's; zero or NaN for none.
	Ratio, LoRACompute Estimate
}

// H6Pair is one block: the arms that are compared with each other.
type H6Pair struct {
	Block            int
	StormFirst       bool    // the storm ran before the hot adapter
	Base, Hot, Storm LoRARun // the zero value is an arm that was not run
}

// h6Arms are the conditions from the left, with their arm of a pair.
func h6Arms() []h6Condition {
	return []h6Condition{
		{ConditionBase, "no adapter", func(p H6Pair) LoRARun { return p.Base }, func(h H6Figure) Estimate { return h.BaseTTFT }},
		{ConditionHot, "one adapter", func(p H6Pair) LoRARun { return p.Hot }, func(h H6Figure) Estimate { return h.HotTTFT }},
		{ConditionStorm, "any adapter", func(p H6Pair) LoRARun { return p.Storm }, func(h H6Figure) Estimate { return h.StormTTFT }},
	}
}

type h6Condition struct {
	name, means string
	arm         func(H6Pair) LoRARun
	estimate    func(H6Figure) Estimate
}

// FigureH6 lays the figure out: a line per pair over the conditions, TTFT and
// bytes read, marked by what ran first; and the ratios of each pair.
func FigureH6(h H6Figure) Figure {
	q := orP99(h.Quantile)
	h.Caption.Notes = slices.Concat(h.notes(), h.Caption.Notes)
	ttft := FigurePanel{Y: FigureAxis{Label: "(a) " + q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.5}
	ttft.Layers = h.byCondition(ttft.Y.Scale, LoRARun.ttft, func(c h6Condition) Estimate { return h.ttft(c).Estimate })
	bytes := FigurePanel{Y: FigureAxis{Label: "(b) read per request (MB)"}, HeightIn: 0.9}
	bytes.Layers = h.byCondition(bytes.Y.Scale, LoRARun.megabytes, func(c h6Condition) Estimate { return only(medianOfPresent(h.column(c, LoRARun.megabytes))) })
	unnamed(&bytes)
	ratio := FigurePanel{Y: FigureAxis{Label: "(c) " + q + " TTFT ratio", Scale: FigureLog10}, HeightIn: 1.2, Layers: h.ratios()}
	ticks := []FigureTick{}
	for i, c := range h.conditions() {
		ticks = append(ticks, FigureTick{At: float64(i + 1), Label: c.name, Sub: c.means})
	}
	return Figure{
		Title:    "H6 Adapter storm",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        FigureAxis{Label: "condition", Scale: FigureCategory, Ticks: ticks},
		Panels:   []FigurePanel{ttft, bytes},
		Sections: []FigureSection{{
			X:      namedAxis("pair", numbered(h.Pairs, func(p H6Pair) int { return p.Block })),
			Panels: []FigurePanel{ratio},
			Beside: true,
		}},
		Caption: h.Caption,
	}
}

func (h H6Figure) subtitle() string {
	s := visible(h.Verdict)
	if reported(h.Ratio) {
		s = joined(s, "storm ÷ hot = "+bracketed(h.Ratio))
	}
	if reported(h.LoRACompute) {
		s = joined(s, "hot ÷ base = "+bracketed(h.LoRACompute))
	}
	return s
}

func (h H6Figure) notes() []string {
	var notes []string
	if h.Caption.Samples == "" {
		notes = append(notes, counted(len(h.Pairs), "pair"))
	}
	if reported(h.Ratio) && h.Ratio.Lo < h.Ratio.Hi && !math.IsInf(h.Ratio.Hi, 0) {
		notes = append(notes, "shade: interval of the paired ratio")
	}
	for _, c := range h.conditions() {
		if e := c.estimate(h); !(e.Value > 0) && h.ttft(c).bounded() {
			return append(notes, "squares: medians over pairs with their 95 % interval")
		}
	}
	return notes
}

// ttft is a condition's estimate, its median over the pairs without one.
func (h H6Figure) ttft(c h6Condition) FigurePoint {
	if e := c.estimate(h); e.Value > 0 {
		return FigurePoint{0, orMedian(e, nil)}
	}
	return FigurePoint{0, medianInterval(h.column(c, LoRARun.ttft))}
}

// conditions are those that were run.
func (h H6Figure) conditions() []h6Condition {
	return slices.DeleteFunc(h6Arms(), func(c h6Condition) bool {
		return !slices.ContainsFunc(h.Pairs, func(p H6Pair) bool { return c.arm(p).run() })
	})
}

// run reports whether there is anything to say of the arm.

// column is one quantity of a condition over the pairs, NaN where it was not
// run.
func (h H6Figure) column(c h6Condition, of func(LoRARun) float64) []float64 {
	values := make([]float64, len(h.Pairs))
	for i, p := range h.Pairs {
		values[i] = math.NaN()
		if a := c.arm(p); a.run() {
			values[i] = of(a)
		}
	}
	return values
}

// h6Order is how pairs of one order are drawn.
type h6Order struct {
	name       string
	stormFirst bool
	color      FigureColor
	glyph      FigureGlyph
	line       FigureLine
}

func h6Orders() []h6Order {
	return []h6Order{
		{"hot first", false, FigureSky, FigureDisc, FigureSolid},
		{"storm first", true, FigureOrange, FigureOpenTriangle, FigureDashed},
	}
}

// byCondition are one panel: a line per pair, and beside each condition's runs
// what stands for them.
func (h H6Figure) byCondition(y FigureScale, of func(LoRARun) float64, estimate func(h6Condition) Estimate) []FigureLayer {
	var layers []FigureLayer
	conditions := h.conditions()
	for _, o := range h6Orders() {
		name := o.name
		for _, p := range h.Pairs {
			if p.StormFirst != o.stormFirst {
				continue
			}
			line := FigureLayer{Name: name, Color: o.color, Glyph: o.glyph, Line: o.line, Thin: true, Behind: true}
			for i, c := range conditions {
				if a := c.arm(p); a.run() {
					line.Points = append(line.Points, FigurePoint{float64(i + 1), only(of(a))})
				}
			}
			layers, name = append(layers, line), ""
		}
	}
	whole := FigureLayer{Name: "all pairs", Color: FigureBlack, Glyph: FigureSquare, Dodge: 9}
	for i, c := range conditions {
		whole.Points = append(whole.Points, FigurePoint{float64(i + 1), estimate(c)})
	}
	return withoutEmpty(y, append(layers, whole.barred()))
}

// ratios are the storm over the hot adapter and that over the base model, pair
// by pair, with the estimates.
func (h H6Figure) ratios() []FigureLayer {
	arms := h6Arms()
	base, hot, storm := h.column(arms[0], LoRARun.ttft), h.column(arms[1], LoRARun.ttft), h.column(arms[2], LoRARun.ttft)
	over := extent{0.6, float64(len(h.Pairs)) + 0.4}
	var layers []FigureLayer
	if reported(h.Ratio) {
		layers = append(layers, level("storm ÷ hot", FigureVermillion, FigureSolid, over, h.Ratio))
	}
	if reported(h.LoRACompute) {
		layers = append(layers, level("hot ÷ base", FigureBlue, FigureSolid, over, h.LoRACompute))
	}
	for _, o := range h6Orders() {
		points := func(values []float64) (points []FigurePoint) {
			for i, v := range values {
				if h.Pairs[i].StormFirst == o.stormFirst {
					points = append(points, FigurePoint{float64(i + 1), only(v)})
				}
			}
			return points
		}
		layers = append(layers,
			FigureLayer{Name: o.name, Color: FigureVermillion, Glyph: o.glyph, Points: points(ratios(storm, hot))},
			FigureLayer{Color: FigureBlue, Glyph: o.glyph, Points: points(ratios(hot, base))})
	}
	one := FigureLayer{Color: FigureBlack, Line: FigureDashed, Points: []FigurePoint{{over.lo, only(1)}, {over.hi, only(1)}}}
	if layers = withoutEmpty(FigureLog10, layers); len(layers) > 0 {
		layers = append(layers, one)
	}
	return layers
}
