package analysis

import (
	"errors"
	"fmt"
	"math"
)

// ErrFigureEmpty: no panel of a figure has a value that can be drawn.
var ErrFigureEmpty = errors.New("nothing to draw")

// Figure is one or more panels stacked over a shared horizontal axis, with
// vertical markers through all of them and a caption beneath. Panels over
// another horizontal axis follow as sections. It is plain data; SVG and PNG
// draw it, to the same bytes every time. A Figure may be drawn by several
// goroutines at once.
//
// Every string is printed as one line of visible characters: control characters
// go, line breaks become spaces, and what does not fit is wrapped or cut with
// an ellipsis.
type Figure struct {
	Title    string
	Subtitle string // what the figure found, in a line or two
	Width    FigureWidth
	X        FigureAxis
	Panels   []FigurePanel   // from the top; at most 12, those of the sections included
	Markers  []FigureMarker  // at most 6
	Sections []FigureSection // more panels, each section over its own axis; nil for none
	Caption  FigureCaption
}

// FigureSection is one or more panels stacked over a horizontal axis of their
// own, beneath the panels before them.
type FigureSection struct {
	X       FigureAxis
	Panels  []FigurePanel  // from the top
	Markers []FigureMarker // at most 6
	// Beside begins a new column to the right where the figure is a page wide.
	// All columns are equally wide and, their panels growing, equally high. At
	// the width of a column it changes nothing.
	Beside bool
}

// FigureWidth is the width a figure is printed at; its text is at least 7 pt
// at that width.
type FigureWidth int

// The two widths of a two-column page.
const (
	FigureColumn FigureWidth = iota // 3.4 in (8.6 cm), the zero value
	FigurePage                      // 7 in (17.8 cm)
)

// FigureScale maps values to lengths along an axis and chooses its ticks.
type FigureScale int

// Scales. The logarithmic ones draw positive values only.
const (
	FigureLinear   FigureScale = iota // from 0 upward (or downward), ticks 1-2-5
	FigureLog10                       // ticks 1-2-5 in each decade: latencies
	FigureLog2                        // ticks at powers of two: users, tokens
	FigureTight                       // linear, but only as wide as the data: time
	FigureCategory                    // linear, half a step of room at both ends: the n-th of a list at n
)

// FigureAxis is one axis. Its range follows from the data.
type FigureAxis struct {
	Label string // with the unit in parentheses
	Scale FigureScale
	Ticks []FigureTick // most important first; nil lets Scale choose
}

// FigureTick is a labelled place on an axis. Where labels would touch, the
// later one in FigureAxis.Ticks loses its text and keeps its tick.
type FigureTick struct {
	At    float64
	Label string
	Sub   string // a second row, on horizontal axes; "" for none
}

// FigurePanel is one panel. A panel without a value to draw is left out, and
// the caption names it as not measured.
type FigurePanel struct {
	Y        FigureAxis
	HeightIn float64 // of the data area, in inches; 0 means 0.9, at most 10
	Layers   []FigureLayer
}

// FigureLine is how a layer's points are joined, in their order. A point that
// cannot be drawn breaks the line: an absent value is not interpolated.
type FigureLine int

// Ways to join points.
const (
	FigureNoLine FigureLine = iota
	FigureSolid
	FigureDashed
)

// FigureGlyph is the mark at each point of a layer.
type FigureGlyph int

// Marks.
const (
	FigureNoGlyph FigureGlyph = iota
	FigureDot                 // small, for single runs
	FigureDisc
	FigureRing
	FigureSquare
	FigureTriangle
	FigureDiamond
	FigureCross
	FigureOpenSquare
	FigureOpenTriangle
)

// FigureLayer is one series of a panel.
type FigureLayer struct {
	Name  string // in the legend; "" keeps it out
	Color FigureColor
	Faint bool // half transparent, for what stands behind an estimate
	Line  FigureLine
	Thin  bool // a finer line, for one of many
	Glyph FigureGlyph
	Bars  bool // intervals as error bars
	Band  bool // intervals as a shaded band
	// Behind draws the layer before those that are not, whatever its place,
	// which is then its place in the legend alone.
	Behind bool
	// Dodge draws the layer this far right of its place, in points, so that it
	// does not hide behind another; at most 10 either way.
	Dodge  float64
	Points []FigurePoint
}

// FigurePoint is a value at X with its interval. NaN is absent; so are, on a
// logarithmic axis, 0 and less, and everywhere magnitudes of 1e15 and more. A
// point with an absent X or Value is not drawn and its panel is named in the
// caption. An interval needs both ends; one beyond the panel, such as an
// infinite one, is drawn to the edge, without a cap.
type FigurePoint struct {
	X float64
	Estimate
}

// FigureMarker is a vertical line through all panels, its interval shaded. A
// marker outside the range of the data is named at that edge with an arrow; it
// does not stretch the axis. One without a drawable Value is left out.
type FigureMarker struct {
	Label string
	At    Estimate
	Color FigureColor
	Line  FigureLine
}

// FigureCaption says what a figure was measured on. Empty fields are left out.
type FigureCaption struct {
	Target   string // which server, and how it was reached
	Model    string
	Machine  string
	Samples  string // repeats, requests per arm
	Interval string // what bars and bands are, such as "95 % bootstrap over repeats"
	Notes    []string
	Emulated bool // the word EMULATED stands beside the title and in the caption
}

const (
	maxPanels        = 12
	maxMarkers       = 6
	maxColumns       = 3
	maxPanelHeightIn = 10
	maxDodge         = 10
	defaultHeightIn  = 0.9
)

// Validate reports a figure that cannot be drawn whatever its data.
func (f Figure) Validate() error {
	var errs []error
	if f.Width != FigureColumn && f.Width != FigurePage {
		errs = append(errs, fmt.Errorf("width %d is neither FigureColumn nor FigurePage", f.Width))
	}
	panels, columns := 0, 1
	for i, s := range f.sections() {
		panels += len(s.Panels)
		if s.Beside && i > 0 {
			columns++
		}
		if i > 0 && len(s.Panels) == 0 {
			errs = append(errs, fmt.Errorf("section %d has no panels", i))
		}
		errs = append(errs, s.validate()...)
	}
	if len(f.Panels) == 0 || panels > maxPanels {
		errs = append(errs, fmt.Errorf("%d panels (want 1 to %d, the first outside the sections)", panels, maxPanels))
	}
	if columns > maxColumns {
		errs = append(errs, fmt.Errorf("%d columns (at most %d)", columns, maxColumns))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("analysis: draw figure: %w", err)
	}
	return nil
}

// sections are the figure's own panels and then the further ones.
func (f Figure) sections() []FigureSection {
	return append([]FigureSection{{X: f.X, Panels: f.Panels, Markers: f.Markers}}, f.Sections...)
}

func (s FigureSection) validate() (errs []error) {
	if len(s.Markers) > maxMarkers {
		errs = append(errs, fmt.Errorf("%d markers (at most %d)", len(s.Markers), maxMarkers))
	}
	if !s.X.Scale.known() {
		errs = append(errs, fmt.Errorf("scale %d of the horizontal axis is unknown", s.X.Scale))
	}
	for i, p := range s.Panels {
		if !p.Y.Scale.known() {
			errs = append(errs, fmt.Errorf("scale %d of panel %d is unknown", p.Y.Scale, i))
		}
		for _, l := range p.Layers {
			if !(math.Abs(l.Dodge) <= maxDodge) {
				errs = append(errs, fmt.Errorf("dodge %g pt of a layer of panel %d (at most %d)", l.Dodge, i, maxDodge))
			}
		}
		if !(p.HeightIn >= 0 && p.HeightIn <= maxPanelHeightIn) {
			errs = append(errs, fmt.Errorf("height %g in of panel %d (want 0 to %d)", p.HeightIn, i, maxPanelHeightIn))
		}
	}
	return errs
}

func (s FigureScale) known() bool { return s >= FigureLinear && s <= FigureCategory }

func (s FigureScale) log() bool { return s == FigureLog10 || s == FigureLog2 }

// drawable reports whether v has a place on an axis of this scale. The bounds
// keep every later product and power finite; no unit in use comes near them.
func (s FigureScale) drawable(v float64) bool {
	const tiny, huge = 1e-15, 1e15
	if s.log() {
		return v > tiny && v < huge
	}
	return math.Abs(v) < huge
}

// drawn splits a layer's points into runs that can be drawn without a gap, and
// reports whether any cannot.
func (l FigureLayer) drawn(x, y FigureScale) (runs [][]FigurePoint, absent bool) {
	var run []FigurePoint
	for _, p := range l.Points {
		if x.drawable(p.X) && y.drawable(p.Value) {
			run = append(run, p)
			continue
		}
		absent = true
		if run != nil {
			runs, run = append(runs, run), nil
		}
	}
	if run != nil {
		runs = append(runs, run)
	}
	return runs, absent
}

// bounded reports whether a point has an interval; comparisons with NaN fail.
func (p FigurePoint) bounded() bool { return p.Lo <= p.Hi }
