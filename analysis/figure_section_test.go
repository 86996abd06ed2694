package analysis

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// sectioned has a panel over x and two over named places.
func sectioned(width FigureWidth) Figure {
	points := func(n int, of func(float64) float64) []FigureLayer {
		l := FigureLayer{Glyph: FigureDisc}
		for i := range n {
			x := float64(i + 1)
			l.Points = append(l.Points, FigurePoint{x, only(of(x))})
		}
		return []FigureLayer{l}
	}
	return Figure{
		Title: "sections", Width: width, X: FigureAxis{Label: "first"},
		Panels: []FigurePanel{{Y: FigureAxis{Label: "one"}, HeightIn: 0.8, Layers: points(5, math.Sqrt)}},
		Sections: []FigureSection{{
			X: FigureAxis{Label: "second", Scale: FigureCategory, Ticks: []FigureTick{{At: 1, Label: "low"}, {At: 2, Label: "mid"}, {At: 3, Label: "not run"}}},
			Panels: []FigurePanel{
				{Y: FigureAxis{Label: "two"}, Layers: points(2, math.Exp)},
				{Y: FigureAxis{Label: "three", Scale: FigureLog10}, Layers: points(2, math.Exp)},
			},
			Markers: []FigureMarker{{Label: "between", At: exactly(1.5)}},
			Beside:  true,
		}},
	}
}

func TestSectionsHaveAxesOfTheirOwn(t *testing.T) {
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		got := texts(requireLegible(t, sectioned(width)))
		for _, want := range []string{"first", "second", "one", "two", "three", "low", "mid", "not run", "between"} {
			require.Contains(t, got, want)
		}
	}
}

func TestSectionsStandBesideEachOtherOnAPage(t *testing.T) {
	column, err := sectioned(FigureColumn).layout()
	require.NoError(t, err)
	require.Less(t, column.sections[1].panels[0].y.to, column.sections[0].panels[0].y.from, "beneath")
	require.Equal(t, column.sections[0].left, column.sections[1].left, "data areas line up")

	page, err := sectioned(FigurePage).layout()
	require.NoError(t, err)
	first, second := page.sections[0], page.sections[1]
	require.Greater(t, second.left, first.right, "to the right")
	require.InDelta(t, float64(second.panels[1].y.from), float64(first.panels[0].y.from), 0.01, "columns end together")
	require.Less(t, page.height, column.height)
}

func TestSectionsThatAreEmptyGiveUpTheirRoom(t *testing.T) {
	f := sectioned(FigurePage)
	f.Panels[0].Layers = nil
	l, err := f.layout()
	require.NoError(t, err)
	require.Equal(t, 1, l.columns)
	require.Contains(t, texts(requireLegible(t, f)), "not measured: one")
}

func TestSectionsDecline(t *testing.T) {
	panel := make([]FigurePanel, 1)
	for why, s := range map[string][]FigureSection{
		"no panels":         {{}},
		"too many panels":   {{Panels: make([]FigurePanel, 12)}},
		"too many columns":  {{Panels: panel, Beside: true}, {Panels: panel, Beside: true}, {Panels: panel, Beside: true}},
		"too many markers":  {{Panels: panel, Markers: make([]FigureMarker, 7)}},
		"an unknown scale":  {{Panels: panel, X: FigureAxis{Scale: 9}}},
		"an unknown y":      {{Panels: []FigurePanel{{Y: FigureAxis{Scale: 9}}}}},
		"an absent height":  {{Panels: []FigurePanel{{HeightIn: math.NaN()}}}},
		"far too far aside": {{Panels: []FigurePanel{{Layers: []FigureLayer{{Dodge: 11}}}}}},
	} {
		require.Error(t, Figure{Panels: panel, Sections: s}.Validate(), why)
	}
	require.Error(t, Figure{Sections: []FigureSection{{Panels: panel}}}.Validate(), "the first panels are the figure's own")
}
