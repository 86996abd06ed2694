package watch

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/sysmon"
)

// Room between the taps and the next drain, a tenth of a second later.
const (
	recordsAhead = 8192
	rowsAhead    = 256
	notesAhead   = 1024
)

// Hub collects what a run lets through its taps. Make it with New; a nil Hub
// takes everything and keeps nothing.
type Hub struct {
	now     func() time.Duration // CLOCK_MONOTONIC
	start   time.Duration
	flight  atomic.Int64 // requests on the wire
	dropped atomic.Int64 // what found a buffer full

	records chan arrival
	rows    chan row
	notes   chan note

	mu   sync.Mutex // of what follows; no tap takes it
	s    *state
	wake chan struct{} // closed and replaced at every publication
}

// arrival is a finished request; its instants count from epoch.
type arrival struct {
	rec   *loadgen.Record
	epoch time.Duration
}

// note is anything rarer than records and rows.
type note struct {
	at time.Duration // since the hub was made
	do func(s *state, at time.Duration)
}

// New is an empty Hub whose time begins now.
func New() *Hub {
	clk := clock.New()
	return newHub(clk.Now, time.Now())
}

func newHub(now func() time.Duration, wall time.Time) *Hub {
	return &Hub{
		now: now, start: now(), s: newState(wall), wake: make(chan struct{}),
		records: make(chan arrival, recordsAhead), rows: make(chan row, rowsAhead), notes: make(chan note, notesAhead),
	}
}

// Records is next with a tap after it. The Hub keeps each record until it is
// drained, which loadgen allows. Instants of the records count from epoch, a
// CLOCK_MONOTONIC instant.
func (h *Hub) Records(epoch time.Duration, next func(*loadgen.Record) error) func(*loadgen.Record) error {
	if h == nil {
		return next
	}
	return func(rec *loadgen.Record) error {
		err := next(rec)
		h.record(rec, epoch)
		return err
	}
}

func (h *Hub) record(rec *loadgen.Record, epoch time.Duration) {
	select {
	case h.records <- arrival{rec, epoch}:
	default:
		h.dropped.Add(1)
	}
}

// Rows is next with a tap before it, for rows of a sampler with this Meta.
func (h *Hub) Rows(m sysmon.Meta, next func(sysmon.Row) error) func(sysmon.Row) error {
	if h == nil {
		return next
	}
	p := newPicker(m)
	return func(r sysmon.Row) error {
		h.row(p, r)
		return next(r)
	}
}

func (h *Hub) row(p *picker, r sysmon.Row) {
	select {
	case h.rows <- p.pick(r):
	default:
		h.dropped.Add(1)
	}
}

// InFlight is the gauge that the load generator keeps of its requests on the
// wire; nil for a nil Hub.
func (h *Hub) InFlight() *atomic.Int64 {
	if h == nil {
		return nil
	}
	return &h.flight
}

// note queues a change of state.
func (h *Hub) note(do func(s *state, at time.Duration)) {
	select {
	case h.notes <- note{h.now() - h.start, do}:
	default:
		h.dropped.Add(1)
	}
}

// drain takes over everything that the taps left.
func (h *Hub) drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.now() - h.start
	for range len(h.notes) {
		n := <-h.notes
		h.s.advance(n.at)
		n.do(h.s, n.at)
	}
	h.s.advance(at)
	for range len(h.rows) {
		h.s.addRow(<-h.rows, h.start)
	}
	for range len(h.records) {
		a := <-h.records
		h.s.addRecord(a.rec, a.epoch-h.start)
	}
	h.s.addFlight(h.flight.Load())
	h.s.dropped = h.dropped.Load()
}

// publish wakes everyone who waits for news.
func (h *Hub) publish() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.wake)
	h.wake = make(chan struct{})
}

// drainEvery is how often the buffers are emptied; every tenth time is news.
const drainEvery = 100 * time.Millisecond

// run drains until done is closed.
func (h *Hub) run(done <-chan struct{}) {
	t := time.NewTicker(drainEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-done:
			h.drain()
			return
		case <-t.C:
		}
		h.drain()
		if n%10 == 0 {
			h.publish()
		}
	}
}
