package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// streamer is a server that answers every request with tokens chat or text
// events, gap apart.
type streamer struct {
	first, gap time.Duration
	tokens     int
	inFlight   atomic.Int64
	peak       atomic.Int64
	mu         sync.Mutex
	bodies     []string
}

func (s *streamer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	for p := s.peak.Load(); n > p && !s.peak.CompareAndSwap(p, n); p = s.peak.Load() {
	}
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range s.tokens {
		wait := s.gap
		if i == 0 {
			wait = s.first
		}
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":\" w%d\",\"finish_reason\":null}]}\n\n", i)
		w.(http.Flusher).Flush()
	}
	fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n")
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":%d,\"total_tokens\":99}}\n\ndata: [DONE]\n\n", s.tokens)
}

func testTarget(url string) Target {
	return Target{BaseURL: url, Model: "m", Dialect: OpenAICompletions}
}

func testPlan(a Arrivals, measure time.Duration) Plan {
	return Plan{
		Arrivals: a, Measure: measure, Drain: 5 * time.Second,
		Workload: Workload{PromptTokens: 20, OutputTokens: 4, Nonce: Nonce{Position: NonceStart}},
	}
}

// collect runs a plan and returns its records.
func collect(t *testing.T, ctx context.Context, target Target, p Plan) ([]*Record, Summary, error) {
	t.Helper()
	var records []*Record
	s, err := Run(ctx, target, p, func(r *Record) error {
		records = append(records, r)
		return nil
	})
	return records, s, err
}

func TestRunClosedLoop(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := &streamer{first: 5 * time.Millisecond, gap: time.Millisecond, tokens: 4}
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := testPlan(Users(3), 300*time.Millisecond)
	p.Warmup = 50 * time.Millisecond
	records, sum, err := collect(t, t.Context(), testTarget(srv.URL), p)
	require.NoError(t, err)
	require.EqualValues(t, 3, s.peak.Load(), "three users, three requests at once")
	last := map[int]*Record{}
	ids := map[int64]bool{}
	var measured, written int64
	for _, r := range records {
		require.False(t, ids[r.ID])
		ids[r.ID] = true
		if r.Phase == PhaseMeasure {
			measured++
			require.Equal(t, OutcomeOK, r.Outcome, r.Error)
		}
		if r.Outcome != OutcomeOK {
			continue
		}
		if !r.Written.IsZero() {
			written++
		}
		require.Len(t, r.Events, 4)
		require.Equal(t, 4, *r.OutputTokens)
		require.Equal(t, 12, *r.PromptTokens)
		requireOrder(t, r)
		if prev := last[r.User]; prev != nil {
			require.Equal(t, prev.Turn+1, r.Turn)
			require.Equal(t, prev.Close, r.Due, "a user is free when its answer ends")
			require.True(t, r.ReusedConn)
		}
		last[r.User] = r
	}
	require.Equal(t, measured, sum.Requests.Due)
	require.Equal(t, measured, sum.Requests.OK)
	require.Greater(t, measured, int64(10))
	require.Greater(t, written, measured*9/10, "an answer may overtake the note that its request was written")
	require.NotZero(t, sum.Client.Process.CPU)
}

// requireOrder checks that the instants of a success follow one another.
func requireOrder(t *testing.T, r *Record) {
	t.Helper()
	prev := r.Due
	for i, at := range []Instant{r.Dispatched, r.FirstByte, r.Header, r.FirstToken, r.LastToken, r.Close} {
		gap, ok := at.Sub(prev)
		require.True(t, ok, "instant %d", i)
		require.GreaterOrEqual(t, gap, -200*time.Microsecond, "instant %d of %+v", i, r) // two clocks meet here
		prev = at
	}
}

func TestRunOpenLoopSendsOnScheduleWhateverTheServerDoes(t *testing.T) {
	s := &streamer{first: 300 * time.Millisecond, gap: time.Millisecond, tokens: 2}
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := testPlan(Constant(100), 200*time.Millisecond)
	records, sum, err := collect(t, t.Context(), testTarget(srv.URL), p)
	require.NoError(t, err)
	require.EqualValues(t, 20, sum.Requests.Due)
	require.EqualValues(t, 20, sum.Requests.OK)
	require.Greater(t, s.peak.Load(), int64(15), "no request waits for another")
	var due []time.Duration
	for a := range p.Schedule() {
		due = append(due, a.Due)
	}
	for _, r := range records {
		at, _ := r.Due.Get()
		require.Equal(t, due[r.ID], at, "due is the plan's")
	}
}

func TestRunQueuesAtMaxInFlightAndDropsWhatIsLeft(t *testing.T) {
	s := &streamer{first: 100 * time.Millisecond, gap: time.Millisecond, tokens: 2}
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := testPlan(Constant(100), 200*time.Millisecond)
	p.MaxInFlight = 2
	p.Drain = 100 * time.Millisecond
	records, sum, err := collect(t, t.Context(), testTarget(srv.URL), p)
	require.NoError(t, err)
	require.EqualValues(t, 2, s.peak.Load())
	require.EqualValues(t, 20, sum.Requests.Due)
	require.Positive(t, sum.Client.Dropped)
	var waited time.Duration
	for _, r := range records {
		if r.Outcome == OutcomeDropped {
			require.True(t, r.Dispatched.IsZero())
			continue
		}
		lag, _ := r.Dispatched.Sub(r.Due)
		waited = max(waited, lag)
	}
	require.Greater(t, waited, 50*time.Millisecond, "the queue's wait is the user's")
}

func TestRunExtendsTheWindowToMinRequests(t *testing.T) {
	s := &streamer{first: 20 * time.Millisecond, gap: time.Millisecond, tokens: 2}
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := testPlan(Users(1), 50*time.Millisecond)
	p.MinRequests, p.MaxMeasure = 10, 5*time.Second
	_, sum, err := collect(t, t.Context(), testTarget(srv.URL), p)
	require.NoError(t, err)
	require.GreaterOrEqual(t, sum.Requests.OK, int64(10))
	require.Less(t, sum.Window.Length(), 2*time.Second)

	p.MinRequests, p.MaxMeasure = 1e6, 200*time.Millisecond
	_, sum, err = collect(t, t.Context(), testTarget(srv.URL), p)
	require.NoError(t, err)
	require.Equal(t, 200*time.Millisecond, sum.Window.Length(), "the cap holds")
}

func TestRunThinkTime(t *testing.T) {
	s := &streamer{tokens: 2}
	srv := httptest.NewServer(s)
	defer srv.Close()
	p := testPlan(Users(2), 300*time.Millisecond)
	p.Arrivals.Think = Think{Kind: ThinkConstant, Mean: 50 * time.Millisecond}
	records, _, err := collect(t, t.Context(), testTarget(srv.URL), p)
	require.NoError(t, err)
	last := map[int]*Record{}
	for _, r := range records {
		if prev := last[r.User]; prev != nil && prev.Outcome == OutcomeOK {
			pause, _ := r.Due.Sub(prev.Close)
			require.Equal(t, 50*time.Millisecond, pause)
		}
		last[r.User] = r
	}
	require.Greater(t, len(records), 6)
}

func TestRunCancelledReturnsWhatItHas(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := &streamer{first: 20 * time.Millisecond, gap: time.Hour, tokens: 2}
	srv := httptest.NewServer(s)
	defer srv.Close()
	stop := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
	records, sum, err := collect(t, ctx, testTarget(srv.URL), testPlan(Users(3), time.Hour))
	require.ErrorIs(t, err, stop)
	require.Len(t, records, 3)
	for _, r := range records {
		require.Equal(t, OutcomeCancelled, r.Outcome)
		require.Len(t, r.Events, 1, "what had arrived is kept")
	}
	require.Less(t, sum.Window.Length(), time.Minute)
	require.EqualValues(t, 3, sum.Requests.Outcomes[OutcomeCancelled])
}

func TestRunStopsWhenTheSinkFails(t *testing.T) {
	defer goleak.VerifyNone(t)
	srv := httptest.NewServer(&streamer{tokens: 2})
	defer srv.Close()
	full := errors.New("no space left on device")
	n := 0
	_, err := Run(t.Context(), testTarget(srv.URL), testPlan(Users(4), time.Hour), func(*Record) error {
		if n++; n == 5 {
			return full
		}
		require.Less(t, n, 5, "a sink that failed is not called again")
		return nil
	})
	require.ErrorIs(t, err, full)
}

func TestRunRefusesWhatCannotWork(t *testing.T) {
	none := func(*Record) error { return nil }
	srv := httptest.NewServer(http.NotFoundHandler())
	dead := srv.URL
	srv.Close()
	_, err := Run(t.Context(), testTarget(dead), testPlan(Users(1), time.Second), none)
	require.ErrorIs(t, err, ErrUnreachable)
	require.ErrorContains(t, err, "is the server up")
	_, err = Run(t.Context(), testTarget(dead), testPlan(Users(10_000_000), time.Second), none)
	require.ErrorIs(t, err, ErrFileLimit)
	require.ErrorContains(t, err, "ulimit -n 10000064")
	_, err = Run(t.Context(), Target{BaseURL: "localhost:8000"}, Plan{}, none)
	for _, part := range []string{"BaseURL", "Model", "Dialect", "Measure"} {
		require.ErrorContains(t, err, part)
	}
}

func TestRunOutlivesAServerThatDies(t *testing.T) {
	s := &streamer{first: time.Millisecond, gap: time.Millisecond, tokens: 2}
	srv := httptest.NewServer(s)
	time.AfterFunc(100*time.Millisecond, func() {
		srv.Listener.Close()
		srv.CloseClientConnections()
	})
	records, sum, err := collect(t, t.Context(), testTarget(srv.URL), testPlan(Users(2), 500*time.Millisecond))
	require.NoError(t, err)
	require.Positive(t, sum.Requests.OK)
	require.Positive(t, sum.Requests.Outcomes[OutcomeRefused])
	var refused int
	for _, r := range records {
		if r.Outcome == OutcomeRefused {
			refused++
			require.NotEmpty(t, r.Error)
		}
	}
	require.Less(t, refused, 20, "a dead server is not flooded")
}

func TestSameSeedSameBytes(t *testing.T) {
	bodies := func() []string {
		s := &streamer{tokens: 1}
		srv := httptest.NewServer(s)
		defer srv.Close()
		_, _, err := collect(t, t.Context(), testTarget(srv.URL), testPlan(Trace(make([]time.Duration, 5)), 100*time.Millisecond))
		require.NoError(t, err)
		return s.bodies
	}
	a, b := bodies(), bodies()
	require.ElementsMatch(t, a, b)
	require.Len(t, a, 5)
	var want struct {
		Model         string `json:"model"`
		Prompt        string `json:"prompt"`
		MaxTokens     int    `json:"max_tokens"`
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
	}
	dec := json.NewDecoder(bytes.NewReader([]byte(a[0])))
	require.NoError(t, dec.Decode(&want))
	require.Equal(t, 4, want.MaxTokens)
	require.True(t, want.StreamOptions.IncludeUsage)
	require.NotEmpty(t, want.Prompt)
}
