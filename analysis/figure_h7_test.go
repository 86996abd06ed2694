package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// syntheticH7 has the arms that the plan measures; the log rounds up to units.
func syntheticH7(blocks int) H7Figure {
	rng := rand.New(rand.NewPCG(7, 1))
	h := H7Figure{
		Caption: loraCaption(fmt.Sprintf("%d arms in %d blocks of 3 runs", 12*blocks, 3*blocks), ""),
		Verdict: "SUPPORTED", Source: "nvme-ioctl", Logged: true, Correlation: Estimate{0.987, 0.971, 0.995},
		LogicalBlock: 512, MaxRequest: 128 << 10,
	}
	const file = 13.65e6
	for block := range blocks {
		for _, of := range []struct {
			hypothesis, condition string
			adapters              int
			loads                 float64
		}{
			{"H1", ConditionCold, 8, 8},
			{"H1", ConditionWarm, 8, 0},
			{"H5", ConditionBase, 0, 0},
			{"H5", ConditionSticky, 4, 4},
			{"H5", ConditionSticky, 16, 9},
			{"H5", ConditionSticky, 64, 9},
			{"H5", ConditionStorm, 4, 4},
			{"H5", ConditionStorm, 16, 12 + float64(25+rng.IntN(8))},
			{"H5", ConditionStorm, 64, 12 + float64(75+rng.IntN(15))},
			{"H6", ConditionBase, 0, 0},
			{"H6", ConditionHot, 1, float64(rng.IntN(2))},
			{"H6", ConditionStorm, 64, 10 + float64(75+rng.IntN(15))},
		} {
			bytes := math.Round((of.loads*file*1.002+float64(rng.IntN(60))*4096)/512) * 512
			units := math.Ceil(bytes/512000) + float64(rng.IntN(2)) - 1
			reads := math.Ceil(bytes/(128<<10)) + float64(rng.IntN(50))
			h.Arms = append(h.Arms, H7Arm{
				Hypothesis: of.hypothesis, Run: of.hypothesis + "/20261123T000000Z-abcdef", Name: fmt.Sprintf("%s-n%d-r%d", of.condition, of.adapters, block),
				Block: block, Condition: of.condition, Adapters: of.adapters, Requests: 80, PredictedBytes: of.loads * file, ByServer: true,
				Reads: reads, Bytes: max(units, 0) * 512000, Source: "nvme-ioctl", LogReads: reads, LogBytes: max(units, 0) * 512000,
				BlockReads: reads, BlockBytes: bytes, PagedBytes: bytes, Residual: max(units, 0)*512000 - bytes, Tolerance: max(0.01*bytes, 1024000),
			})
		}
	}
	return h
}

func TestH7Golden(t *testing.T) {
	svg, err := FigureH7(syntheticH7(8)).SVG()
	require.NoError(t, err)
	requireGolden(t, "h7.svg", svg)
	b, err := syntheticH7(1).Bench([]BenchConfig{{"goos", "linux"}, {"target", "embedded emulator"}, {"model", "L8B"}}).Bytes()
	require.NoError(t, err)
	requireGolden(t, "bench_h7.txt", b)
	requireBenchFormat(t, string(b))
}

func TestH7SaysWhatItShows(t *testing.T) {
	for _, width := range []FigureWidth{FigureColumn, FigurePage} {
		h := syntheticH7(8)
		h.Width = width
		got := strings.ReplaceAll(texts(requireLegible(t, FigureH7(h))), "\n", " ")
		for _, want := range []string{
			"EMULATED", "SUPPORTED", "source: nvme-ioctl", "ρ = 0.987 [0.971, 0.995]", "(a) read by SMART (MB)", "(b) residual ÷ tolerance", "(c) KiB per read",
			"predicted adapter and KV bytes (MB)", "equal", "closes", "H1 cold", "H1 warm", "H5 sticky", "H6 hot", "H6 storm", "largest request", "logical block",
			"SMART − diskstats", "at 0: under 1 MB",
		} {
			require.Contains(t, got, want)
		}
		require.NotContains(t, got, "not measured")
		require.NotContains(t, got, "without a value")
		h.Logged, h.Source = false, "diskstats"
		got = texts(requireLegible(t, FigureH7(h)))
		require.Contains(t, got, "(a) read by diskstats (MB)")
		require.Contains(t, got, "pgpgin of all disks")
		require.NotContains(t, got, "SMART", "a stand-in is not called by the name of what it stands for")
	}
}

func TestH7OfOtherData(t *testing.T) {
	nan := math.NaN()
	_, err := FigureH7(H7Figure{}).SVG()
	require.ErrorIs(t, err, ErrFigureEmpty)
	unseen := syntheticH7(2)
	for i := range unseen.Arms {
		a := &unseen.Arms[i]
		a.Reads, a.Bytes, a.Residual, a.Tolerance = nan, nan, nan, nan
	}
	_, err = FigureH7(unseen).SVG()
	require.ErrorIs(t, err, ErrFigureEmpty)

	partly := syntheticH7(2)
	partly.Arms[3].Bytes, partly.Arms[3].Residual = nan, nan
	partly.LogicalBlock, partly.MaxRequest, partly.Correlation = nan, nan, Estimate{}
	got := texts(requireLegible(t, FigureH7(partly)))
	require.NotContains(t, got, "largest request")
	require.NotContains(t, got, "ρ")
	require.Contains(t, strings.ReplaceAll(got, "\n", " "), "without a value at some points: (a) read by SMART")

	foreign := syntheticH7(2)
	foreign.Arms[5].Residual = 400e6
	requireLegible(t, FigureH7(foreign))
	idle := syntheticH7(1)
	for i := range idle.Arms {
		idle.Arms[i].PredictedBytes, idle.Arms[i].Bytes = 0, 0
	}
	requireLegible(t, FigureH7(idle))
	for _, s := range []string{`<script>alert(1)</script>`, strings.Repeat("wide words ", 300), "a\nb\x1b[31m", "\xff"} {
		h := syntheticH7(1)
		h.Verdict, h.Source, h.Arms[0].Name, h.Arms[1].Condition = s, s, s, s
		require.NotContains(t, texts(requireLegible(t, FigureH7(h))), "\x1b")
		b, err := h.Bench(nil).Bytes()
		require.NoError(t, err)
		requireBenchFormat(t, string(b))
		_, err = h.Table().CSV()
		require.NoError(t, err)
	}
}

func TestH7Table(t *testing.T) {
	h := syntheticH7(1)
	rows := rowsOf(t, h.Table())
	require.Len(t, rows, 1+len(h.Arms))
	require.Equal(t, []string{"H1/20261123T000000Z-abcdef", "cold-n8-r0", "0", "cold", "8", "80", "109200000", "server", "nvme-ioctl"}, rows[1][:9])
	for i, name := range rows[0] { // a row that has everything
		require.NotEmpty(t, rows[1][i], name)
	}
}
