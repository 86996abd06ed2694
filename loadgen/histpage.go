package loadgen

import (
	"math/bits"
	"time"
)

// pagedHist is a Hist that takes memory only for the durations that it meets: a
// set that spans a decade is about 30 KiB instead of 180, and never more than a
// Hist. Its buckets are those of Hist, so equal durations give equal summaries.
// The zero pagedHist is empty and ready.
type pagedHist struct {
	n     int64
	pages [histPages]*histPage
}

const (
	// A Hist counts µs below 2^11 one by one, and has 2^10 buckets for each
	// power of two above: its 3 digits.
	histLinearBits = 11
	histPageSize   = 128 // buckets; divides the 2^10
	histTop        = MaxLatency / histUnit
	histPages      = ((21<<(histLinearBits-1) + 1<<histLinearBits) + histPageSize - 1) / histPageSize
)

type histPage [histPageSize]int64

// histBucket is the bucket of so many µs.
func histBucket(us int64) int {
	shift := max(bits.Len64(uint64(us))-histLinearBits, 0)
	return shift<<(histLinearBits-1) + int(us>>shift)
}

// histRange is what a bucket counts: from low, size long, in µs.
func histRange(bucket int) (low, size int64) {
	if bucket < 1<<histLinearBits {
		return int64(bucket), 1
	}
	const half = 1 << (histLinearBits - 1)
	shift := bucket/half - 1
	return int64(bucket-shift*half) << shift, 1 << shift
}

// record counts d once, as Hist.Record does.
func (h *pagedHist) record(d time.Duration) {
	b := histBucket(int64((min(max(d, 0), MaxLatency) + histUnit/2) / histUnit))
	page := h.pages[b/histPageSize]
	if page == nil {
		page = new(histPage)
		h.pages[b/histPageSize] = page
	}
	page[b%histPageSize]++
	h.n++
}

// N is Hist.N.
func (h *pagedHist) N() int64 { return h.n }

// Overflow is Hist.Overflow.
func (h *pagedHist) Overflow() int64 {
	b := histBucket(int64(histTop))
	if page := h.pages[b/histPageSize]; page != nil {
		return page[b%histPageSize]
	}
	return 0
}

// rank is Hist.rank.
func (h *pagedHist) rank(k int64) (d time.Duration, ok bool) {
	if k < 1 || k > h.n {
		return 0, false
	}
	for p, page := range h.pages {
		if page == nil {
			continue
		}
		for i, count := range page {
			if k -= count; k <= 0 {
				low, size := histRange(p*histPageSize + i)
				return min(time.Duration(low+size-1)*histUnit, MaxLatency), true
			}
		}
	}
	return 0, false // the counts add up to n
}

// Mean is Hist.Mean.
func (h *pagedHist) Mean() (d time.Duration, ok bool) {
	if h.n == 0 {
		return 0, false
	}
	var mean float64
	for p, page := range h.pages {
		if page == nil {
			continue
		}
		for i, count := range page {
			if count > 0 {
				low, size := histRange(p*histPageSize + i)
				mean += float64(count) * float64(low+size/2) / float64(h.n)
			}
		}
	}
	return time.Duration(mean * float64(histUnit)), true
}
