package loadgen

import (
	"iter"
	"maps"
	"math"
	"time"
)

// LateAfter is the dispatch lag from which an arrival counts as late.
const LateAfter = 10 * time.Millisecond

// lengthTolerance is how far a request's token counts may be off what was asked.
const lengthTolerance = 0.02

// Accumulator turns records into a Summary as they come, in memory that does
// not grow with their number. It is for one goroutine at a time.
type Accumulator struct {
	plan  Plan
	start time.Duration // of the load, since the epoch

	warmup, due, ok, drain, good int64
	outcomes                     map[Outcome]int64

	ttft, ttftService, visible, ttfb, header Hist
	e2e, e2eService, closed, tpot            Hist
	icl, itl, maxGap, lag                    Hist

	lengths  lengthSums
	client   clientSums
	adapters adapterSums

	outTokens, estTokens, inTokens, finished, arrived windowSums
	inFlight, waiting                                 overlapSums
}

// NewAccumulator makes an Accumulator for a valid plan whose load started at
// start, since the run's epoch.
func NewAccumulator(p Plan, start time.Duration) *Accumulator {
	sums := func() windowSums { return newWindowSums(p, start) }
	return &Accumulator{
		plan: p, start: start, outcomes: map[Outcome]int64{},
		client: newClientSums(), adapters: newAdapterSums(p.Workload.Adapters.List),
		outTokens: sums(), estTokens: sums(), inTokens: sums(), finished: sums(), arrived: sums(),
		inFlight: newOverlapSums(p, start), waiting: newOverlapSums(p, start),
	}
}

// Replay is the Accumulator of a finished run, from its plan, the window of its
// Summary, and its records. An error of records ends it.
func Replay(p Plan, w Window, records iter.Seq2[*Record, error]) (*Accumulator, error) {
	a := NewAccumulator(p, w.Start-p.Warmup)
	for r, err := range records {
		if err != nil {
			return nil, err
		}
		a.Add(r)
	}
	return a, nil
}

// Successes is how many of the measured requests have succeeded so far; a run
// compares it with Plan.MinRequests.
func (a *Accumulator) Successes() int64 { return a.ok }

// Add takes one record and keeps no reference to it.
func (a *Accumulator) Add(r *Record) {
	a.addRates(r)
	switch r.Phase {
	case PhaseWarmup:
		a.warmup++
		return
	case PhaseDrain:
		a.drain++
		return
	}
	a.due++
	a.outcomes[r.Outcome]++
	a.client.add(r)
	record(&a.lag, r.Dispatched, r.Due)
	a.adapters.add(r)
	if !r.Outcome.OK() {
		return
	}
	a.ok++
	a.addLatencies(r)
	a.addGaps(r)
	a.lengths.add(r, a.plan.Workload)
	if a.within(r) {
		a.good++
	}
}

func record(h *Hist, to, from Instant) {
	if d, ok := to.Sub(from); ok {
		h.Record(d)
	}
}

func (a *Accumulator) addLatencies(r *Record) {
	record(&a.ttft, r.FirstToken, r.Due)
	record(&a.ttftService, r.FirstToken, r.Dispatched)
	record(&a.visible, r.FirstVisible, r.Due)
	record(&a.ttfb, r.FirstByte, r.Dispatched)
	record(&a.header, r.Header, r.Dispatched)
	record(&a.e2e, r.LastToken, r.Due)
	record(&a.e2eService, r.LastToken, r.Dispatched)
	record(&a.closed, r.Close, r.Dispatched)
	if d, ok := r.TPOT(); ok {
		a.tpot.Record(d)
	}
}

func (a *Accumulator) addGaps(r *Record) {
	if len(r.Events) < 2 {
		return
	}
	var longest time.Duration
	for i, e := range r.Events[1:] {
		gap := e.At - r.Events[i].At
		longest = max(longest, gap)
		a.icl.Record(gap)
		if e.Tokens > 0 {
			a.itl.RecordN(gap/time.Duration(e.Tokens), int64(e.Tokens))
		}
	}
	a.maxGap.Record(longest)
}

// TPOT is (last token − first token) / (output tokens − tokens in the first
// event). A first event whose count the server did not give is taken to hold
// one token. ok is false where that leaves no token, and for estimated counts.
func (r *Record) TPOT() (d time.Duration, ok bool) {
	span, ok := r.LastToken.Sub(r.FirstToken)
	if !ok || r.OutputTokens == nil || r.TokensEstimated || len(r.Events) == 0 {
		return 0, false
	}
	rest := *r.OutputTokens - max(r.Events[0].Tokens, 1)
	if rest < 1 {
		return 0, false
	}
	return span / time.Duration(rest), true
}

// within reports whether a success met the plan's SLO.
func (a *Accumulator) within(r *Record) bool {
	slo := a.plan.SLO
	ttft, _ := r.FirstToken.Sub(r.Due)
	e2e, _ := r.LastToken.Sub(r.Due)
	tpot, _ := r.TPOT()
	return (slo.TTFT == 0 || ttft <= slo.TTFT) &&
		(slo.E2E == 0 || e2e <= slo.E2E) &&
		(slo.TPOT == 0 || tpot <= slo.TPOT)
}

// addRates counts what happened, by when it happened.
func (a *Accumulator) addRates(r *Record) {
	if t, ok := r.Due.Get(); ok {
		a.arrived.add(t, 1)
	}
	a.addTokens(r)
	if t, ok := r.FirstToken.Get(); ok && r.PromptTokens != nil {
		a.inTokens.add(t, float64(*r.PromptTokens))
	}
	if t, ok := r.LastToken.Get(); ok && r.Outcome.OK() {
		a.finished.add(t, 1)
	}
	due, _ := r.Due.Get()
	sent, wasSent := r.Dispatched.Get()
	end, ended := r.Close.Get()
	switch {
	case wasSent && ended:
		a.waiting.add(due, sent)
		a.inFlight.add(sent, end)
	case ended: // dropped
		a.waiting.add(due, end)
	}
}

// addTokens spreads the output over the events: those that say how many tokens
// they hold count as such, and the rest of the server's total is shared evenly
// by the others.
func (a *Accumulator) addTokens(r *Record) {
	known, silent := 0, 0
	for _, e := range r.Events {
		known += e.Tokens
		if e.Tokens == 0 {
			silent++
		}
	}
	sums, share := &a.outTokens, 0.0
	switch {
	case silent == 0:
	case r.OutputTokens != nil && !r.TokensEstimated:
		share = float64(max(*r.OutputTokens-known, 0)) / float64(silent)
	default:
		share = 1
	}
	estimated := r.TokensEstimated || (silent > 0 && r.OutputTokens == nil)
	if estimated {
		sums = &a.estTokens
	}
	for _, e := range r.Events {
		n := float64(e.Tokens)
		if e.Tokens == 0 {
			n = share
		}
		sums.add(e.At, n)
	}
}

// Summary describes what was added so far. end is the measured window's end
// since the epoch: the start of the load plus what Plan.WindowEnd gave, or the
// moment at which the run was cut off. The Accumulator can go on afterwards.
func (a *Accumulator) Summary(end time.Duration) Summary {
	failed := a.due - a.ok
	s := Summary{
		Window:   Window{Start: a.start + a.plan.Warmup, End: end},
		Requests: Requests{Warmup: a.warmup, Due: a.due, OK: a.ok, Drain: a.drain, Outcomes: maps.Clone(a.outcomes)},
		TTFT:     a.ttft.Summarize(0), TTFTService: a.ttftService.Summarize(0),
		FirstVisible: a.visible.Summarize(0), TTFB: a.ttfb.Summarize(0), Header: a.header.Summarize(0),
		E2E: a.e2e.Summarize(0), E2EService: a.e2eService.Summarize(0), Close: a.closed.Summarize(0),
		TPOT: a.tpot.Summarize(0), ICL: a.icl.Summarize(0), ITL: a.itl.Summarize(0), MaxGap: a.maxGap.Summarize(0),
		TTFTAll: a.ttft.Summarize(failed), E2EAll: a.e2e.Summarize(failed),
		Adapters: a.adapters.summary(),
		Tokens:   a.lengths.summary(),
		Client:   a.client.summary(&a.lag, a.outcomes),
	}
	if a.due > 0 {
		s.Requests.ErrorRate = new(float64(failed) / float64(a.due))
	}
	if seconds := s.Window.Length().Seconds(); seconds > 0 {
		s.Rates = a.rates(end, seconds)
		if a.due > 0 {
			s.Goodput = &Goodput{
				SLO: a.plan.SLO, Good: a.good,
				Share: float64(a.good) / float64(a.due), PerSec: float64(a.good) / seconds,
			}
		}
	}
	return s
}

func (a *Accumulator) rates(end time.Duration, seconds float64) *Rates {
	r := &Rates{
		OutputTokensPerSec: a.outTokens.before(end) / seconds,
		InputTokensPerSec:  a.inTokens.before(end) / seconds,
		RequestsPerSec:     a.finished.before(end) / seconds,
		DuePerSec:          a.arrived.before(end) / seconds,
		InFlight:           math.Max(a.inFlight.before(end), 0) / seconds,
		Waiting:            math.Max(a.waiting.before(end), 0) / seconds,
	}
	if est := a.estTokens.before(end); est > 0 {
		r.EstimatedTokensPerSec = new(est / seconds)
	}
	return r
}

// LogEntries are the histograms of the measured successes, for WriteLog, and
// the lag of all measured requests.
func (a *Accumulator) LogEntries(end time.Duration) []LogEntry {
	start := a.start + a.plan.Warmup
	entry := func(tag string, h *Hist) LogEntry {
		return LogEntry{Tag: tag, Start: start, Length: max(end-start, 0), Hist: h}
	}
	return []LogEntry{
		entry("ttft", &a.ttft), entry("ttft_service", &a.ttftService), entry("ttft_visible", &a.visible),
		entry("ttfb", &a.ttfb), entry("header", &a.header),
		entry("latency", &a.e2e), entry("latency_service", &a.e2eService), entry("close", &a.closed),
		entry("tpot", &a.tpot), entry("icl", &a.icl), entry("itl", &a.itl), entry("max_gap", &a.maxGap),
		entry("lag", &a.lag),
	}
}
