package analysis

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		why    string
		scale  FigureScale
		lo, hi float64
		n      int
		want   string
	}{
		{"users", FigureLog2, 0.9, 280, 7, "1 2 4 8 16 32 64 128 256"},
		{"tokens", FigureLog2, 250, 4200, 7, "256 512 1k 2k 4k"},
		{"under two octaves there are too few powers", FigureLog2, 10, 30, 5, "10 20 30"},
		{"one decade of ms", FigureLog10, 40, 1100, 7, "100 1000 200 50 500"},
		{"less than a decade needs more digits", FigureLog10, 40, 180, 5, "100 50 40 70 60 80 90"},
		{"many decades keep every third", FigureLog10, 1e-6, 1e6, 5, "1e-06 0.001 1 1000 1M"},
		{"rates from zero", FigureLinear, 0, 170, 4, "0 50 100 150"},
		{"fractions", FigureLinear, 0, 1.2, 4, "0 0.5 1"},
		{"below zero", FigureLinear, -5, 5, 4, "−4 −2 0 2 4"},
		{"time", FigureTight, 118, 131, 4, "120 125 130"},
	} {
		var labels []string
		for _, tick := range (axis{scale: c.scale, lo: c.lo, hi: c.hi}).ticks(c.n) {
			if tick.Label != "" {
				labels = append(labels, tick.Label)
			}
		}
		require.Equal(t, c.want, strings.Join(labels, " "), c.why)
	}
}

func TestLabels(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 1: "1", 0.05: "0.05", 250: "250", 1500: "1500", 9999: "9999", 20000: "20k", 12345: "12.35k",
		3e6: "3M", 1e12: "1e+12", 0.0001: "0.0001", -20: "−20", 1234.56: "1235", 9999.9: "10k", 999999: "1M",
	} {
		require.Equal(t, want, numberLabel(v), "%v", v)
	}
	for v, want := range map[float64]string{256: "256", 1000: "1000", 1024: "1k", 1536: "1.5k", 65536: "64k", 1 << 20: "1M", 1 << 45: "32T", 1100: "1100"} {
		require.Equal(t, want, tokenLabel(v))
	}
}

func TestCrowdedLabelsYieldToEarlierOnes(t *testing.T) {
	a := axis{scale: FigureLog2, lo: 1, hi: 16, from: 0, to: 100}
	ticks := []FigureTick{{At: 4, Label: "four"}, {At: 5, Label: "five"}, {At: 16, Label: "sixteen"}, {At: 99, Label: "off"}}
	face := faceOf(tickSize, false)
	got := a.labelled(ticks, 4, tickWidth(face), 0, 120)
	require.Equal(t, []FigureTick{{At: 4, Label: "four"}, {At: 5}, {At: 16, Label: "sixteen"}}, got)
}

func TestVerticalRanges(t *testing.T) {
	lo, hi := extent{3, 4}.vertical(FigureLinear)
	require.Zero(t, lo, "heights compare only from zero")
	require.Greater(t, hi, 4.0)
	lo, hi = extent{100, 101}.vertical(FigureLog10)
	require.GreaterOrEqual(t, hi/lo, 4.0, "noise of one per cent must look like it")
	lo, hi = extent{0, 0}.vertical(FigureLinear)
	require.Equal(t, []float64{0, 1}, []float64{lo, hi})
}

func TestVisible(t *testing.T) {
	require.Equal(t, "a b c", visible(" a\n\tb\x00\x1b \u200bc "))
	require.Equal(t, "broken", visible("\xffbroken\xfe"))
	require.Len(t, []rune(visible(strings.Repeat("x", 5000))), 1001)
}

func TestFill(t *testing.T) {
	face := faceOf(tickSize, false)
	require.Equal(t, []string{"one two", "three"}, fill("one two three", face, face.Width("one two "), 3))
	cut := fill("one two three four five", face, face.Width("one two "), 2)
	require.Len(t, cut, 2)
	require.True(t, strings.HasSuffix(cut[1], "…"), "what does not fit is seen to be cut: %q", cut)
	require.Empty(t, fill("", face, 50, 2))
}
