package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// H3Figure is what the figure of the paging counters, its table and its
// benchmark lines show: each counter over H2's sweep, its knee and latency's.
type H3Figure struct {
	Caption  FigureCaption
	Width    FigureWidth
	Quantile string // of the TTFT, such as "p99"; "" means p99
	Verdict  string // outcome and reasons, printed under the title; "" for none
	Arms     []H3Arm
	// Demand says that X is KV demand over the pool, else it is tokens of context.
	Demand bool
	// Knee is latency's over all repeats, nil for none; Knees is that of each.
	Knee     *Estimate
	Knees    []float64
	Counters []H3Counter // every counter of the plan
	// Series is one repeat in the order of time; nil for none.
	Series []H3Step
}

// H3Arm is one run of the sweep. NaN is absent; so is a TTFT of 0.
type H3Arm struct {
	Repeat        int
	X             float64
	ContextTokens int
	Requests      int
	TTFTMillis    float64 // the named quantile
	Counters      Counters
}

// H3Counter is what a counter told. NaN is absent.
type H3Counter struct {
	Counter  Counter
	Status   string    // "leads", "earlier" (too few repeats), "coincides", "mixed", "follows", "alone" (latency has no knee), "no knee" or "silent"
	Why      string    // of a silent one: "absent" or "constant"
	Knees    []float64 // by repeat; nil for none
	Before   int       // repeats in which its knee is levels before latency's
	Ties     int       // in which both are between the same two levels
	Of       int       // repeats with both
	Ratio    Estimate  // its knee over latency's
	P        float64   // sign test, one-sided
	Adjusted float64   // Holm over the counters
	AUC      float64   // of telling the state in a repeat that was held out
	LagSec   float64   // by which TTFT follows it
	LagP     float64
}

// H3Step is one slice of a repeat.
type H3Step struct {
	FromSec, ToSec float64 // since the repeat began
	X              float64 // of its arm
	TTFTMillis     float64
	Counters       Counters
}

// h3Drawn is how many counters have a panel: more would not fit a page.
const h3Drawn = 5

// FigureH3 lays the figure out: TTFT and the counters that moved over the same
// axis, latency's knee through all of them and each counter's own in its panel;
// beneath them one repeat over time.
func FigureH3(h H3Figure) Figure {
	levels := h.levels()
	q := orP99(h.Quantile)
	ttft := FigurePanel{Y: FigureAxis{Label: q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1}
	ttft.Layers = h.over(levels, H3Arm.ttft)
	panels := []FigurePanel{ttft}
	for _, k := range h.shown() {
		info := k.Counter.Info()
		p := FigurePanel{Y: FigureAxis{Label: info.Name + " (" + info.Unit + ")", Scale: h.scaleOf(k.Counter)}, HeightIn: 0.55}
		p.Layers = h.over(levels, func(a H3Arm) float64 { return a.Counters[k.Counter] })
		unnamed(&p)
		p.Layers = append(p.Layers, h.kneeLayers(k)...)
		panels = append(panels, p)
	}
	h.Caption.Notes = slices.Concat(h.notes(), h.Caption.Notes)
	f := Figure{
		Title:    "H3 Paging counters and the knee",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        FigureAxis{Label: h.axisLabel(), Scale: FigureLog2, Ticks: levels.ticks()},
		Panels:   panels,
		Markers:  h.markers(),
		Caption:  h.Caption,
	}
	if s, ok := h.overTime(); ok {
		f.Sections = []FigureSection{s}
	}
	return f
}

func (a H3Arm) ttft() float64 { return positive(a.TTFTMillis) }

// levels are the contexts in the order of the axis, with the median of their X.
func (h H3Figure) levels() h2Levels {
	at := map[int][]float64{}
	for _, a := range h.Arms {
		at[a.ContextTokens] = append(at[a.ContextTokens], a.X)
	}
	var levels h2Levels
	for context, xs := range at {
		l := h2Level{x: medianOfPresent(xs), label: tokenLabel(float64(context)), power: powerOfTwo(context)}
		l.ContextTokens = context
		if h.Demand {
			l.sub = demandLabel(l.x)
		}
		levels = append(levels, l)
	}
	slices.SortFunc(levels, func(a, b h2Level) int {
		return cmp.Or(cmp.Compare(a.x, b.x), cmp.Compare(a.ContextTokens, b.ContextTokens))
	})
	return levels
}

// over are the runs and their median by level.
func (h H3Figure) over(levels h2Levels, of func(H3Arm) float64) []FigureLayer {
	return runsAndMedian(len(levels), func(i int) (float64, []float64, Estimate) {
		return levels[i].x, h.column(levels[i].ContextTokens, of), Estimate{}
	})
}

func (h H3Figure) column(context int, of func(H3Arm) float64) []float64 {
	var values []float64
	for _, a := range h.Arms {
		if a.ContextTokens == context {
			values = append(values, of(a))
		}
	}
	return values
}

// shown are the counters that have a panel: those with a knee first, and of those
// that only move as many as there is room for.
func (h H3Figure) shown() []H3Counter {
	var list []H3Counter
	for _, k := range h.Counters {
		if k.Status != "silent" {
			list = append(list, k)
		}
	}
	order := []string{"leads", "earlier", "coincides", "mixed", "follows", "alone", "no knee"}
	slices.SortStableFunc(list, func(a, b H3Counter) int {
		return cmp.Compare(slices.Index(order, a.Status), slices.Index(order, b.Status))
	})
	return list[:min(len(list), h3Drawn)]
}

// scaleOf keeps levels far from 0 off an axis that begins there.
func (h H3Figure) scaleOf(c Counter) FigureScale {
	e := noExtent()
	for _, a := range h.Arms {
		if v := a.Counters[c]; !math.IsNaN(v) {
			e.add(v)
		}
	}
	if e.lo > 0 && e.hi < 2*e.lo {
		return FigureTight
	}
	return FigureLinear
}

// kneeLayers are a counter's own knees: each repeat's as a cross at the foot of
// the panel, their median as a line through it, named by what the counter is.
func (h H3Figure) kneeLayers(k H3Counter) []FigureLayer {
	e := noExtent()
	for _, a := range h.Arms {
		if v := a.Counters[k.Counter]; !math.IsNaN(v) && !math.IsInf(v, 0) {
			e.add(v)
		}
	}
	if !(e.lo < e.hi) {
		return nil
	}
	foot := e.lo
	if e.lo > 0 && h.scaleOf(k.Counter) == FigureLinear {
		foot = 0
	}
	if k.Of == 0 {
		return []FigureLayer{{Name: k.text(), Color: FigureGrey, Points: []FigurePoint{{h.span().lo, only(foot)}, {h.span().lo, only(foot)}}}}
	}
	color := h3Color(k.Status)
	each := FigureLayer{Color: color, Glyph: FigureCross}
	for _, x := range k.Knees {
		each.Points = append(each.Points, FigurePoint{x, only(foot)})
	}
	middle := medianOfPresent(k.Knees)
	line := FigureLayer{Name: k.text(), Color: color, Line: FigureDashed, Points: []FigurePoint{{middle, only(foot)}, {middle, only(e.hi)}}}
	return withoutEmpty(FigureLinear, []FigureLayer{each, line})
}

// h3Color sets counters that lead apart from those that do not.
func h3Color(status string) FigureColor {
	switch status {
	case "leads":
		return FigureGreen
	case "coincides":
		return FigureBlack
	case "follows":
		return FigurePurple
	}
	return FigureGrey
}

// text is the counter in a legend.
func (k H3Counter) text() string {
	s := k.Status
	if k.Of > 0 {
		s = fmt.Sprintf("%s: knee %s", k.Status, numberLabel(round3(medianOfPresent(k.Knees))))
	}
	if !math.IsNaN(k.AUC) {
		s += fmt.Sprintf(", AUC %.2f", k.AUC)
	}
	return s
}

func (h H3Figure) span() extent { return h.levels().span() }

func (h H3Figure) axisLabel() string {
	label := "context per user (tokens)"
	if h.Demand {
		label += "; KV demand ÷ pool"
	}
	return label
}

func (h H3Figure) markers() []FigureMarker {
	if !estimated(h.Knee) {
		return nil
	}
	label := "latency knee " + numberLabel(round3(h.Knee.Value))
	if h.Demand {
		label += "×"
	}
	return []FigureMarker{{Label: label, At: *h.Knee, Color: FigureVermillion}}
}

func (h H3Figure) subtitle() string {
	s := visible(h.Verdict)
	for _, is := range []struct{ status, words string }{
		{"leads", "before latency"}, {"earlier", "earlier, not shown"}, {"coincides", "with latency"}, {"mixed", "not before in all repeats"}, {"follows", "after latency"},
	} {
		var names []string
		for _, k := range h.Counters {
			if k.Status == is.status {
				names = append(names, k.Counter.Info().Name)
			}
		}
		if len(names) > 0 {
			s = joined(s, is.words+": "+strings.Join(names, ", "))
		}
	}
	if !estimated(h.Knee) {
		s = joined(s, "latency has no knee")
	}
	return s
}

// notes name what has no panel.
func (h H3Figure) notes() []string {
	drawn := h.shown()
	var notes []string
	if slices.ContainsFunc(drawn, func(k H3Counter) bool { return k.Of > 0 }) {
		notes = append(notes, "crosses: knee in each repeat, dashed: their median")
	}
	var order []string
	named := map[string][]string{}
	for _, k := range h.Counters {
		why := "not drawn, without a knee"
		switch {
		case k.Status == "silent" && k.Why != "":
			why = visible(k.Why)
		case k.Status == "silent":
			why = "silent"
		case slices.ContainsFunc(drawn, func(d H3Counter) bool { return d.Counter == k.Counter }):
			continue
		}
		if named[why] == nil {
			order = append(order, why)
		}
		named[why] = append(named[why], k.Counter.Info().Name)
	}
	for _, why := range order {
		notes = append(notes, why+": "+strings.Join(named[why], ", "))
	}
	return notes
}

// overTime is one repeat in the order of time: demand, TTFT and the first of the
// counters that are drawn.
func (h H3Figure) overTime() (FigureSection, bool) {
	if len(h.Series) < 2 {
		return FigureSection{}, false
	}
	series := func(label string, scale FigureScale, color FigureColor, of func(H3Step) float64) FigurePanel {
		l := FigureLayer{Color: color, Line: FigureSolid, Glyph: FigureDot}
		for i, s := range h.Series {
			if i > 0 && s.FromSec > h.Series[i-1].ToSec+0.01 { // another arm
				l.Points = append(l.Points, FigurePoint{s.FromSec, only(math.NaN())})
			}
			l.Points = append(l.Points, FigurePoint{(s.FromSec + s.ToSec) / 2, only(of(s))})
		}
		return FigurePanel{Y: FigureAxis{Label: label, Scale: scale}, HeightIn: 0.5, Layers: drawnRuns(l)}
	}
	demand := "context (tokens)"
	if h.Demand {
		demand = "KV demand ÷ pool"
	}
	s := FigureSection{
		X:      FigureAxis{Label: "time in one repeat (s)", Scale: FigureTight},
		Beside: true,
		Panels: []FigurePanel{
			series(demand, FigureLog2, FigureBlack, func(s H3Step) float64 { return s.X }),
			series("p95 TTFT of a slice (ms)", FigureLog10, FigureVermillion, func(s H3Step) float64 { return s.TTFTMillis }),
		},
	}
	if shown := h.shown(); len(shown) > 0 {
		info := shown[0].Counter.Info()
		s.Panels = append(s.Panels, series(info.Name+" ("+info.Unit+")", h.scaleOf(shown[0].Counter), FigureBlue, func(s H3Step) float64 { return s.Counters[shown[0].Counter] }))
	}
	return s, true
}

// drawnRuns parts a layer at its gaps, which are between arms and no missing
// values.
func drawnRuns(l FigureLayer) []FigureLayer {
	var out []FigureLayer
	run := l
	run.Points = nil
	for _, p := range append(slices.Clone(l.Points), FigurePoint{math.NaN(), only(math.NaN())}) {
		if !math.IsNaN(p.Value) {
			run.Points = append(run.Points, p)
			continue
		}
		if len(run.Points) > 0 {
			out = append(out, run)
		}
		run.Points = nil
	}
	return out
}
