package watch

import (
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/sysmon"
)

// The columns that the page draws. Counters are kept raw, so that waits are
// pooled over a bin: the sum of ticks over the sum of reads.
const (
	colReads      = iota // reads completed
	colReadMs            // summed wait of reads, ms
	colSectors           // sectors read, of 512 B
	colWeightedMs        // summed wait of everything, ms
	colIdle              // CPU time
	colIOWait
	colBusy // first of the CPU fields that are work
	_
	_
	_
	_
	colSteal
	colPSIIO  // µs
	colPSIMem // µs
	colMemory // gauge, KiB
	columns
)

// columnNames are sysmon's names of them.
func columnNames() [columns]string {
	return [columns]string{
		"raw_rd_ios", "raw_rd_ticks_ms", "raw_rd_sectors", "raw_weighted_ms",
		"raw_cpu_idle", "raw_cpu_iowait", "raw_cpu_user", "raw_cpu_nice", "raw_cpu_sys", "raw_cpu_irq", "raw_cpu_softirq", "raw_cpu_steal",
		"raw_psi_io_some_us", "raw_psi_mem_some_us", "mem_available_kB",
	}
}

const sectorBytes = 512

// row is what the view takes of a sampler's row; NaN is absent.
type row struct {
	epoch, t time.Duration
	first    bool // of its sampler: nothing to subtract from
	v        [columns]float64
}

// picker finds the columns in the rows of one sampler. It is for one goroutine.
type picker struct {
	epoch time.Duration
	index [columns]int // −1: this machine lacks it
	begun bool
}

func newPicker(m sysmon.Meta) *picker {
	p := &picker{epoch: m.Epoch}
	for i, name := range columnNames() {
		p.index[i] = slices.IndexFunc(m.Columns, func(c sysmon.Column) bool { return c.Name == name })
	}
	return p
}

func (p *picker) pick(r sysmon.Row) row {
	out := row{epoch: p.epoch, t: r.T, first: !p.begun}
	p.begun = true
	for i, at := range p.index {
		out.v[i] = math.NaN()
		if at >= 0 && at < len(r.Values) {
			out.v[i] = r.Values[at]
		}
	}
	return out
}

// addRow adds what grew since the row before to the bin in which it was read.
// A counter that fell was reset: that tick says nothing.
func (s *state) addRow(r row, start time.Duration) {
	at := r.epoch + r.t - start
	prev := s.row
	s.row = r
	if !math.IsNaN(r.v[colMemory]) {
		s.each(at, func(b *bin) { b.memory.add(r.v[colMemory] * 1024) })
		s.total.memory = r.v[colMemory] * 1024
	}
	dt := (r.t - prev.t).Seconds()
	if r.first || !s.sampled || dt <= 0 {
		s.sampled = true
		return
	}
	var d [columns]float64
	for i := range d {
		d[i] = r.v[i] - prev.v[i]
		switch {
		case d[i] >= 0 || i == colMemory:
		case i == colIdle || i == colIOWait: // the kernel may take some back
			d[i] = 0
		default:
			d[i] = math.NaN()
		}
	}
	g := newGrowth(d, dt)
	s.each(at, func(b *bin) { b.disk.add(g) })
	s.total.disk.add(g)
}

// growth is how much the machine's counters grew over a time. Each group has
// the time in which it was there, so that a missing source stays absent.
type growth struct {
	diskSec, reads, readMs, readBytes, weightedMs float64
	cpu, iowait                                   float64
	ioSec, ioStall, memSec, memStall              float64 // s
}

func newGrowth(d [columns]float64, dt float64) growth {
	var g growth
	if disk := d[colReads] + d[colReadMs] + d[colSectors] + d[colWeightedMs]; !math.IsNaN(disk) {
		g.diskSec, g.reads, g.readMs, g.readBytes, g.weightedMs = dt, d[colReads], d[colReadMs], d[colSectors]*sectorBytes, d[colWeightedMs]
	}
	all := 0.0
	for i := colIdle; i <= colSteal; i++ {
		all += d[i]
	}
	if !math.IsNaN(all) {
		g.cpu, g.iowait = all, d[colIOWait]
	}
	if !math.IsNaN(d[colPSIIO]) {
		g.ioSec, g.ioStall = dt, d[colPSIIO]/1e6
	}
	if !math.IsNaN(d[colPSIMem]) {
		g.memSec, g.memStall = dt, d[colPSIMem]/1e6
	}
	return g
}

func (g *growth) add(o growth) {
	g.diskSec += o.diskSec
	g.reads += o.reads
	g.readMs += o.readMs
	g.readBytes += o.readBytes
	g.weightedMs += o.weightedMs
	g.cpu += o.cpu
	g.iowait += o.iowait
	g.ioSec += o.ioSec
	g.ioStall += o.ioStall
	g.memSec += o.memSec
	g.memStall += o.memStall
}
