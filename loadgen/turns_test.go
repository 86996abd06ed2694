package loadgen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// turnsOf counts the requests of each user.
func turnsOf(jobs []job) map[int]int {
	turns := map[int]int{}
	for _, j := range jobs {
		turns[j.User]++
	}
	return turns
}

func TestUsersEndAfterTheirTurns(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(*Plan)
		serve func(j job) (time.Duration, bool)
		end   time.Duration // of the window, and the load
		count map[Phase]int
	}{
		{
			"the last answer ends the window", func(*Plan) {}, fixed(time.Second),
			3 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"the slowest user ends it", func(*Plan) {},
			func(j job) (time.Duration, bool) { return time.Duration(1+j.User) * time.Second, true },
			6 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"a spread of starts is waited for", func(p *Plan) { p.Arrivals.StartSpread = 20 * time.Second }, fixed(time.Second),
			13 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"thinking users have not ended", func(p *Plan) { p.Arrivals.Think = Think{Kind: ThinkConstant, Mean: 10 * time.Second} }, fixed(time.Second),
			23 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"requests that wait in the queue are not over", func(p *Plan) { p.MaxInFlight = 1 }, fixed(time.Second),
			6 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"failures are turns", func(*Plan) {}, func(job) (time.Duration, bool) { return time.Second, false },
			3 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"too few successes do not extend it", func(p *Plan) { p.MinRequests = 100 }, fixed(time.Second),
			3 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"nor do successes past the least window, off its grid", func(p *Plan) { p.Measure, p.MinRequests = time.Second, 100 }, fixed(time.Second + 1),
			3*time.Second + 3,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"where enough succeed it ends on its grid", func(p *Plan) { p.Measure, p.MinRequests = time.Second, 1 }, fixed(900 * time.Millisecond),
			time.Second,
			map[Phase]int{PhaseMeasure: 4, PhaseDrain: 2},
		},
		{
			"a first turn of prompts is none of the load's", func(p *Plan) { p.Workload.FirstTurn = 1000 }, fixed(time.Second),
			3 * time.Second,
			map[Phase]int{PhaseMeasure: 6},
		},
		{
			"the warm-up's requests are turns", func(p *Plan) { p.Warmup = 1500 * time.Millisecond }, fixed(time.Second),
			3 * time.Second,
			map[Phase]int{PhaseWarmup: 4, PhaseMeasure: 2},
		},
		{
			"all of them in the warm-up", func(p *Plan) { p.Warmup = time.Minute }, fixed(time.Second),
			time.Minute,
			map[Phase]int{PhaseWarmup: 6},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := testPlan(Users(2), time.Hour)
				p.Arrivals.Turns = 3
				row.spoil(&p)
				sent, left, d := fakeRun(t, p, row.serve)
				require.Empty(t, left)
				require.Equal(t, row.end, d.windowEnd())
				count := map[Phase]int{}
				for _, j := range sent {
					count[j.phase]++
					require.Less(t, j.Turn, 3)
					require.Equal(t, j.phase, p.PhaseOf(j.Due, d.windowEnd()), "the end that is told gives the phases that were told")
				}
				for phase, n := range row.count {
					require.Equal(t, n, count[phase], phase)
				}
				require.Equal(t, map[int]int{0: 3, 1: 3}, turnsOf(sent))
			})
		})
	}
}

func TestTurnsDoNotLengthenTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(2), 10*time.Second)
		p.Arrivals.Turns = 1000
		_, _, d := fakeRun(t, p, fixed(time.Second))
		require.Equal(t, 10*time.Second, d.windowEnd())

		p.Drain = 3 * time.Second
		p.Arrivals.Turns = 1
		_, _, d = fakeRun(t, p, fixed(time.Hour))
		require.Equal(t, 10*time.Second, d.windowEnd(), "an answer that never comes ends no user")
		require.Equal(t, 13*time.Second, d.now())
	})
}

func TestUsersWhoEndInTheDrainLeaveTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := testPlan(Users(2), 2500*time.Millisecond)
		p.Arrivals.Turns = 3
		p.Drain = time.Minute
		_, _, d := fakeRun(t, p, fixed(time.Second))
		require.Equal(t, 2500*time.Millisecond, d.windowEnd())
		require.Equal(t, 3*time.Second, d.now())
	})
}

// TestRunOfTurnsIsReplayed ends a real run early and works its summary out
// again from its records and its window.
func TestRunOfTurnsIsReplayed(t *testing.T) {
	s := &streamer{first: 5 * time.Millisecond, gap: time.Millisecond, tokens: 4}
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := testPlan(Users(3), time.Hour)
	p.Arrivals.Turns, p.MinRequests = 4, 1000
	p.Workload.Adapters = Adapters{List: adapterList(2), Choice: AdapterInOrder}
	target := testTarget(srv.URL)
	target.Epoch = 1
	records, sum, err := collect(t, t.Context(), target, p)
	require.NoError(t, err)
	require.EqualValues(t, 12, sum.Requests.OK)
	require.Len(t, records, 12)
	require.Less(t, sum.Window.Length(), 10*time.Second)
	require.InEpsilon(t, 12, sum.Rates.RequestsPerSec*sum.Window.Length().Seconds(), 1e-9, "every answer lies in the window")
	require.InEpsilon(t, 48, sum.Rates.OutputTokensPerSec*sum.Window.Length().Seconds(), 1e-9)
	for _, r := range records {
		require.Equal(t, adapterList(2)[(r.User+r.Turn)%2].Name, r.Adapter)
		closed, _ := r.Close.Get()
		require.LessOrEqual(t, closed, sum.Window.End+ms, "two clocks meet here")
	}
	require.Len(t, sum.Adapters, 2)
	require.EqualValues(t, 6, sum.Adapters[0].OK)

	again, err := Replay(p, sum.Window, func(yield func(*Record, error) bool) {
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	})
	require.NoError(t, err)
	got := again.Summary(sum.Window.End)
	got.Client.Process = sum.Client.Process
	require.Equal(t, sum, got)
}

func TestRunOfTurnsAgainstADeadServerEnds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	p := testPlan(Users(2), time.Hour)
	p.Arrivals.Turns = 3
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	records, sum, err := collect(t, ctx, testTarget(srv.URL), p)
	require.NoError(t, err)
	require.Len(t, records, 6)
	require.EqualValues(t, 6, sum.Requests.Outcomes[OutcomeHTTP5xx])
	require.GreaterOrEqual(t, sum.Window.Length(), 2*failurePause)
}
