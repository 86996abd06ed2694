package analysis

import (
	"encoding/json"
	"encoding/xml"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// randomFigure has panels and sections of every scale, points that cannot be
// drawn among them, and diamonds as glyphs: four corners tell their centre.
func randomFigure(rng *rand.Rand) Figure {
	layer := func() FigureLayer {
		l := FigureLayer{
			Name: "series", Glyph: FigureDiamond, Color: FigureColor(rng.IntN(9)), Faint: rng.IntN(2) == 0,
			Dodge: rng.Float64()*8 - 4, Behind: rng.IntN(3) == 0, Line: FigureLine(rng.IntN(3)), Bars: rng.IntN(2) == 0, Band: rng.IntN(2) == 0,
		}
		for range 1 + rng.IntN(9) {
			v := math.Exp(rng.NormFloat64() * 2)
			p := FigurePoint{X: float64(1 + rng.IntN(60)), Estimate: Estimate{v, v * 0.8, v * 1.3}}
			switch rng.IntN(12) {
			case 0:
				p.Value = math.NaN()
			case 1:
				p.X = math.Inf(1)
			case 2:
				p.Hi = math.Inf(1)
			case 3:
				p.Lo = math.NaN()
			}
			l.Points = append(l.Points, p)
		}
		return l
	}
	panels := func() (ps []FigurePanel) {
		for range 1 + rng.IntN(3) {
			p := FigurePanel{Y: FigureAxis{Label: "q (ms)", Scale: FigureScale(rng.IntN(4))}, HeightIn: rng.Float64() * 2}
			for range 1 + rng.IntN(3) {
				p.Layers = append(p.Layers, layer())
			}
			ps = append(ps, p)
		}
		return ps
	}
	f := Figure{
		Title: "t", Subtitle: strings.Repeat("word ", rng.IntN(60)), Width: FigureWidth(rng.IntN(2)),
		X: FigureAxis{Label: "users", Scale: FigureScale(rng.IntN(5))}, Panels: panels(),
		Markers: []FigureMarker{{Label: "m", At: Estimate{20, 10, math.Inf(1)}}},
	}
	for range rng.IntN(3) {
		f.Sections = append(f.Sections, FigureSection{X: FigureAxis{Scale: FigureScale(rng.IntN(5))}, Panels: panels(), Beside: rng.IntN(2) == 0})
	}
	return f
}

// diamonds are the centres of the closed paths of four corners about one point,
// each 2.5 away, in units from the top left.
func diamonds(t *testing.T, svg []byte) (centres [][2]float64) {
	t.Helper()
	var doc struct {
		ViewBox string `xml:"viewBox,attr"`
		Group   struct {
			Paths []struct {
				D string `xml:"d,attr"`
			} `xml:"path"`
		} `xml:"g"`
	}
	require.NoError(t, xml.Unmarshal(svg, &doc))
	box := strings.Fields(doc.ViewBox)
	height := toFloat(t, box[3])
	shape := regexp.MustCompile(`^M([0-9.-]+),([0-9.-]+)L([0-9.-]+),([0-9.-]+)L([0-9.-]+),([0-9.-]+)L([0-9.-]+),([0-9.-]+)Z$`)
	for _, p := range doc.Group.Paths {
		m := shape.FindStringSubmatch(p.D)
		if m == nil {
			continue
		}
		var v [8]float64
		for i := range v {
			v[i], _ = strconv.ParseFloat(m[i+1], 64)
		}
		if math.Abs(v[4]-v[0]-5) < 0.03 && math.Abs(v[2]-v[6]) < 0.03 && math.Abs(v[3]-v[7]-5) < 0.03 && math.Abs(v[1]-v[5]) < 0.03 {
			centres = append(centres, [2]float64{v[2], height - v[1]})
		}
	}
	return centres
}

// For every drawn point there is a spot where its glyph stands, and no other.
func TestSpotsAreWhereGlyphsAre(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 1))
	drawn := 0
	for range 60 {
		f := randomFigure(rng)
		spots, err := f.Spots()
		if err != nil {
			require.ErrorIs(t, err, ErrFigureEmpty)
			continue
		}
		frames, err := f.Frames()
		require.NoError(t, err)
		svg, err := f.SVG()
		require.NoError(t, err)
		centres := diamonds(t, svg)
		for _, s := range spots {
			fr := frames[s.Panel]
			require.True(t, s.X >= fr.Left-5 && s.X <= fr.Right+5 && s.Y >= fr.Top-0.01 && s.Y <= fr.Bottom+0.01, "%+v outside %+v", s, fr)
			at := -1
			for i, c := range centres {
				if math.Abs(c[0]-s.X) < 0.02 && math.Abs(c[1]-s.Y) < 0.02 {
					at = i
				}
			}
			require.GreaterOrEqual(t, at, 0, "no glyph at %+v", s)
			centres = append(centres[:at], centres[at+1:]...)
		}
		drawn += len(spots)
		require.Len(t, centres, legends(f), "glyphs without a spot, beyond those of the legends")
	}
	require.Greater(t, drawn, 500)
}

// legends counts the named layers that a legend shows.
func legends(f Figure) (n int) {
	l, err := f.layout()
	if err != nil {
		return 0
	}
	for _, s := range l.sections {
		for _, p := range s.panels {
			for _, row := range p.legend {
				n += len(row)
			}
		}
	}
	return n
}

func TestSpotsSayWhatTheyShow(t *testing.T) {
	f := Figure{
		X: FigureAxis{Label: "context (tokens)", Scale: FigureLog2},
		Panels: []FigurePanel{
			{Y: FigureAxis{Label: "(a) p99 TTFT (ms)", Scale: FigureLog10}, Layers: []FigureLayer{
				{Name: "median of repeats", Glyph: FigureDisc, Bars: true, Points: []FigurePoint{{1024, Estimate{12.3456, 10, math.Inf(1)}}}},
				{Line: FigureSolid, Points: []FigurePoint{{512, only(3)}}},
			}},
			{Y: FigureAxis{Label: "never (s)"}, Layers: []FigureLayer{{Points: []FigurePoint{{1, only(math.NaN())}}}}},
		},
		Sections: []FigureSection{{
			X:      FigureAxis{Label: "level", Scale: FigureCategory, Ticks: []FigureTick{{At: 1, Label: "HEAVY", Sub: "100 %"}}},
			Panels: []FigurePanel{{Y: FigureAxis{Label: "requests/s"}, Layers: []FigureLayer{{Glyph: FigureDot, Points: []FigurePoint{{1, only(7)}, {2, only(8)}}}}}},
		}},
	}
	spots, err := f.Spots()
	require.NoError(t, err)
	text := func(s FigureSpot) [4]string { return [4]string{s.Series, s.At, s.Value, s.Interval} }
	require.Len(t, spots, 4)
	require.Equal(t, [4]string{"median of repeats", "context 1024 tokens", "12.35 ms", "10 to inf ms"}, text(spots[0]))
	require.Equal(t, [4]string{"(a) p99 TTFT", "context 512 tokens", "3 ms", ""}, text(spots[1]))
	require.Equal(t, [4]string{"requests/s, one run", "HEAVY 100 %", "7", ""}, text(spots[2]))
	require.Equal(t, [4]string{"requests/s, one run", "level 2", "8", ""}, text(spots[3]))
	require.True(t, spots[0].Marked && !spots[1].Marked)
	require.True(t, !spots[0].Single && spots[2].Single)

	frames, err := f.Frames()
	require.NoError(t, err)
	require.Len(t, frames, 2, "a panel that is not drawn has no frame")
	require.Equal(t, []int{0, 1}, []int{frames[0].Section, frames[1].Section})
	require.Equal(t, 1, spots[2].Panel)
	_, err = Figure{Panels: []FigurePanel{{}}}.Spots()
	require.ErrorIs(t, err, ErrFigureEmpty)
}

// A figure read back from its file is drawn to the same bytes.
func TestFiguresKeepThroughJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for range 40 {
		f := randomFigure(rng)
		f.X.Ticks = []FigureTick{{At: 8, Label: "eight", Sub: "x"}, {At: math.NaN(), Label: "nowhere"}}
		b, err := json.Marshal(f)
		require.NoError(t, err)
		var back Figure
		require.NoError(t, json.Unmarshal(b, &back))
		want, wantErr := f.SVG()
		got, gotErr := back.SVG()
		require.Equal(t, wantErr == nil, gotErr == nil)
		require.Equal(t, string(want), string(got))
	}
	var p FigurePoint
	require.Error(t, json.Unmarshal([]byte(`[1,2,3]`), &p))
	require.Error(t, json.Unmarshal([]byte(`{"X":1}`), &p))
	require.NoError(t, json.Unmarshal([]byte(`[1,null,"-inf","inf"]`), &p))
	require.True(t, math.IsNaN(p.Value) && math.IsInf(p.Lo, -1) && math.IsInf(p.Hi, 1))
}

func TestTablesKeepThroughJSON(t *testing.T) {
	table := Table{
		Title:   "t",
		Columns: []TableColumn{{"name", ""}, {"n", ""}, {"big", "B"}, {"v", "ms"}, {"p", ""}, {"ok", ""}, {"none", ""}},
		Rows: [][]any{
			{"a, \"b\"", 3, int64(1) << 60, 0.1, new(2.0), true, nil},
			{"inf", -1, int64(0), math.Inf(1), (*float64)(nil), false, math.NaN()},
			{"c", 0, int64(5), 1e300, new(math.Inf(-1)), false, nil},
		},
	}
	b, err := json.Marshal(table)
	require.NoError(t, err)
	var back Table
	require.NoError(t, json.Unmarshal(b, &back))
	for _, of := range []func(Table) (string, error){Table.Markdown, Table.Text, func(t Table) (string, error) { b, err := t.CSV(); return string(b), err }} {
		want, err := of(table)
		require.NoError(t, err)
		got, err := of(back)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err = json.Marshal(Table{Rows: [][]any{{struct{}{}}}})
	require.ErrorContains(t, err, "struct {}")
	for _, bad := range []string{`{"Rows":[[[1]]]}`, `{"Rows":[[1e999]]}`, `{"Rows":[[99999999999999999999]]}`, `{"Rows":3}`} {
		require.Error(t, json.Unmarshal([]byte(bad), &back), bad)
	}
}
