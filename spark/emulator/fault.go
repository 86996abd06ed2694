package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// FaultHeader is the request header that breaks one answer: "kind" or
// "kind=value", several separated by commas, as in "stall=200ms,no_done".
const FaultHeader = "X-Spark-Fault"

// Kinds of Fault and the meaning of Fault.Value.
const (
	// FaultStatus answers with an error body. Value: the status, 400 to 599
	// (default 500).
	FaultStatus = "status"
	// FaultErrorEvent sends an error event in the stream. Value: after how many
	// tokens (default 1).
	FaultErrorEvent = "error_event"
	// FaultCut drops the connection in the stream. Value: after how many tokens
	// (default 1; 0 cuts after the headers, on Triton before them).
	FaultCut = "cut"
	// FaultStall pauses once after the first token. Value: a duration
	// (default 1s).
	FaultStall = "stall"
	// FaultSlowHeaders delays the response's headers. Value: a duration
	// (default 1s).
	FaultSlowHeaders = "slow_headers"
	// FaultNoUsage leaves the usage out.
	FaultNoUsage = "no_usage"
	// FaultNoDone ends the stream without its end mark, which Triton has not.
	FaultNoDone = "no_done"
	// FaultNoFinish leaves the finish reason null.
	FaultNoFinish = "no_finish"
	// FaultBadEvent sends one event that is not JSON. Value: after how many
	// tokens (default 1).
	FaultBadEvent = "bad_event"
	// FaultEmpty ends the stream properly with no token at all.
	FaultEmpty = "empty"
	// FaultTruncatePrompt keeps only the first tokens of the prompt and says
	// nothing. Value: how many (default 16).
	FaultTruncatePrompt = "truncate_prompt"
	// FaultAdapterEvicted fails a request for an adapter as if its memory had gone
	// to another, in TensorRT-LLM's words; requests for the base model pass. Value:
	// after how many tokens (default 1).
	FaultAdapterEvicted = "adapter_evicted"
	// FaultCumulative has every event hold the whole text so far, as early
	// trtllm-serve did.
	FaultCumulative = "cumulative"
)

// ErrFault marks a fault that is not understood.
var ErrFault = errors.New("emulator: bad fault")

// Fault breaks answers on purpose, to test what a client makes of it.
type Fault struct {
	// Kind is one of the Fault constants.
	Kind string `json:"kind"`
	// Value is the kind's own; "" means its default.
	Value string `json:"value,omitempty"`
	// Every applies the fault to each n-th generation request; 0 and 1 mean all.
	Every int `json:"every,omitempty"`
}

// Validate says why a fault cannot be applied, wrapped in ErrFault, or nil.
func (f Fault) Validate() error {
	if f.Every < 0 {
		return fmt.Errorf("%w: %s: every %d is negative", ErrFault, f.Kind, f.Every)
	}
	return new(faults).set(f)
}

// faults is what one answer shall suffer; negative and zero values mean not.
type faults struct {
	status                      int
	errorAfter, cutAfter, badAt int // tokens; noFault = not
	evictAfter                  int // tokens; noFault = not
	stall, slowHeaders          time.Duration
	noUsage, noDone, noFinish   bool
	empty, cumulative           bool
	truncate                    int
}

const noFault = -1

func newFaults() faults {
	return faults{errorAfter: noFault, cutAfter: noFault, badAt: noFault, evictAfter: noFault}
}

// requestFaults gathers the faults of the n-th request (from 1).
func requestFaults(cfg []Fault, header http.Header, n int64) (faults, error) {
	fs := newFaults()
	for _, f := range cfg {
		if f.Every > 1 && n%int64(f.Every) != 0 {
			continue
		}
		if err := fs.set(f); err != nil {
			return fs, err
		}
	}
	for _, line := range header.Values(FaultHeader) {
		for item := range strings.SplitSeq(line, ",") {
			kind, value, _ := strings.Cut(strings.TrimSpace(item), "=")
			if err := fs.set(Fault{Kind: kind, Value: value}); err != nil {
				return fs, err
			}
		}
	}
	return fs, nil
}

func (fs *faults) set(f Fault) (err error) {
	switch f.Kind {
	case FaultStatus:
		fs.status, err = count(f, 500, 400, 599)
	case FaultErrorEvent:
		fs.errorAfter, err = count(f, 1, 0, maxTokens)
	case FaultCut:
		fs.cutAfter, err = count(f, 1, 0, maxTokens)
	case FaultBadEvent:
		fs.badAt, err = count(f, 1, 0, maxTokens)
	case FaultAdapterEvicted:
		fs.evictAfter, err = count(f, 1, 0, maxTokens)
	case FaultTruncatePrompt:
		fs.truncate, err = count(f, 16, 1, maxTokens)
	case FaultStall:
		fs.stall, err = pause(f)
	case FaultSlowHeaders:
		fs.slowHeaders, err = pause(f)
	case FaultNoUsage:
		fs.noUsage = true
	case FaultNoDone:
		fs.noDone = true
	case FaultNoFinish:
		fs.noFinish = true
	case FaultEmpty:
		fs.empty = true
	case FaultCumulative:
		fs.cumulative = true
	default:
		return fmt.Errorf("%w: no kind %q", ErrFault, f.Kind)
	}
	return err
}

func count(f Fault, def, lo, hi int) (int, error) {
	if f.Value == "" {
		return def, nil
	}
	n, err := strconv.Atoi(f.Value)
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("%w: %s=%s: want a number from %d to %d", ErrFault, f.Kind, f.Value, lo, hi)
	}
	return n, nil
}

func pause(f Fault) (time.Duration, error) {
	if f.Value == "" {
		return time.Second, nil
	}
	d, err := time.ParseDuration(f.Value)
	if err != nil || d < 0 || d > time.Hour {
		return 0, fmt.Errorf("%w: %s=%s: want a duration such as 250ms, at most an hour", ErrFault, f.Kind, f.Value)
	}
	return d, nil
}
