package analysis

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// syntheticH3 is a sweep in which pgpgin and the KV tier warn and the rest is
// noise, silence or nothing.
func syntheticH3(repeats int) H3Figure {
	rng := rand.New(rand.NewPCG(3, 9))
	h := H3Figure{
		Caption:  FigureCaption{Target: "embedded emulator", Model: "L70B", Machine: "amd64, 2 cores", Samples: "8 repeats, 80 to 120 requests per arm", Interval: "shade: 95 % interval, bootstrap over repeats", Emulated: true},
		Quantile: "p95", Verdict: "SUPPORTED", Demand: true, Knee: &Estimate{1.08, 1.02, 1.15},
	}
	latency, read := ramp(30, 1.05, 250), ramp(0.4, 0.8, 320)
	for r := range repeats {
		h.Knees = append(h.Knees, 1.08+0.02*rng.NormFloat64())
		for i, x := range onsetLevels() {
			a := H3Arm{Repeat: r, X: x, ContextTokens: []int{256, 512, 768, 1024, 1280, 1536, 2048, 4096}[i], Requests: 90, TTFTMillis: latency(x) * math.Exp(0.08*rng.NormFloat64())}
			a.Counters = syntheticCounters(rng, read(x))
			h.Arms = append(h.Arms, a)
			for k := range 3 {
				if r == 0 {
					from := float64(8*i + k)
					h.Series = append(h.Series, H3Step{from, from + 1, x, a.TTFTMillis * math.Exp(0.1*rng.NormFloat64()), a.Counters})
				}
			}
		}
	}
	for c := range Counter(CounterSignals) {
		k := H3Counter{Counter: c, Status: "silent", Why: "constant", P: math.NaN(), Adjusted: math.NaN(), AUC: math.NaN(), LagSec: math.NaN(), LagP: math.NaN()}
		switch c {
		case CounterPageIn, CounterKVTier:
			k.Status, k.Why, k.AUC, k.Before, k.Of, k.P, k.Adjusted, k.LagSec, k.LagP = "leads", "", 0.97, repeats, repeats, 1./256, 11./256, 0, 0.01
			k.Ratio = Estimate{0.75, 0.7, 0.81}
			for range repeats {
				k.Knees = append(k.Knees, 0.8+0.02*rng.NormFloat64())
			}
		case CounterMemAvailable, CounterPageOut:
			k.Status, k.Why, k.AUC = "no knee", "", 0.55
		case CounterRefaults:
			k.Why = "absent"
		}
		h.Counters = append(h.Counters, k)
	}
	return h
}

func syntheticCounters(rng *rand.Rand, read float64) Counters {
	c := noCounters()
	noise := func(v float64) float64 { return v * math.Exp(0.05*rng.NormFloat64()) }
	c[CounterMemAvailable] = 22 + 0.01*rng.NormFloat64()
	c[CounterPageIn], c[CounterKVTier] = noise(read)*0.95+0.3, noise(read)
	c[CounterPageOut] = noise(3)
	return c
}

func syntheticH8(blocks int) H8Figure {
	rng := rand.New(rand.NewPCG(8, 9))
	h := H8Figure{
		Caption: FigureCaption{Target: "embedded emulator", Model: "L70B", Machine: "amd64, 2 cores", Samples: "13 repeats", Interval: "bars: 95 % interval of the mean over repeats", Emulated: true},
		Verdict: "SUPPORTED", Limit: 0.3,
		Relations: []H8Relation{
			{Name: "iowait", Mean: Estimate{0.72, 0.6, 0.81}},
			{Name: "iowait", Given: "partial", Mean: Estimate{0.5, 0.33, 0.64}},
			{Name: "r_await", Mean: Estimate{0.8, 0.72, 0.86}},
			{Name: "io PSI", Mean: Estimate{0.76, 0.66, 0.83}},
		},
	}
	for b := range blocks {
		block := H8Block{Run: []string{"H2", "H4"}[b%2], Block: b / 2}
		for range 21 {
			wait := rng.Float64()
			noise := func(sd float64) float64 { return math.Exp(sd * rng.NormFloat64()) }
			block.Steps = append(block.Steps, H8Step{
				TTFTMillis: 30 * math.Exp(1.6*wait) * noise(0.35), IOWaitCores: (0.05 + 0.9*wait) * noise(0.15),
				ReadAwaitMillis: (0.3 + 2*wait) * noise(0.15), IOPressurePct: math.Min(100, (4+75*wait)*noise(0.1)), BusyCores: 0.6 * noise(0.1),
			})
		}
		for i := range h.Relations {
			h.Relations[i].Rhos = append(h.Relations[i].Rhos, math.Tanh(math.Atanh(h.Relations[i].Mean.Value)+0.2*rng.NormFloat64()))
		}
		h.Blocks = append(h.Blocks, block)
	}
	return h
}

func counterFigures(h3 H3Figure, h8 H8Figure) []loraFigure {
	return []loraFigure{
		{"h3", func(w FigureWidth) Figure { h3.Width = w; return FigureH3(h3) }, h3.Table(), h3.Bench},
		{"h8", func(w FigureWidth) Figure { h8.Width = w; return FigureH8(h8) }, h8.Table(), h8.Bench},
	}
}

func TestCounterFiguresGolden(t *testing.T) {
	for _, f := range counterFigures(syntheticH3(8), syntheticH8(13)) {
		svg, err := f.figure(FigureColumn).SVG()
		require.NoError(t, err)
		requireGolden(t, f.name+".svg", svg)
		b, err := f.bench([]BenchConfig{{"goos", "linux"}, {"target", "embedded emulator"}, {"model", "L70B"}}).Bytes()
		require.NoError(t, err)
		requireGolden(t, "bench_"+f.name+".txt", b)
		requireBenchFormat(t, string(b))
		csv, err := f.table.CSV()
		require.NoError(t, err)
		requireGolden(t, f.name+".csv", csv)
	}
}

func TestCounterFiguresSayWhatTheyShow(t *testing.T) {
	want := map[string][]string{
		"h3": {
			"EMULATED", "SUPPORTED", "before latency: pgpgin, KV tier reads", "latency knee 1.08×", "p95 TTFT (ms)", "pgpgin (MiB/s)", "KV tier reads (MB/s)",
			"leads: knee", "AUC 0.97", "no knee", "constant: Cached, SwapCached, pswpin, pswpout, pgmajfault, memory PSI some", "absent: workingset refaults",
			"time in one repeat (s)", "context per user (tokens); KV demand ÷ pool",
		},
		"h8": {
			"EMULATED", "SUPPORTED", "ρ(iowait, TTFT) = 0.72 [0.6, 0.81]", "iowait (cores)", "r_await (ms)", "io PSI some (% of time)", "(d) rank correlation with TTFT",
			"H2 (7 repeats, 147 slices)", "H4 (6 repeats, 126 slices)", "partial", "limit 0.3", "lines: trend inside one repeat",
		},
	}
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		for _, f := range counterFigures(syntheticH3(8), syntheticH8(13)) {
			got := strings.ReplaceAll(texts(requireLegible(t, f.figure(width))), "\n", " ")
			for _, w := range want[f.name] {
				require.Contains(t, got, w, f.name)
			}
			require.NotContains(t, got, "…", "%s: nothing is cut", f.name)
			require.NotContains(t, got, "without a value", f.name)
		}
	}
}

func TestCounterFiguresOfOtherKinds(t *testing.T) {
	nan := math.NaN()
	bare := syntheticH3(2)
	bare.Knee, bare.Knees, bare.Series, bare.Demand = nil, nil, nil, false
	for i := range bare.Counters {
		bare.Counters[i].Status, bare.Counters[i].Of, bare.Counters[i].Knees = "silent", 0, nil
	}
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		got := texts(requireLegible(t, counterFigures(bare, syntheticH8(1))[0].figure(width)))
		require.Contains(t, got, "latency has no knee")
		require.NotContains(t, got, "KV demand")
	}
	lone := syntheticH8(1)
	for i := range lone.Relations {
		lone.Relations[i].Rhos, lone.Relations[i].Mean = []float64{nan}, Estimate{nan, nan, nan}
	}
	for i := range lone.Blocks[0].Steps {
		lone.Blocks[0].Steps[i].ReadAwaitMillis = nan
	}
	got := strings.ReplaceAll(texts(requireLegible(t, FigureH8(lone))), "\n", " ")
	require.Contains(t, got, "not measured")
	require.Contains(t, got, "(d) rank correlation")
	for _, f := range counterFigures(H3Figure{}, H8Figure{}) {
		_, err := f.figure(FigureColumn).SVG()
		require.ErrorIs(t, err, ErrFigureEmpty, f.name)
		_, err = f.table.CSV()
		require.NoError(t, err)
	}
}

func FuzzCounterFigures(f *testing.F) {
	f.Add(uint64(1), "leads", 40.0, 0.3, 0.9)
	f.Add(uint64(2), "<a&b>\n", math.Inf(1), math.NaN(), -1.0)
	f.Add(uint64(3), "\xff", 1e-14, 1e300, 0.0)
	f.Fuzz(func(t *testing.T, seed uint64, word string, a, b, c float64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		e := Estimate{a, b, c}
		h3, h8 := syntheticH3(1+rng.IntN(3)), syntheticH8(rng.IntN(4))
		h3.Verdict, h3.Knee, h8.Verdict, h8.Limit = word, &e, word, b
		for i := range h3.Counters {
			k := &h3.Counters[i]
			k.Status, k.Why, k.Knees, k.AUC = []string{"leads", "silent", word}[rng.IntN(3)], word, []float64{a, b, c}, c
		}
		for i := range h3.Arms {
			h3.Arms[i].X, h3.Arms[i].Counters[CounterKVTier] = a*float64(i), b
		}
		for i := range h8.Relations {
			h8.Relations[i].Mean, h8.Relations[i].Name = e, word
		}
		for i := range h8.Blocks {
			h8.Blocks[i].Run, h8.Blocks[i].Steps[0].IOWaitCores, h8.Blocks[i].Steps[1].TTFTMillis = word, a, b
		}
		for _, l := range counterFigures(h3, h8) {
			_, err := l.table.CSV()
			require.NoError(t, err)
			_, err = l.bench(nil).Bytes()
			require.NoError(t, err)
			if _, err := l.figure(FigureWidth(seed % 2)).SVG(); err != nil {
				require.ErrorIs(t, err, ErrFigureEmpty)
			}
		}
	})
}
