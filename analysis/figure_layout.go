package analysis

import (
	"fmt"
	"strings"

	"gonum.org/v1/plot/vg"
)

// figureLayout is a figure measured: every line broken, every axis ranged, and
// the height that holds it all. Heights run downward from the top of the page.
type figureLayout struct {
	f             Figure
	width, height vg.Length
	left, right   vg.Length // of the data areas
	title, sub    []string
	x             axis
	xTicks        []FigureTick
	xLabel        []string
	markers       []markerLayout
	markerRows    int
	panels        []panelLayout
	footer        []string
}

type panelLayout struct {
	FigurePanel
	headTop vg.Length // of the panel's head: its label and legend
	stacked bool      // legend under the label instead of beside it
	legend  [][]legendEntry
	top     vg.Length // of the data area
	y       axis      // from and to count from the bottom of the page
	yTicks  []FigureTick
	runs    [][][]FigurePoint // per layer
}

const (
	pageMargin  vg.Length = 4
	badge                 = "EMULATED"
	badgeWidth  vg.Length = 52
	panelGap    vg.Length = 5
	footerLines           = 6
)

// layout measures f. It fails when there is nothing to draw.
func (f Figure) layout() (*figureLayout, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	l := &figureLayout{f: f, width: 3.4 * vg.Inch}
	if f.Width == FigurePage {
		l.width = 7 * vg.Inch
	}
	partly, never := l.measure()
	if len(l.panels) == 0 {
		return nil, fmt.Errorf("analysis: draw figure %q: %w (every value is absent)", visible(f.Title), ErrFigureEmpty)
	}
	l.gutter()
	l.xTicks = l.horizontalTicks()
	l.placeMarkers()
	l.breakText(partly, never)
	l.stack()
	return l, nil
}

// measure keeps the panels that have something to draw and ranges their axes.
// It names the panels that lack some values, and those that lack them all.
func (l *figureLayout) measure() (partly, never []string) {
	xs := noExtent()
	for _, p := range l.f.Panels {
		panel := panelLayout{FigurePanel: p}
		ys, absent := noExtent(), false
		for _, layer := range p.Layers {
			runs, gaps := layer.drawn(l.f.X.Scale, p.Y.Scale)
			panel.runs = append(panel.runs, runs)
			absent = absent || gaps
			for _, run := range runs {
				for _, pt := range run {
					xs.add(pt.X)
					ys.add(pt.Value)
					for _, end := range []float64{pt.Lo, pt.Hi} {
						if (layer.Bars || layer.Band) && pt.bounded() && p.Y.Scale.drawable(end) {
							ys.add(end)
						}
					}
				}
			}
		}
		if ys.lo > ys.hi {
			never = append(never, quantity(p.Y.Label))
			continue
		}
		if absent {
			partly = append(partly, quantity(p.Y.Label))
		}
		panel.y.scale = p.Y.Scale
		panel.y.lo, panel.y.hi = ys.vertical(p.Y.Scale)
		if panel.HeightIn == 0 {
			panel.HeightIn = defaultHeightIn
		}
		l.panels = append(l.panels, panel)
	}
	l.x.scale = l.f.X.Scale
	l.x.lo, l.x.hi = xs.horizontal(l.f.X.Scale)
	return partly, never
}

// quantity is an axis label without its unit.
func quantity(label string) string {
	name, _, _ := strings.Cut(visible(label), " (")
	return name
}

// gutter chooses the vertical ticks and leaves room for the widest label, so
// that the panels' data areas line up.
func (l *figureLayout) gutter() {
	face := faceOf(tickSize, false)
	var widest vg.Length
	for i := range l.panels {
		p := &l.panels[i]
		height := vg.Length(p.HeightIn) * vg.Inch
		p.y.from, p.y.to = 0, height
		ticks := p.Y.Ticks
		if ticks == nil {
			ticks = p.y.ticks(int(height / 15))
		}
		tall := func(FigureTick) vg.Length { return tickSize * 0.72 }
		p.yTicks = p.y.labelled(clean(ticks), 3, tall, -tickSize, height+tickSize)
		for j := range p.yTicks {
			p.yTicks[j].Label = fit(p.yTicks[j].Label, face, l.width/4)
			widest = max(widest, face.Width(p.yTicks[j].Label))
		}
	}
	l.left = pageMargin + widest + tickLen + 2.5
	l.right = l.width - pageMargin - 4
	l.x.from, l.x.to = l.left, l.right
}

func (l *figureLayout) horizontalTicks() []FigureTick {
	face := faceOf(tickSize, false)
	ticks := l.f.X.Ticks
	if ticks == nil {
		ticks = l.x.ticks(int((l.right - l.left) / 32))
	}
	return l.x.labelled(clean(ticks), 4, tickWidth(face), 1, l.width-1)
}

func clean(ticks []FigureTick) []FigureTick {
	out := make([]FigureTick, len(ticks))
	for i, t := range ticks {
		out[i] = FigureTick{t.At, visible(t.Label), visible(t.Sub)}
	}
	return out
}

// breakText wraps everything that is set in lines.
func (l *figureLayout) breakText(partly, never []string) {
	inner := l.width - 2*pageMargin
	room := inner
	if l.f.Caption.Emulated {
		room -= badgeWidth + 4
	}
	l.title = fill(visible(l.f.Title), faceOf(titleSize, true), room, 2)
	l.sub = fill(visible(l.f.Subtitle), faceOf(labelSize, false), inner, 3)
	l.xLabel = fill(visible(l.f.X.Label), faceOf(labelSize, false), l.right-l.left, 2)
	l.footer = fill(l.f.Caption.line(partly, never), faceOf(tickSize, false), inner, footerLines)
	for i := range l.panels {
		p := &l.panels[i]
		label := faceOf(labelSize, true).Width(visible(p.Y.Label))
		p.legend = legendRows(p.Layers, p.runs, l.right-pageMargin-label-10)
		if len(p.legend) > 1 {
			p.stacked = true
			p.legend = legendRows(p.Layers, p.runs, l.right-l.left)
		}
	}
}

// stack gives every block its height, top to bottom.
func (l *figureLayout) stack() {
	y := pageMargin
	y += vg.Length(max(len(l.title), 1))*titleSize*leading + vg.Length(len(l.sub))*labelSize*leading
	for i := range l.panels {
		p := &l.panels[i]
		y += panelGap
		p.headTop = y
		rows := len(p.legend)
		if p.stacked {
			rows++
		}
		y += vg.Length(max(rows, 1)) * labelSize * leading
		y += 4
		if i == 0 {
			y += vg.Length(l.markerRows) * tickSize * leading
		}
		p.top = y
		y += vg.Length(p.HeightIn) * vg.Inch
	}
	y += tickLen + 1 + vg.Length(l.tickRows())*tickSize*leading
	y += vg.Length(len(l.xLabel)) * labelSize * leading
	if len(l.footer) > 0 {
		y += 5 + vg.Length(len(l.footer))*tickSize*leading
	}
	l.height = y + pageMargin
	for i := range l.panels {
		p := &l.panels[i]
		p.y.to = l.height - p.top
		p.y.from = p.y.to - vg.Length(p.HeightIn)*vg.Inch
	}
}

func (l *figureLayout) tickRows() int {
	for _, t := range l.xTicks {
		if t.Sub != "" {
			return 2
		}
	}
	return 1
}

// line is the caption in one line, before it is broken.
func (c FigureCaption) line(partly, never []string) string {
	var parts []string
	add := func(label, s string) {
		if s = visible(s); s != "" {
			parts = append(parts, label+fit(s, faceOf(tickSize, false), 260))
		}
	}
	if c.Emulated {
		add("", badge)
	}
	add("server: ", c.Target)
	add("model: ", c.Model)
	add("machine: ", c.Machine)
	add("", c.Samples)
	add("", c.Interval)
	for _, n := range c.Notes {
		add("", n)
	}
	if len(partly) > 0 {
		parts = append(parts, "without a value at some points: "+strings.Join(partly, ", "))
	}
	if len(never) > 0 {
		parts = append(parts, "not measured: "+strings.Join(never, ", "))
	}
	return strings.Join(parts, " · ")
}
