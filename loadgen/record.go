package loadgen

import (
	"encoding/json"
	"fmt"
	"time"
)

// StampSource says which clock took the arrival times of a record.
type StampSource string

// The sources. Kernel stamps are taken when a segment arrives, whatever this
// process is doing; user stamps are taken when it gets to read.
const (
	StampKernel StampSource = "kernel"
	StampUser   StampSource = "user"
)

// Event is one token-bearing event of a stream.
type Event struct {
	// At is the event's arrival, since the run's epoch: that of the newest
	// segment that was read together with it.
	At time.Duration
	// Tokens is how many tokens it carried, 0 when the server did not say.
	Tokens int
}

// Record is what one request saw. Instants are since the run's epoch and absent
// when the thing never happened. It is complete and read-only when the sink
// gets it.
type Record struct {
	// ID counts the run's requests from 0 in the order in which they became due
	// (in a closed loop, in which users became free).
	ID    int64 `json:"id"`
	User  int   `json:"user"`
	Turn  int   `json:"turn"`
	Phase Phase `json:"phase"`
	// Adapter is the LoRA adapter asked for; empty is the base model.
	Adapter string `json:"adapter,omitempty"`

	// AdapterLoad is how long the request waited for its adapter to be loaded, by
	// the server's own account: 0 for one that was resident, absent where the
	// server does not tell (only the emulator does, as spark_adapter_load_ns on
	// the first token's event).
	AdapterLoad *time.Duration `json:"adapter_load_ns,omitempty"`

	// Due is when the plan wanted the request: the moment from which a user's
	// latency counts. It is never absent.
	Due Instant `json:"due_ns"`
	// Dispatched is when the request was handed to the transport.
	Dispatched Instant `json:"dispatched_ns,omitzero"`
	// Written is when its headers and body had been given to the kernel.
	Written Instant `json:"written_ns,omitzero"`
	// FirstByte is the arrival of the response's first byte.
	FirstByte Instant `json:"first_byte_ns,omitzero"`
	// Header is the arrival of the last byte of the response's headers.
	Header Instant `json:"header_ns,omitzero"`
	// FirstToken is the first event that carried a token of any kind.
	FirstToken Instant `json:"first_token_ns,omitzero"`
	// FirstVisible is the first event that carried text meant for the user
	// (neither reasoning nor tool arguments).
	FirstVisible Instant `json:"first_visible_ns,omitzero"`
	// LastToken is the last event that carried a token.
	LastToken Instant `json:"last_token_ns,omitzero"`
	// Close is when the stream, or the attempt, was over.
	Close Instant `json:"close_ns,omitzero"`

	// Events holds every token-bearing event in order. Its JSON is event_ns, the
	// first time and then the gaps, and event_tokens, left out when all are 0.
	Events []Event `json:"-"`
	// Reads is how many reads delivered those events. Where it is below their
	// number some reads held several, whose stamps then are upper bounds.
	Reads int `json:"reads,omitempty"`
	// Stamp says which clock took the arrival times; empty when no byte came.
	Stamp StampSource `json:"stamp,omitempty"`

	// PromptTokensAsked is the length the prompt was made to have.
	PromptTokensAsked *int `json:"prompt_tokens_asked,omitempty"`
	// PromptTokens, OutputTokens and CachedTokens are the server's own counts.
	PromptTokens *int `json:"prompt_tokens,omitempty"`
	// OutputTokens is an estimate where TokensEstimated says so.
	OutputTokens *int `json:"output_tokens,omitempty"`
	// CachedTokens is how much of the prompt the server's prefix cache had.
	CachedTokens *int `json:"cached_tokens,omitempty"`
	// TokensEstimated marks OutputTokens as a count of events: the server sent
	// no usage. Such counts are no basis for tokens per second.
	TokensEstimated bool `json:"tokens_estimated,omitempty"`

	// Status is the HTTP status, 0 when no response came.
	Status int `json:"status,omitempty"`
	// Finish is the server's finish reason.
	Finish string `json:"finish,omitempty"`
	// Outcome is how the request ended.
	Outcome Outcome `json:"outcome"`
	// Error explains any outcome but OutcomeOK in one short line. It never holds
	// the API key.
	Error string `json:"error,omitempty"`
	// ReusedConn reports whether the request went over a connection that had
	// carried another before.
	ReusedConn bool `json:"reused_conn,omitempty"`
	// PromptHash is the FNV-1a 64-bit hash of the prompt, 16 hex digits.
	PromptHash Hash `json:"prompt_hash,omitempty"`
	// AnswerHash is the FNV-1a 64-bit hash of the answer's text as its JSON
	// spells it, over all events: equal answers have equal hashes.
	AnswerHash Hash `json:"answer_hash,omitempty"`
	// Cumulative says that each event carried the whole text so far.
	Cumulative bool `json:"cumulative,omitempty"`
	// BytesIn counts the bytes of the response's body.
	BytesIn int64 `json:"in_bytes,omitempty"`
}

// Hash is a 64-bit hash whose text and JSON form is 16 hex digits.
type Hash uint64

// MarshalText writes 16 hex digits.
func (h Hash) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(h)), nil }

// UnmarshalText reads what MarshalText wrote.
func (h *Hash) UnmarshalText(b []byte) error {
	if _, err := fmt.Sscanf(string(b), "%016x", (*uint64)(h)); err != nil || len(b) != 16 {
		return fmt.Errorf("loadgen: read hash %q: not 16 hex digits", b)
	}
	return nil
}

// bareRecord is Record without methods, so that encoding/json does not recurse.
type bareRecord Record

type wireRecord struct {
	*bareRecord
	EventNs     []int64 `json:"event_ns,omitempty"`
	EventTokens []int   `json:"event_tokens,omitempty"`
}

// MarshalJSON writes the record on one line; see Events for their form.
func (r *Record) MarshalJSON() ([]byte, error) { return appendRecord(nil, r), nil }

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Record) UnmarshalJSON(b []byte) error {
	*r = Record{}
	w := wireRecord{bareRecord: (*bareRecord)(r)}
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("loadgen: read record: %w", err)
	}
	if n := len(w.EventTokens); n != 0 && n != len(w.EventNs) {
		return fmt.Errorf("loadgen: read record %d: %d event_ns but %d event_tokens", r.ID, len(w.EventNs), n)
	}
	var at time.Duration
	for i, ns := range w.EventNs {
		at += time.Duration(ns)
		e := Event{At: at}
		if len(w.EventTokens) > 0 {
			e.Tokens = w.EventTokens[i]
		}
		r.Events = append(r.Events, e)
	}
	return nil
}
