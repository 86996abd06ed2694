package analysis

import (
	"math"

	"gonum.org/v1/plot/vg"
)

// markerLayout is a marker whose label has a place in the strip above the
// panels: row 0 is the lowest.
type markerLayout struct {
	FigureMarker
	text     string
	inside   bool
	x        vg.Length // of the line, or the edge it lies beyond
	width    vg.Length // of the label
	from, to vg.Length // of the label
	row      int
}

// placeMarkers puts the labels where they touch neither each other nor another
// marker's line, in as few rows as that takes. It tries every arrangement: with
// at most six markers those are few.
func (s *sectionLayout) placeMarkers() {
	for _, m := range s.Markers {
		v := m.At.Value
		if math.IsNaN(v) || !s.x.scale.drawable(v) {
			continue
		}
		p := markerLayout{FigureMarker: m, inside: s.x.holds(v), x: s.x.at(s.x.clamp(v))}
		p.text = fit(visible(m.Label), faceOf(tickSize, false), (s.right-s.left)/2)
		switch {
		case v < s.x.lo:
			p.text = "← " + p.text
		case v > s.x.hi:
			p.text += " →"
		}
		p.width = faceOf(tickSize, false).Width(p.text)
		s.markers = append(s.markers, p)
	}
	best, least := []markerLayout(nil), math.Inf(1)
	s.arrange(0, 0, &best, &least)
	s.markers = best
	for _, m := range s.markers {
		s.markerRows = max(s.markerRows, m.row+1)
	}
}

// arrange tries all places for marker i and those after it.
func (s *sectionLayout) arrange(i int, cost float64, best *[]markerLayout, least *float64) {
	if cost >= *least {
		return
	}
	if i == len(s.markers) {
		*least = cost
		*best = append([]markerLayout(nil), s.markers...)
		return
	}
	m := &s.markers[i]
	for row := range 3 {
		for side, from := range []vg.Length{m.x - m.width/2, m.x + 2, m.x - m.width - 2} {
			m.row, m.from, m.to = row, from, from+m.width
			own := 10*float64(row) + float64(min(side, 1))
			if m.from < s.least+pageMargin || m.to > s.most-pageMargin {
				own += 5000
			}
			for _, other := range s.markers[:i] {
				own += 100 * float64(clashes(*m, other))
			}
			s.arrange(i+1, cost+own, best, least)
		}
	}
}

// clashes counts overlaps of two labels and of each one's line with the other's
// label; a line runs up to its own label's row.
func clashes(a, b markerLayout) int {
	n := 0
	if a.row == b.row && a.from < b.to+4 && b.from < a.to+4 {
		n++
	}
	crossed := func(line, label markerLayout) bool {
		return line.inside && line.row >= label.row && line.x > label.from-1.5 && line.x < label.to+1.5
	}
	if crossed(a, b) {
		n++
	}
	if crossed(b, a) {
		n++
	}
	return n
}
