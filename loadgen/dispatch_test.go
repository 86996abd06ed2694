package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAlarmCanBeMovedWhileItWaits(t *testing.T) {
	clk := newKernelClock()
	a, err := newTimerfdAlarm()
	require.NoError(t, err)
	defer a.stop()
	begin := clk.Now()
	a.set(begin + time.Hour)
	woke := make(chan time.Duration)
	go func() {
		a.wait()
		woke <- clk.Now() - begin
	}()
	time.Sleep(10 * time.Millisecond)
	a.set(begin + 30*time.Millisecond)
	got := <-woke
	require.GreaterOrEqual(t, got, 30*time.Millisecond-50*time.Microsecond)
	require.Less(t, got, 500*time.Millisecond)
	a.set(begin) // long past
	a.wait()
}

func TestFifoKeepsOrderAndMemory(t *testing.T) {
	var q fifo[int]
	next, want := 0, 0
	for range 10_000 {
		for range 3 {
			q.push(next)
			next++
		}
		for range 3 {
			require.Equal(t, want, q.pop())
			want++
		}
	}
	for i := range 5 {
		q.push(i)
	}
	for range 1000 {
		q.push(q.pop())
	}
	require.Equal(t, 5, q.len())
	require.LessOrEqual(t, cap(q.items), 16)
}

// fakeRun plays a plan in fake time against users who take serve long, and
// returns the jobs in the order in which they were sent.
func fakeRun(t *testing.T, p Plan, serve func(j job) (time.Duration, bool)) (sent []job, left []job, d *dispatcher) {
	t.Helper()
	require.NoError(t, p.Validate())
	begin := time.Now()
	now := func() time.Duration { return time.Since(begin) }
	a := newGoAlarm(now)
	defer a.stop()
	d = newDispatcher(p, 0, now, a)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := make(chan job, 100_000)
	d.spawn = func(l *lane) {
		go func() {
			for j := range l.jobs {
				for more := true; more; {
					log <- j
					took, ok := serve(j)
					select {
					case <-time.After(took):
					case <-ctx.Done():
						ok = false
					}
					j, more = d.ended(l, j, ok, now())
				}
			}
		}()
	}
	left = d.loop()
	cancel()
	synctest.Wait()
	close(log)
	for j := range log {
		sent = append(sent, j)
	}
	return sent, left, d
}

func fixed(d time.Duration) func(job) (time.Duration, bool) {
	return func(job) (time.Duration, bool) { return d, true }
}

func TestClosedLoopPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(2), 10*time.Second)
		p.Warmup = 2 * time.Second
		sent, left, d := fakeRun(t, p, fixed(999*time.Millisecond))
		require.Empty(t, left)
		count := map[Phase]int{}
		for _, j := range sent {
			count[j.phase]++
			require.Equal(t, time.Duration(j.Turn)*999*time.Millisecond, j.Due)
		}
		require.Equal(t, map[Phase]int{PhaseWarmup: 6, PhaseMeasure: 20, PhaseDrain: 2}, count, "load goes on while the last measured end")
		require.Equal(t, 12*time.Second, d.windowEnd())
		require.Equal(t, 12987*time.Millisecond, d.now(), "over when the last measured request is")
	})
}

func TestDrainIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(2), 10*time.Second)
		p.Drain = 3 * time.Second
		_, _, d := fakeRun(t, p, fixed(time.Hour))
		require.Equal(t, 13*time.Second, d.now())
	})
}

func TestOpenLoopNeverReanchors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Poisson(50), 10*time.Second)
		p.MaxInFlight = 3
		p.Drain = time.Second
		sent, left, _ := fakeRun(t, p, fixed(100*time.Millisecond))
		var due []time.Duration
		for _, j := range slices.Concat(sent, left) {
			due = append(due, j.Due)
			require.EqualValues(t, len(due)-1, j.ID, "jobs leave in the order in which they became due")
		}
		i := 0
		for a := range p.Schedule() {
			if a.Due > 11*time.Second {
				break
			}
			require.Equal(t, a.Due, due[i])
			i++
		}
		require.Len(t, due, i, "every arrival is sent or dropped")
		require.InDelta(t, 330, len(sent), 3)
	})
}

func TestWindowGrowsToMinRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(1), time.Second)
		p.MinRequests, p.MaxMeasure = 10, 20*time.Second
		n := 0
		_, _, d := fakeRun(t, p, func(job) (time.Duration, bool) { n++; return 500 * time.Millisecond, n%2 == 0 })
		require.Equal(t, p.WindowEnd(10*time.Second), d.windowEnd(), "failures do not count")

		_, _, d = fakeRun(t, p, func(job) (time.Duration, bool) { return 500 * time.Millisecond, false })
		require.Equal(t, 20*time.Second, d.windowEnd())
	})
}

func TestThinkTimesKeepOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(20), 20*time.Second)
		p.Arrivals.StartSpread = time.Second
		p.Arrivals.Think = Think{Kind: ThinkExponential, Mean: 300 * time.Millisecond}
		sent, _, _ := fakeRun(t, p, fixed(50*time.Millisecond))
		require.Greater(t, len(sent), 500)
		require.True(t, slices.IsSortedFunc(sent, func(a, b job) int { return int(a.Due - b.Due) }))
	})
}

func TestTraceEndsWhenItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Trace([]time.Duration{0, time.Second}), time.Hour)
		sent, _, d := fakeRun(t, p, fixed(time.Second))
		require.Len(t, sent, 2)
		require.Equal(t, 2*time.Second, d.now())
	})
}

func TestCutOffEndsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(1), time.Hour)
		stop := errors.New("stop")
		var d *dispatcher
		a := newGoAlarm(func() time.Duration { return d.now() })
		begin := time.Now()
		d = newDispatcher(p, 0, func() time.Duration { return time.Since(begin) }, a)
		d.spawn = func(*lane) {}
		time.AfterFunc(time.Minute, func() { d.cutOff(stop) })
		require.Empty(t, d.loop())
		require.Equal(t, time.Minute, d.windowEnd())
		require.ErrorIs(t, d.cause, stop)
		d.cutOff(errors.New("another"))
		require.ErrorIs(t, d.cause, stop, "the first cause stays")
	})
}

func TestTransportFailuresHaveNamesAndRemedies(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Outcome
		msg  string
	}{
		{syscall.ECONNREFUSED, OutcomeRefused, "refused"},
		{syscall.ECONNRESET, OutcomeReset, "reset"},
		{syscall.EMFILE, OutcomeClientLimit, "ulimit -n"},
		{syscall.EADDRNOTAVAIL, OutcomeClientLimit, "ip_local_port_range"},
		{syscall.EHOSTUNREACH, OutcomeUnreachable, "no route"},
		{&net.DNSError{Err: "no such host", Name: "x"}, OutcomeUnreachable, "no such host"},
		{errors.New("malformed HTTP response"), OutcomeBadResponse, "malformed"},
	} {
		var err error = &net.OpError{Op: "dial", Net: "tcp", Err: c.err}
		if c.want == OutcomeBadResponse {
			err = c.err
		}
		o, msg := transportOutcome(fmt.Errorf("wrapped: %w", err))
		require.Equal(t, c.want, o, c.err)
		require.Contains(t, msg, c.msg)
	}
}
