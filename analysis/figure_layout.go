package analysis

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
)

// page is the size of the sheet, in one place for all that is put on it.
type page struct{ width, height vg.Length }

// figureLayout is a figure measured: every line broken, every axis ranged, and
// the height that holds it all. Heights run downward from the top of the page.
type figureLayout struct {
	*page
	f          Figure
	title, sub []string
	columns    int
	sections   []*sectionLayout
	footer     []string
}

// sectionLayout is what stands over one horizontal axis.
type sectionLayout struct {
	*page
	FigureSection
	column      int
	least, most vg.Length // of the column
	left, right vg.Length // of the data areas
	x           axis
	xTicks      []FigureTick
	xLabel      []string
	markers     []markerLayout
	markerRows  int
	panels      []panelLayout
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
	l := &figureLayout{f: f, page: &page{width: 3.4 * vg.Inch}}
	if f.Width == FigurePage {
		l.width = 7 * vg.Inch
	}
	partly, never := l.measure()
	if len(l.sections) == 0 {
		return nil, fmt.Errorf("analysis: draw figure %q: %w (every value is absent)", visible(f.Title), ErrFigureEmpty)
	}
	l.place()
	l.breakText(partly, never)
	if ends := l.stack(); l.level(ends) { // taller panels hold other ticks
		l.place()
		l.breakText(partly, never)
		l.stack()
	}
	return l, nil
}

// measure keeps the sections and panels that have something to draw, and gives
// each section its column. It names the panels that lack some values, and those
// that lack them all.
func (l *figureLayout) measure() (partly, never []string) {
	for _, section := range l.f.sections() {
		s := &sectionLayout{page: l.page, FigureSection: section}
		somewhere, nowhere := s.measure()
		partly, never = append(partly, somewhere...), append(never, nowhere...)
		if len(s.panels) == 0 {
			continue
		}
		if l.columns == 0 || s.Beside && l.f.Width == FigurePage {
			l.columns++
		}
		s.column = l.columns - 1
		l.sections = append(l.sections, s)
	}
	return partly, never
}

// measure keeps the panels that have something to draw and ranges their axes.
func (s *sectionLayout) measure() (partly, never []string) {
	xs := noExtent()
	for _, p := range s.Panels {
		panel := panelLayout{FigurePanel: p}
		ys, absent := noExtent(), false
		for _, layer := range p.Layers {
			runs, gaps := layer.drawn(s.X.Scale, p.Y.Scale)
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
		s.panels = append(s.panels, panel)
	}
	if s.X.Scale == FigureCategory { // a name without a value keeps its place
		for _, t := range s.X.Ticks {
			if s.X.Scale.drawable(t.At) {
				xs.add(t.At)
			}
		}
	}
	s.x.scale = s.X.Scale
	s.x.lo, s.x.hi = xs.horizontal(s.X.Scale)
	return partly, never
}

// place gives every section its width, its ticks and its markers.
func (l *figureLayout) place() {
	l.gutter()
	for _, s := range l.sections {
		s.xTicks = s.horizontalTicks()
		s.markers, s.markerRows = nil, 0
		s.placeMarkers()
	}
}

// quantity is an axis label without its unit.
func quantity(label string) string {
	name, _, _ := strings.Cut(visible(label), " (")
	return name
}

// gutter chooses the vertical ticks and leaves room for the widest label, so
// that the data areas of a column line up.
func (l *figureLayout) gutter() {
	widest := make([]vg.Length, l.columns)
	for _, s := range l.sections {
		s.least = l.width * vg.Length(s.column) / vg.Length(l.columns)
		s.most = l.width * vg.Length(s.column+1) / vg.Length(l.columns)
		widest[s.column] = max(widest[s.column], s.verticalTicks())
	}
	for _, s := range l.sections {
		s.left = s.least + pageMargin + widest[s.column] + tickLen + 2.5
		s.right = s.most - pageMargin - 4
		s.x.from, s.x.to = s.left, s.right
	}
}

// verticalTicks chooses them and returns the width of the widest label.
func (s *sectionLayout) verticalTicks() (widest vg.Length) {
	face := faceOf(tickSize, false)
	for i := range s.panels {
		p := &s.panels[i]
		height := vg.Length(p.HeightIn) * vg.Inch
		p.y.from, p.y.to = 0, height
		ticks := p.Y.Ticks
		if ticks == nil {
			ticks = p.y.ticks(int(height / 15))
		}
		tall := func(FigureTick) vg.Length { return tickSize * 0.72 }
		p.yTicks = p.y.labelled(clean(ticks), 3, tall, -tickSize, height+tickSize)
		for j := range p.yTicks {
			p.yTicks[j].Label = fit(p.yTicks[j].Label, face, (s.most-s.least)/4)
			widest = max(widest, face.Width(p.yTicks[j].Label))
		}
	}
	return widest
}

func (s *sectionLayout) horizontalTicks() []FigureTick {
	face := faceOf(tickSize, false)
	ticks := s.X.Ticks
	if ticks == nil {
		ticks = s.x.ticks(int((s.right - s.left) / 32))
	}
	ticks = clean(ticks)
	if s.X.Scale == FigureCategory { // each name keeps to its own step
		step := s.x.at(s.x.lo+1) - s.x.at(s.x.lo) - 4.1
		for i := range ticks {
			ticks[i].Label, ticks[i].Sub = fit(ticks[i].Label, face, step), fit(ticks[i].Sub, face, step)
		}
	}
	return s.x.labelled(ticks, 4, tickWidth(face), s.least+1, s.most-1)
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
	l.footer = fill(l.f.Caption.line(partly, never), faceOf(tickSize, false), inner, footerLines)
	for _, s := range l.sections {
		s.breakText()
	}
}

func (s *sectionLayout) breakText() {
	s.xLabel = fill(visible(s.X.Label), faceOf(labelSize, false), s.right-s.left, 2)
	for i := range s.panels {
		p := &s.panels[i]
		label := faceOf(labelSize, true).Width(visible(p.Y.Label))
		p.legend = legendRows(p.Layers, p.runs, s.right-s.least-pageMargin-label-10)
		if len(p.legend) > 1 {
			p.stacked = true
			p.legend = legendRows(p.Layers, p.runs, s.right-s.left)
		}
	}
}

// stack gives every block its height, top to bottom, and the page its own. It
// returns where each column ends.
func (l *figureLayout) stack() []vg.Length {
	head := pageMargin
	head += vg.Length(max(len(l.title), 1))*titleSize*leading + vg.Length(len(l.sub))*labelSize*leading
	ends := make([]vg.Length, l.columns)
	for i := range ends {
		ends[i] = head
	}
	for _, s := range l.sections {
		ends[s.column] = s.stack(ends[s.column])
	}
	y := slices.Max(ends)
	if len(l.footer) > 0 {
		y += 5 + vg.Length(len(l.footer))*tickSize*leading
	}
	l.height = y + pageMargin
	for _, s := range l.sections {
		for i := range s.panels {
			p := &s.panels[i]
			p.y.to = l.height - p.top
			p.y.from = p.y.to - vg.Length(p.HeightIn)*vg.Inch
		}
	}
	return ends
}

// stack places the section's blocks from y downward and returns where they end.
func (s *sectionLayout) stack(y vg.Length) vg.Length {
	for i := range s.panels {
		p := &s.panels[i]
		y += panelGap
		p.headTop = y
		rows := len(p.legend)
		if p.stacked {
			rows++
		}
		y += vg.Length(max(rows, 1)) * labelSize * leading
		y += 4
		if i == 0 {
			y += vg.Length(s.markerRows) * tickSize * leading
		}
		p.top = y
		y += vg.Length(p.HeightIn) * vg.Inch
	}
	y += tickLen + 1 + vg.Length(s.tickRows())*tickSize*leading
	return y + vg.Length(len(s.xLabel))*labelSize*leading
}

// level raises the panels of shorter columns until all columns end together,
// and reports whether any had to.
func (l *figureLayout) level(ends []vg.Length) bool {
	longest, panels := slices.Max(ends), make([]int, l.columns)
	for _, s := range l.sections {
		panels[s.column] += len(s.panels)
	}
	grown := false
	for _, s := range l.sections {
		if ends[s.column] == longest {
			continue
		}
		grown = true
		for i := range s.panels {
			s.panels[i].HeightIn += float64((longest-ends[s.column])/vg.Inch) / float64(panels[s.column])
		}
	}
	return grown
}

func (s *sectionLayout) tickRows() int {
	for _, t := range s.xTicks {
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
