package emulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// errCut ends a stream as a fault wants it: by dropping the connection.
var errCut = errors.New("emulator: connection cut by a fault")

// generate serves both /v1/completions and /v1/chat/completions.
func (s *server) generate(chat bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		arrival := s.clk.Now()
		n := s.requests.Add(1)
		fs, err := requestFaults(s.cfg.Faults, r.Header, n)
		if err != nil {
			writeError(w, badRequest(FaultHeader, "%v", err))
			return
		}
		if fs.status != 0 {
			writeError(w, faultStatus(fs.status))
			return
		}
		a, refusal := understand(s.cfg, s.loras, http.MaxBytesReader(w, r.Body, maxBodyBytes), chat, fs)
		if refusal != nil {
			s.refused.Add(1)
			writeError(w, refusal)
			return
		}
		c := s.enter(w, "", a, fs, n, arrival)
		if c == nil {
			writeError(w, errStopped())
			return
		}
		c.id = answerID(chat, s.salt, n, r.Header.Get("X-Request-Id"))
		c.face = newReply(s.cfg, a, fs, c.q, c.id, time.Now())
		c.serve(r.Context())
	}
}

// enter has the engine begin a request to a model of Triton's, or to the only
// one of the OpenAI face; nil when the engine is over. The caller gives the
// connection its id and face.
func (s *server) enter(w http.ResponseWriter, model string, a *ask, fs faults, n int64, arrival time.Duration) *conn {
	st := newStream()
	q := &seq{id: n, face: model, prompt: len(a.tokens), output: a.output, out: st, stamps: stamps{arrival: arrival}}
	if a.adapter != nil {
		q.adapter = a.adapter.id
	}
	q.hashes = chainHashes(s.cfg.blockSeed(q.adapter), a.tokens, s.cfg.BlockTokens)
	if !s.eng.submit(q) {
		return nil
	}
	return &conn{s: s, w: w, flush: http.NewResponseController(w), st: st, q: q, fs: fs}
}

func answerID(chat bool, salt uint64, n int64, asked string) string {
	kind := "cmpl"
	if chat {
		kind = "chatcmpl"
	}
	if asked != "" {
		return kind + "-" + asked
	}
	return fmt.Sprintf("%s-%016x", kind, mix(salt+uint64(n)))
}

func errStopped() *apiError {
	return &apiError{status: http.StatusServiceUnavailable, kind: "ServiceUnavailableError", msg: "the server is stopping"}
}

func faultStatus(status int) *apiError {
	kind, msg := "InternalServerError", "the server failed, as asked"
	switch {
	case status == http.StatusTooManyRequests:
		kind, msg = "RateLimitError", "too many requests, as asked"
	case status == http.StatusServiceUnavailable:
		kind, msg = "ServiceUnavailableError", "the server is overloaded, as asked"
	case status < 500:
		kind, msg = "BadRequestError", "the request was refused, as asked"
	}
	return &apiError{status: status, kind: kind, msg: msg}
}

// conn is one answer on its way out.
type conn struct {
	s     *server
	w     http.ResponseWriter
	flush *http.ResponseController
	st    *stream
	q     *seq
	fs    faults
	face  face
	id    string
	ended func(outcome string) // nil, or told how it went

	buf                 []byte
	spare               []event
	begun               bool // the status has gone out
	emitted             int
	firstSent, lastSent time.Duration
}

// serve sends the answer and then accounts for it. A stream that does not end
// well is cut, which the HTTP server does on this panic.
func (c *conn) serve(ctx context.Context) {
	err := wait(ctx, c.fs.slowHeaders)
	if err == nil && c.face.streams() {
		err = c.streamOut(ctx)
	} else if err == nil {
		err = c.wholeOut(ctx)
	}
	failed, ok := errors.AsType[*seqError](err)
	outcome := "ok"
	switch {
	case ok:
		outcome = "failed"
	case err != nil || c.fs.empty:
		outcome = "aborted"
		c.s.eng.abort(c.q)
	}
	if c.s.journal != nil {
		t := c.q.truth(c.s.cfg, c.id, c.firstSent, c.lastSent, outcome, err)
		if l := c.s.loras.at(c.q.adapter); l != nil {
			t.Adapter = l.name
		}
		c.s.journal.put(Truth{Kind: TruthRequest, At: c.s.clk.Now(), Request: t})
	}
	if c.ended != nil {
		c.ended(outcome)
	}
	if err != nil && (failed == nil || !failed.told) {
		panic(http.ErrAbortHandler)
	}
}

// seqError is a failure inside the engine.
type seqError struct {
	err  error
	told bool // the client has an error event or an error body
}

func (e *seqError) Error() string { return e.err.Error() }
func (e *seqError) Unwrap() error { return e.err }

// streamOut sends each token in an event and a write of its own. The header
// leaves before them, or with the first, as the API does it.
func (c *conn) streamOut(ctx context.Context) error {
	if late := c.face.header(c.w.Header()); !late {
		if err := c.send(nil); err != nil {
			return err
		}
	}
	if c.fs.empty {
		return c.send(c.face.appendEnd(c.buf[:0], 0))
	}
	for {
		if c.fs.cutAfter == 0 && c.emitted == 0 {
			return errCut
		}
		events, err := c.st.next(ctx, c.spare)
		if err != nil {
			return err
		}
		for _, e := range events {
			over, err := c.event(ctx, e)
			if err != nil || over {
				return err
			}
		}
		c.spare = events
	}
}

// event sends what one event brings; over says that nothing follows.
func (c *conn) event(ctx context.Context, e event) (over bool, err error) {
	if e.err != nil {
		return true, c.fail(e.err)
	}
	if over, err := c.breakBefore(); over || err != nil {
		return over, err
	}
	b := c.face.appendEvent(c.buf[:0], e, c.s.clk.Now())
	if e.last {
		b = c.face.appendEnd(b, e.index+1)
	}
	if err := c.send(b); err != nil {
		return false, err
	}
	c.emitted++
	e.mark.sent(c.lastSent)
	if c.emitted == 1 {
		c.firstSent = c.lastSent
		c.s.ttft.observe(c.firstSent - c.q.stamps.arrival)
		if err := wait(ctx, c.fs.stall); err != nil {
			return false, err
		}
	}
	if e.last {
		return true, nil
	}
	if c.fs.cutAfter == c.emitted {
		return false, errCut
	}
	return false, nil
}

// breakBefore applies the faults that come before the next token.
func (c *conn) breakBefore() (over bool, err error) {
	if c.fs.errorAfter == c.emitted {
		return true, c.fail(errors.New("the stream failed, as asked"))
	}
	if err := c.evicted(); err != nil {
		return true, c.fail(err)
	}
	if c.fs.badAt == c.emitted {
		return false, c.send(append(c.buf[:0], "data: {\"id\": oops\n\n"...))
	}
	return false, nil
}

// evicted is the failure of a fault that takes the adapter away.
func (c *conn) evicted() error {
	l := c.s.loras.at(c.q.adapter)
	if l == nil || c.fs.evictAfter != c.emitted {
		return nil
	}
	return &evictedError{l.number}
}

// fail ends a stream with an error event.
func (c *conn) fail(err error) error {
	if !c.begun {
		c.w.WriteHeader(c.face.status(err))
	}
	return c.told(err, c.send(c.face.appendError(c.buf[:0], err)))
}

// told wraps a failure after the attempt to tell the client.
func (c *conn) told(err, sendErr error) error {
	c.s.eng.abort(c.q)
	return &seqError{err: err, told: sendErr == nil}
}

func (c *conn) send(b []byte) error {
	c.buf, c.begun = b, true
	if _, err := c.w.Write(b); err != nil {
		return err
	}
	if err := c.flush.Flush(); err != nil {
		return err
	}
	c.lastSent = c.s.clk.Now()
	return nil
}

// wholeOut collects all tokens and answers once.
func (c *conn) wholeOut(ctx context.Context) error {
	c.face.header(c.w.Header())
	if c.fs.empty {
		return c.send(c.face.whole(0))
	}
	for {
		events, err := c.st.next(ctx, c.spare)
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.err == nil && (c.fs.errorAfter == c.emitted || c.fs.cutAfter == c.emitted) {
				e.err = errCut
			}
			if err := c.evicted(); err != nil && e.err == nil {
				e.err = err
			}
			if e.err != nil {
				return c.wholeFailed(e.err)
			}
			c.emitted++
			if c.emitted == 1 {
				c.s.ttft.observe(c.s.clk.Now() - c.q.stamps.arrival)
			}
			if e.last {
				return c.send(c.face.whole(c.emitted))
			}
		}
		c.spare = events
	}
}

func (c *conn) wholeFailed(err error) error {
	if errors.Is(err, errCut) && c.fs.cutAfter == c.emitted {
		return errCut
	}
	c.w.WriteHeader(c.face.status(err))
	return c.told(err, c.send(c.face.wholeError(err)))
}

// wait sleeps, or ends with the context's cause.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
