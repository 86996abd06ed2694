package analysis

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// drawOn draws the layout. Panels are laid out and drawn here rather than by
// plot.Plot, which pads each plot to its own labels: stacked panels must share
// one horizontal axis to the point, and labels must be measured to be placed.
func (l *figureLayout) drawOn(c vg.CanvasSizer) {
	p := pen{draw.New(c)}
	p.box(color.White, vg.Point{}, vg.Point{X: l.width, Y: l.height})
	l.drawHead(p)
	for _, s := range l.sections {
		s.drawMarkers(p)
		for _, panel := range s.panels {
			s.drawFrame(p, panel)
			for _, behind := range []bool{true, false} {
				for i, layer := range panel.Layers {
					if layer.Behind == behind {
						s.drawLayer(p, panel, layer, panel.runs[i])
					}
				}
			}
			s.drawPanelHead(p, panel)
		}
		s.drawHorizontal(p)
	}
	l.drawFooter(p)
}

func ink() color.Color { return color.NRGBA{0x1a, 0x1a, 0x1a, 0xff} }
func dim() color.Color { return color.NRGBA{0x40, 0x40, 0x40, 0xff} }

// baseline is where text sits in a line of the given size whose top is y below
// the top of a page.
func (p *page) baseline(y, size vg.Length) vg.Length { return p.height - y - size*0.95 }

func (l *figureLayout) drawHead(p pen) {
	y := pageMargin
	for _, line := range l.title {
		p.text(line, faceOf(titleSize, true), ink(), pageMargin, l.baseline(y, titleSize), 0)
		y += titleSize * leading
	}
	if len(l.title) == 0 {
		y += titleSize * leading
	}
	for _, line := range l.sub {
		p.text(line, faceOf(labelSize, false), ink(), pageMargin, l.baseline(y, labelSize), 0)
		y += labelSize * leading
	}
	if l.f.Caption.Emulated {
		from := vg.Point{X: l.width - pageMargin - badgeWidth, Y: l.height - pageMargin - titleSize*leading}
		to := vg.Point{X: l.width - pageMargin, Y: l.height - pageMargin + 0.5}
		p.box(FigureVermillion.rgb(), from, to)
		face := faceOf(8, true)
		p.text(badge, face, color.White, (from.X+to.X)/2, from.Y+2.9, 0.5)
	}
}

// drawMarkers draws the lines and shades under the data, and the labels.
func (s *sectionLayout) drawMarkers(p pen) {
	first := s.panels[0]
	for _, m := range s.markers {
		for _, panel := range s.panels {
			lo, hi := s.x.clamp(m.At.Lo), s.x.clamp(m.At.Hi)
			if lo < hi {
				p.box(m.Color.tint(0.13), vg.Point{X: s.x.at(lo), Y: panel.y.from}, vg.Point{X: s.x.at(hi), Y: panel.y.to})
			}
		}
	}
	for _, m := range s.markers {
		rise := first.y.to + 2 + vg.Length(m.row)*tickSize*leading
		p.text(m.text, faceOf(tickSize, false), m.Color.rgb(), m.from, rise+1, 0)
		if !m.inside {
			continue
		}
		for i, panel := range s.panels {
			top := panel.y.to
			if i == 0 {
				top = rise
				if m.x < m.from || m.x > m.to { // beside the line, not over it
					top += tickSize
				}
			}
			p.line(m.Color.rgb(), 0.9, max(m.Line, FigureSolid), vg.Point{X: m.x, Y: panel.y.from}, vg.Point{X: m.x, Y: top})
		}
	}
}

// drawFrame draws a panel's grid, axis lines, ticks and vertical labels.
func (s *sectionLayout) drawFrame(p pen, panel panelLayout) {
	grid := color.NRGBA{0xd0, 0xd0, 0xd0, 0xff}
	for _, t := range s.xTicks {
		x := s.x.at(t.At)
		if t.Label != "" {
			p.line(grid, hairline, FigureSolid, vg.Point{X: x, Y: panel.y.from}, vg.Point{X: x, Y: panel.y.to})
		}
		p.line(ink(), axisLine, FigureSolid, vg.Point{X: x, Y: panel.y.from}, vg.Point{X: x, Y: panel.y.from - tickReach(t)})
	}
	for _, t := range panel.yTicks {
		y := panel.y.at(t.At)
		if t.Label != "" {
			p.line(grid, hairline, FigureSolid, vg.Point{X: s.left, Y: y}, vg.Point{X: s.right, Y: y})
		}
		p.line(ink(), axisLine, FigureSolid, vg.Point{X: s.left, Y: y}, vg.Point{X: s.left - tickReach(t), Y: y})
		p.text(t.Label, faceOf(tickSize, false), ink(), s.left-tickLen-1.5, y-tickSize*0.35, 1)
	}
	p.line(ink(), axisLine, FigureSolid, vg.Point{X: s.left, Y: panel.y.to},
		vg.Point{X: s.left, Y: panel.y.from}, vg.Point{X: s.right, Y: panel.y.from})
}

func tickReach(t FigureTick) vg.Length {
	if t.Label == "" {
		return tickLen / 2
	}
	return tickLen
}

// pointAt is where a layer's point stands on the page.
func (s *sectionLayout) pointAt(panel panelLayout, layer FigureLayer, x, y float64) vg.Point {
	return vg.Point{X: s.x.at(x) + vg.Length(layer.Dodge), Y: panel.y.at(panel.y.clamp(y))}
}

func (s *sectionLayout) drawLayer(p pen, panel panelLayout, layer FigureLayer, runs [][]FigurePoint) {
	solid, soft := color.Color(layer.Color.rgb()), color.Color(layer.Color.tint(0.2))
	if layer.Faint {
		solid = layer.Color.tint(0.5)
	}
	place := func(x, y float64) vg.Point { return s.pointAt(panel, layer, x, y) }
	for _, run := range runs {
		var line, upper, lower []vg.Point
		for _, pt := range run {
			line = append(line, place(pt.X, pt.Value))
			if pt.bounded() {
				upper, lower = append(upper, place(pt.X, pt.Hi)), append(lower, place(pt.X, pt.Lo))
			}
		}
		if layer.Band && len(upper) > 1 {
			outline := upper
			for i := len(lower) - 1; i >= 0; i-- {
				outline = append(outline[:len(outline):len(outline)], lower[i])
			}
			p.FillPolygon(soft, outline)
		}
		if layer.Line != FigureNoLine && len(line) > 1 {
			p.line(solid, layer.lineWidth(), layer.Line, line...)
		}
		for i := range upper {
			if layer.Bars {
				p.bar(solid, lower[i], upper[i], panel.y.from, panel.y.to)
			}
		}
		for _, at := range line {
			p.glyph(layer.Glyph, solid, at)
		}
	}
}

// bar is an error bar, with a cap on each end strictly between least and most.
func (p pen) bar(c color.Color, lo, hi vg.Point, least, most vg.Length) {
	const half, width = 1.8, 0.7
	p.line(c, width, FigureSolid, lo, hi)
	for _, end := range []vg.Point{lo, hi} {
		if end.Y <= least || end.Y >= most {
			continue
		}
		p.line(c, width, FigureSolid, vg.Point{X: end.X - half, Y: end.Y}, vg.Point{X: end.X + half, Y: end.Y})
	}
}

// drawHorizontal draws the labels of the shared axis under the last panel.
func (s *sectionLayout) drawHorizontal(p pen) {
	last := s.panels[len(s.panels)-1]
	y := s.height - last.y.from + tickLen + 1
	face := faceOf(tickSize, false)
	for _, t := range s.xTicks {
		p.text(t.Label, face, ink(), s.x.at(t.At), s.baseline(y, tickSize), 0.5)
		p.text(t.Sub, face, dim(), s.x.at(t.At), s.baseline(y+tickSize*leading, tickSize), 0.5)
	}
	y += vg.Length(s.tickRows()) * tickSize * leading
	for _, line := range s.xLabel {
		p.text(line, faceOf(labelSize, true), ink(), (s.left+s.right)/2, s.baseline(y, labelSize), 0.5)
		y += labelSize * leading
	}
}

func (l *figureLayout) drawFooter(p pen) {
	if len(l.footer) == 0 {
		return
	}
	y := l.height - pageMargin - vg.Length(len(l.footer))*tickSize*leading
	p.line(color.NRGBA{0xa0, 0xa0, 0xa0, 0xff}, hairline, FigureSolid,
		vg.Point{X: pageMargin, Y: l.height - y + 2}, vg.Point{X: l.width - pageMargin, Y: l.height - y + 2})
	for _, line := range l.footer {
		p.text(line, faceOf(tickSize, false), dim(), pageMargin, l.baseline(y, tickSize), 0)
		y += tickSize * leading
	}
}
