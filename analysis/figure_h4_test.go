package analysis

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestH4Golden(t *testing.T) {
	h := syntheticH4()
	svg, err := FigureH4(h).SVG()
	require.NoError(t, err)
	requireGolden(t, "h4.svg", svg)
	again, err := FigureH4(syntheticH4()).SVG()
	require.NoError(t, err)
	require.Equal(t, svg, again)

	h.Levels, h.Comfy, h.Null = h.Levels[:2], h.Comfy[:1], nil
	b, err := h.Bench([]BenchConfig{{"goos", "linux"}, {"target", "embedded emulator"}, {"model", "L70B"}}).Bytes()
	require.NoError(t, err)
	requireGolden(t, "bench_h4.txt", b)
	requireBenchFormat(t, string(b))
}

func TestH4SaysWhatItShows(t *testing.T) {
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		h := syntheticH4()
		h.Width = width
		got := texts(requireLegible(t, FigureH4(h)))
		for _, want := range []string{
			"EMULATED", "SUPPORTED", "slope 0.98 [0.87, 1.09]", "HEAVY ÷ BASELINE = 3.24 [2.96, 3.55]", "(a) p95 TTFT (ms)", "(b) p95 TTFT (ms)",
			"r_await (ms)", "comfy", "null", "MODERATE", "40 %", "probe", "server's wait", "shade: the slope's interval", "L70B",
		} {
			require.Contains(t, got, want)
		}
		require.NotContains(t, got, "void run", "every run was verified")
		require.NotContains(t, got, "throttled")

		h = syntheticH4Full()
		h.Width = width
		got = texts(requireLegible(t, FigureH4(h)))
		for _, want := range []string{"void run", "throttled", "load verified in 87 of 88 runs", "STRONG", "75 %", "MB/s", "200"} {
			require.Contains(t, got, want)
		}
		require.NotContains(t, got, "…", "five levels and a second lever have room")
	}
}

func TestH4LooksTellLevelsApart(t *testing.T) {
	for n := 1; n <= 5; n++ {
		colors, looks := map[FigureColor]bool{}, map[[2]int]bool{}
		for i := range n {
			c, g := h4Look(i, n)
			colors[c], looks[[2]int{int(c), int(g)}] = true, true
		}
		require.Len(t, colors, n)
		require.Len(t, looks, n)
	}
	for i := range 40 {
		h4Look(i, 40) // more levels than looks: some share one
	}
}

func TestH4WithoutALine(t *testing.T) {
	h := syntheticH4()
	h.SlopeAt = nil
	got := texts(requireLegible(t, FigureH4(h)))
	require.Contains(t, got, "· slope 0.98\n[0.87, 1.09]", "the slope is said, if not drawn")
	require.NotContains(t, got, "shade")
	h.Slope, h.Ratio = Estimate{}, Estimate{math.NaN(), 1, 2}
	got = texts(requireLegible(t, FigureH4(h)))
	require.NotContains(t, got, "slope")
	require.NotContains(t, got, "÷")

	h = syntheticH4()
	h.Slope = Estimate{0.9, -12, 40}
	require.Contains(t, texts(requireLegible(t, FigureH4(h))), "slope 0.9 [−12, 40]")
	lo, hi := math.Inf(1), 0.0
	for _, p := range h.slopeBand().Points {
		lo, hi = min(lo, p.Lo), max(hi, p.Hi)
	}
	require.Greater(t, lo, 20.0, "a wide interval must not squeeze the runs")
	require.Less(t, hi, 300.0)
}

func TestH4VoidRunsCountNowhere(t *testing.T) {
	l := H4Level{Name: "HEAVY", Repeats: []H4Repeat{{TTFTMillis: 10, Verified: true}, {TTFTMillis: 900}, {TTFTMillis: 12, Verified: true}}}
	require.Equal(t, 11.0, l.ttft().Value)
	h := H4Figure{Levels: []H4Level{l}}
	b, err := h.Bench(nil).Bytes()
	require.NoError(t, err)
	require.NotContains(t, string(b), "900000000")
	l.Repeats[0].Verified, l.Repeats[2].Verified = false, false
	require.Equal(t, 12.0, l.ttft().Value, "a level without a verified run shows what it has")
	require.Contains(t, texts(requireLegible(t, FigureH4(H4Figure{Levels: []H4Level{l}}))), "load verified in 0 of 3 runs")
}

func TestH4WithGaps(t *testing.T) {
	h := syntheticH4()
	for i := range h.Comfy[0].Repeats { // nothing read, so no r_await
		h.Comfy[0].Repeats[i].ReadAwaitMillis = math.NaN()
	}
	for _, l := range h.Levels {
		for i := range l.Repeats {
			l.Repeats[i].ServerReadMillis, l.Repeats[i].ProbeMillis = math.NaN(), math.NaN()
		}
	}
	got := texts(requireLegible(t, FigureH4(h)))
	require.Contains(t, got, "without a value at some points: (a)")
	require.NotContains(t, got, "probe")
	require.NotContains(t, got, "server's wait")

	for _, levels := range [][]H4Level{h.Levels, h.Comfy, h.Null} {
		for _, l := range levels {
			for i := range l.Repeats {
				l.Repeats[i].ReadAwaitMillis = math.NaN()
			}
		}
	}
	got = texts(requireLegible(t, FigureH4(h)))
	require.Contains(t, got, "not measured: (a) p95 TTFT, (c) read latency")
	require.Contains(t, got, "(b) p95 TTFT (ms)", "what was measured is shown")
}

func TestH4OddData(t *testing.T) {
	one := []H4Repeat{{TTFTMillis: 40, ReadAwaitMillis: 1.3, Verified: true}}
	for why, h := range map[string]H4Figure{
		"one run":            {Levels: []H4Level{{Name: "BASELINE", Repeats: one}}},
		"no name, no share":  {Levels: []H4Level{{Share: math.NaN(), Repeats: one}, {Share: math.Inf(1), Repeats: one}}},
		"the same name":      {Levels: []H4Level{{Name: "A", Repeats: one}, {Name: "A", Repeats: one}}},
		"only another arm":   {Comfy: []H4Level{{Name: "HEAVY", Repeats: one}}, Null: []H4Level{{Name: "x", Repeats: one}}},
		"a line of nonsense": {Levels: []H4Level{{Name: "A", Repeats: one}}, Slope: Estimate{1, 0, 2}, SlopeAt: func(float64) float64 { return math.NaN() }},
		"an endless interval": {
			Levels: []H4Level{{Name: "A", Repeats: one, TTFT: Estimate{40, 0, math.Inf(1)}}, {Name: "B", TTFT: Estimate{50, 45, 55}}},
			Slope:  Estimate{1, math.Inf(-1), math.Inf(1)}, SlopeAt: func(x float64) float64 { return 30 * x },
		},
	} {
		for _, width := range []FigureWidth{FigureColumn, FigurePage} {
			h.Width = width
			found := requireLegible(t, FigureH4(h))
			require.Contains(t, texts(found), "p99 TTFT (ms)", why)
		}
		_, err := h.Table().CSV()
		require.NoError(t, err, why)
	}
	for _, h := range []H4Figure{{}, {Levels: make([]H4Level, 3)}, {Levels: []H4Level{{Repeats: []H4Repeat{{TTFTMillis: math.NaN(), ReadAwaitMillis: -1}}}}}} {
		_, err := FigureH4(h).SVG()
		require.ErrorIs(t, err, ErrFigureEmpty)
	}
}

func TestH4HostileNames(t *testing.T) {
	for _, s := range []string{`<script>alert(1)</script>`, strings.Repeat("wide words ", 300), strings.Repeat("very-long-", 200), "a\nb\x1b[31m"} {
		h := syntheticH4Full()
		h.Verdict, h.Quantile, h.Levels[0].Name, h.Throttled[1].Name = s, s, s, s
		got := texts(requireLegible(t, FigureH4(h)))
		require.NotContains(t, got, "\x1b")
		b, err := h.Bench(nil).Bytes()
		require.NoError(t, err)
		requireBenchFormat(t, string(b))
	}
}

func TestH4Table(t *testing.T) {
	b, err := syntheticH4Full().Table().CSV()
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+5+3+1+2)
	require.Equal(t, []string{"arm", "level", "of maximum (%)", "repeats", "verified", "requests", "p95 TTFT (ms)"}, rows[0][:7])
	require.Equal(t, []string{"paging", "MODERATE", "40", "8", "7/8", "3200"}, rows[3][:6])
	require.Equal(t, []string{"throttled", "100 MB/s", ""}, rows[11][:3])
	for i, name := range rows[0] {
		require.NotEmpty(t, rows[1][i], name)
	}
}

func FuzzFigureH4(f *testing.F) {
	f.Add(uint64(1), "HEAVY", 40.0, 1.3, 0.2, 0.9)
	f.Add(uint64(2), "<a&b>\n", math.Inf(1), math.NaN(), -1.0, 0.0)
	f.Add(uint64(3), "\xff", 1e-14, 1e14, 3.0, -50.0)
	f.Fuzz(func(t *testing.T, seed uint64, name string, ttft, await, spread, slope float64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		levels := func() (out []H4Level) {
			for i := range rng.IntN(7) {
				l := H4Level{Name: name + string(rune('A'+i)), Share: spread * float64(i), TTFT: Estimate{ttft, ttft / spread, ttft * spread}}
				for range rng.IntN(5) {
					noise := math.Exp(spread * rng.NormFloat64())
					l.Repeats = append(l.Repeats, H4Repeat{
						TTFTMillis: ttft * noise, ReadAwaitMillis: await * noise, ProbeMillis: spread, ServerReadMillis: await, Verified: rng.IntN(3) > 0,
					})
				}
				out = append(out, l)
			}
			return out
		}
		h := H4Figure{
			Width: FigureWidth(seed % 2), Levels: levels(), Comfy: levels(), Null: levels(), Throttled: levels(), Slope: Estimate{slope, slope - spread, slope + spread},
			SlopeAt: func(x float64) float64 { return ttft * math.Pow(x, slope) },
		}
		svg, err := FigureH4(h).SVG()
		if err != nil {
			require.ErrorIs(t, err, ErrFigureEmpty)
			return
		}
		_, _, found := readSVG(t, svg)
		require.NotEmpty(t, found)
	})
}
