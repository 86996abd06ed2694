package loadgen

import (
	"container/heap"
	"iter"
	"math"
	"sync"
	"time"
)

// failurePause is the least time from one dispatch of a closed-loop user to its
// next after a failure: a dead server refuses within microseconds, and must get
// neither a flood of requests nor fill the disk with records of them.
const failurePause = 100 * time.Millisecond

// job is an arrival that has become due.
type job struct {
	Arrival
	phase Phase
}

// lane is a goroutine that sends requests, one at a time.
type lane struct{ jobs chan job }

// dispatcher decides when each request goes out. Its times count from the start
// of the load. Arrivals come from the schedule and, in a closed loop, from users
// who became free; they become jobs when due, wait in ready while MaxInFlight
// holds them, and are taken by lanes in that order. An arrival's due time never
// changes.
type dispatcher struct {
	plan  Plan
	now   func() time.Duration
	begin time.Duration // CLOCK_MONOTONIC instant of the load's start
	alarm alarm
	spawn func(*lane) // starts a lane's goroutine

	mu       sync.Mutex
	pull     func() (Arrival, bool)
	drop     func()
	head     *Arrival // next of the schedule, nil when it is exhausted
	thinking arrivalHeap
	ready    fifo[job]
	lanes    []*lane
	idle     []*lane
	inFlight int
	limit    int
	nextID   int64

	end       time.Duration // of the measured window; a bound until endKnown
	endKnown  bool
	successes int
	measured  int // jobs of the window that are not over
	armed     time.Duration
	over      bool
	cause     error // why the run was cut off, nil when it was not
	cutAt     time.Duration
}

func newDispatcher(p Plan, begin time.Duration, now func() time.Duration, a alarm) *dispatcher {
	d := &dispatcher{plan: p, begin: begin, now: now, alarm: a, limit: p.MaxInFlight, end: p.Warmup + p.Cap()}
	if d.limit == 0 {
		d.limit = math.MaxInt
	}
	if p.MinRequests == 0 {
		d.end, d.endKnown = p.WindowEnd(0), true
	}
	d.pull, d.drop = iter.Pull(p.Schedule())
	d.advance()
	return d
}

// loop dispatches until the run is over, and returns the jobs never sent.
func (d *dispatcher) loop() []job {
	for {
		d.mu.Lock()
		now := d.now()
		d.admitDue(now)
		for d.inFlight < d.limit && d.ready.len() > 0 && d.cause == nil {
			d.start()
		}
		if d.finished(now) {
			left := d.shut()
			d.mu.Unlock()
			return left
		}
		d.armed = d.nextWake(now)
		d.alarm.set(d.begin + d.armed)
		d.mu.Unlock()
		d.alarm.wait()
	}
}

// cutOff ends the run now, because of cause.
func (d *dispatcher) cutOff(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cause == nil && !d.over {
		d.cause, d.cutAt = cause, d.now()
		d.alarm.set(d.begin)
	}
}

// windowEnd is the end of the measured window, or the cut-off before it.
func (d *dispatcher) windowEnd() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cause != nil {
		return max(min(d.end, d.cutAt), d.plan.Warmup)
	}
	return d.end
}

// admitDue turns arrivals whose time has come into jobs, in order of due time.
func (d *dispatcher) admitDue(now time.Duration) {
	for {
		switch {
		case d.head != nil && d.head.Due <= now && (len(d.thinking) == 0 || d.head.Due <= d.thinking[0].Due):
			d.admit(*d.head)
			d.advance()
		case len(d.thinking) > 0 && d.thinking[0].Due <= now:
			d.admit(heap.Pop(&d.thinking).(Arrival))
		default:
			return
		}
	}
}

func (d *dispatcher) advance() {
	d.head = nil
	if a, ok := d.pull(); ok {
		d.head = &a
	}
}

func (d *dispatcher) admit(a Arrival) {
	a.ID = d.nextID
	d.nextID++
	j := job{a, d.plan.PhaseOf(a.Due, d.end)}
	if j.phase == PhaseMeasure {
		d.measured++
	}
	d.ready.push(j)
}

// start hands the oldest job to a lane that is idle, or new.
func (d *dispatcher) start() {
	var l *lane
	if n := len(d.idle); n > 0 {
		l = d.idle[n-1]
		d.idle = d.idle[:n-1]
	} else {
		l = &lane{jobs: make(chan job, 1)}
		d.lanes = append(d.lanes, l)
		d.spawn(l)
	}
	d.inFlight++
	l.jobs <- d.ready.pop()
}

// ended books the end of a job, brings its user's next arrival in a closed loop,
// and gives the lane its next job if there is one; else the lane is idle. free
// is when the user became free.
func (d *dispatcher) ended(l *lane, j job, ok bool, free time.Duration) (job, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	d.inFlight--
	if j.phase == PhaseMeasure {
		d.measured--
		if ok {
			d.successes++
		}
		if !d.endKnown && d.successes >= d.plan.MinRequests {
			d.end, d.endKnown = d.plan.WindowEnd(now), true
		}
	}
	if d.over || d.cause != nil {
		return job{}, false
	}
	if d.plan.Arrivals.Closed() {
		d.again(j, free, now)
		d.endWithUsers(now)
	}
	if wake := d.nextWake(now); wake < d.armed {
		d.armed = wake
		d.alarm.set(d.begin + wake)
	}
	if d.inFlight < d.limit && d.ready.len() > 0 {
		d.inFlight++
		return d.ready.pop(), true
	}
	d.idle = append(d.idle, l)
	return job{}, false
}

// again schedules the next turn of j's user, unless that was the last.
func (d *dispatcher) again(j job, free, now time.Duration) {
	a := d.plan.next(j.Arrival, free)
	if last := d.plan.Arrivals.Turns; last > 0 && a.Turn >= last {
		return
	}
	if a.Due <= now {
		d.admit(a)
		return
	}
	heap.Push(&d.thinking, a)
}

// endWithUsers ends the measured window now if no user has a request left.
// Nothing of the load can happen after that, so the end need not lie on the
// grid of the ends that a window grows to.
func (d *dispatcher) endWithUsers(now time.Duration) {
	if d.exhausted() && now < d.end {
		d.end, d.endKnown = max(now, d.plan.Warmup), true
	}
}

// exhausted reports whether the plan has no arrival left and every one that it
// had is over.
func (d *dispatcher) exhausted() bool {
	return d.head == nil && len(d.thinking) == 0 && d.ready.len() == 0 && d.inFlight == 0
}

// finished reports whether nothing is left to wait for.
func (d *dispatcher) finished(now time.Duration) bool {
	return d.cause != nil || d.exhausted() ||
		now >= d.end && d.measured == 0 || now >= d.end+d.plan.Drain
}

// nextWake is when loop has something to do again.
func (d *dispatcher) nextWake(now time.Duration) time.Duration {
	if d.finished(now) {
		return now
	}
	wake := d.end
	if now >= d.end {
		wake = d.end + d.plan.Drain
	}
	if d.head != nil {
		wake = min(wake, d.head.Due)
	}
	if len(d.thinking) > 0 {
		wake = min(wake, d.thinking[0].Due)
	}
	return wake
}

// shut ends the lanes once their requests are over.
func (d *dispatcher) shut() (left []job) {
	d.over = true
	d.endKnown = true
	d.drop()
	for _, l := range d.lanes {
		close(l.jobs)
	}
	for d.ready.len() > 0 {
		left = append(left, d.ready.pop())
	}
	return left
}

// arrivalHeap orders arrivals by due time.
type arrivalHeap []Arrival

func (h arrivalHeap) Len() int           { return len(h) }
func (h arrivalHeap) Less(i, j int) bool { return h[i].Due < h[j].Due }
func (h arrivalHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *arrivalHeap) Push(a any)        { *h = append(*h, a.(Arrival)) }
func (h *arrivalHeap) Pop() any {
	last := len(*h) - 1
	a := (*h)[last]
	*h = (*h)[:last]
	return a
}

// fifo is a queue that reuses its memory.
type fifo[T any] struct {
	items []T
	from  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.from }

func (q *fifo[T]) push(v T) {
	if q.from > 0 && len(q.items) == cap(q.items) {
		q.items = q.items[:copy(q.items, q.items[q.from:])]
		q.from = 0
	}
	q.items = append(q.items, v)
}

func (q *fifo[T]) pop() T {
	v := q.items[q.from]
	q.from++
	if q.from == len(q.items) {
		q.items, q.from = q.items[:0], 0
	}
	return v
}
