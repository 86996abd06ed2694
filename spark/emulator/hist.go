package emulator

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// hist is a histogram as Prometheus shows it: fixed upper bounds in seconds.
// It is safe for concurrent use.
type hist struct {
	mu     sync.Mutex
	bounds []float64
	counts []uint64 // one more than bounds
	sum    float64
	n      uint64
}

// newHist spaces its bounds by doubling from lo seconds.
func newHist(lo float64, n int) *hist {
	h := &hist{counts: make([]uint64, n+1)}
	for range n {
		h.bounds = append(h.bounds, lo)
		lo *= 2
	}
	return h
}

func (h *hist) observe(d time.Duration) {
	s := d.Seconds()
	i := 0
	for i < len(h.bounds) && s > h.bounds[i] {
		i++
	}
	h.mu.Lock()
	h.counts[i]++
	h.sum += s
	h.n++
	h.mu.Unlock()
}

// expose appends the histogram in Prometheus' text format.
func (h *hist) expose(b *strings.Builder, name, help, labels string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name)
	var total uint64
	for i, bound := range h.bounds {
		total += h.counts[i]
		fmt.Fprintf(b, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, bound, total)
	}
	fmt.Fprintf(b, "%s_bucket{%s,le=\"+Inf\"} %d\n", name, labels, h.n)
	fmt.Fprintf(b, "%s_sum{%s} %g\n%s_count{%s} %d\n", name, labels, h.sum, name, labels, h.n)
}
