package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// The causes for which a run ends its requests.
var (
	errRunOver  = errors.New("loadgen: run is over")
	errFinished = errors.New("loadgen: request is over")
)

// worker sends one request after another, keeping what it can reuse.
type worker struct {
	c     *client
	reply reply
}

// exchange is the transport's view of one request.
type exchange struct {
	seen    arrival
	reused  bool
	written atomic.Int64 // CLOCK_MONOTONIC ns, 0 until the request is on the wire
}

// send makes one request and fills rec, which names its user, turn and due
// time already. adapter is a place in the workload's list, -1 for the base
// model. It returns when the response is over, a timeout passes or ctx ends; the
// outcome says which.
func (w *worker) send(ctx context.Context, rec *Record, prompt PromptText, adapter int) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errFinished)
	if adapter >= 0 {
		rec.Adapter = w.c.adapters[adapter].Name
	}
	rec.PromptHash = prompt.Hash
	if prompt.Tokens > 0 {
		rec.PromptTokensAsked = present(prompt.Tokens)
	}
	body := w.c.parts.body(prompt.Text, adapter)
	watch := &watch{clk: w.c.clk.Clock, cancel: cancel, limit: w.c.target}
	watch.begin()
	defer watch.stop()

	x := &exchange{}
	req := (&http.Request{
		Method: http.MethodPost, URL: w.c.url, Host: w.c.url.Host, Header: w.c.header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		// The transport knows this reader to be in memory, and so sends headers and
		// a short body in one segment.
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(httptrace.WithClientTrace(ctx, w.c.trace(x)))
	rec.Dispatched = At(w.c.now())
	resp, err := w.c.transport.RoundTrip(req)
	if err != nil {
		rec.Outcome, rec.Error = transportOutcome(err)
	} else {
		w.receive(rec, x, watch, resp)
		resp.Body.Close()
	}
	w.settle(ctx, rec, x)
}

// now is the time since the run's epoch.
func (c *client) now() time.Duration { return c.clk.Now() - c.epoch }

// trace follows a request through the transport.
func (c *client) trace(x *exchange) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			x.reused = info.Reused
			conn := info.Conn
			if t, ok := conn.(*tls.Conn); ok {
				conn = t.NetConn()
			}
			if s, ok := conn.(stamped); ok {
				s.stampInto(&x.seen)
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				x.written.Store(int64(c.clk.Now()))
			}
		},
	}
}

// receive takes in a response.
func (w *worker) receive(rec *Record, x *exchange, watch *watch, resp *http.Response) {
	header := x.seen.last.Load()
	watch.header(time.Duration(header))
	rec.Header = At(time.Duration(header) - w.c.epoch)
	rec.Status = resp.StatusCode
	kind := resp.Header.Get("Content-Type")
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		rec.Outcome, rec.Error = statusOutcome(resp.StatusCode, rec.Adapter, readSome(rec, resp.Body))
	case !isEventStream(kind):
		rec.Outcome, rec.Error = bodyOutcome(kind, rec.Adapter, readSome(rec, resp.Body))
	case encoded(resp.Header):
		rec.Outcome = OutcomeBadContentType
		rec.Error = "stream is compressed (" + oneLine(resp.Header.Get("Content-Encoding")) + "), which hides when tokens arrive: turn it off in the proxy"
	default:
		s := &w.reply
		s.begin(rec, w.c.epoch, watch, wire{w.c.target.Dialect, slices.Contains(resp.TransferEncoding, "chunked")})
		rec.Events = make([]Event, 0, min(w.c.want, 1024))
		err := s.read(resp.Body, &x.seen)
		s.count()
		rec.Outcome, rec.Error = s.outcome(err)
	}
	if hint := w.c.target.dialectHint(rec); hint != "" {
		rec.Error += " (" + hint + ")"
	}
}

// settle completes a record whose request is over.
func (w *worker) settle(ctx context.Context, rec *Record, x *exchange) {
	c := w.c
	rec.ReusedConn = x.reused
	if first := x.seen.first.Load(); first != 0 {
		rec.FirstByte = At(time.Duration(first) - c.epoch)
		rec.Stamp = StampKernel
		if x.seen.user.Load() {
			rec.Stamp = StampUser
		}
	}
	if at := x.written.Load(); at != 0 {
		rec.Written = At(time.Duration(at) - c.epoch)
	}
	rec.Close = At(c.now())
	if rec.Outcome == OutcomeOK && !rec.FirstByte.IsZero() {
		rec.Close = At(time.Duration(x.seen.last.Load()) - c.epoch)
	}
	if o, msg, ended := endedOutcome(context.Cause(ctx)); ended && !judged(rec) {
		rec.Outcome, rec.Error = o, msg
	}
	if rec.Outcome == OutcomeOK && c.cutPrompt(rec) {
		rec.Outcome = OutcomePromptTruncated
		rec.Error = "the server read fewer prompt tokens than it was sent (raise its context length)"
	}
	if key := c.target.APIKey; key != "" {
		rec.Error = strings.ReplaceAll(rec.Error, key, "[key]")
	}
}

// judged reports whether the answer says how the request ended, whatever this
// side did meanwhile.
func judged(rec *Record) bool {
	return rec.Outcome == OutcomeOK || rec.Status != 0 && (rec.Status < 200 || rec.Status > 299)
}

// endedOutcome names the cause for which this side ended a request.
func endedOutcome(cause error) (Outcome, string, bool) {
	switch {
	case cause == nil:
		return "", "", false
	case errors.Is(cause, errHeaderTimeout):
		return OutcomeHeader, cause.Error(), true
	case errors.Is(cause, errIdleTimeout):
		return OutcomeIdle, cause.Error(), true
	case errors.Is(cause, errTotalTimeout):
		return OutcomeTotal, cause.Error(), true
	case errors.Is(cause, errLingered):
		return "", "", false // judged by what came before
	}
	return OutcomeCancelled, "in flight when the run ended", true
}

// cutPrompt reports whether the server's count of the prompt is so low that it
// must have cut it. A calibrated length is off by its MaxErr at most; without
// calibration a word may be much of a token.
func (c *client) cutPrompt(rec *Record) bool {
	if rec.PromptTokensAsked == nil || rec.PromptTokens == nil || *rec.PromptTokens == 0 {
		return false
	}
	slack := 0.5
	if c.target.Calibration.TokensPerUnit > 0 {
		slack = max(0.05, 2*c.target.Calibration.MaxErr)
	}
	return float64(*rec.PromptTokens) < float64(*rec.PromptTokensAsked)*(1-slack)-8
}

func isEventStream(contentType string) bool {
	if contentType == "text/event-stream" {
		return true
	}
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && kind == "text/event-stream"
}

func encoded(h http.Header) bool {
	e := h.Get("Content-Encoding")
	return e != "" && !strings.EqualFold(e, "identity")
}

// readSome reads as much of an error body as a message needs.
func readSome(rec *Record, body io.Reader) []byte {
	b, _ := io.ReadAll(io.LimitReader(body, maxErrorBody)) // a cut body still says something
	rec.BytesIn += int64(len(b))
	return b
}
