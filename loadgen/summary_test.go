package loadgen

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// TestEveryLatencyHasItsDefinition holds one request with distinct times
// against the definitions, in milliseconds.
func TestEveryLatencyHasItsDefinition(t *testing.T) {
	due := 6 * time.Second
	at := func(d time.Duration) Instant { return At(due + d*ms) }
	r := &Record{
		Phase: PhaseMeasure, Outcome: OutcomeOK,
		Due: at(0), Dispatched: at(5), Written: at(6), FirstByte: at(105), Header: at(107),
		FirstToken: at(200), FirstVisible: at(230), LastToken: at(320), Close: at(325),
		Events:       []Event{{at(200).since, 2}, {at(230).since, 3}, {at(320).since, 1}},
		OutputTokens: new(6), PromptTokens: new(256), PromptTokensAsked: new(256),
	}
	acc := NewAccumulator(planOf(Users(1)), 0)
	acc.Add(r)
	s := acc.Summary(25 * time.Second)
	for _, row := range []struct {
		name string
		got  *Latency
		want float64
	}{
		{"TTFT: first token − due", s.TTFT, 200},
		{"TTFT service: first token − dispatched", s.TTFTService, 195},
		{"first visible − due", s.FirstVisible, 230},
		{"TTFB: first byte − dispatched", s.TTFB, 100},
		{"header − dispatched", s.Header, 102},
		{"E2E: last token − due", s.E2E, 320},
		{"E2E service", s.E2EService, 315},
		{"close − dispatched", s.Close, 320},
		{"TPOT: 120 ms over 6 − 2 tokens", s.TPOT, 30},
		{"max gap", s.MaxGap, 90},
		{"lag", s.Client.Lag, 5},
	} {
		require.NotNil(t, row.got, row.name)
		require.EqualValues(t, 1, row.got.N, row.name)
		require.InEpsilon(t, row.want, float64(row.got.P50), 0.001, row.name)
	}
	require.EqualValues(t, 2, s.ICL.N, "two gaps between three events")
	require.InEpsilon(t, 30, float64(s.ICL.P50), 0.001)
	require.InEpsilon(t, 90, float64(s.ICL.Max), 0.001)
	require.EqualValues(t, 4, s.ITL.N, "one for each token after the first event")
	require.InEpsilon(t, 10, float64(s.ITL.P50), 0.001, "three tokens shared a gap of 30 ms")
	require.InEpsilon(t, 90, float64(s.ITL.Max), 0.001)
}

func TestTPOTIsAbsentWhereItMeansNothing(t *testing.T) {
	span := func(r *Record) *Record {
		r.FirstToken, r.LastToken = At(0), At(90*ms)
		return r
	}
	two := []Event{{0, 0}, {90 * ms, 0}}
	for _, row := range []struct {
		name string
		r    *Record
		want time.Duration
		ok   bool
	}{
		{"unknown first event holds one token", span(&Record{OutputTokens: new(10), Events: two}), 10 * ms, true},
		{"known first event", span(&Record{OutputTokens: new(10), Events: []Event{{0, 4}, {90 * ms, 6}}}), 15 * ms, true},
		{"one token", span(&Record{OutputTokens: new(1), Events: two[:1]}), 0, false},
		{"all tokens in the first event", span(&Record{OutputTokens: new(4), Events: []Event{{0, 4}}}), 0, false},
		{"no count", span(&Record{Events: two}), 0, false},
		{"estimated count", span(&Record{OutputTokens: new(2), TokensEstimated: true, Events: two}), 0, false},
		{"no token", &Record{OutputTokens: new(3)}, 0, false},
	} {
		got, ok := row.r.TPOT()
		require.Equal(t, row.ok, ok, row.name)
		require.Equal(t, row.want, got, row.name)
	}
}

func TestEmptySummaryHasNoNumbers(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), 0)
	s := acc.Summary(25 * time.Second)
	b, err := json.Marshal(s)
	require.NoError(t, err)
	require.NotContains(t, string(b), "_ms", "no latency of nothing")
	require.NotContains(t, string(b), "error_rate")
	require.NotContains(t, string(b), "goodput")
	require.Nil(t, acc.Summary(5*time.Second).Rates, "a window of no length has no rates")
}

func TestSummaryNames(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), 0)
	for i := range int64(400) {
		acc.Add(streamed(i, 6*time.Second+time.Duration(i)*ms, 8))
	}
	b, err := json.Marshal(acc.Summary(25 * time.Second))
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	for _, name := range []string{
		"ttft_ms", "ttft_service_ms", "ttft_visible_ms", "ttfb_ms", "header_ms", "latency_ms",
		"latency_service_ms", "close_ms", "tpot_ms", "icl_ms", "itl_ms", "max_gap_ms", "ttft_ms_all", "latency_ms_all",
	} {
		group, ok := v[name].(map[string]any)
		require.True(t, ok, name)
		for _, field := range []string{"n", "mean", "p50", "p90", "p95", "p99", "p999", "max"} {
			require.IsType(t, 0.0, group[field], "%s.%s", name, field)
		}
	}
	require.Equal(t, "n<1000", v["ttft_ms"].(map[string]any)["p99_flag"])

	var back Summary
	require.NoError(t, json.Unmarshal(b, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, string(b), string(again))
}

func TestFailuresStandBesideSuccesses(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), 0)
	for i := range int64(90) {
		acc.Add(streamed(i, 6*time.Second, 8))
	}
	cut := streamed(90, 6*time.Second, 8)
	cut.Outcome = OutcomeTruncated // it had a first token, and still failed
	acc.Add(cut)
	for i := range int64(6) {
		acc.Add(&Record{ID: 91 + i, Phase: PhaseMeasure, Due: At(7 * time.Second), Dispatched: At(7 * time.Second), Outcome: OutcomeHTTP5xx, Status: 503, Close: At(8 * time.Second)})
	}
	for i := range int64(3) {
		acc.Add(&Record{ID: 97 + i, Phase: PhaseMeasure, Due: At(9 * time.Second), Outcome: OutcomeDropped, Close: At(24 * time.Second)})
	}
	s := acc.Summary(25 * time.Second)
	require.EqualValues(t, 100, s.Requests.Due)
	require.EqualValues(t, 90, s.Requests.OK)
	require.InDelta(t, 0.1, *s.Requests.ErrorRate, 1e-12)
	require.Equal(t, map[Outcome]int64{OutcomeOK: 90, OutcomeTruncated: 1, OutcomeHTTP5xx: 6, OutcomeDropped: 3}, s.Requests.Outcomes)
	require.EqualValues(t, 90, s.TTFT.N)
	require.EqualValues(t, 100, s.TTFTAll.N)
	require.False(t, math.IsInf(float64(s.TTFTAll.P90), 1))
	require.True(t, math.IsInf(float64(s.TTFTAll.P95), 1))
	require.InDelta(t, 0.9, s.Goodput.Share, 1e-12, "over all due, sent or not")
	require.EqualValues(t, 3, s.Client.Dropped)
	require.EqualValues(t, 97, s.Client.Lag.N, "what was never sent has no lag")
	b, err := json.Marshal(s.TTFTAll)
	require.NoError(t, err)
	require.Contains(t, string(b), `"p95":"inf"`)
}

func TestPhasesAreKeptApart(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), 0)
	for i, phase := range []Phase{PhaseWarmup, PhaseWarmup, PhaseMeasure, PhaseDrain} {
		r := streamed(int64(i), time.Duration(i)*6*time.Second, 4)
		r.Phase = phase
		acc.Add(r)
	}
	s := acc.Summary(25 * time.Second)
	require.Equal(t, Requests{Warmup: 2, Due: 1, OK: 1, Drain: 1, Outcomes: map[Outcome]int64{OutcomeOK: 1}, ErrorRate: new(0.0)}, s.Requests)
	require.EqualValues(t, 1, s.TTFT.N)
	require.EqualValues(t, 1, acc.Successes())
}

func TestGoodputKeepsToTheSLO(t *testing.T) {
	// streamed: TTFT 200–201 ms, 10 tokens, about 20 ms each.
	for _, row := range []struct {
		name string
		slo  SLO
		good int64
	}{
		{"none", SLO{}, 10},
		{"all met", SLO{TTFT: time.Second, E2E: time.Second, TPOT: time.Second}, 10},
		{"first token late", SLO{TTFT: 150 * ms}, 0},
		{"end late", SLO{E2E: 300 * ms}, 0},
		{"too slow", SLO{TPOT: 15 * ms}, 0},
	} {
		p := planOf(Users(1))
		p.SLO = row.slo
		acc := NewAccumulator(p, 0)
		for i := range int64(10) {
			acc.Add(streamed(i, 6*time.Second, 10))
		}
		g := acc.Summary(25 * time.Second).Goodput
		require.Equal(t, row.good, g.Good, row.name)
		require.InDelta(t, float64(row.good)/20, g.PerSec, 1e-9, row.name)
	}
}

// TestRatesCountWhatHappenedInTheWindow compares the streamed sums, for every
// end that the window can have, with sums over kept records.
func TestRatesCountWhatHappenedInTheWindow(t *testing.T) {
	p := planOf(Users(4))
	p.MinRequests, p.MaxMeasure = 1000, 27*time.Second+350*ms // the last step is a short one
	start := 3 * time.Second
	acc := NewAccumulator(p, start)
	s := newDraws(31, 99, 0)
	var records []*Record
	for i := range int64(800) {
		r := streamed(i, time.Duration(float64(40*time.Second)*s.uniform()), 1+int(s.below(30)))
		if s.below(5) == 0 {
			r.Outcome = OutcomeReset
		}
		if s.below(5) == 0 {
			for j := range r.Events {
				r.Events[j].Tokens = 0
			}
			r.OutputTokens = new(3 * len(r.Events))
		}
		if s.below(10) == 0 {
			r.Dispatched = At(r.Due.since + time.Duration(s.below(3e9)))
			r.Close = At(max(r.Close.since, r.Dispatched.since))
		}
		records = append(records, r)
		acc.Add(r)
	}
	end := p.WindowEnd(0)
	for n := 0; ; n++ {
		window := Window{start + p.Warmup, start + end}
		want := ratesOf(records, window)
		got := *acc.Summary(window.End).Rates
		for _, pairing := range [][2]float64{
			{want.OutputTokensPerSec, got.OutputTokensPerSec},
			{want.InputTokensPerSec, got.InputTokensPerSec},
			{want.RequestsPerSec, got.RequestsPerSec},
			{want.DuePerSec, got.DuePerSec},
			{want.InFlight, got.InFlight},
			{want.Waiting, got.Waiting},
		} {
			require.InEpsilon(t, pairing[0], pairing[1], 1e-6, "window %v: want %+v, got %+v", window, want, got)
		}
		next := p.WindowEnd(end + 1)
		if next == end {
			require.Greater(t, n, 50)
			require.Equal(t, p.Warmup+p.MaxMeasure, end)
			return
		}
		end = next
	}
}

func ratesOf(records []*Record, w Window) Rates {
	in := func(t Instant) float64 {
		if d, ok := t.Get(); ok && d >= w.Start && d < w.End {
			return 1
		}
		return 0
	}
	shared := func(a, b Instant) float64 {
		return max(min(b.since, w.End)-max(a.since, w.Start), 0).Seconds()
	}
	var r Rates
	for _, rec := range records {
		for _, e := range rec.Events {
			n := float64(e.Tokens)
			if n == 0 {
				n = float64(*rec.OutputTokens) / float64(len(rec.Events))
			}
			r.OutputTokensPerSec += n * in(At(e.At))
		}
		r.InputTokensPerSec += float64(*rec.PromptTokens) * in(rec.FirstToken)
		if rec.Outcome.OK() {
			r.RequestsPerSec += in(rec.LastToken)
		}
		r.DuePerSec += in(rec.Due)
		r.InFlight += shared(rec.Dispatched, rec.Close)
		r.Waiting += shared(rec.Due, rec.Dispatched)
	}
	for _, v := range []*float64{&r.OutputTokensPerSec, &r.InputTokensPerSec, &r.RequestsPerSec, &r.DuePerSec, &r.InFlight, &r.Waiting} {
		*v /= w.Length().Seconds()
	}
	return r
}

func TestLittlesLawHolds(t *testing.T) {
	// 4 users who ask again at once: throughput × time in the server = 4.
	acc := NewAccumulator(planOf(Users(4)), 0)
	for user := range 4 {
		at := time.Duration(user) * 50 * ms
		for id := int64(user * 1000); at < 30*time.Second; id++ {
			r := streamed(id, at, 10)
			r.Dispatched = r.Due
			acc.Add(r)
			at = r.Close.since
		}
	}
	s := acc.Summary(25 * time.Second)
	require.InDelta(t, 4, s.Rates.InFlight, 0.001)
	require.InEpsilon(t, s.Rates.InFlight, s.Rates.RequestsPerSec*float64(s.Close.Mean)/1e3, 0.02)
}

func TestReplayGivesTheSameSummary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.jsonl.zst")
	w, err := NewRecordWriter(path)
	require.NoError(t, err)
	start := 3 * time.Second
	acc := NewAccumulator(planOf(Users(4)), start)
	for i := range int64(500) {
		r := streamed(i, start+time.Duration(i)*60*ms, 8)
		r.Phase = planOf(Users(4)).PhaseOf(r.Due.since-start, 25*time.Second)
		acc.Add(r)
		require.NoError(t, w.Write(r))
	}
	require.NoError(t, w.Close())
	want := acc.Summary(start + 25*time.Second)
	again, err := Replay(planOf(Users(4)), want.Window, ReadRecords(path))
	require.NoError(t, err)
	require.Equal(t, want, again.Summary(want.Window.End))

	_, err = Replay(planOf(Users(4)), want.Window, ReadRecords(path+".gone"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLogEntriesAreTheSummarysHistograms(t *testing.T) {
	acc := NewAccumulator(planOf(Users(1)), time.Second)
	for i := range int64(50) {
		acc.Add(streamed(i, 7*time.Second, 8))
	}
	end := 26 * time.Second
	s := acc.Summary(end)
	entries := acc.LogEntries(end)
	for tag, want := range map[string]*Latency{"ttft": s.TTFT, "latency": s.E2E, "tpot": s.TPOT, "icl": s.ICL, "lag": s.Client.Lag} {
		i := slices.IndexFunc(entries, func(e LogEntry) bool { return e.Tag == tag })
		require.GreaterOrEqual(t, i, 0, tag)
		require.Equal(t, want, entries[i].Hist.Summarize(0), tag)
		require.Equal(t, 6*time.Second, entries[i].Start)
		require.Equal(t, 20*time.Second, entries[i].Length)
	}
}

func TestMillisJSON(t *testing.T) {
	for _, row := range []struct {
		v    float64
		json string
	}{{0, "0"}, {1.2345678, "1.235"}, {202, "202"}, {1e9, "1000000000"}, {math.Inf(1), `"inf"`}} {
		b, err := json.Marshal(Millis(row.v))
		require.NoError(t, err)
		require.Equal(t, row.json, string(b))
		var back Millis
		require.NoError(t, json.Unmarshal(b, &back))
		require.True(t, float64(back) == row.v || math.Abs(row.v-float64(back)) < 0.001, "%v became %v", row.v, back)
	}
	_, err := json.Marshal(Millis(math.NaN()))
	require.Error(t, err)
	require.Error(t, json.Unmarshal([]byte(`"soon"`), new(Millis)))
}
