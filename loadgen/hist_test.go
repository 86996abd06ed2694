package loadgen

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

func histOf(values ...time.Duration) *Hist {
	h := &Hist{}
	for _, v := range values {
		h.Record(v)
	}
	return h
}

func TestEmptyHistIsAbsent(t *testing.T) {
	var h Hist
	for _, q := range []float64{0, 0.5, 1} {
		_, ok := h.Quantile(q)
		require.False(t, ok)
	}
	_, ok := h.Mean()
	require.False(t, ok)
	_, ok = h.Max()
	require.False(t, ok)
	require.Zero(t, h.N())
	require.Zero(t, h.Overflow())
	require.Nil(t, h.Summarize(0))
	h.Merge(&Hist{})
	h.RecordN(time.Second, 0)
	h.RecordN(time.Second, -5)
	require.Nil(t, h.Summarize(0))
}

func TestQuantileIsTheNearestRankUpward(t *testing.T) {
	var h Hist
	for i := range 100 {
		h.Record(time.Duration(i+1) * time.Microsecond) // 1..100 µs, exact in HDR
	}
	for _, row := range []struct {
		q    float64
		want int // rank = value in µs
	}{
		{0, 1},
		{1e-9, 1},
		{0.01, 1},
		{0.0101, 2},
		{0.5, 50},
		{0.501, 51},
		{0.9, 90},
		{0.95, 95},
		{0.99, 99},
		{0.991, 100},
		{0.999, 100},
		{1, 100},
	} {
		got, ok := h.Quantile(row.q)
		require.True(t, ok)
		require.Equal(t, time.Duration(row.want)*time.Microsecond, got, "q=%v", row.q)
	}
	for _, q := range []float64{-0.1, 1.1, 99, math.NaN()} {
		_, ok := h.Quantile(q)
		require.False(t, ok, "q=%v is no quantile", q)
	}
}

func TestQuantilesAgreeWithSortedValues(t *testing.T) {
	s := newDraws(11, 99, 0)
	for _, n := range []int{1, 2, 3, 10, 367, 1000, 12345} {
		var h Hist
		values := make([]time.Duration, n)
		for i := range values {
			values[i] = time.Duration(float64(time.Millisecond) * 100 * s.gamma(0.3))
			h.Record(values[i])
		}
		slices.Sort(values)
		for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1} {
			want := values[upwardRank(q, int64(n))-1]
			got, _ := h.Quantile(q)
			require.InDelta(t, float64(want), float64(got), 0.001*float64(want)+1000, "n=%d q=%v", n, q)
			require.GreaterOrEqual(t, got, want-time.Microsecond/2, "rounded up")
		}
	}
}

func TestUpwardRankIsExactAtWholeRanks(t *testing.T) {
	for n := int64(100); n < 1_000_000; n += 700 {
		require.Equal(t, (n*99+99)/100, upwardRank(0.99, n), "p99 of %d", n)
		require.Equal(t, (n*999+999)/1000, upwardRank(0.999, n), "p999 of %d", n)
	}
}

func TestNothingIsDropped(t *testing.T) {
	h := histOf(-time.Second, 0, time.Millisecond, MaxLatency, 3*MaxLatency, math.MaxInt64)
	require.EqualValues(t, 6, h.N())
	require.EqualValues(t, 3, h.Overflow())
	top, _ := h.Max()
	require.Equal(t, MaxLatency, top)
	low, _ := h.Quantile(0)
	require.Zero(t, low)
	require.EqualValues(t, 3, h.Summarize(0).Overflow)
}

func TestRecordNCountsAsOften(t *testing.T) {
	a, b := &Hist{}, &Hist{}
	for i := range 50 {
		d := time.Duration(i*i) * time.Millisecond
		a.RecordN(d, int64(i))
		for range i {
			b.Record(d)
		}
	}
	require.Equal(t, b.Summarize(0), a.Summarize(0))
	a.RecordN(1, math.MaxInt64)
	a.RecordN(1, math.MaxInt64)
	require.EqualValues(t, int64(math.MaxInt64), a.N(), "counts saturate")
}

func TestMergeAddsCounts(t *testing.T) {
	s := newDraws(12, 99, 0)
	all := &Hist{}
	parts := [3]Hist{}
	for i := range 3000 {
		d := time.Duration(1e6 * s.exponential())
		all.Record(d)
		parts[i%3].Record(d)
	}
	var merged Hist
	for i := range parts {
		merged.Merge(&parts[i])
	}
	require.Equal(t, all.Summarize(0), merged.Summarize(0))
	require.EqualValues(t, 1000, parts[0].N(), "sources stay")
}

func TestFailuresRankAboveEverything(t *testing.T) {
	h := &Hist{}
	for range 990 {
		h.Record(10 * time.Millisecond)
	}
	l := h.Summarize(10) // 1,000 in all: rank 990 is the last success
	require.EqualValues(t, 1000, l.N)
	require.InDelta(t, 10, float64(l.P99), 0.01)
	require.True(t, math.IsInf(float64(l.P999), 1))
	require.True(t, math.IsInf(float64(l.Max), 1))
	require.True(t, math.IsInf(float64(l.Mean), 1))
	require.True(t, math.IsInf(float64(h.Summarize(11).P99), 1))

	l = new(Hist).Summarize(3)
	require.EqualValues(t, 3, l.N, "only failures are not an empty set")
	require.True(t, math.IsInf(float64(l.P50), 1))
}

func TestFewSamplesAreFlagged(t *testing.T) {
	for n, want := range map[int64]string{1: "n<368", 367: "n<368", 368: "n<1000", 999: "n<1000", 1000: "", 5000: ""} {
		h := &Hist{}
		h.RecordN(time.Second, n)
		require.Equal(t, want, h.Summarize(0).P99Flag, "n=%d", n)
	}
}

func TestHistogramLogRoundTrip(t *testing.T) {
	s := newDraws(13, 99, 0)
	a, b := &Hist{}, histOf(2*MaxLatency, time.Second)
	for range 1000 {
		a.Record(time.Duration(1e8 * s.gamma(0.5)))
	}
	entries := []LogEntry{
		{Tag: "ttft", Start: 10 * time.Second, Length: 20 * time.Second, Hist: a},
		{Tag: "empty", Start: 10 * time.Second, Length: 20 * time.Second, Hist: &Hist{}},
		{Tag: "latency", Start: 10 * time.Second, Length: 20500 * time.Millisecond, Hist: b},
	}
	var log bytes.Buffer
	require.NoError(t, WriteLog(&log, time.UnixMilli(1_800_000_000_250), entries...))

	var back []LogEntry
	for e, err := range ReadLog(bytes.NewReader(log.Bytes())) {
		require.NoError(t, err)
		back = append(back, e)
	}
	require.Len(t, back, 2, "an empty histogram is left out")
	for i, want := range []LogEntry{entries[0], entries[2]} {
		require.Equal(t, want.Tag, back[i].Tag)
		require.Equal(t, want.Start, back[i].Start)
		require.Equal(t, want.Length, back[i].Length)
		require.Equal(t, want.Hist.Summarize(0), back[i].Hist.Summarize(0), "same counts, same quantiles, same overflow")
	}

	// The HdrHistogram project's own reader sees the same.
	r := hdr.NewHistogramLogReader(bytes.NewReader(log.Bytes()))
	h, err := r.NextIntervalHistogram()
	require.NoError(t, err)
	require.Equal(t, "ttft", h.Tag())
	require.EqualValues(t, 1_800_000_010_250, h.StartTimeMs(), "the epoch's wall time plus the start")
	require.EqualValues(t, 1_800_000_030_250, h.EndTimeMs())
	require.EqualValues(t, 1000, h.TotalCount())
	p99, _ := a.Quantile(0.99)
	require.Equal(t, p99, time.Duration(h.ValueAtPercentile(99))*time.Microsecond)
}

func TestHistogramLogRefusals(t *testing.T) {
	for _, tag := range []string{"", "a,b", "a b", "ä", "a\nb"} {
		err := WriteLog(&bytes.Buffer{}, time.Now(), LogEntry{Tag: tag, Hist: histOf(1)})
		require.ErrorContains(t, err, "tag")
	}
	full := errors.New("disk full")
	require.ErrorIs(t, WriteLog(writerFunc(func([]byte) (int, error) { return 0, full }), time.Now()), full)

	other, err := hdr.New(1, 1000, 2).EncodeV2()
	require.NoError(t, err)
	for _, row := range []struct{ line, want string }{
		{"Tag=a,1,1,1", "not a tag"},
		{"1,1,1,xxx", "not a tag"},
		{"Tag=a,x,1,1,HIST", "start time"},
		{"Tag=a,1,x,1,HIST", "interval length"},
		{"Tag=a,1,1,1,HIST", "histogram"},
		{"Tag=a,1,1,1," + string(other), "another range"},
	} {
		n := 0
		for _, err := range ReadLog(strings.NewReader("#[x]\n\n" + row.line + "\nTag=b,1,1,1,x\n")) {
			require.ErrorContains(t, err, "line 3: ")
			require.ErrorContains(t, err, row.want)
			n++
		}
		require.Equal(t, 1, n, "damage ends the sequence")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func FuzzReadLog(f *testing.F) {
	var log bytes.Buffer
	require.NoError(f, WriteLog(&log, time.UnixMilli(0), LogEntry{Tag: "a", Hist: histOf(1, 1e6, 1e9)}))
	f.Add(log.String())
	f.Add("Tag=a,1,1,1,HISTFAAAAEV42pNpmSz")
	f.Fuzz(func(t *testing.T, s string) {
		for e, err := range ReadLog(strings.NewReader(s)) {
			if err == nil {
				_ = e.Hist.Summarize(1)
			}
		}
	})
}

func BenchmarkHistRecord(b *testing.B) {
	var h Hist
	b.ReportAllocs()
	d := time.Duration(0)
	for b.Loop() {
		d += 1234567
		h.Record(d % time.Second)
	}
}
