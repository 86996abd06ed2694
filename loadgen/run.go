package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrFileLimit means that this process may not open as many connections as a
// plan needs.
var ErrFileLimit = errors.New("too few open files allowed")

// recordsAhead is how many finished records may wait for the sink before users
// wait for it too; the wait then shows as their lag.
const recordsAhead = 4096

// Run sends p's load to t and gives every request's record to sink, as requests
// end, from one goroutine at a time. It returns when the measured requests are
// over, when every user has ended (Arrivals.Turns), or Plan.Drain after the
// window's end; requests still in flight then are recorded as cancelled and
// arrivals never sent as dropped. No goroutine or connection outlives it, and its
// memory does not grow with the run's length unless sink keeps the records, which
// it may.
//
// In a closed loop a user's next request is due when its answer's last byte
// arrived, plus think time, and for a failed request not before 100 ms after its
// dispatch.
//
// When ctx ends or sink fails, Run stops at once and returns what it measured so
// far with the error. Before any request it returns an error for a plan or
// target that is invalid, a server that cannot be connected to (ErrUnreachable),
// and more users than open files allow (ErrFileLimit).
func Run(ctx context.Context, t Target, p Plan, sink func(*Record) error) (Summary, error) {
	if err := errors.Join(t.Validate(), p.Validate(), checkFiles(p)); err != nil {
		return Summary{}, err
	}
	a, err := newTimerfdAlarm()
	if err != nil {
		return Summary{}, err
	}
	c, err := newClient(context.WithoutCancel(ctx), t, p.Workload, nil)
	if err != nil {
		a.stop()
		return Summary{}, err
	}
	return (&runner{client: c, plan: p, sink: sink, deal: p.Workload.dealer(p.Seed)}).run(ctx, a)
}

// runner is one Run.
type runner struct {
	client *client
	plan   Plan
	sink   func(*Record) error
	deal   dealer

	d       *dispatcher
	begin   time.Duration // CLOCK_MONOTONIC
	records chan *Record
	lanes   sync.WaitGroup
}

func (r *runner) run(ctx context.Context, a alarm) (Summary, error) {
	defer a.stop()
	defer r.client.close()
	if err := r.client.reach(ctx); err != nil {
		return Summary{}, err
	}
	before, err := ReadUsage()
	if err != nil {
		return Summary{}, err
	}
	clk := r.client.clk
	r.begin = clk.Now()
	if r.client.epoch == 0 {
		r.client.epoch = r.begin
	}
	r.records = make(chan *Record, recordsAhead)
	r.d = newDispatcher(r.plan, r.begin, func() time.Duration { return clk.Now() - r.begin }, a)
	acc := NewAccumulator(r.plan, r.begin-r.client.epoch)

	var sinkErr error
	done := r.start(ctx)
	for rec := range r.records {
		acc.Add(rec)
		if sinkErr != nil {
			continue
		}
		if sinkErr = r.sink(rec); sinkErr != nil {
			sinkErr = fmt.Errorf("loadgen: run: keep record %d: %w", rec.ID, sinkErr)
			r.d.cutOff(sinkErr)
		}
	}
	<-done
	s := acc.Summary(r.begin - r.client.epoch + r.d.windowEnd())
	after, err := ReadUsage()
	if err == nil {
		used := after.Since(before)
		s.Client.Process = &used
	}
	return s, errors.Join(r.d.cause, err)
}

// start begins the load. The records channel closes when every request is over,
// and the channel returned right after.
func (r *runner) start(ctx context.Context) <-chan struct{} {
	// Requests end when the run is over, which for a caller's cancel is also
	// when the dispatcher has seen it: one order of events for every ending.
	sending, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() { r.d.cutOff(context.Cause(ctx)) })
	r.d.spawn = func(l *lane) {
		r.lanes.Go(func() { r.serve(sending, l) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		left := r.d.loop()
		release()
		stop(errRunOver)
		r.lanes.Wait()
		for _, j := range left {
			r.records <- r.dropped(j)
		}
		close(r.records)
	}()
	return done
}

// serve sends a lane's jobs until the run is over.
func (r *runner) serve(ctx context.Context, l *lane) {
	w := worker{c: r.client}
	for j := range l.jobs {
		for more := true; more; {
			rec := r.record(j)
			prompt := r.plan.Workload.Prompt(r.plan.Seed, j.User, j.Turn, r.client.target.Calibration)
			r.inFlight(1)
			w.send(ctx, rec, prompt, r.deal.adapter(j.User, j.Turn))
			r.inFlight(-1)
			var next job
			next, more = r.d.ended(l, j, rec.Outcome.OK(), r.freed(rec))
			r.records <- rec
			j = next
		}
	}
}

// inFlight keeps the target's gauge, where there is one.
func (r *runner) inFlight(change int64) {
	if g := r.client.target.InFlight; g != nil {
		g.Add(change)
	}
}

func (r *runner) record(j job) *Record {
	return &Record{ID: j.ID, User: j.User, Turn: j.Turn, Phase: j.phase, Due: At(r.begin + j.Due - r.client.epoch)}
}

// freed is when a request's user could ask again, from the load's start.
func (r *runner) freed(rec *Record) time.Duration {
	free, _ := rec.Close.Get()
	if !rec.Outcome.OK() {
		sent, _ := rec.Dispatched.Get()
		free = max(free, sent+failurePause)
	}
	return free + r.client.epoch - r.begin
}

// dropped is the record of an arrival that was never sent.
func (r *runner) dropped(j job) *Record {
	rec := r.record(j)
	if i := r.deal.adapter(j.User, j.Turn); i >= 0 {
		rec.Adapter = r.plan.Workload.Adapters.List[i].Name
	}
	rec.Outcome = OutcomeDropped
	rec.Error = "the run ended before MaxInFlight let it go"
	rec.Close = At(r.client.now())
	return rec
}

// checkFiles compares the connections that a plan needs with the limit on open
// files.
func checkFiles(p Plan) error {
	const spare = 64
	need := p.MaxInFlight
	if p.Arrivals.Closed() && (need == 0 || p.Arrivals.Users < need) {
		need = p.Arrivals.Users
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fmt.Errorf("loadgen: read limit of open files: %w", err)
	}
	if uint64(need)+spare > lim.Cur {
		return fmt.Errorf("loadgen: run: %d connections: %w: %d (raise it: ulimit -n %d)", need, ErrFileLimit, lim.Cur, need+spare)
	}
	return nil
}
