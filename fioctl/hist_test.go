package fioctl

import (
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// latencies yields every latency block with samples of every recorded document.
func latencies(t *testing.T, visit func(name string, last bool, l Latency)) {
	t.Helper()
	files, err := os.ReadDir("testdata/fio")
	require.NoError(t, err)
	for _, f := range files {
		all, _ := parseAll(readFixture(t, f.Name()))
		for i, r := range all {
			for _, d := range []Direction{r.Read, r.Write} {
				for _, l := range []Latency{d.Slat, d.Clat, d.Lat} {
					if l.N > 0 {
						visit(f.Name(), i == len(all)-1, l)
					}
				}
			}
		}
	}
}

// fio's own percentiles are the judge: exact, for every one that it printed.
func TestQuantileEqualsFios(t *testing.T) {
	checked := 0
	latencies(t, func(name string, last bool, l Latency) {
		if len(l.Bins) == 0 {
			return
		}
		n := uint64(0)
		for _, b := range l.Bins {
			n += uint64(b.Count)
		}
		if last {
			require.EqualValues(t, l.N, n, "%s: sum of the bins", name)
		}
		for q, want := range l.Percentiles {
			got, ok := l.Quantile(q)
			require.True(t, ok)
			if n == uint64(l.N) {
				require.Equal(t, want, got, "%s: quantile %v of %d", name, q, n)
				checked++
			}
		}
	})
	require.Greater(t, checked, 250)
}

func TestHistHoldsWhatFioCounted(t *testing.T) {
	checked, apart := 0, 0
	latencies(t, func(name string, _ bool, l Latency) {
		if len(l.Bins) == 0 {
			_, err := l.Hist()
			require.ErrorIs(t, err, ErrNoBins)
			return
		}
		h, err := l.Hist()
		require.NoError(t, err)
		sum := int64(0)
		for _, b := range l.Bins {
			sum += b.Count
		}
		require.Equal(t, sum, h.TotalCount())
		require.InEpsilon(t, float64(l.Max), float64(h.Max()), 1.0/64, name)
		require.InEpsilon(t, l.Mean, h.Mean(), 1.0/64, name)
		for q, want := range l.Percentiles {
			checked++
			rank := fioRank(q, uint64(sum))
			same := h.ValueAtQuantile(float64(rank) / float64(sum) * 100)
			require.True(t, h.ValuesAreEquivalent(int64(want), same), "%s: rank %d of %d", name, rank, sum)
			if !h.ValuesAreEquivalent(int64(want), h.ValueAtQuantile(q*100)) {
				apart++ // HDR rounds the rank to the nearest, fio up: one I/O
			}
		}
	})
	require.Greater(t, checked, 250)
	t.Logf("%d of %d percentiles one rank apart", apart, checked)
}

func TestQuantileRanks(t *testing.T) {
	l := Latency{Bins: []Bin{{10, 50}, {20, 49}, {30, 1}}}
	for _, c := range []struct {
		q    float64
		want time.Duration
		why  string
	}{
		{0, 10, "the least"},
		{0.5, 10, "rank 50 exactly"},
		{0.5000001, 20, "just past it"},
		{0.99, 20, "rank 99 exactly: 0.99·100 in floats must not pass it"},
		{0.991, 30, "rank 99.1 rounds up"},
		{1, 30, "the largest"},
	} {
		got, ok := l.Quantile(c.q)
		require.True(t, ok)
		require.Equal(t, c.want, got, "%v: %s", c.q, c.why)
	}
	for _, q := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
		_, ok := l.Quantile(q)
		require.False(t, ok, "%v", q)
	}
}

// Whole products of quantiles that floats cannot hold.
func TestFioRankOfWholeProducts(t *testing.T) {
	for _, percent := range []uint64{1, 5, 29, 50, 57, 58, 95, 99} {
		for _, n := range []uint64{100, 1000, 100_000, 1_000_000_000} {
			got := fioRank(float64(percent)/100, n)
			require.Equal(t, percent*n/100, got, "%d%% of %d", percent, n)
		}
	}
	require.EqualValues(t, 1000, fioRank(0.999, 1000), "the float nearest to 99.9 lies above it")
	require.EqualValues(t, 1, fioRank(1e-9, 5))
	require.EqualValues(t, math.MaxInt64, fioRank(1, math.MaxInt64))
}

func TestQuantileWithoutBins(t *testing.T) {
	l := Latency{N: 9, Percentiles: map[float64]time.Duration{0.99: 5}}
	got, ok := l.Quantile(0.99)
	require.True(t, ok, "fio's own")
	require.EqualValues(t, 5, got)
	_, ok = l.Quantile(0.5)
	require.False(t, ok, "fio did not print it, and nobody can know")
	_, ok = Latency{}.Quantile(0.5)
	require.False(t, ok)
}

func TestHistRefusesWhatItCannotHold(t *testing.T) {
	for _, c := range []struct {
		bins []Bin
		why  string
	}{
		{[]Bin{{2 * time.Hour, 1}}, "longer than an hour"},
		{[]Bin{{1, math.MaxInt64}, {2, 1}}, "more than 2⁶³ counts"},
		{[]Bin{{1, -1}}, "a negative count"},
	} {
		_, err := Latency{Bins: c.bins}.Hist()
		require.Error(t, err, c.why)
	}
	_, ok := Latency{Bins: []Bin{{1, -1}}}.Quantile(0.5)
	require.False(t, ok)
	h, err := Latency{Bins: []Bin{{17 * time.Second, 3}}}.Hist()
	require.NoError(t, err)
	require.InEpsilon(t, float64(17*time.Second), float64(h.Max()), 1e-3)
}

func TestDirectionRates(t *testing.T) {
	d := Direction{Bytes: 1 << 20, IOs: 16, Runtime: 500 * time.Millisecond}
	require.InDelta(t, 32, d.IOPS(), 1e-12)
	require.InDelta(t, 2<<20, d.BytesPerSec(), 1e-6)
	require.Zero(t, Direction{IOs: 5}.IOPS(), "no runtime: no rate, and no NaN")
}
