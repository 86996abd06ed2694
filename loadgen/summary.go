package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Samples below which a 99th percentile is marked (see Latency.P99Flag): under
// MinP99 no two-sided 95 % interval of it exists, under QuotableP99 it is too
// coarse to quote without a mark.
const (
	MinP99      = 368
	QuotableP99 = 1000
)

// Summary is what a load came to, in constant memory. Latencies are over the
// successes among the requests due in the measured window; rates count what
// happened inside that window, whenever it was due. What has no data is absent.
type Summary struct {
	// Window is the measured window.
	Window Window `json:"window"`
	// Requests says what became of the arrivals.
	Requests Requests `json:"requests"`

	TTFT         *Latency `json:"ttft_ms,omitempty"`            // first token − due
	TTFTService  *Latency `json:"ttft_service_ms,omitempty"`    // first token − dispatched
	FirstVisible *Latency `json:"ttft_visible_ms,omitempty"`    // first visible text − due
	TTFB         *Latency `json:"ttfb_ms,omitempty"`            // first byte − dispatched
	Header       *Latency `json:"header_ms,omitempty"`          // header − dispatched
	E2E          *Latency `json:"latency_ms,omitempty"`         // last token − due
	E2EService   *Latency `json:"latency_service_ms,omitempty"` // last token − dispatched
	Close        *Latency `json:"close_ms,omitempty"`           // stream end − dispatched
	TPOT         *Latency `json:"tpot_ms,omitempty"`            // per output token after the first event, one per request
	ICL          *Latency `json:"icl_ms,omitempty"`             // gaps between token-bearing events, pooled
	ITL          *Latency `json:"itl_ms,omitempty"`             // the same per token, where events say how many they hold
	MaxGap       *Latency `json:"max_gap_ms,omitempty"`         // longest gap of each request

	// TTFTAll and E2EAll count every failure as infinite.
	TTFTAll *Latency `json:"ttft_ms_all,omitempty"`
	E2EAll  *Latency `json:"latency_ms_all,omitempty"`

	// Adapters are the measured requests by adapter, in the order of their names;
	// see MaxAdapterRows.
	Adapters []AdapterSummary `json:"adapters,omitempty"`

	Tokens  Tokens   `json:"tokens"`
	Rates   *Rates   `json:"rates,omitempty"`
	Goodput *Goodput `json:"goodput,omitempty"`
	Client  Client   `json:"client"`
}

// Window is a span of time since the run's epoch.
type Window struct {
	Start time.Duration `json:"start_ns"`
	End   time.Duration `json:"end_ns"`
}

// Length is the window's length.
func (w Window) Length() time.Duration { return w.End - w.Start }

// Requests counts arrivals.
type Requests struct {
	Warmup int64 `json:"warmup"` // due before the window
	Due    int64 `json:"due"`    // due in it, sent or not
	OK     int64 `json:"ok"`     // of those, successes
	Drain  int64 `json:"drain"`  // due after it
	// Outcomes is the mix of endings of those due in the window.
	Outcomes map[Outcome]int64 `json:"outcomes"`
	// ErrorRate is 1 − OK/Due.
	ErrorRate *float64 `json:"error_rate,omitempty"`
}

// Latency describes one set of durations, in milliseconds, to 3 significant
// digits. Quantiles are the nearest rank upward.
type Latency struct {
	N    int64  `json:"n"`
	Mean Millis `json:"mean"`
	P50  Millis `json:"p50"`
	P90  Millis `json:"p90"`
	P95  Millis `json:"p95"`
	P99  Millis `json:"p99"`
	P999 Millis `json:"p999"`
	Max  Millis `json:"max"`
	// P99Flag is "n<368" or "n<1000" where P99 rests on so few.
	P99Flag string `json:"p99_flag,omitempty"`
	// Overflow counts durations of MaxLatency and more, given as MaxLatency.
	Overflow int64 `json:"overflow,omitempty"`
}

// Tokens counts tokens by the server's count, over the measured successes.
type Tokens struct {
	// Input and Output are sums; Estimated is a sum of events where the server
	// gave no count, and is no part of Output.
	Input     int64 `json:"input"`
	Output    int64 `json:"output"`
	Estimated int64 `json:"estimated,omitempty"`
	// Cached is the part of Input that the server's prefix cache had; absent
	// when no answer said.
	Cached *int64 `json:"cached,omitempty"`
	// InputMean and OutputMean are per request that has the count.
	InputMean  *float64 `json:"input_mean,omitempty"`
	OutputMean *float64 `json:"output_mean,omitempty"`
	// InputOff counts requests whose prompt was more than 2 % off the length
	// asked for; OutputOff those whose output was.
	InputOff  int64 `json:"input_off"`
	OutputOff int64 `json:"output_off"`
}

// Rates count what happened inside the measured window, by arrival time.
type Rates struct {
	// OutputTokensPerSec counts tokens whose event arrived in the window, of
	// requests of any phase and ending; EstimatedTokensPerSec those of requests
	// without a count by the server.
	OutputTokensPerSec    float64  `json:"output_tokens_per_sec"`
	EstimatedTokensPerSec *float64 `json:"estimated_tokens_per_sec,omitempty"`
	// InputTokensPerSec counts prompts whose first token arrived in the window.
	InputTokensPerSec float64 `json:"input_tokens_per_sec"`
	// RequestsPerSec counts successes whose last token arrived in the window.
	RequestsPerSec float64 `json:"requests_per_sec"`
	// DuePerSec counts arrivals due in the window.
	DuePerSec float64 `json:"due_per_sec"`
	// InFlight is the mean number of requests between dispatch and close, and
	// Waiting between due and dispatch.
	InFlight float64 `json:"in_flight"`
	Waiting  float64 `json:"waiting"`
}

// Goodput is over all arrivals due in the window, sent or not.
type Goodput struct {
	SLO    SLO     `json:"slo,omitzero"`
	Good   int64   `json:"good"`  // successes within the SLO
	Share  float64 `json:"share"` // of all due
	PerSec float64 `json:"good_per_sec"`
}

// Millis is a number of milliseconds. Its JSON has microseconds; an infinite
// one is the string "inf".
type Millis float64

func millis(d time.Duration) Millis { return Millis(float64(d) / float64(time.Millisecond)) }

// MarshalJSON writes milliseconds.
func (m Millis) MarshalJSON() ([]byte, error) {
	switch v := float64(m); {
	case math.IsInf(v, 1):
		return []byte(`"inf"`), nil
	case math.IsNaN(v) || math.IsInf(v, -1):
		return nil, fmt.Errorf("loadgen: write milliseconds: %v is not a duration", v)
	default:
		return strconv.AppendFloat(nil, math.Round(v*1e3)/1e3, 'f', -1, 64), nil
	}
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (m *Millis) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte(`"inf"`)) {
		*m = Millis(math.Inf(1))
		return nil
	}
	return json.Unmarshal(b, (*float64)(m))
}

// Summarize describes the counted durations plus so many infinite ones; nil
// when there are none.
func (h *Hist) Summarize(infinite int64) *Latency { return describe(h, infinite) }

// counted is a set of durations in buckets.
type counted interface {
	N() int64
	Overflow() int64
	Mean() (time.Duration, bool)
	rank(k int64) (time.Duration, bool)
}

func describe(h counted, infinite int64) *Latency {
	n := h.N() + infinite
	if n == 0 {
		return nil
	}
	at := func(q float64) Millis {
		d, ok := h.rank(upwardRank(q, n))
		if !ok {
			return Millis(math.Inf(1))
		}
		return millis(d)
	}
	l := &Latency{
		N: n, Mean: Millis(math.Inf(1)), Overflow: h.Overflow(),
		P50: at(0.5), P90: at(0.9), P95: at(0.95), P99: at(0.99), P999: at(0.999), Max: at(1),
	}
	if mean, ok := h.Mean(); ok && infinite == 0 {
		l.Mean = millis(mean)
	}
	switch {
	case n < MinP99:
		l.P99Flag = fmt.Sprintf("n<%d", MinP99)
	case n < QuotableP99:
		l.P99Flag = fmt.Sprintf("n<%d", QuotableP99)
	}
	return l
}
