package sysmon

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/internal/clock"
)

// Sampler reads the machine at a fixed pace. Make one with New, call Run once,
// then Close. It is for one goroutine.
type Sampler struct {
	cfg    Config
	meta   Meta
	clk    clock.Clock
	src    *opened
	eval   *evaluator
	ok     []bool // per source: its last read succeeded
	prev   []float64
	cur    []float64
	raw    []int // slots that are written out, in order
	values []float64
	faults []Fault
	last   tick
}

// tick is the bookkeeping of one row.
type tick struct {
	before, after time.Duration // clock around the reads
	late          time.Duration // wake-up minus deadline; negative = no deadline
	missed        int
	first         bool
}

func (t tick) mid() time.Duration { return t.before + (t.after-t.before)/2 }

// New opens every source and reads it once, to learn which columns this machine
// has. It fails on an invalid Config (ErrConfig) or an unknown device
// (ErrNoDevice); any other source that cannot be had goes to Meta.Missing.
func New(cfg Config) (*Sampler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	cl := readClusters(cfg.SysRoot)
	cl.cpus = max(cl.cpus, 1)
	src, err := openAll(probes(cfg, cl), mustHave(cfg))
	if err != nil {
		return nil, err
	}
	if len(cl.names) == 0 {
		src.missing["cpu_a725_busy_pct"] = "all CPUs have one capacity"
		src.missing["cpu_x925_busy_pct"] = "all CPUs have one capacity"
	}
	s := &Sampler{cfg: cfg, clk: clock.New(), src: src}
	s.layout(cl)
	return s, nil
}

func mustHave(c Config) string {
	if c.Device == "" {
		return ""
	}
	return diskColumns()[0].Name
}

// layout fixes the columns: time, derived, then raw.
func (s *Sampler) layout(cl clusters) {
	eval, cols := newEvaluator(s.src, derived(s.cfg.PageSize, cl.cpus, cl.names))
	s.eval = eval
	s.meta = Meta{
		Schema: SchemaVersion, Epoch: s.cfg.Epoch, Interval: s.cfg.Interval,
		Device: s.cfg.Device, PageBytes: s.cfg.PageSize, CPUs: cl.cpus,
		Cgroup: s.cfg.ServerCgroup, PID: s.cfg.ServerPID,
		Columns: append(timeColumns(), cols...), Missing: s.src.missing,
	}
	if s.cfg.Device != "" {
		s.meta.MajMin = blockdev.Attr(s.cfg.sys("block", s.cfg.Device, "dev"))
	}
	for i, c := range s.src.cols {
		if s.src.have[i] {
			s.raw = append(s.raw, i)
			s.meta.Columns = append(s.meta.Columns, c)
		}
	}
	n := len(s.src.cols)
	s.prev, s.cur = make([]float64, n), make([]float64, n)
	s.values = make([]float64, len(s.meta.Columns))
	s.ok = make([]bool, len(s.src.sources))
	for i := range s.ok {
		s.ok[i] = true
	}
}

// Meta describes the rows that Run will emit. It may be called at any time.
func (s *Sampler) Meta() Meta { return s.meta.Clone() }

// Close closes the kernel files.
func (s *Sampler) Close() error { return s.src.close() }

// Run emits a row at once and then one per deadline t0 + k·Interval until ctx
// is done, when it emits a closing row off the grid and returns nil: the record
// reaches to the moment of stopping. Deadlines are absolute, so a slow tick does
// not shift later ones; those that pass unserved are counted in "missed". Run
// returns emit's error at once. A source that fails makes its columns NaN and
// the run goes on. Run occupies one locked thread, whose cost is the column
// sampler_cpu_pct.
func (s *Sampler) Run(ctx context.Context, emit func(Row) error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	start := s.clk.Now()
	fillNaN(s.cur)
	if err := s.tick(0, 0, true, emit); err != nil {
		return err
	}
	timer := time.NewTimer(s.cfg.Interval)
	defer timer.Stop()
	for k := int64(1); ; {
		deadline := start + time.Duration(k)*s.cfg.Interval
		timer.Reset(max(0, deadline-s.clk.Now()))
		select {
		case <-ctx.Done():
			return s.tick(-1, 0, false, emit)
		case <-timer.C:
		}
		late := s.clk.Now() - deadline
		missed := int64(max(0, late) / s.cfg.Interval)
		if err := s.tick(max(0, late-time.Duration(missed)*s.cfg.Interval), int(missed), false, emit); err != nil {
			return err
		}
		k += 1 + missed
	}
}

// tick reads everything, derives and emits. late < 0 marks the closing row.
func (s *Sampler) tick(late time.Duration, missed int, first bool, emit func(Row) error) error {
	s.prev, s.cur = s.cur, s.prev
	t := tick{late: late, missed: missed, first: first}
	s.faults = s.faults[:0]
	t.before = s.clk.Now()
	for i, src := range s.src.sources {
		span := s.src.spans[i]
		dst := s.cur[span[0]:span[1]]
		err := src.read(dst)
		if err != nil {
			fillNaN(dst)
		}
		if (err == nil) != s.ok[i] {
			s.fault(i, t.before, err)
		}
	}
	t.after = s.clk.Now()
	s.fill(t)
	s.last = t
	if err := emit(Row{t.mid() - s.cfg.Epoch, s.values, s.faults}); err != nil {
		return fmt.Errorf("sysmon: emit row: %w", err)
	}
	return nil
}

func (s *Sampler) fault(i int, at time.Duration, err error) {
	s.ok[i] = err == nil
	col := s.src.cols[s.src.spans[i][0]]
	f := Fault{T: at - s.cfg.Epoch, Group: col.Group, Column: col.Name, Over: err == nil}
	if err != nil {
		f.Reason = err.Error()
	}
	s.faults = append(s.faults, f)
}

// fill writes the row's values. A closing row shorter than half a tick has no
// derived values: a rate over a sliver is noise.
func (s *Sampler) fill(t tick) {
	v := s.values
	terms := v[timeCount : timeCount+len(s.eval.terms)]
	dt, resets := math.NaN(), 0
	if !t.first {
		dt = float64(t.mid() - s.last.mid())
	}
	if t.first || dt < float64(s.cfg.Interval)/2 {
		fillNaN(terms)
	} else {
		resets = s.eval.eval(s.prev, s.cur, dt/1e9, terms)
	}
	for i, slot := range s.raw {
		v[timeCount+len(terms)+i] = s.cur[slot]
	}
	v[colT] = float64(t.mid() - s.cfg.Epoch)
	v[colWall] = float64(time.Now().UnixNano()) - float64(s.clk.Now()-t.mid())
	v[colDt] = dt
	v[colLate] = float64(t.late)
	if t.late < 0 {
		v[colLate] = math.NaN()
	}
	v[colMissed] = float64(t.missed)
	v[colSkew] = float64(t.after - t.before)
	v[colResets] = float64(resets)
	v[colReadUS] = float64(s.clk.Now()-t.before) / 1e3
}
