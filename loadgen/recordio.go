package loadgen

import (
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/spark-harness/harness/internal/jsonl"
)

// RecordWriter appends records to a file of JSON lines, compressed with zstd
// where its name ends in .zst. It encodes by hand, into one buffer, because at
// thousands of records a second encoding/json would be the load generator's
// largest cost after the network. It is for one goroutine at a time.
type RecordWriter struct {
	w    *jsonl.Writer
	line []byte
}

// NewRecordWriter makes the file, which must not exist.
func NewRecordWriter(path string) (*RecordWriter, error) {
	w, err := jsonl.Create(path)
	if err != nil {
		return nil, fmt.Errorf("loadgen: write records: %w", err)
	}
	return &RecordWriter{w: w}, nil
}

// Write appends one record and keeps no reference to it.
func (w *RecordWriter) Write(r *Record) error {
	w.line = appendRecord(w.line[:0], r)
	if err := w.w.WriteLine(w.line); err != nil {
		return fmt.Errorf("loadgen: write records: %w", err)
	}
	return nil
}

// Flush hands what was written to the kernel, so that a crash of this process
// loses nothing before it.
func (w *RecordWriter) Flush() error {
	if err := w.w.Flush(); err != nil {
		return fmt.Errorf("loadgen: write records: %w", err)
	}
	return nil
}

// Close flushes, syncs and closes the file.
func (w *RecordWriter) Close() error {
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("loadgen: write records: %w", err)
	}
	return nil
}

// ReadRecords yields the records of a file in the order in which they were
// written, which is the order of their endings. Damage ends the sequence with
// an error that names the line; records before it are good.
func ReadRecords(path string) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for r, err := range jsonl.Read[*Record](path) {
			switch {
			case err != nil:
				yield(nil, fmt.Errorf("loadgen: read records: %w", err))
				return
			case r == nil:
				yield(nil, fmt.Errorf("loadgen: read records: %s: a line is null", path))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// lineBuilder writes the members of one JSON object.
type lineBuilder struct{ b []byte }

// appendRecord appends the JSON of r, the same that encoding/json reads into it.
func appendRecord(b []byte, r *Record) []byte {
	l := lineBuilder{append(b, `{"id":`...)}
	l.b = strconv.AppendInt(l.b, r.ID, 10)
	l.number("user", int64(r.User))
	l.number("turn", int64(r.Turn))
	l.text("phase", string(r.Phase))
	l.optText("adapter", r.Adapter)
	if r.AdapterLoad != nil { // 0 is told: the adapter was there
		l.number("adapter_load_ns", int64(*r.AdapterLoad))
	}
	l.instants(r)
	l.events(r.Events)
	l.optNumber("reads", int64(r.Reads))
	l.optText("stamp", string(r.Stamp))
	l.count("prompt_tokens_asked", r.PromptTokensAsked)
	l.count("prompt_tokens", r.PromptTokens)
	l.count("output_tokens", r.OutputTokens)
	l.count("cached_tokens", r.CachedTokens)
	l.flag("tokens_estimated", r.TokensEstimated)
	l.optNumber("status", int64(r.Status))
	l.optText("finish", r.Finish)
	l.text("outcome", string(r.Outcome))
	l.optText("error", r.Error)
	l.flag("reused_conn", r.ReusedConn)
	l.hash("prompt_hash", r.PromptHash)
	l.hash("answer_hash", r.AnswerHash)
	l.flag("cumulative", r.Cumulative)
	l.optNumber("in_bytes", r.BytesIn)
	return append(l.b, '}')
}

func (l *lineBuilder) instants(r *Record) {
	if r.Due.IsZero() {
		l.key("due_ns")
		l.b = append(l.b, "null"...)
	}
	l.instant("due_ns", r.Due)
	l.instant("dispatched_ns", r.Dispatched)
	l.instant("written_ns", r.Written)
	l.instant("first_byte_ns", r.FirstByte)
	l.instant("header_ns", r.Header)
	l.instant("first_token_ns", r.FirstToken)
	l.instant("first_visible_ns", r.FirstVisible)
	l.instant("last_token_ns", r.LastToken)
	l.instant("close_ns", r.Close)
}

// events writes the arrival times as the first and then the gaps, and the token
// counts where any is known.
func (l *lineBuilder) events(events []Event) {
	if len(events) == 0 {
		return
	}
	l.key("event_ns")
	sep := byte('[')
	var last time.Duration
	counted := false
	for _, e := range events {
		l.b = strconv.AppendInt(append(l.b, sep), int64(e.At-last), 10)
		last, sep = e.At, ','
		counted = counted || e.Tokens != 0
	}
	l.b = append(l.b, ']')
	if !counted {
		return
	}
	l.key("event_tokens")
	sep = '['
	for _, e := range events {
		l.b = strconv.AppendInt(append(l.b, sep), int64(e.Tokens), 10)
		sep = ','
	}
	l.b = append(l.b, ']')
}

func (l *lineBuilder) key(name string) {
	l.b = append(l.b, `,"`...)
	l.b = append(l.b, name...)
	l.b = append(l.b, `":`...)
}

func (l *lineBuilder) number(name string, n int64) {
	l.key(name)
	l.b = strconv.AppendInt(l.b, n, 10)
}

func (l *lineBuilder) optNumber(name string, n int64) {
	if n != 0 {
		l.number(name, n)
	}
}

func (l *lineBuilder) count(name string, n *int) {
	if n != nil {
		l.number(name, int64(*n))
	}
}

func (l *lineBuilder) instant(name string, t Instant) {
	if d, ok := t.Get(); ok {
		l.number(name, int64(d))
	}
}

func (l *lineBuilder) flag(name string, set bool) {
	if set {
		l.key(name)
		l.b = append(l.b, "true"...)
	}
}

func (l *lineBuilder) hash(name string, h Hash) {
	if h == 0 {
		return
	}
	l.key(name)
	l.b = append(l.b, '"')
	for shift := 60; shift >= 0; shift -= 4 {
		l.b = append(l.b, "0123456789abcdef"[h>>shift&15])
	}
	l.b = append(l.b, '"')
}

func (l *lineBuilder) optText(name, s string) {
	if s != "" {
		l.text(name, s)
	}
}

func (l *lineBuilder) text(name, s string) {
	l.key(name)
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string cannot fail
			l.b = append(l.b, quoted...)
			return
		}
	}
	l.b = append(l.b, '"')
	l.b = append(l.b, s...)
	l.b = append(l.b, '"')
}
