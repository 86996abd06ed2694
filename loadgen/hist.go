package loadgen

import (
	"math"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// MaxLatency is the top of a Hist. Whatever took longer is counted there.
const MaxLatency = time.Hour

const (
	histUnit   = time.Microsecond
	histDigits = 3
)

// Hist counts durations in buckets of 3 significant digits, from 1 µs to
// MaxLatency, in constant memory (about 180 KiB). Nothing is dropped: longer
// durations count as MaxLatency, and Overflow says how many; negative ones
// count as 0. It serves live and merged views; judge by the records.
//
// The zero Hist is empty and ready. It is for one goroutine at a time.
type Hist struct{ h *hdr.Histogram }

// Record counts d once.
func (h *Hist) Record(d time.Duration) { h.RecordN(d, 1) }

// RecordN counts d n times; n below 1 does nothing.
func (h *Hist) RecordN(d time.Duration, n int64) {
	if h.h == nil {
		h.h = newHDR()
	}
	n = min(n, math.MaxInt64-h.h.TotalCount())
	if n < 1 {
		return
	}
	us := int64((min(max(d, 0), MaxLatency) + histUnit/2) / histUnit)
	_ = h.h.RecordValues(us, n) // value and count were clamped to what it takes
}

func newHDR() *hdr.Histogram {
	return hdr.New(1, int64(MaxLatency/histUnit), histDigits)
}

// Merge adds the counts of o, which stays as it is.
func (h *Hist) Merge(o *Hist) {
	if o.h == nil {
		return
	}
	if h.h == nil {
		h.h = newHDR()
	}
	_ = h.h.Merge(o.h) // of an equal range, it drops only what passes 2⁶³ counts
}

// N is how many durations were counted.
func (h *Hist) N() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Overflow is how many of them reached MaxLatency, to within a bucket.
func (h *Hist) Overflow() int64 {
	if peak, ok := h.Max(); !ok || peak < MaxLatency {
		return 0
	}
	bars := h.h.Distribution()
	return bars[len(bars)-1].Count
}

// Quantile is the nearest rank upward: the value of rank ⌈q·n⌉ (at least 1),
// rounded up to the top of its bucket. ok is false for an empty Hist and for q
// outside [0,1].
func (h *Hist) Quantile(q float64) (d time.Duration, ok bool) {
	if !(q >= 0 && q <= 1) {
		return 0, false
	}
	return h.rank(upwardRank(q, h.N()))
}

// upwardRank is ⌈q·n⌉, at least 1. Where q·n is a whole number but for the
// rounding of q (0.99 of 100), it is that number.
func upwardRank(q float64, n int64) int64 {
	exact := q * float64(n)
	whole := math.Round(exact)
	if math.Abs(exact-whole) > 1e-9*whole {
		whole = math.Ceil(exact)
	}
	return max(int64(whole), 1)
}

// rank is the k-th value, from 1; ok is false when there are fewer.
func (h *Hist) rank(k int64) (d time.Duration, ok bool) {
	n := h.N()
	if k < 1 || k > n {
		return 0, false
	}
	// hdr rounds the percentile back to the rank ⌊k+½⌋ = k.
	us := h.h.ValueAtPercentile(100 * float64(k) / float64(n))
	return min(time.Duration(us)*histUnit, MaxLatency), true
}

// Max is the greatest value, rounded up to the top of its bucket.
func (h *Hist) Max() (d time.Duration, ok bool) { return h.Quantile(1) }

// Mean is the mean to within a bucket's width.
func (h *Hist) Mean() (d time.Duration, ok bool) {
	if h.N() == 0 {
		return 0, false
	}
	return time.Duration(h.h.Mean() * float64(histUnit)), true
}
