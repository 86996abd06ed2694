package analysis

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// loraFigure is what the three have in common.
type loraFigure struct {
	name   string
	figure func(FigureWidth) Figure
	table  Table
	bench  func([]BenchConfig) Bench
}

func loraFigures(h1 H1Figure, h5 H5Figure, h6 H6Figure) []loraFigure {
	return []loraFigure{
		{"h1", func(w FigureWidth) Figure { h1.Width = w; return FigureH1(h1) }, h1.Table(), h1.Bench},
		{"h5", func(w FigureWidth) Figure { h5.Width = w; return FigureH5(h5) }, h5.Table(), h5.Bench},
		{"h6", func(w FigureWidth) Figure { h6.Width = w; return FigureH6(h6) }, h6.Table(), h6.Bench},
	}
}

func TestLoRAGolden(t *testing.T) {
	few := loraFigures(syntheticH1(2, 2), syntheticH5(4, 64), syntheticH6(2))
	for i, f := range loraFigures(syntheticH1(4, 6), syntheticH5(4, 16, 64), syntheticH6(8)) {
		svg, err := f.figure(FigureColumn).SVG()
		require.NoError(t, err)
		requireGolden(t, f.name+".svg", svg)
		again, err := f.figure(FigureColumn).SVG()
		require.NoError(t, err)
		require.Equal(t, svg, again)

		b, err := few[i].bench([]BenchConfig{{"goos", "linux"}, {"target", "embedded emulator"}, {"model", "L8B"}}).Bytes()
		require.NoError(t, err)
		requireGolden(t, "bench_"+f.name+".txt", b)
		requireBenchFormat(t, string(b))
	}
}

func TestLoRAFiguresSayWhatTheyShow(t *testing.T) {
	want := map[string][]string{
		"h1": {
			"EMULATED", "SUPPORTED", "cold ÷ warm = 2.92 [2.71, 3.11]", "[32.9, 36.4] ms", "33 ms", "(a) TTFT (ms)", "(b) cold − warm (ms)",
			"(c) read ÷ adapter bytes", "(d) in the page cache (%)", "bytes ÷ rate", "server's load", "adapter-…", "008", "asked",
		},
		"h5": {
			"EMULATED", "SUPPORTED", "storm 64 ÷ 4 = 3.4 [2.98, 3.87]", "storm slope 0.31", "storm − sticky 0.27 [0.22, 0.32]", "(a) p95 TTFT (ms)",
			"(b) read per request (MB)", "(c) device read (MB/s)", "no adapter", "sticky", "storm", "predicted ± 25 %", "adapters in use", "16", "64",
		},
		"h6": {
			"EMULATED", "SUPPORTED", "storm ÷ hot = 3.72 [3.4, 4.02]", "hot ÷ base = 1.06", "(a) p95 TTFT (ms)", "(b) read per request (MB)",
			"(c) p95 TTFT ratio", "hot first", "storm first", "one adapter", "any adapter", "no adapter", "squares: medians over pairs",
		},
	}
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		for _, f := range loraFigures(syntheticH1(8, 8), syntheticH5(4, 16, 64), syntheticH6(8)) {
			got := texts(requireLegible(t, f.figure(width)))
			for _, w := range want[f.name] {
				require.Contains(t, strings.ReplaceAll(got, "\n", " "), w, f.name)
			}
			require.NotContains(t, strings.ReplaceAll(got, "adapter-…", ""), "…", "%s: nothing is cut", f.name)
			require.NotContains(t, got, "not measured", f.name)
			require.NotContains(t, got, "without a value", f.name)
		}
	}
}

// The sizes that the plan names, and those that somebody will ask for.
func TestLoRAFiguresOfOtherSizes(t *testing.T) {
	for why, f := range map[string][]loraFigure{
		"the smoke profile":  loraFigures(syntheticH1(2, 1), syntheticH5(2, 4), syntheticH6(1)),
		"one of everything":  loraFigures(syntheticH1(1, 1), syntheticH5(7), syntheticH6(1)),
		"the long run":       loraFigures(syntheticH1(8, 12), syntheticH5(1, 2, 4, 8, 16, 32, 64, 128), syntheticH6(16)),
		"more than has room": loraFigures(syntheticH1(64, 40), syntheticH5(4, 16, 17, 64, 1024), syntheticH6(60)),
	} {
		for _, f := range f {
			for _, width := range []FigureWidth{FigureColumn, FigurePage} {
				require.NotEmpty(t, requireLegible(t, f.figure(width)), "%s: %s", why, f.name)
			}
			_, err := f.table.CSV()
			require.NoError(t, err, why)
		}
	}
}

func TestLoRAFiguresOfNothing(t *testing.T) {
	nan := math.NaN()
	for _, f := range slices.Concat(
		loraFigures(H1Figure{}, H5Figure{}, H6Figure{}),
		loraFigures(
			H1Figure{Adapters: []H1Adapter{{Name: "a", Cold: []float64{nan, 0, -1}, LoadMs: []float64{nan}}}, ReadMs: 33, Excess: Estimate{nan, 1, 2}},
			H5Figure{Sets: []H5Cell{{Adapters: 4, Condition: ConditionStorm, Repeats: []H5Repeat{{LoRARun: LoRARun{TTFTMillis: nan, ReadMBps: nan, BytesPerRequest: nan}}}}}, PredictedBytes: func(int) float64 { return 5e6 }},
			H6Figure{Pairs: make([]H6Pair, 3), Ratio: Estimate{nan, 1, 2}},
		),
	) {
		_, err := f.figure(FigureColumn).SVG()
		require.ErrorIs(t, err, ErrFigureEmpty, f.name)
		b, err := f.bench(nil).Bytes()
		require.NoError(t, err)
		requireBenchFormat(t, "Benchmark_X 1 1 ns\n"+string(b))
	}
}

func TestLoRAFiguresNameWhatIsMissing(t *testing.T) {
	h1, h5, h6 := syntheticH1(4, 8), syntheticH5(4, 16, 64), syntheticH6(8)
	h1.Cycles = nil // the files are out of reach
	h1.ReadMs, h1.Excess, h1.Ratio = math.NaN(), Estimate{}, Estimate{math.NaN(), 0, 0}
	for i := range h1.Adapters {
		h1.Adapters[i].LoadMs = nil
	}
	h5.PredictedBytes, h5.StormSlope, h5.Interaction, h5.Ratio = nil, Estimate{}, Estimate{}, Estimate{}
	for i := range h5.Sets {
		for k := range h5.Sets[i].Repeats {
			h5.Sets[i].Repeats[k].BytesPerRequest, h5.Sets[i].Repeats[k].ReadMBps = math.NaN(), math.NaN()
		}
	}
	h6.Ratio, h6.LoRACompute = Estimate{}, Estimate{}
	for i := range h6.Pairs {
		p := &h6.Pairs[i]
		p.Base, p.Hot.BytesPerRequest, p.Storm.BytesPerRequest = LoRARun{}, math.NaN(), math.NaN()
	}
	h6.Pairs[3].Storm.TTFTMillis = math.NaN() // withheld
	for _, f := range loraFigures(h1, h5, h6) {
		for _, width := range []FigureWidth{FigureColumn, FigurePage} {
			got := strings.ReplaceAll(texts(requireLegible(t, f.figure(width))), "\n", " ")
			switch f.name {
			case "h1":
				require.Contains(t, got, "not measured: (c) read ÷ adapter bytes, (d) in the page cache")
				require.NotContains(t, got, "bytes ÷ rate")
				require.NotContains(t, got, "server's load")
				require.NotContains(t, got, "cold ÷ warm")
			case "h5":
				require.Contains(t, got, "not measured: (b) read per request, (c) device read")
				require.NotContains(t, got, "predicted")
				require.NotContains(t, got, "slope")
			case "h6":
				require.Contains(t, got, "not measured: (b) read per request")
				require.Contains(t, got, "without a value at some points: (a) p95 TTFT, (c) p95 TTFT ratio")
				require.NotContains(t, got, "base")
			}
		}
		_, err := f.table.CSV()
		require.NoError(t, err)
	}
}

func TestLoRAFiguresHostileNames(t *testing.T) {
	for _, s := range []string{`<script>alert(1)</script>`, strings.Repeat("wide words ", 300), strings.Repeat("very-long-", 200), "a\nb\x1b[31m", "\xff", "all"} {
		h1, h5, h6 := syntheticH1(4, 6), syntheticH5(4, 16), syntheticH6(4)
		h1.Verdict, h5.Verdict, h6.Verdict, h5.Quantile, h6.Quantile = s, s, s, s, s
		h1.Adapters[0].Name, h1.Adapters[1].Name = s, s
		h5.Sets[0].Condition = s
		for _, f := range loraFigures(h1, h5, h6) {
			require.NotContains(t, texts(requireLegible(t, f.figure(FigureColumn))), "\x1b")
			b, err := f.bench(nil).Bytes()
			require.NoError(t, err)
			requireBenchFormat(t, string(b))
		}
	}
}

// rowsOf is a table as its CSV says it, the header first.
func rowsOf(t *testing.T, table Table) [][]string {
	t.Helper()
	b, err := table.CSV()
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	require.NoError(t, err)
	return rows
}

func TestH1Tables(t *testing.T) {
	h := H1Figure{
		Adapters: []H1Adapter{
			{Name: "a", Cold: []float64{30, 50, math.NaN()}, Warm: []float64{10, 20, 5}, LoadMs: []float64{19, 31}},
			{Name: "b", Cold: []float64{40}, Warm: []float64{20, 21}, LoadMs: []float64{20}},
		},
		Cycles: []H1Cycle{{Cycle: 3, AdapterBytes: 200, ColdBytes: 210, WarmBytes: 0, ResidentBefore: 0.005, ResidentAfter: 1}},
		Ratio:  Estimate{2.5, 2, 3}, ReadMs: 22,
	}
	rows := rowsOf(t, h.Table())
	require.Equal(t, []string{"adapter", "a", "2", "40", "", "", "10", "", "", "2.75", "", "", "25", "", "", "25", "22", "", "", "", "", ""}, rows[1], "two pairs; the third has no cold touch")
	require.Equal(t, []string{"adapter", "b", "1", "40", "", "", "20.5", "", "", "2", "", "", "20", "", "", "20", "22", "", "", "", "", ""}, rows[2])
	require.Equal(t, []string{"cycle", "3", "2", "35", "", "", "15", "", "", "2.5", "", "", "20", "", "", "19.5", "22", "200", "210", "0", "0.5", "100"}, rows[3])
	require.Equal(t, []string{"all", "", "3", "40", "", "", "20", "", "", "2.5", "2", "3", "", "", "", "20", "22", "200", "210", "0", "0.5", "100"}, rows[4], "its ratio is the figure's; its excess is not there")

	rows = rowsOf(t, syntheticH1(8, 8).Table())
	require.Len(t, rows, 1+8+8+1)
	for i, name := range rows[0] {
		require.NotEmpty(t, rows[1][i]+rows[9][i], name)
	}
}

func TestH5Table(t *testing.T) {
	rows := rowsOf(t, syntheticH5(64, 4).Table())
	require.Len(t, rows, 1+1+2*2)
	require.Equal(t, []string{"condition", "adapters", "repeats", "requests", "p95 TTFT (ms)"}, rows[0][:5])
	for i, want := range [][]string{{"base", "0"}, {"sticky", "4"}, {"sticky", "64"}, {"storm", "4"}, {"storm", "64"}} {
		require.Equal(t, append(want, "8", "3200"), rows[1+i][:4])
	}
	require.Equal(t, "28875000", rows[5][9], "33 MB × (1 − 8/64)")
	require.Empty(t, rows[3][9], "what is predicted is the storm's")
	for i, name := range rows[0] {
		require.NotEmpty(t, rows[5][i], name)
	}
}

func TestH6Table(t *testing.T) {
	h := syntheticH6(8)
	h.Pairs[1].Base = LoRARun{}
	h.Pairs[0].Hot.TTFTMillis, h.Pairs[0].Storm.TTFTMillis = 20, 50
	rows := rowsOf(t, h.Table())
	require.Len(t, rows, 1+8*3-1+3, "an arm that was not run has no row")
	require.Equal(t, []string{"0", "hot first", "storm", "400", "50", "", "", "2.5"}, rows[3][:8])
	require.Equal(t, []string{"1", "storm first", "hot"}, rows[4][:3])
	require.Empty(t, rows[4][7], "there is no base to compare with")
	last := rows[len(rows)-1]
	require.Equal(t, []string{"median", "", "storm", "3200"}, last[:4])
	require.Equal(t, []string{"3.72", "3.4", "4.02"}, last[7:10])
	for i, name := range rows[0] {
		if i != 1 {
			require.NotEmpty(t, last[i], name)
		}
	}
}

func TestLoRAFiguresCountWhatTheCaptionDoesNot(t *testing.T) {
	h1, h6 := syntheticH1(2, 1), syntheticH6(1)
	require.NotContains(t, texts(requireLegible(t, FigureH1(h1))), "cold load")
	h1.Caption.Samples, h6.Caption.Samples = "", ""
	require.Contains(t, texts(requireLegible(t, FigureH1(h1))), "2 cold loads of 2 adapters in 1 cycle ·")
	require.Contains(t, texts(requireLegible(t, FigureH6(h6))), "1 pair")

	h6 = syntheticH6(8)
	h6.BaseTTFT, h6.HotTTFT, h6.StormTTFT = Estimate{17, 16, 18}, Estimate{18, 17, 19}, Estimate{67, 60, 70}
	require.NotContains(t, texts(requireLegible(t, FigureH6(h6))), "squares", "the bars are the caption's then")
	require.Contains(t, texts(requireLegible(t, FigureH6(h6))), "shade: interval of")
	h6.Ratio = Estimate{3.7, 0, math.Inf(1)}
	require.NotContains(t, texts(requireLegible(t, FigureH6(h6))), "shade", "two pairs have no interval to shade")
	rows := rowsOf(t, h6.Table())
	require.Equal(t, []string{"67", "60", "70"}, rows[len(rows)-1][4:7])
}

func TestEndlessIntervalsShadeNothing(t *testing.T) {
	over := extent{1, 2}
	require.True(t, level("", FigureBlack, FigureSolid, over, Estimate{2, 1, 3}).Band)
	for _, e := range []Estimate{{2, 0, math.Inf(1)}, {2, math.Inf(-1), 3}, only(2)} {
		require.False(t, level("", FigureBlack, FigureSolid, over, e).Band, "%v", e)
	}
}

func TestMedianInterval(t *testing.T) {
	nan := math.NaN()
	for _, row := range []struct {
		why    string
		values []float64
		want   Estimate
	}{
		{"eight: the first and the last, 99 %; the next two hold the median with 93 % only", []float64{8, 1, 7, 2, 6, 3, 5, 4}, Estimate{4.5, 1, 8}},
		{"what is absent is not counted", []float64{1, nan, 2, 3, 4, nan, 5, 6}, Estimate{3.5, 1, 6}},
		{"nine: the second and the eighth, 96 %", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9}, Estimate{5, 2, 8}},
	} {
		require.Equal(t, row.want, medianInterval(row.values), row.why)
	}
	few := medianInterval([]float64{1, 2, 3, 4, 5})
	require.Equal(t, 3.0, few.Value)
	require.True(t, math.IsNaN(few.Lo) && math.IsNaN(few.Hi), "five have no 95 % interval")
	require.True(t, math.IsNaN(medianInterval(nil).Value))
}

func TestNamedAxis(t *testing.T) {
	for _, row := range []struct {
		why, label string
		names      []string
		want       string
		first      string
	}{
		{"what all share stands once", "adapter", []string{"lora/x-1", "lora/x-2"}, "adapter lora/x-…", "1"},
		{"the label too", "adapter", []string{"adapter_01", "adapter_02"}, "adapter_…", "01"},
		{"words are not cut", "adapter", []string{"alpha", "alps"}, "adapter", "alpha"},
		{"one name shares nothing", "adapter", []string{"a-b"}, "adapter", "a-b"},
		{"equal names keep their last part", "adapter", []string{"a-b", "a-b"}, "adapter a-…", "b"},
		{"bytes of a letter are not cut", "x", []string{"é-1", "è-2"}, "x", "é-1"},
	} {
		a := namedAxis(row.label, row.names)
		require.Equal(t, row.want, a.Label, row.why)
		require.Equal(t, row.first, a.Ticks[0].Label, row.why)
	}
	require.Nil(t, namedAxis("x", make([]string, 17)).Ticks, "too many for names")
}

func FuzzFigureLoRA(f *testing.F) {
	f.Add(uint64(1), "adapter-1", 40.0, 33e6, 0.2, 0.9)
	f.Add(uint64(2), "<a&b>\n", math.Inf(1), math.NaN(), -1.0, 0.0)
	f.Add(uint64(3), "\xff", 1e-14, 1e300, 3.0, -50.0)
	f.Fuzz(func(t *testing.T, seed uint64, name string, ttft, bytes, spread, ratio float64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		noisy := func(v float64) float64 { return v * math.Exp(spread*rng.NormFloat64()) }
		e := Estimate{ratio, ratio - spread, ratio + spread}
		h1 := H1Figure{Verdict: name, Ratio: e, Excess: e, ReadMs: ttft}
		h5 := H5Figure{Quantile: name, StormSlope: e, Interaction: e, Ratio: e, PredictedBytes: func(n int) float64 { return bytes * spread / float64(n) }}
		h6 := H6Figure{Quantile: name, Ratio: e, LoRACompute: e}
		for i := range rng.IntN(20) {
			a := H1Adapter{Name: name + string(rune('A'+i))}
			for range rng.IntN(4) {
				a.Cold, a.Warm, a.LoadMs = append(a.Cold, noisy(ttft)), append(a.Warm, noisy(spread)), append(a.LoadMs, noisy(ratio))
			}
			h1.Adapters = append(h1.Adapters, a)
			h1.Cycles = append(h1.Cycles, H1Cycle{i, noisy(bytes), spread, bytes, ratio, ratio})
			c := H5Cell{Adapters: rng.IntN(300) - 2, Condition: []string{ConditionBase, ConditionSticky, ConditionStorm, name}[rng.IntN(4)], TTFT: e}
			c.Repeats = []H5Repeat{{LoRARun: LoRARun{TTFTMillis: noisy(ttft), BytesPerRequest: noisy(bytes), ReadMBps: ratio}}}
			h5.Sets = append(h5.Sets, c)
			arm := func() LoRARun {
				return LoRARun{Requests: rng.IntN(3), TTFTMillis: noisy(ttft), BytesPerRequest: noisy(bytes)}
			}
			h6.Pairs = append(h6.Pairs, H6Pair{Block: i, StormFirst: rng.IntN(2) == 0, Base: arm(), Hot: arm(), Storm: arm()})
		}
		for _, l := range loraFigures(h1, h5, h6) {
			_, err := l.table.CSV()
			require.NoError(t, err)
			_, err = l.bench(nil).Bytes()
			require.NoError(t, err)
			svg, err := l.figure(FigureWidth(seed % 2)).SVG()
			if err != nil {
				require.ErrorIs(t, err, ErrFigureEmpty)
				continue
			}
			_, _, found := readSVG(t, svg)
			require.NotEmpty(t, found)
		}
	})
}
