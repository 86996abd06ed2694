package analysis

import (
	"image/color"

	"gonum.org/v1/plot/vg"
)

// legendEntry is a swatch and a name.
type legendEntry struct {
	layer FigureLayer
	name  string
	width vg.Length
}

const (
	swatchWidth vg.Length = 15
	legendGap   vg.Length = 7
)

// legendRows breaks the legend into rows no wider than width. Layers without a
// name or a point have no entry.
func legendRows(layers []FigureLayer, runs [][][]FigurePoint, width vg.Length) [][]legendEntry {
	face := faceOf(tickSize, false)
	var rows [][]legendEntry
	var used vg.Length
	for i, layer := range layers {
		name := visible(layer.Name)
		if name == "" || len(runs[i]) == 0 {
			continue
		}
		name = fit(name, face, max(width-swatchWidth-2, 40))
		e := legendEntry{layer, name, swatchWidth + 2 + face.Width(name)}
		if len(rows) == 0 || used+legendGap+e.width > width {
			rows, used = append(rows, nil), -legendGap
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		used += legendGap + e.width
	}
	return rows
}

// drawPanelHead prints a panel's label at the left and its legend at the right,
// above the data, where it can hide none of it.
func (s *sectionLayout) drawPanelHead(p pen, panel panelLayout) {
	y := panel.headTop
	face := faceOf(labelSize, true)
	p.text(fit(visible(panel.Y.Label), face, s.right-s.least-pageMargin), face, ink(), s.least+pageMargin, s.baseline(y, labelSize), 0)
	if panel.stacked {
		y += labelSize * leading
	}
	for _, row := range panel.legend {
		width := -legendGap
		for _, e := range row {
			width += legendGap + e.width
		}
		x := s.right - width
		for _, e := range row {
			base := s.baseline(y, labelSize)
			p.swatch(e.layer, x, base+tickSize*0.35)
			p.text(e.name, faceOf(tickSize, false), ink(), x+swatchWidth+2, base, 0)
			x += e.width + legendGap
		}
		y += labelSize * leading
	}
}

// swatch is a layer in miniature, centred on height y.
func (p pen) swatch(layer FigureLayer, x, y vg.Length) {
	solid := color.Color(layer.Color.rgb())
	if layer.Faint {
		solid = layer.Color.tint(0.5)
	}
	mid := vg.Point{X: x + swatchWidth/2, Y: y}
	if layer.Band {
		p.box(layer.Color.tint(0.2), vg.Point{X: x, Y: y - 2.5}, vg.Point{X: x + swatchWidth, Y: y + 2.5})
	}
	if layer.Line != FigureNoLine {
		p.line(solid, layer.lineWidth(), layer.Line, vg.Point{X: x, Y: y}, vg.Point{X: x + swatchWidth, Y: y})
	}
	if layer.Bars {
		p.bar(solid, vg.Point{X: mid.X, Y: y - 3}, vg.Point{X: mid.X, Y: y + 3}, y-4, y+4)
	}
	p.glyph(layer.Glyph, solid, mid)
}
