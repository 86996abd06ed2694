package watch

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/sysmon"
)

func keep(*loadgen.Record) error { return nil }

func TestBinsHoldWhatHappened(t *testing.T) {
	h, now := fakeHub()
	sink := h.Records(h.start, keep)
	*now += 4 * time.Second
	// Due at 0.9 s, first token at 1.1 s, tokens to 2.9 s.
	require.NoError(t, sink(request(900, 1100, 2900, 1, 2, 3)))
	require.NoError(t, sink(request(1000, 1400, 1400, 5)))
	bad := request(500, 1200, 1500)
	bad.Outcome, bad.FirstToken = loadgen.OutcomeReset, loadgen.Instant{}
	require.NoError(t, sink(bad))
	h.InFlight().Add(3)
	h.drain()
	require.InEpsilon(t, 200, field(h, 1, "ttft_p50_ms"), 0.008)
	require.InEpsilon(t, 400, field(h, 1, "ttft_p99_ms"), 0.008)
	require.Equal(t, 2.0, field(h, 1, "first_tokens"), "a failure has no TTFT")
	require.Equal(t, 6.0, field(h, 1, "tokens_per_sec"), "1 of the first request, 5 of the second")
	require.Equal(t, 5.0, field(h, 2, "tokens_per_sec"), "tokens count where they arrived")
	require.Equal(t, 1.0, field(h, 1, "requests_per_sec"))
	require.Equal(t, 1.0, field(h, 1, "errors_per_sec"))
	require.Equal(t, 1.0, field(h, 2, "requests_per_sec"), "a request counts where it ended")
	require.Equal(t, 3.0, field(h, 4, "in_flight"))
	require.True(t, math.IsNaN(field(h, 2, "ttft_p50_ms")), "absent is not 0")
	require.True(t, math.IsNaN(field(h, 3, "tokens_per_sec")), "no load is no throughput of 0")
	require.InDelta(t, 4-1.8, h.s.settled(), 1e-9, "the slowest request streamed 1.8 s")
}

func TestTokensWithoutCountsAreShared(t *testing.T) {
	h, now := fakeHub()
	*now += 3 * time.Second
	rec := request(0, 500, 1500, 0, 0, 0, 0)
	n := 12
	rec.OutputTokens = &n
	require.NoError(t, h.Records(h.start, keep)(rec))
	h.drain()
	require.Equal(t, 6.0, field(h, 0, "tokens_per_sec"))
	require.Equal(t, 6.0, field(h, 1, "tokens_per_sec"))
}

func TestTelemetryIsPooled(t *testing.T) {
	h, now := fakeHub()
	epoch := h.start + time.Second // the sampler's own
	sink := h.Rows(meta(epoch), func(sysmon.Row) error { return nil })
	*now += 5 * time.Second
	row := func(ms int, v map[int]float64) {
		require.NoError(t, sink(telemetry(time.Duration(ms)*time.Millisecond, v)))
	}
	row(100, map[int]float64{colMemory: 1 << 20})
	// 9 quick reads, then one slow: the mean of ticks would be 50.5 ms.
	row(600, map[int]float64{colReads: 9, colReadMs: 9, colSectors: 9 * 8, colWeightedMs: 10, colIdle: 50, colIOWait: 0, colBusy: 50, colPSIIO: 100e3, colMemory: 1 << 20})
	row(900, map[int]float64{colReads: 10, colReadMs: 109, colSectors: 10 * 8, colWeightedMs: 110, colIdle: 100, colIOWait: 50, colBusy: 50, colPSIIO: 200e3, colMemory: 3 << 20})
	h.drain()
	require.InDelta(t, 10.9, field(h, 1, "r_await_ms"), 1e-9)
	require.InDelta(t, 10*4096/1e6/0.8, field(h, 1, "reads_MBps"), 1e-9)
	require.InDelta(t, 0.11/0.8, field(h, 1, "aqu_sz"), 1e-9)
	require.InDelta(t, 25, field(h, 1, "iowait_pct"), 1e-9)
	require.InDelta(t, 25, field(h, 1, "psi_io_pct"), 1e-9)
	require.InDelta(t, 5<<30/3.0, field(h, 1, "mem_available_bytes"), 1)

	row(1200, map[int]float64{colReads: 3}) // the counters were reset
	h.drain()
	require.True(t, math.IsNaN(field(h, 2, "r_await_ms")), "a reset says nothing")
}

func TestMissingColumnsStayAbsent(t *testing.T) {
	h, now := fakeHub()
	m := sysmon.Meta{Epoch: h.start, Columns: []sysmon.Column{{Name: "mem_available_kB"}}}
	sink := h.Rows(m, func(sysmon.Row) error { return nil })
	*now += 2 * time.Second
	for _, ms := range []int{100, 200} {
		require.NoError(t, sink(sysmon.Row{T: time.Duration(ms) * time.Millisecond, Values: []float64{1024}}))
	}
	h.drain()
	require.Equal(t, float64(1<<20), field(h, 0, "mem_available_bytes"))
	for _, f := range []string{"r_await_ms", "reads_MBps", "aqu_sz", "psi_io_pct", "psi_mem_pct", "iowait_pct"} {
		require.True(t, math.IsNaN(field(h, 0, f)), f)
	}
}

func TestQuantilesAreWithinABucket(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var d dist
	var exact []float64
	for range 5000 {
		v := math.Exp(rng.NormFloat64()*2 + 4)
		d.add(v, 1)
		exact = append(exact, v)
	}
	slices.Sort(exact)
	for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
		want := exact[max(int(math.Ceil(q*5000))-1, 0)]
		require.InEpsilon(t, want, d.quantile(q), 0.004, "half a bucket at q=%g", q)
	}
	require.True(t, math.IsNaN(new(dist).quantile(0.5)))
}

func TestCoarseningLosesNothing(t *testing.T) {
	s := series{step: 1, limit: 8, coarsens: true}
	for sec := range int64(1000) {
		b := s.at(sec)
		b.done++
		b.ttft.add(float64(sec), 1)
		require.LessOrEqual(t, len(s.bins), 8)
	}
	require.EqualValues(t, 128, s.step)
	var done float64
	var all dist
	for i := range s.bins {
		done += s.bins[i].done
		all.merge(&s.bins[i].ttft)
	}
	require.Equal(t, 1000.0, done)
	require.InEpsilon(t, 500, all.quantile(0.5), 0.008)
	require.NotNil(t, s.at(3), "what comes late still finds its bin")
	require.Nil(t, s.at(-1))
}

func TestTheLastMinutesForget(t *testing.T) {
	s := series{step: 1, limit: 8}
	for _, sec := range []int64{0, 3, 12, 1_000_000_000, 1_000_000_004} {
		s.at(sec).done++
		require.LessOrEqual(t, len(s.bins), 8)
	}
	require.Nil(t, s.at(12))
	require.Equal(t, 1.0, s.at(1_000_000_000).done)
}

func TestTapsNeverWait(t *testing.T) {
	h, _ := fakeHub() // nobody drains it
	records := h.Records(h.start, keep)
	rows := h.Rows(meta(h.start), func(sysmon.Row) error { return nil })
	rec, row := request(0, 1, 2, 1), telemetry(0, nil)
	const n = 3 * recordsAhead
	for range n {
		require.NoError(t, records(rec))
	}
	require.EqualValues(t, n-recordsAhead, h.dropped.Load(), "what does not fit is counted")
	for range 2 * rowsAhead {
		require.NoError(t, rows(row))
	}
	for range 2 * notesAhead {
		h.Log("line")
	}
	require.EqualValues(t, n-recordsAhead+rowsAhead+notesAhead, h.dropped.Load())
	h.drain()
	require.EqualValues(t, h.dropped.Load(), h.s.dropped, "and shown")
}

func TestTapsDoNotAllocate(t *testing.T) {
	h, _ := fakeHub()
	records := h.Records(h.start, keep)
	rows := h.Rows(meta(h.start), func(sysmon.Row) error { return nil })
	rec, row := request(0, 1, 2, 1), telemetry(0, nil)
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = records(rec) }))
	require.Zero(t, testing.AllocsPerRun(1000, func() { _ = rows(row) }))
}

func TestTheSinksErrorIsPassedOn(t *testing.T) {
	h, _ := fakeHub()
	full := errors.New("disk full")
	require.ErrorIs(t, h.Records(0, func(*loadgen.Record) error { return full })(request(0, 1, 2)), full)
	require.ErrorIs(t, h.Rows(meta(0), func(sysmon.Row) error { return full })(telemetry(0, nil)), full)
}

func TestANilHubCostsNothing(t *testing.T) {
	var h *Hub
	calls := 0
	sink := h.Records(0, func(*loadgen.Record) error { calls++; return nil })
	rows := h.Rows(sysmon.Meta{}, func(sysmon.Row) error { calls++; return nil })
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = sink(nil)
		_ = rows(sysmon.Row{})
		h.Phase(PhaseSettling)
		h.Load(loadgen.Plan{})
		h.Server(nil, nil)
	}))
	require.Equal(t, 202, calls)
	h.Queue("H0")
	h.Begin("H0", "", "")
	h.Target(Target{})
	h.Plan(nil)
	h.ArmBegin(0, 0, 0)
	h.ArmEnd(loadgen.Summary{})
	h.End(Result{})
	h.Log("")
	h.Live("")
	require.Nil(t, h.InFlight())
	require.NoError(t, (*Server)(nil).Close())
	require.Nil(t, (*Server)(nil).Hub())
}

func TestPhasesFollowTheLoad(t *testing.T) {
	h, now := fakeHub()
	step := func(d time.Duration) { *now += d; h.drain() }
	h.Begin("H2", "knee", "claim")
	h.Plan([]Arm{{Name: "000-u8", Users: 8}, {Name: "001-u16", Users: 16}})
	step(time.Second)
	h.ArmBegin(0, time.Minute, 0)
	step(time.Second)
	h.Load(loadgen.Plan{Warmup: 1500 * time.Millisecond})
	step(2 * time.Second)
	late := request(4900, 5000, 5100)
	late.Phase = loadgen.PhaseDrain
	step(2 * time.Second)
	require.NoError(t, h.Records(h.start, keep)(late))
	step(time.Second)
	h.ArmEnd(loadgen.Summary{Requests: loadgen.Requests{Due: 9, OK: 8}})
	h.End(Result{Outcome: "REFUTED", Reasons: []string{"FLAT"}})
	step(time.Second)
	require.Equal(t, []span{
		{0, PhasePreparing, ""},
		{1, PhaseSettling, "000-u8"},
		{2, PhaseWarmUp, "000-u8"},
		{3.5, PhaseMeasuring, "000-u8"},
		{4.9, PhaseDraining, "000-u8"},
		{7, PhaseIdle, ""},
	}, h.s.spans)
	require.Nil(t, h.s.current())
	r := h.s.runs[0]
	require.Equal(t, "REFUTED", r.Outcome)
	require.Equal(t, "done", r.Arms[0].State)
	require.EqualValues(t, 8, r.Arms[0].OK)
	require.Equal(t, "waiting", r.Arms[1].State)
}

func TestAHypothesisWithinAnother(t *testing.T) {
	h, _ := fakeHub()
	h.Begin("H3", "", "")
	h.Begin("H2", "", "")
	h.End(Result{Outcome: "SUPPORTED"})
	h.drain()
	require.Equal(t, "H3", h.s.current().ID, "the outer goes on")
	h.Plan([]Arm{{Name: "000"}, {Name: "001"}})
	h.ArmBegin(0, 0, 0)
	h.End(Result{Err: errors.New("no disk")})
	h.End(Result{}) // one too many does no harm
	h.drain()
	require.Equal(t, "no disk", h.s.runs[0].Error)
	require.Equal(t, "cut off", h.s.runs[0].Arms[0].State)
	require.Equal(t, "waiting", h.s.runs[0].Arms[1].State)
}

func TestReadersGetTheRunSoFarAndThenTheNews(t *testing.T) {
	h, now := fakeHub()
	sink := h.Records(h.start, keep)
	h.Log("first")
	for range 5 {
		*now += time.Second
		h.drain()
	}
	require.NoError(t, sink(request(1000, 1100, 1200, 1)))
	h.drain()
	var a, b cursor
	m, _ := h.message(&a)
	require.True(t, m.Reset)
	require.Equal(t, []int64{0, 1, 2, 3, 4}, m.Fine.Index, "the second at hand is not complete")
	require.Equal(t, []string{"first"}, m.Logs)
	_, err := json.Marshal(m)
	require.NoError(t, err, "absent numbers are null")

	require.NoError(t, sink(request(2000, 3100, 3200, 1)))
	*now += time.Second
	h.drain()
	m, _ = h.message(&a)
	require.False(t, m.Reset)
	require.Equal(t, []int64{3, 5}, m.Fine.Index, "what changed, and what is complete now")
	require.Nil(t, m.State, "nothing changed")
	m, _ = h.message(&a)
	require.Empty(t, m.Fine.Index)
	m, _ = h.message(&b)
	require.True(t, m.Reset)
	require.Len(t, m.Fine.Index, 6, "a late reader has it all")

	*now += wholeBins * time.Second
	h.drain()
	m, _ = h.message(&a)
	require.True(t, m.Whole.Reset, "the step doubled")
	require.EqualValues(t, 2, m.Whole.Step)
	require.Greater(t, len(m.Whole.Index), wholeBins/3)
}
