package watch

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// Bounds of what is kept.
const (
	fineBins  = 150  // of a second
	wholeBins = 1024 // of the whole run
	maxRuns   = 64
	maxSpans  = 8192
	maxLogs   = 200
)

// state is what the page shows.
type state struct {
	wall    time.Time // when the hub was made
	version int64     // grows at every publication
	queue   []string
	runs    []*run
	open    []*run // that go on, innermost last
	arm     int    // of the current run; −1: none
	live    string
	logs    []string
	logged  int // ever
	spans   []span
	spanned int // ever
	edited  int64
	latest  time.Duration // hub time

	measureAt time.Duration // when the warm-up at hand ends; −1: none
	fine      series
	whole     series
	row       row
	sampled   bool
	dropped   int64
	total     totals
}

// run is one hypothesis. Times are seconds of the hub; NaN is absent.
type run struct {
	ID     string   `json:"id"`
	Title  string   `json:"title"`
	Claim  string   `json:"claim"`
	Target *Target  `json:"target,omitempty"`
	Arms   []arm    `json:"arms"`
	Began  float64  `json:"began"`
	Ended  *float64 `json:"ended,omitempty"`
	EndsAt float64  `json:"ends_at,omitempty"` // estimate
	// AllEndAt estimates the end of everything that is queued.
	AllEndAt float64  `json:"all_end_at,omitempty"`
	Outcome  string   `json:"outcome,omitempty"`
	Reasons  []string `json:"reasons,omitempty"`
	Dir      string   `json:"dir,omitempty"`
	Error    string   `json:"error,omitempty"`
}

// arm is one arm, and once it is done what its summary says: the numbers of the
// bundle.
type arm struct {
	Name    string           `json:"name"`
	Block   int              `json:"block"`
	Users   int              `json:"users"`
	Context int              `json:"context_tokens"`
	State   string           `json:"state"` // waiting, running, done, cut off
	Began   float64          `json:"began,omitempty"`
	Ended   float64          `json:"ended,omitempty"`
	Due     int64            `json:"due,omitempty"`
	OK      int64            `json:"ok,omitempty"`
	TTFT    *loadgen.Latency `json:"ttft_ms,omitempty"`
	Tokens  *float64         `json:"tokens_per_sec,omitempty"`
}

func (a *arm) done(sum loadgen.Summary, at float64) {
	a.State, a.Ended, a.Due, a.OK, a.TTFT = "done", at, sum.Requests.Due, sum.Requests.OK, sum.TTFT
	if sum.Rates != nil {
		a.Tokens = &sum.Rates.OutputTokensPerSec
	}
}

func (r *run) end(res Result, at float64) {
	r.Ended, r.EndsAt, r.AllEndAt = &at, 0, 0
	r.Outcome, r.Reasons, r.Dir = res.Outcome, slices.Clone(res.Reasons), res.Dir
	if res.Err != nil {
		r.Error = res.Err.Error()
	}
	for i := range r.Arms {
		if r.Arms[i].State == "running" {
			r.Arms[i].State = "cut off"
		}
	}
}

// span is a phase that began.
type span struct {
	T     float64 `json:"t"`
	Phase string  `json:"phase"`
	Arm   string  `json:"arm,omitempty"`
}

func secs(d time.Duration) float64 { return math.Round(d.Seconds()*1e3) / 1e3 }

func newState(wall time.Time) *state {
	return &state{
		wall: wall, version: 1, arm: -1, measureAt: -1, total: newTotals(),
		fine:  series{step: 1, limit: fineBins},
		whole: series{step: 1, limit: wholeBins, coarsens: true},
	}
}

// changed marks everything but the bins as new.
func (s *state) changed() { s.edited = s.version }

// current is the innermost hypothesis that goes on; nil for none.
func (s *state) current() *run {
	if len(s.open) == 0 {
		return nil
	}
	return s.open[len(s.open)-1]
}

func (s *state) phase(name string, at time.Duration) {
	s.measureAt = -1
	sp := span{T: secs(at), Phase: name}
	if r := s.current(); r != nil && s.arm >= 0 && s.arm < len(r.Arms) {
		sp.Arm = r.Arms[s.arm].Name
	}
	s.spans = append(s.spans, sp)
	s.spanned++
	if len(s.spans) > maxSpans {
		s.spans = slices.Delete(s.spans, 0, maxSpans/8)
	}
	s.changed()
}

// phaseNow is the phase at hand.
func (s *state) phaseNow() string {
	if len(s.spans) == 0 {
		return PhaseIdle
	}
	return s.spans[len(s.spans)-1].Phase
}

func (s *state) log(line string) {
	s.logs = append(s.logs, line)
	s.logged++
	if len(s.logs) > maxLogs {
		s.logs = slices.Delete(s.logs, 0, 1)
	}
	s.changed()
}

// advance lets the time pass: a warm-up that is over becomes the window.
func (s *state) advance(at time.Duration) {
	s.latest = max(s.latest, at)
	if s.measureAt >= 0 && at >= s.measureAt {
		s.phase(PhaseMeasuring, s.measureAt)
	}
}

// each applies add to the bins that hold an instant. An instant of the future,
// by a clock of somebody else, belongs nowhere.
func (s *state) each(at time.Duration, add func(*bin)) {
	sec := int64(math.Floor(at.Seconds()))
	if at > s.latest+time.Second {
		return
	}
	for _, of := range []*series{&s.fine, &s.whole} {
		if b := of.at(sec); b != nil {
			b.version = s.version
			add(b)
		}
	}
}

// addRecord adds a finished request whose epoch is offset after the hub's start.
func (s *state) addRecord(rec *loadgen.Record, offset time.Duration) {
	ok := rec.Outcome.OK()
	end, _ := rec.Due.Get()
	if c, has := rec.Close.Get(); has {
		end = c
	}
	first, has := rec.FirstToken.Get()
	if ttft, both := rec.FirstToken.Sub(rec.Due); both && ok {
		ms := float64(ttft) / float64(time.Millisecond)
		s.each(offset+first, func(b *bin) { b.ttft.add(ms, 1) })
		s.total.firstToken(rec.Phase, ttft)
	}
	tokens := s.addTokens(rec, offset)
	s.total.request(rec.Phase, rec.Outcome, tokens)
	s.each(offset+end, func(b *bin) {
		b.loaded = true
		switch {
		case ok:
			b.done++
		case rec.Phase != loadgen.PhaseDrain: // those are cut off when the window's last has ended
			b.failed++
		}
		if has {
			b.slow = max(b.slow, end-first)
		}
	})
	if rec.Phase == loadgen.PhaseDrain && s.phaseNow() == PhaseMeasuring {
		if due, _ := rec.Due.Get(); offset+due > 0 {
			s.phase(PhaseDraining, offset+due)
		}
	}
}

// addTokens adds a request's output tokens where their events arrived; where
// events do not say how many they held, each holds an equal part of the sum.
func (s *state) addTokens(rec *loadgen.Record, offset time.Duration) float64 {
	if len(rec.Events) == 0 {
		return 0
	}
	counted := 0
	for _, e := range rec.Events {
		counted += e.Tokens
	}
	share := 0.0
	if counted == 0 {
		share = 1 // an event without a count is taken for one token
		if rec.OutputTokens != nil {
			share = float64(*rec.OutputTokens) / float64(len(rec.Events))
		}
	}
	var sum, inSec float64
	sec := rec.Events[0].At
	flush := func() {
		n := inSec
		s.each(offset+sec, func(b *bin) { b.tokens += n; b.loaded = true })
		sum, inSec = sum+n, 0
	}
	for _, e := range rec.Events {
		if (offset+e.At)/time.Second != (offset+sec)/time.Second {
			flush()
			sec = e.At
		}
		inSec += share + float64(e.Tokens)
	}
	flush()
	return sum
}

func (s *state) addFlight(n int64) {
	s.total.flight = n
	s.each(s.latest, func(b *bin) {
		b.flight.add(float64(n))
		b.loaded = b.loaded || n > 0
	})
}

func (s *state) addServer(running, waiting *float64, at time.Duration) {
	s.total.running, s.total.waiting = running, waiting
	s.each(at, func(b *bin) {
		if running != nil {
			b.running.add(*running)
		}
		if waiting != nil {
			b.waiting.add(*waiting)
		}
	})
}

// num is a number whose JSON is null when it is absent, with 6 digits.
type num float64

// MarshalJSON writes the number.
func (n num) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', 6, 64), nil
}
