package watch

import (
	"math"
	"slices"
	"time"
)

// dist counts durations in buckets of equal relative width: the first 7 bits of
// the mantissa, so that an edge is at most 0.8 % above any value below it.
type dist struct {
	at []uint32 // ascending
	n  []uint32
}

const distShift = 52 - 7

func (d *dist) add(ms float64, n uint32) {
	d.addKey(uint32(math.Float64bits(max(ms, 0))>>distShift), n)
}

func (d *dist) addKey(key, n uint32) {
	i, found := slices.BinarySearch(d.at, key)
	if !found {
		d.at, d.n = slices.Insert(d.at, i, key), slices.Insert(d.n, i, 0)
	}
	d.n[i] += n
}

func (d *dist) merge(o *dist) {
	for i, key := range o.at {
		d.addKey(key, o.n[i])
	}
}

func (d *dist) count() (n uint64) {
	for _, c := range d.n {
		n += uint64(c)
	}
	return n
}

// quantile is the nearest rank upward, as the middle of its bucket in
// milliseconds; NaN when empty.
func (d *dist) quantile(q float64) float64 {
	rank := max(uint64(math.Ceil(q*float64(d.count())-1e-9)), 1)
	for i, c := range d.n {
		if uint64(c) >= rank {
			lo := math.Float64frombits(uint64(d.at[i]) << distShift)
			hi := math.Float64frombits(uint64(d.at[i]+1) << distShift)
			return (lo + hi) / 2
		}
		rank -= uint64(c)
	}
	return math.NaN()
}

// mean is a running mean; without values it is NaN.
type mean struct{ sum, n float64 }

func (m *mean) add(v float64) { m.sum, m.n = m.sum+v, m.n+1 }
func (m *mean) merge(o mean)  { m.sum, m.n = m.sum+o.sum, m.n+o.n }
func (m mean) value() float64 { return ratio(m.sum, m.n) }
func ratio(a, b float64) float64 {
	if b <= 0 {
		return math.NaN()
	}
	return a / b
}

// bin is what happened in a span of time. Bins add up, so that a coarse one is
// what a slower view would have counted.
type bin struct {
	version int64 // of the state when it was last touched
	ttft    dist  // first tokens that arrived in it
	loaded  bool  // requests were under way
	done    float64
	failed  float64
	tokens  float64
	slow    time.Duration // longest time from first token to close of its requests
	flight  mean
	running mean
	waiting mean
	memory  mean // bytes
	disk    growth
}

func (b *bin) merge(o *bin) {
	b.version = max(b.version, o.version)
	b.ttft.merge(&o.ttft)
	b.loaded = b.loaded || o.loaded
	b.done += o.done
	b.failed += o.failed
	b.tokens += o.tokens
	b.slow = max(b.slow, o.slow)
	b.flight.merge(o.flight)
	b.running.merge(o.running)
	b.waiting.merge(o.waiting)
	b.memory.merge(o.memory)
	b.disk.add(o.disk)
}

// fields names the numbers of bin.values.
func fields() []string {
	return []string{
		"ttft_p50_ms", "ttft_p95_ms", "ttft_p99_ms", "first_tokens", "tokens_per_sec", "requests_per_sec", "errors_per_sec",
		"in_flight", "running", "waiting", "r_await_ms", "reads_MBps", "aqu_sz", "mem_available_bytes", "psi_io_pct", "psi_mem_pct", "iowait_pct",
	}
}

// values are the numbers of a bin of so many seconds. Throughput is absent
// while there was no load at all, which is not a throughput of 0.
func (b *bin) values(step float64) []num {
	perSec := func(n float64) num {
		if !b.loaded {
			return num(math.NaN())
		}
		return num(n / step)
	}
	g := b.disk
	return []num{
		num(b.ttft.quantile(0.50)), num(b.ttft.quantile(0.95)), num(b.ttft.quantile(0.99)), num(b.ttft.count()),
		perSec(b.tokens), perSec(b.done), perSec(b.failed),
		num(b.flight.value()), num(b.running.value()), num(b.waiting.value()),
		num(g.readAwaitMs()), num(ratio(g.readBytes/1e6, g.diskSec)), num(ratio(g.weightedMs/1e3, g.diskSec)),
		num(b.memory.value()), num(100 * ratio(g.ioStall, g.ioSec)), num(100 * ratio(g.memStall, g.memSec)), num(100 * ratio(g.iowait, g.cpu)),
	}
}

// readAwaitMs pools the waits: summed ticks over reads; NaN without reads.
func (g growth) readAwaitMs() float64 { return ratio(g.readMs, g.reads) }

// series is bins side by side, oldest first. One that coarsens begins at 0 and
// doubles its step when full; the other forgets its oldest bins.
type series struct {
	step     int64 // seconds per bin
	base     int64 // index of bins[0]
	bins     []bin
	limit    int
	coarsens bool
}

// at is the bin that holds a second, made if need be; nil for a second that
// is not kept any more.
func (s *series) at(sec int64) *bin {
	i := sec / s.step
	if sec < 0 || i < s.base {
		return nil
	}
	for s.coarsens && i >= int64(s.limit) {
		s.coarsen()
		i = sec / s.step
	}
	if !s.coarsens && i >= s.base+2*int64(s.limit) { // nothing of the old is left
		s.base, s.bins = i-int64(s.limit)+1, s.bins[:0]
	}
	for int64(len(s.bins)) <= i-s.base {
		if len(s.bins) == s.limit {
			s.bins = slices.Delete(s.bins, 0, 1)
			s.base++
		}
		s.bins = append(s.bins, bin{})
	}
	return &s.bins[i-s.base]
}

// coarsen puts neighbours together.
func (s *series) coarsen() {
	half := s.bins[:0]
	for i := 0; i < len(s.bins); i += 2 {
		b := s.bins[i]
		if i+1 < len(s.bins) {
			b.merge(&s.bins[i+1])
		}
		half = append(half, b)
	}
	clear(s.bins[len(half):])
	s.bins, s.step = half, 2*s.step
}
