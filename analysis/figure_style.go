package analysis

import (
	"image/color"
	"sort"
	"strings"

	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/spark-harness/harness/internal/oneline"
)

// FigureColor is a colour of the palette of Okabe and Ito (2008), whose members
// stay apart for readers with any of the common colour deficiencies.
type FigureColor int

// The palette. Yellow is too pale for lines on white; use it to fill.
const (
	FigureBlack FigureColor = iota
	FigureOrange
	FigureSky
	FigureGreen
	FigureYellow
	FigureBlue
	FigureVermillion
	FigurePurple
	FigureGrey
)

// rgb is the colour; one outside the palette is black.
func (c FigureColor) rgb() color.NRGBA {
	palette := [...]color.NRGBA{
		{0x00, 0x00, 0x00, 0xff},
		{0xe6, 0x9f, 0x00, 0xff},
		{0x56, 0xb4, 0xe9, 0xff},
		{0x00, 0x9e, 0x73, 0xff},
		{0xf0, 0xe4, 0x42, 0xff},
		{0x00, 0x72, 0xb2, 0xff},
		{0xd5, 0x5e, 0x00, 0xff},
		{0xcc, 0x79, 0xa7, 0xff},
		{0x66, 0x66, 0x66, 0xff},
	}
	if c < 0 || int(c) >= len(palette) {
		return palette[FigureBlack]
	}
	return palette[c]
}

// tint is the colour at an opacity in (0,1].
func (c FigureColor) tint(opacity float64) color.NRGBA {
	n := c.rgb()
	n.A = uint8(255*opacity + 0.5)
	return n
}

// Sizes in points. Nothing is printed smaller than tickSize.
const (
	titleSize vg.Length = 9
	labelSize vg.Length = 7.5
	tickSize  vg.Length = 7
	leading   vg.Length = 1.2 // line height over font size

	hairline vg.Length = 0.3
	axisLine vg.Length = 0.5
	dataLine vg.Length = 1.1
	thinLine vg.Length = 0.5
	tickLen  vg.Length = 2.5
)

// faceOf is the house font: Liberation Sans, whose widths are Arial's and
// Helvetica's, so that text set in those takes the space measured here.
func faceOf(size vg.Length, bold bool) *font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = 3 // WeightBold of golang.org/x/image/font, not worth a dependency
	}
	face := font.DefaultCache.Lookup(f, size)
	return &face
}

// pen draws text and lines on a canvas.
type pen struct {
	draw.Canvas
}

// text prints s with its baseline at y; align is 0 for left, 0.5 for centred
// and 1 for right of x.
func (p pen) text(s string, face *font.Face, c color.Color, x, y vg.Length, align float64) {
	if s == "" {
		return
	}
	p.SetColor(c)
	p.FillString(*face, vg.Point{X: x - vg.Length(align)*face.Width(s), Y: y}, s)
}

func (p pen) line(c color.Color, width vg.Length, style FigureLine, points ...vg.Point) {
	sty := draw.LineStyle{Color: c, Width: width}
	if style == FigureDashed {
		sty.Dashes = []vg.Length{3, 2}
	}
	p.StrokeLines(sty, points)
}

// lineWidth is how thick the layer's line is.
func (l FigureLayer) lineWidth() vg.Length {
	if l.Thin {
		return thinLine
	}
	return dataLine
}

func (p pen) box(c color.Color, from, to vg.Point) {
	p.FillPolygon(c, []vg.Point{from, {X: to.X, Y: from.Y}, to, {X: from.X, Y: to.Y}})
}

func (p pen) glyph(g FigureGlyph, c color.Color, at vg.Point) {
	sty := draw.GlyphStyle{Color: c, Radius: 1.9}
	switch g {
	case FigureNoGlyph:
		return
	case FigureDot:
		sty.Shape, sty.Radius = draw.CircleGlyph{}, 1.3
	case FigureRing:
		sty.Shape = draw.RingGlyph{}
	case FigureSquare:
		sty.Shape, sty.Radius = draw.BoxGlyph{}, 1.7
	case FigureTriangle:
		sty.Shape, sty.Radius = draw.PyramidGlyph{}, 2
	case FigureDiamond:
		const half = 2.5
		p.FillPolygon(c, []vg.Point{{X: at.X - half, Y: at.Y}, {X: at.X, Y: at.Y + half}, {X: at.X + half, Y: at.Y}, {X: at.X, Y: at.Y - half}})
		return
	case FigureCross:
		const half, width = 1.7, 0.8
		p.line(c, width, FigureSolid, vg.Point{X: at.X - half, Y: at.Y - half}, vg.Point{X: at.X + half, Y: at.Y + half})
		p.line(c, width, FigureSolid, vg.Point{X: at.X - half, Y: at.Y + half}, vg.Point{X: at.X + half, Y: at.Y - half})
		return
	case FigureOpenSquare:
		sty.Shape, sty.Radius = draw.SquareGlyph{}, 1.7
	case FigureOpenTriangle:
		sty.Shape, sty.Radius = draw.TriangleGlyph{}, 2
	default:
		sty.Shape = draw.CircleGlyph{}
	}
	p.DrawGlyph(sty, at)
}

// visible makes a string one line of printable characters. It bounds the
// length too, so that measuring a hostile name stays cheap.
func visible(s string) string { return oneline.Of(s, 1000) }

// fit cuts s with an ellipsis to at most width.
func fit(s string, face *font.Face, width vg.Length) string {
	if face.Width(s) <= width {
		return s
	}
	r := []rune(s)
	over := sort.Search(len(r), func(n int) bool { return face.Width(string(r[:n])+"…") > width })
	return strings.TrimRight(string(r[:max(over-1, 0)]), " ") + "…"
}

// fill breaks s into at most n lines no wider than width, at spaces where it
// can; what is left over is cut from the last.
func fill(s string, face *font.Face, width vg.Length, n int) []string {
	var lines []string
	line := ""
	for word := range strings.SplitSeq(s, " ") {
		joined := strings.TrimPrefix(line+" "+word, " ")
		if line == "" || len(lines) == n-1 || face.Width(joined) <= width {
			line = joined
			continue
		}
		lines, line = append(lines, fit(line, face, width)), word
	}
	if line != "" {
		lines = append(lines, fit(line, face, width))
	}
	return lines
}
