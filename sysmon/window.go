package sysmon

import (
	"math"
	"sort"
	"time"
)

// Windows.
//
// A window [from, to] is given in time since the epoch and may begin and end
// between ticks. The counter's value at such an instant is interpolated
// linearly between the two ticks around it, that is, growth within a tick is
// taken as even: the error at each edge is below one tick's growth and its
// expectation is nil for edges unrelated to the ticks. Inside, the difference
// is exact whatever ticks were late or missed. Waits are pooled: the sum of
// ticks over the sum of I/Os, never a mean of per-tick waits.
//
// A result is not ok when the column is absent, the window reaches past the
// record, an edge falls into a gap of the source, or the counter was reset
// inside. A counter that wraps at 2³² is recovered.

// Delta is the growth of a raw counter over [from, to], in the column's unit.
func (t *Table) Delta(col string, from, to time.Duration) (growth float64, ok bool) {
	i, found := t.index[col]
	if !found || to < from {
		return 0, false
	}
	kind := t.Meta.Columns[i].Kind
	if kind != KindCounter && kind != KindCounter32 && kind != KindSlack {
		return 0, false
	}
	v := t.data[i]
	a, b := t.around(from)
	c, d := t.around(to)
	if a < 0 || c < 0 {
		return 0, false
	}
	// grown is the unwrapped growth from row a to each row that matters.
	var atB, atC, total float64
	last := v[a]
	for k := a; k <= d; k++ {
		if math.IsNaN(v[k]) {
			if k == a || k == b || k == c || k == d {
				return 0, false
			}
			continue
		}
		step, good := unwrap(kind, last, v[k])
		if !good {
			return 0, false
		}
		total += step
		last = v[k]
		if k == b {
			atB = total
		}
		if k == c {
			atC = total
		}
	}
	start := t.share(a, b, from) * atB
	end := atC + t.share(c, d, to)*(total-atC)
	return max(0, end-start), true
}

// unwrap is the growth from one good value to the next.
func unwrap(kind Kind, prev, cur float64) (step float64, ok bool) {
	step = cur - prev
	switch {
	case step >= 0 || kind == KindSlack:
		return step, true
	case kind == KindCounter32 && prev > 3<<30 && cur < 1<<30:
		return step + 1<<32, true
	}
	return 0, false
}

// around finds the rows at or before and at or after an instant; −1 when the
// record does not reach there.
func (t *Table) around(at time.Duration) (before, after int) {
	n := len(t.T)
	if n == 0 || at < t.T[0] || at > t.T[n-1] {
		return -1, -1
	}
	after = sort.Search(n, func(i int) bool { return t.T[i] >= at })
	if t.T[after] == at {
		return after, after
	}
	return after - 1, after
}

// share is how far an instant lies between two rows, in [0, 1].
func (t *Table) share(before, after int, at time.Duration) float64 {
	if before == after {
		return 0
	}
	return float64(at-t.T[before]) / float64(t.T[after]-t.T[before])
}

// Rate is Delta per second.
func (t *Table) Rate(col string, from, to time.Duration) (perSec float64, ok bool) {
	d, ok := t.Delta(col, from, to)
	if !ok || to <= from {
		return 0, false
	}
	return d / (to - from).Seconds(), true
}

// Level is the mean of a gauge over [from, to], as a step function: a value
// holds until the next. Absent values carry no weight.
func (t *Table) Level(col string, from, to time.Duration) (mean float64, ok bool) {
	v, found := t.Column(col)
	a, _ := t.around(from)
	c, _ := t.around(to)
	if !found || a < 0 || c < 0 || to <= from {
		return 0, false
	}
	var sum, weight float64
	for i := a; i <= c; i++ {
		until := to
		if i+1 < len(t.T) {
			until = min(to, t.T[i+1])
		}
		if w := (until - max(from, t.T[i])).Seconds(); w > 0 && !math.IsNaN(v[i]) {
			sum += v[i] * w
			weight += w
		}
	}
	if weight == 0 {
		return 0, false
	}
	return sum / weight, true
}

// pooled is D(num)/D(den) of two counters; not ok when den did not grow.
func (t *Table) pooled(num, den string, from, to time.Duration) (float64, bool) {
	n, ok1 := t.Delta(num, from, to)
	d, ok2 := t.Delta(den, from, to)
	if !ok1 || !ok2 || d <= 0 {
		return 0, false
	}
	return n / d, true
}

// RAwait is the mean wait of the reads completed in the window: summed ticks
// over reads. Ticks are whole milliseconds: under 20 reads it is coarse (see
// ReadIOs). Not ok without reads.
func (t *Table) RAwait(from, to time.Duration) (time.Duration, bool) {
	ms, ok := t.pooled("raw_rd_ticks_ms", "raw_rd_ios", from, to)
	return time.Duration(ms * float64(time.Millisecond)), ok
}

// WAwait is RAwait for writes.
func (t *Table) WAwait(from, to time.Duration) (time.Duration, bool) {
	ms, ok := t.pooled("raw_wr_ticks_ms", "raw_wr_ios", from, to)
	return time.Duration(ms * float64(time.Millisecond)), ok
}

// AquSz is the mean number of I/Os waiting or in service: D(raw_weighted_ms)
// over the window in ms.
func (t *Table) AquSz(from, to time.Duration) (float64, bool) {
	r, ok := t.Rate("raw_weighted_ms", from, to)
	return r / 1000, ok
}

// ReadBytes is what the disk delivered in the window, in bytes.
func (t *Table) ReadBytes(from, to time.Duration) (float64, bool) {
	s, ok := t.Delta("raw_rd_sectors", from, to)
	return s * sectorBytes, ok
}

// WriteBytes is what the disk took in the window, in bytes.
func (t *Table) WriteBytes(from, to time.Duration) (float64, bool) {
	s, ok := t.Delta("raw_wr_sectors", from, to)
	return s * sectorBytes, ok
}

// ReadIOs is the number of reads completed in the window.
func (t *Table) ReadIOs(from, to time.Duration) (float64, bool) {
	return t.Delta("raw_rd_ios", from, to)
}

// WriteIOs is the number of writes completed in the window.
func (t *Table) WriteIOs(from, to time.Duration) (float64, bool) {
	return t.Delta("raw_wr_ios", from, to)
}

// CPUShare is one field of /proc/stat (user, nice, sys, idle, iowait, irq,
// softirq, steal) as a share in [0, 1] of all CPU time in the window.
func (t *Table) CPUShare(field string, from, to time.Duration) (float64, bool) {
	var part, all float64
	for _, f := range cpuFields() {
		d, ok := t.Delta("raw_cpu_"+f, from, to)
		if !ok {
			return 0, false
		}
		all += d
		if f == field {
			part = d
		}
	}
	if all == 0 {
		return 0, false
	}
	return part / all, true
}

// IOWaitCores is how many CPUs were idle for want of an I/O, on average.
func (t *Table) IOWaitCores(from, to time.Duration) (float64, bool) {
	s, ok := t.CPUShare("iowait", from, to)
	return s * float64(t.Meta.CPUs), ok
}

// Pressure is the share in [0, 1] of the window's time in which some ("some")
// or all ("full") tasks were stalled on "cpu", "mem" or "io".
func (t *Table) Pressure(what, who string, from, to time.Duration) (float64, bool) {
	r, ok := t.Rate("raw_psi_"+what+"_"+who+"_us", from, to)
	return r / 1e6, ok
}
