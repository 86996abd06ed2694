package preflight

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/sysmon"
)

// sample is the machine watched for a moment, as a run would watch it.
type sample struct {
	ticks, missed          int
	lateP99                time.Duration
	cpuShare               float64 // of one CPU, the sampler's
	busyCores              float64
	diskBytesPerSec        float64 // NaN without a disk
	psiIO, psiMem, psiCPU  float64 // %, some
	missing                int     // sources that cannot be had
	interval               time.Duration
	err                    error
	rowsLate, rowsSelf     []float64
	busy, disk, io, me, cp []float64
}

var errEnough = errors.New("enough")

// sample watches the machine once.
func (h *host) sample(ctx context.Context) *sample {
	if h.watched == nil {
		h.watched = h.watch(ctx)
	}
	return h.watched
}

func (h *host) watch(ctx context.Context) *sample {
	s := &sample{interval: 100 * time.Millisecond}
	m, err := sysmon.New(sysmon.Config{ProcRoot: h.ProcRoot, SysRoot: h.SysRoot, Device: h.Device, Interval: s.interval})
	if err != nil {
		s.err = err
		return s
	}
	column := map[string]int{}
	for i, c := range m.Meta().Columns {
		column[c.Name] = i
	}
	s.missing = len(m.Meta().Missing)
	want := max(int(h.Sample/s.interval), 2)
	rows := 0
	err = m.Run(ctx, func(r sysmon.Row) error {
		if rows++; rows > 1 { // the first has no interval
			s.add(r, column)
		}
		if rows > want {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		s.err = err
	}
	s.err = errors.Join(s.err, m.Close())
	s.sum(h)
	return s
}

func (s *sample) add(r sysmon.Row, column map[string]int) {
	value := func(name string) float64 {
		if i, ok := column[name]; ok {
			return r.Values[i]
		}
		return math.NaN()
	}
	s.ticks++
	if m := value("missed"); m > 0 {
		s.missed += int(m)
	}
	keep := func(to *[]float64, v float64) {
		if !math.IsNaN(v) {
			*to = append(*to, v)
		}
	}
	keep(&s.rowsLate, value("late_ns"))
	keep(&s.rowsSelf, value("self_cpu_pct"))
	keep(&s.busy, 100-value("cpu_idle_pct")-value("cpu_iowait_pct"))
	keep(&s.disk, 1e6*(value("rd_MBps")+value("wr_MBps")))
	keep(&s.io, value("psi_io_some_pct"))
	keep(&s.me, value("psi_mem_some_pct"))
	keep(&s.cp, value("psi_cpu_some_pct"))
}

func (s *sample) sum(h *host) {
	slices.Sort(s.rowsLate)
	if n := len(s.rowsLate); n > 0 {
		s.lateP99 = time.Duration(s.rowsLate[(n*99+99)/100-1])
	}
	s.cpuShare = mean(s.rowsSelf) / 100
	s.busyCores = mean(s.busy) / 100 * float64(h.machine.CPUs)
	s.diskBytesPerSec = mean(s.disk)
	s.psiIO, s.psiMem, s.psiCPU = mean(s.io), mean(s.me), mean(s.cp)
}

// mean is NaN without values.
func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// What a run's own rules ask for; see sysmon.Completeness.Err.
const (
	lateShare = 0.1   // of a tick, 99 % of them
	cpuShare  = 0.005 // of one CPU
)

func telemetry(ctx context.Context, h *host) Finding {
	s := h.sample(ctx)
	if s.err != nil {
		return failed(s.err.Error(), "nothing can be measured without telemetry")
	}
	said := fmt.Sprintf("%d ticks of %v, %d missed; 99 %% at most %v late; %.2f %% of one CPU", s.ticks, s.interval, s.missed, s.lateP99.Round(10*time.Microsecond), 100*s.cpuShare)
	switch {
	case s.missed > 0 || s.lateP99 > time.Duration(lateShare*float64(s.interval)):
		return warned(said, "a run like this is INVALID (TELEMETRY_HOLES): the CPU is short, end what else runs")
	case s.cpuShare > cpuShare:
		return warned(said, "more than half a percent of a CPU: the machine is slow, or many CPUs make /proc/stat long")
	}
	return passed(said)
}

// Limits of a quiet machine, as a run asks for them before every arm.
const (
	quietCPUShare        = 0.25
	quietDiskBytesPerSec = 20e6
)

func quiet(ctx context.Context, h *host) Finding {
	s := h.sample(ctx)
	if s.err != nil || math.IsNaN(s.busyCores) {
		return warned("not seen", "telemetry says why")
	}
	said := fmt.Sprintf("%.1f of %d CPUs busy", s.busyCores, h.machine.CPUs)
	if !math.IsNaN(s.diskBytesPerSec) {
		said += fmt.Sprintf(", %s does %.1f MB/s", h.Device, s.diskBytesPerSec/1e6)
	}
	if s.busyCores > quietCPUShare*float64(h.machine.CPUs) || s.diskBytesPerSec > quietDiskBytesPerSec {
		return warned(said, "something else is at work (top, iotop): a run would wait for it and then be INVALID (NOT_QUIET)")
	}
	return passed(said)
}
