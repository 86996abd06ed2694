package emulator

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// errStopping fails the sequences that a stopping server still holds.
var errStopping = errors.New("emulator: server is stopping")

// stepMark follows one step's tokens to the network: they should leave
// together, as from a real engine, and the spread says how well they did.
type stepMark struct {
	left        atomic.Int32
	first, last atomic.Int64
	spread      *hist
}

// sent reports that a token of the step has been written.
func (m *stepMark) sent(now time.Duration) {
	n := int64(now)
	for {
		f := m.first.Load()
		if f != 0 && f <= n || m.first.CompareAndSwap(f, n) {
			break
		}
	}
	for {
		l := m.last.Load()
		if l >= n || m.last.CompareAndSwap(l, n) {
			break
		}
	}
	if m.left.Add(-1) == 0 {
		m.spread.observe(time.Duration(m.last.Load() - m.first.Load()))
	}
}

// engine runs the scheduler in real time: it sleeps to each step's absolute
// deadline, computes blocks while it would sleep, and lets tokens go when the
// step is over. Everything in it belongs to the goroutine of run; others hand
// it functions to call.
type engine struct {
	clk   clock.Clock
	sched *sched
	arena *arena
	disk  *disk // nil without a disk tier
	timer *timer
	// loader is nil without adapters.
	loader *loader

	mu     sync.Mutex
	inbox  []func()
	over   bool
	wake   chan struct{}
	failed error // why over, if not asked

	keepLatencies               bool // somebody collects them once a second
	steps, lateSteps            int64
	pageIn, pageOut             ioCount
	corrupt, readErrs           int64
	adapterErrs                 int64 // loads and drops that failed
	late, spread, reads, writes *hist
	adapterLoads                *hist
	fills                       []fill
	emissions                   []emission
}

// ioCount counts one direction's I/O and keeps the latencies of the last
// second.
type ioCount struct {
	ios, bytes int64
	lat        []time.Duration
}

func (c *ioCount) add(bytes int64, took time.Duration, keep bool) {
	c.ios++
	c.bytes += bytes
	if keep {
		c.lat = append(c.lat, took)
	}
}

func newEngine(clk clock.Clock, cfg Config, ar *arena) (*engine, error) {
	t, err := newTimer()
	if err != nil {
		return nil, err
	}
	return &engine{
		clk: clk, sched: newSched(cfg), arena: ar, timer: t, wake: make(chan struct{}, 1),
		late: newHist(10e-6, 16), spread: newHist(10e-6, 16), reads: newHist(20e-6, 18), writes: newHist(20e-6, 18),
		adapterLoads: newHist(100e-6, 18),
	}, nil
}

// post has fn called by the engine between two steps; false once it is over.
func (e *engine) post(fn func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return false
	}
	e.inbox = append(e.inbox, fn)
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return true
}

// call is post that waits until fn has run.
func (e *engine) call(fn func()) bool {
	done := make(chan struct{})
	if !e.post(func() { fn(); close(done) }) {
		return false
	}
	<-done
	return true
}

// submit enters a sequence; its sink hears what becomes of it.
func (e *engine) submit(q *seq) bool {
	return e.post(func() { e.sched.submit(q) })
}

// abort ends a sequence nobody listens to; afterwards its fields are at rest.
func (e *engine) abort(q *seq) { e.call(func() { e.sched.abort(q) }) }

// stop ends run after the functions posted so far. The error, if any, is what
// run returns.
func (e *engine) stop(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	e.over, e.failed = true, err
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// take runs what was posted; false when the engine is over.
func (e *engine) take() bool {
	e.mu.Lock()
	fns, over := e.inbox, e.over
	e.inbox = nil
	e.mu.Unlock()
	for _, fn := range fns {
		fn()
	}
	return !over
}

// run steps until stop. It idles, without a timer, while nothing can run.
func (e *engine) run() error {
	defer e.dismiss()
	var next time.Duration // the last step's deadline, when the next one starts
	for e.take() {
		now := e.clk.Now()
		e.sched.admit(now)
		if e.disk != nil {
			e.disk.submit(e.sched.store.takeOps())
		}
		if e.loader != nil {
			e.loader.submit(e.sched.bank.takeOps())
		}
		if !e.sched.busy() {
			next = 0
			<-e.wake
			continue
		}
		// Steps follow each other without drift, unless one was so late that a
		// real engine would have lost the time too.
		if next == 0 || now-next > e.sched.cfg.Step {
			next = now
		}
		dur, fills := e.sched.plan(e.fills[:0])
		e.fills = fills
		for _, f := range fills {
			e.arena.fill(f.block, f.hash)
		}
		next += dur
		if err := e.timer.until(next); err != nil {
			e.stop(err)
			continue
		}
		e.finish(next)
	}
	return e.failed
}

// finish ends a step: its tokens leave now.
func (e *engine) finish(deadline time.Duration) {
	now := e.clk.Now()
	e.steps++
	e.late.observe(now - deadline)
	if now-deadline > e.sched.cfg.Step {
		e.lateSteps++
	}
	out := e.sched.advance(now, e.emissions[:0])
	e.emissions = out
	if len(out) == 0 {
		return
	}
	m := &stepMark{spread: e.spread}
	m.left.Store(int32(len(out)))
	for _, x := range out {
		x.q.out.token(x.index, x.last, m)
	}
	clear(out) // keep no sequence alive
}

// landed hears from the disk.
func (e *engine) landed(ls []landed) {
	e.post(func() {
		for _, l := range ls {
			e.count(l)
			e.sched.done(l.op, l.err)
		}
	})
}

// adapterLanded hears from the loader.
func (e *engine) adapterLanded(r loaded) {
	e.post(func() {
		switch {
		case r.err != nil:
			e.adapterErrs++
		case r.op.slot != none:
			e.adapterLoads.observe(r.took)
		}
		e.sched.adapterDone(r, e.clk.Now())
	})
}

func (e *engine) count(l landed) {
	switch {
	case errors.Is(l.err, ErrCorrupt):
		e.corrupt++
	case l.err != nil && !l.op.write:
		e.readErrs++
	}
	if l.err != nil && !errors.Is(l.err, ErrCorrupt) {
		return
	}
	if l.op.write {
		e.pageOut.add(int64(e.arena.block), l.took, e.keepLatencies)
		e.writes.observe(l.took)
		return
	}
	e.pageIn.add(int64(e.arena.block), l.took, e.keepLatencies)
	e.reads.observe(l.took)
}

// dismiss fails every sequence that is left.
func (e *engine) dismiss() {
	for _, list := range []*[]*seq{&e.sched.waiting, &e.sched.loading, &e.sched.prefilling, &e.sched.decoding} {
		for _, q := range *list {
			q.out.fail(errStopping)
		}
		*list = nil
	}
}
