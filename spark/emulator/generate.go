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
		a, refusal := understand(s.cfg, http.MaxBytesReader(w, r.Body, maxBodyBytes), chat, fs)
		if refusal != nil {
			s.refused.Add(1)
			writeError(w, refusal)
			return
		}
		st := newStream()
		q := &seq{
			id: n, prompt: len(a.tokens), output: a.output, out: st,
			hashes: chainHashes(s.cfg.Seed, a.tokens, s.cfg.BlockTokens), stamps: stamps{arrival: arrival},
		}
		if !s.eng.submit(q) {
			writeError(w, errStopped())
			return
		}
		c := &conn{
			s: s, w: w, flush: http.NewResponseController(w), st: st, q: q, fs: fs,
			id: answerID(chat, s.salt, n, r.Header.Get("X-Request-Id")),
		}
		c.reply = newReply(s.cfg, a, fs, q, c.id, time.Now())
		c.serve(r.Context())
	}
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
	reply *reply
	id    string

	buf                 []byte
	spare               []event
	emitted             int
	firstSent, lastSent time.Duration
}

// serve sends the answer and then accounts for it. A stream that does not end
// well is cut, which the HTTP server does on this panic.
func (c *conn) serve(ctx context.Context) {
	err := wait(ctx, c.fs.slowHeaders)
	if err == nil && c.reply.ask.stream {
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
		c.s.journal.put(Truth{Kind: TruthRequest, At: c.s.clk.Now(), Request: t})
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

// streamOut sends headers at once, as vLLM does, and then each token in an
// event and a write of its own.
func (c *conn) streamOut(ctx context.Context) error {
	h := c.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	c.w.WriteHeader(http.StatusOK)
	if err := c.flush.Flush(); err != nil {
		return err
	}
	if c.fs.empty {
		return c.send(c.reply.appendDone(c.buf[:0]))
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
		msg := "the request failed: " + e.err.Error()
		return true, c.told(e.err, c.send(c.reply.appendError(c.buf[:0], msg)))
	}
	if over, err := c.breakBefore(); over || err != nil {
		return over, err
	}
	b := c.reply.appendEvent(c.buf[:0], e, c.s.clk.Now())
	if e.last {
		b = c.reply.appendEnd(b, e.index+1)
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
		err := errors.New("the stream failed, as asked")
		return true, c.told(err, c.send(c.reply.appendError(c.buf[:0], err.Error())))
	}
	if c.fs.badAt == c.emitted {
		return false, c.send(append(c.buf[:0], "data: {\"id\": oops\n\n"...))
	}
	return false, nil
}

// told wraps a failure after the attempt to tell the client.
func (c *conn) told(err, sendErr error) error {
	c.s.eng.abort(c.q)
	return &seqError{err: err, told: sendErr == nil}
}

func (c *conn) send(b []byte) error {
	c.buf = b
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
	if c.fs.empty {
		c.w.Header().Set("Content-Type", "application/json")
		return c.send(c.reply.whole(0))
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
			if e.err != nil {
				return c.wholeFailed(e.err)
			}
			c.emitted++
			if c.emitted == 1 {
				c.s.ttft.observe(c.s.clk.Now() - c.q.stamps.arrival)
			}
			if e.last {
				c.w.Header().Set("Content-Type", "application/json")
				return c.send(c.reply.whole(c.emitted))
			}
		}
		c.spare = events
	}
}

func (c *conn) wholeFailed(err error) error {
	if errors.Is(err, errCut) && c.fs.cutAfter == c.emitted {
		return errCut
	}
	writeError(c.w, &apiError{status: http.StatusInternalServerError, kind: "InternalServerError", msg: "the request failed: " + err.Error()})
	return c.told(err, nil)
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
