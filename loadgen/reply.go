package loadgen

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"time"
)

// reply reads one response's events into a record.
type reply struct {
	rec   *Record
	epoch time.Duration
	watch *watch
	how   wire

	parser sseParser
	chunk  chunk
	answer answer

	usage      usage // the last with completion tokens
	continuous int   // completion tokens by usage on events with choices
	exact      int   // tokens by the events' own counts
	unsized    bool  // some token event had no count of its own

	chunks int    // events that could be read
	done   bool   // the end mark came
	cut    bool   // the stream ended inside an event
	fault  string // an error that the server reported
	broken string // the first event that could not be read
	stray  string // the last text that is no event
}

// wire is how one response speaks.
type wire struct {
	dialect Dialect
	// framed says that the body's own end proves it whole (HTTP's chunked
	// coding). Triton sends no other proof.
	framed bool
}

// begin prepares for another response, keeping the buffers.
func (s *reply) begin(rec *Record, epoch time.Duration, w *watch, how wire) {
	p, a := s.parser, s.answer
	p.reset()
	a.begin(how.dialect == TritonLLMAPI)
	*s = reply{rec: rec, epoch: epoch, watch: w, how: how, parser: p, answer: a, usage: absentUsage}
}

// read takes in the body to its end, or to the first fault, and returns why it
// ended: nil for a clean end. seen has the stamps of the connection under body.
func (s *reply) read(body io.Reader, seen *arrival) error {
	var counted int64 // the conn read that Record.Reads counted last
	for {
		room, err := s.parser.space()
		if err != nil {
			s.broken = err.Error()
			return nil
		}
		n, err := body.Read(room)
		s.rec.BytesIn += int64(n)
		s.parser.filled(n)
		at := time.Duration(seen.last.Load())
		events := len(s.rec.Events)
		for e, ok := s.parser.next(); ok; e, ok = s.parser.next() {
			s.take(e, at, true)
		}
		if err != nil {
			s.rest(at)
		}
		if reads := seen.reads.Load(); len(s.rec.Events) > events && reads != counted {
			counted = reads
			s.rec.Reads++
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case s.fault != "" || s.broken != "":
			return nil
		}
	}
}

// rest handles what the stream left after its last whole event.
func (s *reply) rest(at time.Duration) {
	began := s.parser.unfinished()
	known := s.chunks
	if e, ok := s.parser.last(); ok {
		s.take(e, at, false)
	}
	s.cut = began && s.chunks == known
}

// take handles one event that arrived at the CLOCK_MONOTONIC instant at. An
// event that is not whole was cut by the end of the stream.
func (s *reply) take(e sseEvent, at time.Duration, whole bool) {
	if s.fault != "" || s.broken != "" {
		return
	}
	data := bytes.TrimSpace(e.data)
	switch {
	case e.isError:
		s.fault = errorText(firstOf(data, e.comment, e.stray))
	case len(data) == 0:
		if len(e.stray) > 0 {
			s.stray = errorText(e.stray)
		}
	case string(data) == "[DONE]":
		s.done = true
		s.watch.ended(at)
	case s.done: // nothing counts after the end mark
	case s.decode(data):
		s.chunks++
		s.takeChunk(at)
	case bytes.HasPrefix(data, []byte(`{"error"`)): // built without escaping
		s.fault = errorText(data)
	case whole:
		s.broken = "not JSON: " + oneLine(string(data))
	}
}

func (s *reply) decode(data []byte) bool {
	if s.how.dialect.Triton() {
		return s.chunk.decodeTriton(data)
	}
	return s.chunk.decode(data)
}

func (s *reply) takeChunk(at time.Duration) {
	c := &s.chunk
	if c.fault != nil {
		s.fault = errorText(c.fault)
		return
	}
	if len(c.finish) > 2 {
		s.rec.Finish = unquote(c.finish)
	}
	if c.load >= 0 && s.rec.AdapterLoad == nil {
		load := time.Duration(c.load)
		s.rec.AdapterLoad = &load
	}
	fresh := c.text != nil && s.answer.add(c.text)
	if s.how.dialect.Triton() {
		s.takeTriton(at, fresh)
		return
	}
	grown := 0
	if c.usage.completion > 0 {
		if c.choices > 0 {
			grown = s.growth(c)
		}
		s.usage = c.usage
	}
	// What is not text has no spelling to compare.
	if fresh || c.carriesText() && c.text == nil || c.tokenIDs > 0 || grown > 0 {
		tokens := c.tokenIDs
		s.exact += tokens
		if tokens == 0 {
			s.unsized = true
			tokens = grown
		}
		s.token(at, tokens)
	}
}

// takeTriton handles an event whose text is fresh or not. Each event counts its
// own tokens, where the server counts at all.
func (s *reply) takeTriton(at time.Duration, fresh bool) {
	c := &s.chunk
	if c.usage.prompt > 0 {
		s.usage.prompt = c.usage.prompt
	}
	if !fresh && c.tokens <= 0 {
		return
	}
	if c.tokens < 0 {
		s.unsized = true
	}
	n := max(c.tokens, 0)
	s.exact = min(s.exact+n, maxTotal)
	s.token(at, n)
}

// growth is how many tokens continuous usage says the event brought. A usage
// object on the finish chunk alone is a total and no sign of tokens arriving
// then, unless nothing else was.
func (s *reply) growth(c *chunk) int {
	if c.finish != nil && !c.carriesText() && s.continuous == 0 && len(s.rec.Events) > 0 {
		return 0
	}
	grown := max(c.usage.completion-s.continuous, 0)
	if s.continuous == 0 && len(s.rec.Events) > 0 {
		grown = 0 // usage began midway: this is a total too
	}
	s.continuous = max(s.continuous, c.usage.completion)
	return grown
}

// token books one token-bearing event, of tokens tokens if that is known.
func (s *reply) token(at time.Duration, tokens int) {
	r := s.rec
	when := At(at - s.epoch)
	if r.FirstToken.IsZero() {
		r.FirstToken = when
	}
	if s.chunk.visible && r.FirstVisible.IsZero() {
		r.FirstVisible = when
	}
	r.LastToken = when
	r.Events = append(r.Events, Event{At: at - s.epoch, Tokens: tokens})
	s.watch.progress(at)
}

// count settles the record's token counts.
func (s *reply) count() {
	r := s.rec
	r.PromptTokens = present(s.usage.prompt)
	r.CachedTokens = present(s.usage.cached)
	r.AnswerHash, r.Cumulative = s.answer.hash(), s.answer.grew >= 2 && s.answer.cumulative()
	switch {
	case s.usage.completion > 0:
		r.OutputTokens = present(s.usage.completion)
	case s.exact > 0 && !s.unsized:
		r.OutputTokens = present(s.exact)
	case len(r.Events) > 0:
		r.OutputTokens = present(max(s.exact, len(r.Events)))
		r.TokensEstimated = true
	}
}

func present(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// outcome judges a stream that ended with err (nil for a clean end) and was not
// ended from this side. No single sign of success is enough: servers send the
// end mark after an error, and end dead streams cleanly.
func (s *reply) outcome(err error) (Outcome, string) {
	r := s.rec
	complete := s.done && r.Finish != "" && len(r.Events) > 0
	switch {
	case s.fault != "":
		return adapterOutcome(r.Adapter, s.fault, OutcomeStreamError), s.fault
	case s.broken != "":
		return OutcomeBadEvent, s.broken
	case err != nil && !complete:
		if errors.Is(err, syscall.ECONNRESET) {
			return OutcomeReset, "connection reset within the stream"
		}
		return OutcomeTruncated, "stream cut: " + err.Error()
	case len(r.Events) == 0:
		return OutcomeNoTokens, s.hint("stream ended without a token")
	case abandoned(r.Finish):
		return OutcomeStreamError, "finish reason " + r.Finish
	case s.how.dialect.Triton():
		return s.tritonOutcome()
	case r.Finish == "":
		return OutcomeNoFinish, s.hint("stream ended without a finish reason")
	case !s.done:
		return OutcomeNoDone, s.hint("stream ended without [DONE]")
	}
	return OutcomeOK, ""
}

// tritonOutcome judges a stream with tokens that ended cleanly. It has no end
// mark: HTTP's own proves it whole, or else a finish reason.
func (s *reply) tritonOutcome() (Outcome, string) {
	switch {
	case s.cut:
		return OutcomeTruncated, s.hint("stream ended inside an event")
	case !s.how.framed && s.rec.Finish == "":
		return OutcomeNoFinish, s.hint("stream ended without a finish reason, and its body is not chunked, so that a cut would look the same (is a proxy between?)")
	}
	return OutcomeOK, ""
}

// hint adds text that the server sent outside events to a message.
func (s *reply) hint(msg string) string {
	if s.stray == "" {
		return msg
	}
	return msg + ": " + s.stray
}

// abandoned reports finish reasons by which engines say that they gave up.
func abandoned(finish string) bool {
	switch finish {
	case "abort", "error", "cancelled", "canceled", "timeout":
		return true
	}
	return false
}

func firstOf(texts ...[]byte) []byte {
	for _, t := range texts {
		if len(t) > 0 {
			return t
		}
	}
	return []byte("error event without a message")
}

// unquote is a JSON string's value; the common reasons do not allocate.
func unquote(q []byte) string {
	switch string(q) {
	case `"length"`:
		return "length"
	case `"stop"`:
		return "stop"
	case `"tool_calls"`:
		return "tool_calls"
	}
	return jsonString(q)
}
