package clock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestNowIsTheKernelsMonotonicClock(t *testing.T) {
	c := New()
	for range 100 {
		lo := read(unix.CLOCK_MONOTONIC)
		got := c.Now()
		hi := read(unix.CLOCK_MONOTONIC)
		require.GreaterOrEqual(t, got, lo-50*time.Microsecond)
		require.LessOrEqual(t, got, hi+50*time.Microsecond)
	}
}

func TestTwoClocksAgree(t *testing.T) {
	a, b := New(), New()
	now := time.Now()
	require.InDelta(t, float64(a.At(now)), float64(b.At(now)), float64(50*time.Microsecond))
}

func TestRealOffsetMapsRealtimeToMonotonic(t *testing.T) {
	c := New()
	wall := time.Now()
	got := time.Duration(wall.UnixNano()) - RealOffset()
	require.InDelta(t, float64(c.At(wall)), float64(got), float64(time.Millisecond))
}

func BenchmarkNow(b *testing.B) {
	c := New()
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Now()
	}
}
