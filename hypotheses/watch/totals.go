package watch

import (
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// totals count since the hub was made, for Prometheus: counters never fall,
// whatever hypotheses and arms come and go.
type totals struct {
	ttft     map[loadgen.Phase]*histogram
	requests map[ending]float64
	tokens   map[loadgen.Phase]float64
	disk     growth
	memory   float64 // bytes; NaN: unknown
	flight   int64
	running  *float64
	waiting  *float64
}

type ending struct {
	phase   loadgen.Phase
	outcome loadgen.Outcome
}

// histogram is a classic one; counts are by bucket, not cumulative.
type histogram struct {
	counts []uint64 // the last is +Inf
	sum    float64
}

// ttftBounds are the buckets' upper bounds in seconds, a factor of 2.5 and less
// apart: from what a warm cache answers to what a swapped-out one takes.
func ttftBounds() []float64 {
	return []float64{.005, .01, .025, .05, .075, .1, .15, .25, .4, .6, 1, 1.5, 2.5, 4, 6, 10, 15, 25, 40, 60, 120}
}

func newTotals() totals {
	return totals{
		ttft: map[loadgen.Phase]*histogram{}, requests: map[ending]float64{}, tokens: map[loadgen.Phase]float64{},
		memory: math.NaN(),
	}
}

func (t *totals) firstToken(p loadgen.Phase, ttft time.Duration) {
	h := t.ttft[p]
	if h == nil {
		h = &histogram{counts: make([]uint64, len(ttftBounds())+1)}
		t.ttft[p] = h
	}
	i, _ := slices.BinarySearch(ttftBounds(), ttft.Seconds()) // the first bound at or above it
	h.counts[i]++
	h.sum += ttft.Seconds()
}

func (t *totals) request(p loadgen.Phase, o loadgen.Outcome, tokens float64) {
	t.requests[ending{p, o}]++
	t.tokens[p] += tokens
}
