package analysis

import (
	"bytes"
	"image/png"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gonum.org/v1/plot/vg"
)

func fontLength(points float64) vg.Length { return vg.Length(points) }

func texts(found []svgText) string {
	var b strings.Builder
	for _, x := range found {
		b.WriteString(x.s + "\n")
	}
	return b.String()
}

func TestFigureGolden(t *testing.T) {
	h0 := syntheticH0(16)
	h0.Arms = h0.Arms[3:7]
	svg, err := FigureH0(h0).SVG()
	require.NoError(t, err)
	requireGolden(t, "h0.svg", svg)

	h2 := syntheticH2()
	h2.Width, h2.Arms = FigurePage, h2.Arms[1:5]
	svg, err = FigureH2(h2).SVG()
	require.NoError(t, err)
	requireGolden(t, "h2.svg", svg)
}

func TestFigureBytesRepeat(t *testing.T) {
	first, err := FigureH2(syntheticH2()).SVG()
	require.NoError(t, err)
	again, err := FigureH2(syntheticH2()).SVG()
	require.NoError(t, err)
	require.Equal(t, first, again)
	one, err := FigureH0(syntheticH0(16)).PNG(120)
	require.NoError(t, err)
	two, err := FigureH0(syntheticH0(16)).PNG(120)
	require.NoError(t, err)
	require.True(t, bytes.Equal(one, two))
}

func TestPNGHasTheWidthOfAColumn(t *testing.T) {
	b, err := FigureH0(syntheticH0(16)).PNG(300)
	require.NoError(t, err)
	img, err := png.Decode(bytes.NewReader(b))
	require.NoError(t, err, "the resolution chunk must leave the file valid")
	require.Equal(t, 1020, img.Bounds().Dx(), "3.4 in at 300 dpi")
	require.Equal(t, []byte("pHYs\x00\x00\x2e\x23\x00\x00\x2e\x23\x01"), b[37:50], "11811 dots per metre")
	for _, dpi := range []int{0, -1, 49, 1201} {
		_, err := FigureH0(syntheticH0(16)).PNG(dpi)
		require.ErrorContains(t, err, "dpi")
	}
}

func TestH0SaysWhatItShows(t *testing.T) {
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		h := syntheticH0(16)
		h.Width = width
		got := texts(requireLegible(t, FigureH0(h)))
		for _, want := range []string{"EMULATED", "knee 16.4", "U_work 10", "batch limit 64", "p99 TTFT (ms)", "256", "(15.2–18.1)", "L8B", "virtio disk", "SUPPORTED", "USL"} {
			require.Contains(t, got, want)
		}
	}
	h := syntheticH0(16)
	h.Caption.Emulated, h.Quantile, h.Knee, h.UWork = false, "p95", nil, 0
	got := texts(requireLegible(t, FigureH0(h)))
	require.NotContains(t, got, "EMULATED")
	require.Contains(t, got, "p95 TTFT (ms)")
	require.Contains(t, got, "no knee found")
}

func TestH2SaysWhatItShows(t *testing.T) {
	h := syntheticH2()
	got := texts(requireLegible(t, FigureH2(h)))
	for _, want := range []string{"pool full 1×", "knee 1.04×", "mechanism KV_TIER", "1k", "0.92×", "r_await (ms)", "iowait", "EMULATED", "some points: r_await"} {
		require.Contains(t, got, want)
	}
	for i := range h.Arms {
		h.Arms[i].Demand = math.NaN()
	}
	h.Knee, h.PoolFull = &Estimate{1200, 1000, 1400}, &Estimate{1118, 1118, 1118}
	got = texts(requireLegible(t, FigureH2(h)))
	require.Contains(t, got, "tokens")
	require.Contains(t, got, "knee 1200")
	require.NotContains(t, got, "÷ pool", "demand is unknown")
}

func TestH2OverUsers(t *testing.T) {
	h := H2Figure{Sweep: "users"}
	for _, users := range []int{2, 4, 8, 16} {
		h.Arms = append(h.Arms, H2Arm{Users: users, ContextTokens: 1024, Repeats: []H2Repeat{{TTFTMillis: 50, IOWaitPct: 1}}})
	}
	got := texts(requireLegible(t, FigureH2(h)))
	require.Contains(t, got, "concurrent users")
	require.Contains(t, got, "16")
}

func TestUnmeasuredPanelsAreNamed(t *testing.T) {
	h := syntheticH2()
	for i := range h.Arms {
		for j := range h.Arms[i].Repeats {
			h.Arms[i].Repeats[j].IOWaitPct = math.NaN()
		}
	}
	found := requireLegible(t, FigureH2(h))
	require.Contains(t, texts(found), "not measured: iowait")
	require.NotContains(t, texts(found), "iowait (% of CPU)")
}

func TestFigureDeclines(t *testing.T) {
	empty := []Figure{
		FigureH0(H0Figure{}),
		FigureH2(H2Figure{}),
		FigureH0(H0Figure{Arms: []H0Arm{{Users: 4}}}),
		FigureH0(H0Figure{Arms: []H0Arm{{Users: 4, Repeats: []H0Repeat{{TTFTMillis: math.NaN(), RequestsPerSec: math.NaN(), TokensPerSec: math.Inf(1)}}}}}),
		FigureH2(H2Figure{Arms: []H2Arm{{ContextTokens: -3, Repeats: []H2Repeat{{TTFTMillis: 5}}}}}),
	}
	for i, f := range empty {
		_, err := f.SVG()
		require.ErrorIs(t, err, ErrFigureEmpty, "figure %d", i)
	}
	_, err := Figure{}.SVG()
	require.ErrorContains(t, err, "0 panels")
	for _, f := range []Figure{
		{Width: 9, Panels: make([]FigurePanel, 1)},
		{Panels: make([]FigurePanel, 13)},
		{Panels: []FigurePanel{{HeightIn: math.NaN()}}},
		{Panels: []FigurePanel{{Y: FigureAxis{Scale: 7}}}},
		{Panels: make([]FigurePanel, 1), Markers: make([]FigureMarker, 7)},
		{X: FigureAxis{Scale: -1}, Panels: make([]FigurePanel, 1)},
		{Panels: []FigurePanel{{Layers: []FigureLayer{{Dodge: math.Inf(1)}}}}},
	} {
		require.Error(t, f.Validate())
	}
}

func TestOddDataIsDrawn(t *testing.T) {
	one := H0Figure{Arms: []H0Arm{{Users: 16, Repeats: []H0Repeat{{TTFTMillis: 50, RequestsPerSec: 9, TokensPerSec: 90}}}}}
	requireLegible(t, FigureH0(one))
	same := one
	same.Arms = nil
	for range 4 {
		same.Arms = append(same.Arms, one.Arms[0])
	}
	requireLegible(t, FigureH0(same))
	flat := H0Figure{Arms: []H0Arm{{Users: 1, Repeats: one.Arms[0].Repeats}, {Users: 256, Repeats: one.Arms[0].Repeats}}}
	requireLegible(t, FigureH0(flat))
	wild := H0Figure{
		Arms: []H0Arm{
			{Users: 1, Repeats: []H0Repeat{{TTFTMillis: 1e-9, RequestsPerSec: 0, TokensPerSec: -5}}, TTFT: Estimate{3, math.Inf(-1), math.Inf(1)}},
			{Users: 1 << 40, Repeats: []H0Repeat{{TTFTMillis: 1e14, RequestsPerSec: 1e300, TokensPerSec: 1e14}}, TTFT: Estimate{1e300, 0, 1e301}},
		},
		Knee: &Estimate{math.NaN(), 1, 2}, UWork: 1 << 48,
	}
	found := requireLegible(t, FigureH0(wild))
	require.Contains(t, texts(found), "no knee found")
	require.Contains(t, texts(found), "→", "a marker off the axis is named at its edge")
}

func TestHostileStrings(t *testing.T) {
	nasty := []string{
		`<script>alert(1)</script>`, `"><g onload='x'>&amp;`, "line\nbreak\r\ttab\x00\x1b[31m", "\xff\xfe broken", "]]>",
		strings.Repeat("very-long-model-name-", 200), strings.Repeat("wide words ", 300), "\u202eright to left\u2066", "日本語モデル",
		`style="font-family:Liberation Sans;`,
	}
	for _, s := range nasty {
		h := syntheticH2()
		h.Caption = FigureCaption{Target: s, Model: s, Machine: s, Samples: s, Interval: s, Notes: []string{s}, Emulated: true}
		h.Verdict, h.Mechanism, h.Quantile = s, s, s
		f := FigureH2(h)
		f.Title, f.X.Label = s, s
		f.Markers[0].Label = s
		f.Panels[1].Layers[1].Name = s
		f.Panels[0].Y.Ticks = []FigureTick{{At: 50, Label: s}}
		got := texts(requireLegible(t, f))
		require.NotContains(t, got, "\x1b")
		require.NotContains(t, got, "\u202e")
		svg, err := f.SVG()
		require.NoError(t, err)
		require.NotContains(t, string(svg), "<script")
		require.NotContains(t, string(svg), "<g onload")
		_, err = f.PNG(60)
		require.NoError(t, err)
	}
}

func TestMarkersNeverCollide(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	f := FigureH0(syntheticH0(16))
	for range 30 {
		f.Markers = nil
		centre := math.Exp2(rng.Float64() * 8)
		for i := range 1 + rng.IntN(3) {
			at := centre * math.Exp(rng.NormFloat64()*0.4)
			if i > 0 && rng.IntN(3) == 0 {
				at = f.Markers[0].At.Value
			}
			f.Markers = append(f.Markers, FigureMarker{Label: "marker " + numberLabel(round3(at)), At: exactly(at), Color: FigureGreen})
		}
		requireLegible(t, f)
	}
}

func FuzzFigure(f *testing.F) {
	f.Add(uint64(1), "model", 50.0, 1.0, 17.0, 256)
	f.Add(uint64(2), "<a&b>\n", math.Inf(1), math.NaN(), -1.0, 0)
	f.Add(uint64(3), "\xff", 1e-14, 1e14, 1e-14, 1<<45)
	f.Fuzz(func(t *testing.T, seed uint64, name string, scale, spread, knee float64, top int) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := H2Figure{Caption: FigureCaption{Model: name, Emulated: seed%2 == 0}, Mechanism: name, Knee: &Estimate{knee, knee / 2, knee * spread}}
		for range rng.IntN(9) {
			arm := H2Arm{ContextTokens: rng.IntN(max(top, 1)) + min(top, 1), Demand: knee * rng.Float64(), TTFT: Estimate{scale, scale / spread, scale * spread}}
			for range rng.IntN(4) {
				v := scale * math.Exp(spread*rng.NormFloat64())
				arm.Repeats = append(arm.Repeats, H2Repeat{TTFTMillis: v, DeviceReadMBps: v * spread, ReadAwaitMillis: -v, IOWaitPct: spread})
			}
			h.Arms = append(h.Arms, arm)
		}
		svg, err := FigureH2(h).SVG()
		if err != nil {
			require.ErrorIs(t, err, ErrFigureEmpty)
			return
		}
		_, _, found := readSVG(t, svg)
		require.NotEmpty(t, found)
	})
}
