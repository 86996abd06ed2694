package loadgen

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// The causes for which a request's context ends.
var (
	errHeaderTimeout = errors.New("loadgen: no response header in time")
	errIdleTimeout   = errors.New("loadgen: no token in time")
	errTotalTimeout  = errors.New("loadgen: request not over in time")
	errLingered      = errors.New("loadgen: connection left open after the end mark")
)

// lingerFor is how long a finished stream may keep its connection busy.
const lingerFor = time.Second

// watch ends one request's context when a timeout passes. Progress costs an
// atomic store: the timer is moved only when it fires, which it does once per
// timeout and not once per token.
type watch struct {
	clk    clock.Clock
	cancel context.CancelCauseFunc
	limit  Target // only its timeouts

	begun time.Duration
	head  atomic.Int64 // instant of the header, 0 before it
	token atomic.Int64 // instant of the last token, 0 before it
	done  atomic.Int64 // instant of the end mark, 0 before it

	mu      sync.Mutex
	timer   *time.Timer // nil while nothing is bounded
	due     time.Duration
	stopped bool
}

// begin starts watching.
func (w *watch) begin() {
	w.begun = w.clk.Now()
	w.arm()
}

// header, progress and ended tell the watch where the request is.
func (w *watch) header(at time.Duration) {
	w.head.Store(int64(at))
	w.armIfSooner()
}

func (w *watch) progress(at time.Duration) {
	first := w.token.Load() == 0
	w.token.Store(int64(at))
	if first {
		w.armIfSooner()
	}
}

func (w *watch) ended(at time.Duration) {
	w.done.Store(int64(at))
	w.armIfSooner()
}

// stop ends watching; the watch cancels nothing afterwards.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}

// next is when the request fails if nothing more happens, and why; 0 is never.
func (w *watch) next() (at time.Duration, cause error) {
	sooner := func(from int64, limit time.Duration, why error) {
		if d := time.Duration(from) + limit; limit > 0 && (cause == nil || d < at) {
			at, cause = d, why
		}
	}
	head, token, done := w.head.Load(), w.token.Load(), w.done.Load()
	switch {
	case done != 0:
		sooner(done, lingerFor, errLingered)
	case token != 0:
		sooner(token, w.limit.IdleTimeout, errIdleTimeout)
	case head != 0:
		// Servers that send their header at once queue and prefill after it.
		sooner(head, max(w.limit.IdleTimeout, w.limit.HeaderTimeout), errIdleTimeout)
	default:
		sooner(int64(w.begun), w.limit.HeaderTimeout, errHeaderTimeout)
	}
	sooner(int64(w.begun), w.limit.TotalTimeout, errTotalTimeout)
	return at, cause
}

func (w *watch) armIfSooner() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, cause := w.next(); cause != nil && (w.timer == nil || at < w.due) {
		w.set(at)
	}
}

func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at, cause := w.next(); cause != nil {
		w.set(at)
	}
}

// set moves the timer. The caller holds mu.
func (w *watch) set(at time.Duration) {
	if w.stopped {
		return
	}
	w.due = at
	wait := at - w.clk.Now()
	if w.timer == nil {
		w.timer = time.AfterFunc(wait, w.fire)
		return
	}
	w.timer.Reset(wait)
}

func (w *watch) fire() {
	at, cause := w.next()
	if cause != nil && w.clk.Now() >= at {
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.stopped {
			w.cancel(cause)
		}
		return
	}
	w.arm()
}
