package loadgen

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPagedHistSaysWhatHistSays compares the two over sets of every size and
// shape: their summaries must be the same numbers.
func TestPagedHistSaysWhatHistSays(t *testing.T) {
	s := newDraws(41, 99, 0)
	any := func(lo, hi float64) time.Duration { // log-uniform, in µs
		return time.Duration(lo*math.Pow(hi/lo, s.uniform())) * time.Microsecond
	}
	for _, row := range []struct {
		name string
		draw func() time.Duration
	}{
		{"first tokens", func() time.Duration { return any(5e4, 5e6) }},
		{"every magnitude", func() time.Duration { return any(1, 4e9) }},
		{"below the first power of two that has buckets", func() time.Duration { return time.Duration(s.below(3e6)) }},
		{"about the top", func() time.Duration { return MaxLatency + time.Duration(s.below(4e6)) - 2*time.Second }},
		{"negative and 0", func() time.Duration { return -time.Duration(s.below(2)) }},
		{"one value", func() time.Duration { return 123456789 }},
	} {
		for _, n := range []int{0, 1, 2, 3, 99, 1000, 20_000} {
			var want Hist
			var got pagedHist
			for range n {
				d := row.draw()
				want.Record(d)
				got.record(d)
			}
			require.Equal(t, want.Summarize(0), describe(&got, 0), "%s, %d values", row.name, n)
		}
	}
}

func TestHistBucketsCoverEveryMicrosecondOnce(t *testing.T) {
	next := int64(0)
	last := histBucket(int64(histTop))
	for b := 0; b <= last; b++ {
		low, size := histRange(b)
		require.Equal(t, next, low, "bucket %d", b)
		require.Equal(t, b, histBucket(low))
		require.Equal(t, b, histBucket(low+size-1))
		next = low + size
	}
	require.Greater(t, next, int64(histTop))
	require.Less(t, last, histPages*histPageSize)
}

func TestPagedHistIsSmall(t *testing.T) {
	var h pagedHist
	for us := int64(50_000); us < 500_000; us++ {
		h.record(time.Duration(us) * time.Microsecond)
	}
	pages := 0
	for _, p := range h.pages {
		if p != nil {
			pages++
		}
	}
	require.LessOrEqual(t, pages*histPageSize*8, 30<<10, "a decade")
	require.Zero(t, testing.AllocsPerRun(100, func() { h.record(100 * ms) }))
}
