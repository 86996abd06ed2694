package v25

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// Figure is the group's figure as far as its numbers carry it. What cannot be
// trusted as named is named in the caption, and axes say what is really drawn.
func (g *Group) Figure() analysis.Figure {
	var f analysis.Figure
	switch g.Hypothesis {
	case "H0":
		f = g.sweep(analysis.FigureAxis{Label: "concurrent users", Scale: analysis.FigureLog2})
	case "H2":
		f = g.contexts()
	case "H3":
		f = g.memory()
	case "H4":
		f = g.figureH4()
	case "H5":
		f = g.figureH5()
	case "H8":
		f = g.waits()
	default:
		f = g.byArm()
	}
	f.Title = g.title() + " – earlier harness (v2.5)"
	f.Subtitle = g.subtitle()
	f.Width = analysis.FigurePage
	f.Caption = g.caption()
	return f
}

func (g *Group) subtitle() string {
	reasons := g.Verdict.Reasons
	more := ""
	if len(reasons) > 3 {
		more = fmt.Sprintf(" and %d more", len(reasons)-3)
		reasons = reasons[:3]
	}
	return "INVALID: " + strings.Join(reasons, ", ") + more + ". Columns " + namedIn(g.Distrust)
}

func (g *Group) caption() analysis.FigureCaption {
	target := "earlier harness (v2.5)"
	if g.Verdict.Target.URL != "" {
		target += ", " + g.Verdict.Target.URL
	}
	requests := 0
	for _, r := range g.Runs {
		requests += r.Good()
	}
	c := analysis.FigureCaption{
		Target: target, Model: g.Model, Machine: g.Machine,
		Samples: fmt.Sprintf("%d runs, %d requests that succeeded", len(g.Runs), requests),
		Notes:   []string{"dots: runs; large marks: their medians; no intervals", "axes say what is drawn instead"},
	}
	if g.Hypothesis == "H3" {
		c.Notes[0] = "a line per run: the one of each arm whose memory fell lowest"
	}
	if g.Hypothesis == "H8" {
		c.Notes[0] = "a point per run; no correlation is computed"
	}
	return c
}

// place is where an arm stands on the horizontal axis.
type place struct {
	x    float64
	runs []*Run
}

// panel is one measure over places: each run a dot, their median joined.
func panel(label string, scale analysis.FigureScale, m measure, places []place, line analysis.FigureLine) analysis.FigurePanel {
	runs := analysis.FigureLayer{Name: "runs", Color: analysis.FigureOrange, Glyph: analysis.FigureDot, Dodge: 5}
	mid := analysis.FigureLayer{Name: "median", Color: analysis.FigureBlue, Glyph: analysis.FigureDisc, Line: line}
	for _, p := range places {
		values := m.over(p.runs)
		for _, v := range values {
			if !math.IsNaN(v) {
				runs.Points = append(runs.Points, point(p.x, v))
			}
		}
		mid.Points = append(mid.Points, point(p.x, median(values)))
	}
	return analysis.FigurePanel{Y: analysis.FigureAxis{Label: label, Scale: scale}, Layers: []analysis.FigureLayer{mid, runs}}
}

func point(x, y float64) analysis.FigurePoint {
	return analysis.FigurePoint{X: x, Estimate: analysis.Estimate{Value: y, Lo: absent(), Hi: absent()}}
}

// empty reports whether a panel has nothing to draw.
func empty(p analysis.FigurePanel) bool {
	for _, l := range p.Layers {
		for _, at := range l.Points {
			if !math.IsNaN(at.X) && !math.IsNaN(at.Value) && (at.Value > 0 || p.Y.Scale != analysis.FigureLog10) {
				return false
			}
		}
	}
	return true
}

// panels are the measures of a group that have values, latency first. Later
// panels have no legend: it is the first one's.
func (g *Group) panels(places []place, line analysis.FigureLine, names ...string) []analysis.FigurePanel {
	var out []analysis.FigurePanel
	for _, m := range g.measures() {
		if !slices.Contains(names, m.number) {
			continue
		}
		scale, height := analysis.FigureLinear, 0.75
		if m.unit == "ms" && m.number != numReadAwait {
			scale, height = analysis.FigureLog10, 1.3
		}
		label := m.name + " (" + m.unit + ")"
		if m.unit == "1/s" {
			label = m.name + "/s"
		}
		p := panel(label, scale, m, places, line)
		p.HeightIn = height
		if empty(p) {
			continue
		}
		if len(out) > 0 {
			for i := range p.Layers {
				p.Layers[i].Name = ""
			}
		}
		out = append(out, p)
	}
	if len(out) == 0 { // FigurePanel without a value: SVG says that there is nothing to draw
		out = append(out, analysis.FigurePanel{Y: analysis.FigureAxis{Label: "nothing measured"}})
	}
	return out
}

// sweep is a figure over a number: users.
func (g *Group) sweep(x analysis.FigureAxis) analysis.Figure {
	var places []place
	for _, a := range g.Arms {
		if a.X > 0 {
			places = append(places, place{a.X, a.Runs})
			x.Ticks = append(x.Ticks, analysis.FigureTick{At: a.X, Label: fmt.Sprintf("%g", a.X)})
		}
	}
	q := g.Quantile
	return analysis.Figure{X: x, Panels: g.panels(places, analysis.FigureSolid, latency+q, firstByte+q, numThroughput, numIOWait, numReadAwait)}
}

// byArm is a figure over arms that have no order but the one they ran in.
func (g *Group) byArm() analysis.Figure {
	x := analysis.FigureAxis{Label: "arm", Scale: analysis.FigureCategory}
	var places []place
	for i, a := range g.Arms {
		places = append(places, place{float64(i + 1), a.Runs})
		label, sub := a.Label, ""
		if k := strings.LastIndexByte(label, ' '); k > 0 && g.Hypothesis == "H7" {
			label, sub = label[:k], label[k+1:]
		}
		x.Ticks = append(x.Ticks, analysis.FigureTick{At: float64(i + 1), Label: label, Sub: sub})
	}
	q := g.Quantile
	names := []string{latency + q, firstByte + q, numIOWait, numReadAwait, numReadBytes}
	if g.Hypothesis == "H7" {
		names = []string{numReadBytes, numHostReads, numStorageRPS}
	}
	return analysis.Figure{X: x, Panels: g.panels(places, analysis.FigureNoLine, names...)}
}

// contexts is H2 over the prompts' measured tokens, or over their names where
// one is not known. Arms of one length stand beside each other.
func (g *Group) contexts() analysis.Figure {
	x := analysis.FigureAxis{Label: "prompt (measured tokens), by output budget", Scale: analysis.FigureCategory}
	line := analysis.FigureSolid
	if slices.ContainsFunc(g.Arms, func(a Arm) bool { return a.X == 0 }) {
		line = analysis.FigureNoLine // names have no order
		x.Label = "prompt file (a name, not a length), by output budget"
	}
	var places []place
	for i, a := range g.Arms {
		m := a.Runs[0].Manifest
		label := m.Context
		if a.X > 0 {
			label = fmt.Sprintf("%g", a.X)
		}
		sub := ""
		if m.MaxTokens > 0 {
			sub = fmt.Sprintf("+ %d out", m.MaxTokens)
		}
		places = append(places, place{float64(i + 1), a.Runs})
		x.Ticks = append(x.Ticks, analysis.FigureTick{At: float64(i + 1), Label: label, Sub: sub})
	}
	q := g.Quantile
	return analysis.Figure{X: x, Panels: g.panels(places, line, latency+q, firstByte+q, numStorageRPS, numReadAwait, numIOWait)}
}

// waits is H8: the latency of each run over its iowait.
func (g *Group) waits() analysis.Figure {
	p := analysis.FigurePanel{Y: analysis.FigureAxis{Label: g.Quantile + " latency (ms)", Scale: analysis.FigureLog10}, HeightIn: 2}
	p.Layers = []analysis.FigureLayer{
		{Name: "H2", Color: analysis.FigureBlue, Glyph: analysis.FigureDisc},
		{Name: "H4", Color: analysis.FigureVermillion, Glyph: analysis.FigureDiamond},
	}
	for _, r := range g.Runs {
		l := &p.Layers[0]
		if r.Hypothesis == "H4" {
			l = &p.Layers[1]
		}
		l.Points = append(l.Points, point(r.Number(numIOWait).Value, r.Number(latency+g.Quantile).Value))
	}
	p.Layers = slices.DeleteFunc(p.Layers, func(l analysis.FigureLayer) bool { return len(l.Points) == 0 })
	return analysis.Figure{X: analysis.FigureAxis{Label: "iowait (% of all CPUs, mean over the run)"}, Panels: []analysis.FigurePanel{p}}
}

// memory is H3: what was left of memory over time, a run of each arm.
func (g *Group) memory() analysis.Figure {
	free := analysis.FigurePanel{Y: analysis.FigureAxis{Label: "MemAvailable (GiB)"}, HeightIn: 1.2}
	cached := analysis.FigurePanel{Y: analysis.FigureAxis{Label: "Cached (GiB)"}, HeightIn: 1.2}
	colors := []analysis.FigureColor{analysis.FigureBlue, analysis.FigureVermillion, analysis.FigureGreen, analysis.FigureOrange, analysis.FigurePurple, analysis.FigureSky, analysis.FigureBlack, analysis.FigureGrey}
	for i, a := range g.Arms {
		r := lowest(a.Runs)
		if r == nil || r.Telemetry.Steps > 0 {
			continue
		}
		style := analysis.FigureSolid
		if i >= len(colors) {
			style = analysis.FigureDashed
		}
		line := analysis.FigureLayer{Color: colors[i%len(colors)], Line: style, Thin: true}
		at := r.Telemetry.Column(colTime)
		draw := func(column, name string) analysis.FigureLayer {
			l := line
			l.Name = name
			for k, v := range r.Telemetry.Column(column) {
				l.Points = append(l.Points, point(at[k]/60e3, v/(1<<20)))
			}
			return l
		}
		free.Layers = append(free.Layers, draw(colFree, armName(a)))
		cached.Layers = append(cached.Layers, draw("mem_Cached_kB", ""))
	}
	return analysis.Figure{X: analysis.FigureAxis{Label: "time since the telemetry began (min)", Scale: analysis.FigureTight}, Panels: []analysis.FigurePanel{free, cached}}
}

func armName(a Arm) string {
	if a.X > 0 {
		return fmt.Sprintf("%g tokens", a.X)
	}
	return a.Label
}

// lowest is the run whose memory fell lowest, nil without telemetry.
func lowest(runs []*Run) (found *Run) {
	for _, r := range runs {
		v := r.Number(numFreeLeast).Value
		if !math.IsNaN(v) && (found == nil || v < found.Number(numFreeLeast).Value) {
			found = r
		}
	}
	return found
}
