package analysis

import (
	"strings"
)

// FigureSpot is one drawn point of a figure and where it stands in the SVG.
type FigureSpot struct {
	Panel  int     // index into Frames
	Series string  // the layer's name; what the panel shows where it has none
	X, Y   float64 // in the units of the SVG's viewBox, from its top left
	Marked bool    // it has a glyph; else it only bends a line
	Single bool    // it is one run of several, by its glyph
	// At, Value and Interval are texts with units; Interval is "" without one.
	At, Value, Interval string
}

// FigureFrame is the data area of one drawn panel.
type FigureFrame struct {
	Section                  int // panels of one section share their horizontal axis
	Label                    string
	Left, Right, Top, Bottom float64 // in the units of the SVG's viewBox, from its top left
}

// Frames are the data areas of the panels that SVG draws, in order. Errors are
// those of SVG.
func (f Figure) Frames() ([]FigureFrame, error) {
	l, err := f.layout()
	if err != nil {
		return nil, err
	}
	var frames []FigureFrame
	for i, s := range l.sections {
		for _, p := range s.panels {
			frames = append(frames, FigureFrame{
				Section: i, Label: visible(p.Y.Label),
				Left: float64(s.left), Right: float64(s.right),
				Top: float64(l.height - p.y.to), Bottom: float64(l.height - p.y.from),
			})
		}
	}
	return frames, nil
}

// Spots are the points that SVG draws, panel by panel and layer by layer, each
// where its glyph has its centre. Errors are those of SVG.
func (f Figure) Spots() ([]FigureSpot, error) {
	l, err := f.layout()
	if err != nil {
		return nil, err
	}
	var spots []FigureSpot
	panel := 0
	for _, s := range l.sections {
		for _, p := range s.panels {
			for i, layer := range p.Layers {
				for _, run := range p.runs[i] {
					for _, pt := range run {
						spots = append(spots, s.spot(p, panel, layer, pt))
					}
				}
			}
			panel++
		}
	}
	return spots, nil
}

// spot describes a point of a panel.
func (s *sectionLayout) spot(p panelLayout, panel int, layer FigureLayer, pt FigurePoint) FigureSpot {
	at := s.pointAt(p, layer, pt.X, pt.Value)
	spot := FigureSpot{
		Panel: panel, Series: visible(layer.Name), X: float64(at.X), Y: float64(s.height - at.Y), Marked: layer.Glyph != FigureNoGlyph, Single: layer.Glyph == FigureDot,
		At: s.atText(pt.X), Value: withUnit(decimal(pt.Value, humanDigits), p.Y.Label),
	}
	if spot.Series == "" {
		spot.Series = quantity(p.Y.Label)
		if spot.Single {
			spot.Series += ", one run"
		}
	}
	if pt.bounded() && (layer.Bars || layer.Band) {
		spot.Interval = withUnit(decimal(pt.Lo, humanDigits)+" to "+decimal(pt.Hi, humanDigits), p.Y.Label)
	}
	return spot
}

// atText names a place on the horizontal axis: by its tick where the axis lists
// names, else by its number.
func (s *sectionLayout) atText(x float64) string {
	if s.X.Scale == FigureCategory {
		for _, t := range s.X.Ticks {
			if t.At == x && visible(t.Label) != "" {
				return strings.TrimSpace(visible(t.Label) + " " + visible(t.Sub))
			}
		}
	}
	return strings.TrimSpace(quantity(s.X.Label) + " " + withUnit(decimal(x, humanDigits), s.X.Label))
}

// withUnit appends the unit that an axis label has in parentheses at its end.
func withUnit(text, label string) string {
	_, unit, found := strings.Cut(visible(label), " (")
	if end := strings.LastIndexByte(unit, ')'); found && end > 0 && !strings.ContainsAny(unit[:end], "()") {
		return text + " " + unit[:end]
	}
	return text
}
