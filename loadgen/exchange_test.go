package loadgen

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A script is what a server does with a connection after it read the request,
// byte for byte.
type script func(c io.Writer)

const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// chunked writes a piece of a chunked body.
func chunked(c io.Writer, text string) { fmt.Fprintf(c, "%x\r\n%s\r\n", len(text), text) }

// streams is an event stream that sends body and ends properly.
func streams(body string) script {
	return func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, body)
		io.WriteString(c, "0\r\n\r\n")
	}
}

// cuts is an event stream that is cut after body.
func cuts(body string) script {
	return func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, body)
	}
}

// answers is a whole response that is no stream.
func answers(status int, contentType, body string) script {
	return func(c io.Writer) {
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			status, http.StatusText(status), contentType, len(body), body)
	}
}

// serve plays a script to every request.
func serve(t *testing.T, play script) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		play(conn)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// ask sends one request and returns its record.
func ask(t *testing.T, target Target, adapter string) *Record {
	t.Helper()
	w, place := Workload{OutputTokens: 3}, -1
	if adapter != "" {
		w.Adapters.List, place = []Adapter{{Name: adapter, Path: "/l/" + adapter}}, 0
	}
	c, err := newClient(t.Context(), target, w, nil)
	require.NoError(t, err)
	defer c.close()
	rec := &Record{}
	(&worker{c: c}).send(t.Context(), rec, PromptText{Text: "hello", Tokens: 100}, place)
	require.Equal(t, adapter, rec.Adapter)
	requireTold(t, rec)
	return rec
}

// requireTold: success has no message, and everything else has one.
func requireTold(t *testing.T, r *Record) {
	t.Helper()
	require.Equal(t, r.Outcome == OutcomeOK, r.Error == "", "%s: %q", r.Outcome, r.Error)
	require.NotEmpty(t, r.Outcome)
	require.False(t, r.Close.IsZero())
}

func text(s string) string { return fmt.Sprintf("data: {\"choices\":[{\"text\":%q}]}\n\n", s) }

func chat(s string) string {
	return fmt.Sprintf("data: {\"choices\":[{\"delta\":{\"content\":%q}}]}\n\n", s)
}

const (
	finish = "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n"
	done   = "data: [DONE]\n\n"
	used   = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":3,\"total_tokens\":103}}\n\n"
)

// goodStreams must be successes; tokens are Event.Tokens, output the total.
var goodStreams = []struct {
	why, body string
	events    []int
	output    int
	estimated bool
}{
	{"completions with usage", text("a") + text("b") + text("c") + finish + used + done, []int{0, 0, 0}, 3, false},
	{"no usage", text("a") + text("b") + finish + done, []int{0, 0}, 2, true},
	{"text on the finish chunk", text("a") + "data: {\"choices\":[{\"text\":\"b\",\"finish_reason\":\"stop\"}]}\n\n" + used + done, []int{0, 0}, 3, false},
	{"empty text before the first", text("") + text("") + text("a") + finish + used + done, []int{0}, 3, false},
	{"text that grows as prefix (early trtllm-serve)", text("a") + text("ab") + text("abc") + finish + used + done, []int{0, 0, 0}, 3, false},
	{"role first, trailing space (trtllm-serve)", "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]} \n\n" + chat("a") + finish + used + done, []int{0}, 3, false},
	{"reasoning only", "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}\n\n" + finish + used + done, []int{0}, 3, false},
	{"token ids, no text (detokenize off)", "data: {\"choices\":[{\"text\":\"\",\"token_ids\":[1,2]}]}\n\ndata: {\"choices\":[{\"text\":\"\",\"token_ids\":[3]}]}\n\n" + finish + done, []int{2, 1}, 3, false},
	{"continuous usage", "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":1}}\n\n" +
		"data: {\"choices\":[{\"text\":\"\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":3}}\n\n" + finish + used + done, []int{1, 2}, 3, false},
	{"usage on the finish chunk (transformers)", text("a") + text("b") + "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":3}}\n\n" + done, []int{0, 0}, 3, false},
	{"zero usage on every chunk (Ollama)", "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n" + finish + used + done, []int{0}, 3, false},
	{"usage null", "data: {\"choices\":[{\"text\":\"a\"}],\"usage\":null}\n\n" + finish + used + done, []int{0}, 3, false},
	{"zero usage at the end", text("a") + finish + "data: {\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0}}\n\n" + done, []int{0}, 1, true},
	{"comments between and inside", ": ping\n\n" + text("a") + ": ping\n" + text("b") + ":\n\n" + finish + used + done, []int{0, 0}, 3, false},
	{"CRLF", strings.ReplaceAll(text("a")+finish+used+done, "\n", "\r\n"), []int{0}, 3, false},
	{"no space after data:", strings.ReplaceAll(text("a")+finish+used+done, "data: ", "data:"), []int{0}, 3, false},
	{"no blank line after the end mark", text("a") + finish + used + "data: [DONE]", []int{0}, 3, false},
	{"a line of 200 KB (logprobs)", "data: {\"choices\":[{\"text\":\"a\",\"logprobs\":\"" + strings.Repeat("x", 200<<10) + "\"}]}\n\n" + finish + used + done, []int{0}, 3, false},
	{"two choices", "data: {\"choices\":[{\"index\":0,\"text\":\"a\"},{\"index\":1,\"text\":\"b\"}]}\n\n" + finish + used + done, []int{0}, 3, false},
	{"an event of another kind", "event: metrics\ndata: {\"x\":1}\n\n" + text("a") + finish + used + done, []int{0}, 3, false},
	{"bytes after the end mark", text("a") + finish + used + done + "data: junk\n\n", []int{0}, 3, false},
}

func TestGoodStreams(t *testing.T) {
	for _, c := range goodStreams {
		rec := ask(t, testTarget(serve(t, streams(c.body))), "")
		require.Equal(t, OutcomeOK, rec.Outcome, "%s: %s", c.why, rec.Error)
		var tokens []int
		for _, e := range rec.Events {
			tokens = append(tokens, e.Tokens)
		}
		require.Equal(t, c.events, tokens, c.why)
		require.Equal(t, c.output, *rec.OutputTokens, c.why)
		require.Equal(t, c.estimated, rec.TokensEstimated, c.why)
		require.Equal(t, 200, rec.Status)
		require.NotEmpty(t, rec.Finish)
		requireOrder(t, withDue(rec))
	}
}

func withDue(r *Record) *Record {
	r.Due = r.Dispatched
	return r
}

// TestStreamsDoNotCareWhereChunksEnd splits whole streams at every offset, each
// part in an HTTP chunk of its own.
func TestStreamsDoNotCareWhereChunksEnd(t *testing.T) {
	const body = ": ping\r\n\r\ndata: {\"choices\":[{\"text\":\"ż\"}]}\r\n\r\ndata:{\"choices\":[{\"text\":\"b\",\"finish_reason\":\"length\"}]}\n\n" + used + done
	var rec Record
	var s reply
	for i := range len(body) {
		rec = Record{}
		w := &watch{cancel: func(error) {}}
		s.begin(&rec, 0, w, wire{OpenAICompletions, true})
		err := s.read(io.MultiReader(strings.NewReader(body[:i]), strings.NewReader(body[i:])), &arrival{})
		s.count()
		w.stop()
		o, msg := s.outcome(err)
		require.Equal(t, OutcomeOK, o, "cut at %d: %s", i, msg)
		require.Len(t, rec.Events, 2)
		require.Equal(t, 3, *rec.OutputTokens)
	}
}

var badAnswers = []struct {
	why  string
	play script
	want Outcome
	msg  string
}{
	{"400 string error (trtllm-serve)", answers(400, "application/json", `{"error":"1 validation error: extra"}`), OutcomeHTTP4xx, "HTTP 400: 1 validation error: extra"},
	{"400 flat error", answers(400, "application/json", `{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}`), OutcomeHTTP4xx, "too long"},
	{"404 wrapped error (vLLM)", answers(404, "application/json", `{"error":{"message":"The model x does not exist.","type":"NotFoundError","code":404}}`), OutcomeHTTP4xx, "The model x does not exist."},
	{"422 detail list (FastAPI)", answers(422, "application/json", `{"detail":[{"loc":["body"],"msg":"field required"}]}`), OutcomeHTTP4xx, "field required"},
	{"401 detail text", answers(401, "application/json", `{"detail":"Unauthorized"}`), OutcomeHTTP4xx, "Unauthorized"},
	{"429", answers(429, "application/json", `{"error":"Model is overloaded","error_type":"overloaded"}`), OutcomeHTTP429, "overloaded"},
	{"500 plain text", answers(500, "text/plain", "Internal Server Error"), OutcomeHTTP5xx, "Internal Server Error"},
	{"503 empty", answers(503, "text/plain", ""), OutcomeHTTP5xx, "HTTP 503"},
	{"502 HTML of a proxy", answers(502, "text/html", "<html>\n<body>Bad\tGateway</body></html>"), OutcomeHTTP5xx, "<html> <body>Bad Gateway"},
	{"400 as an event stream (Triton)", answers(400, "text/event-stream", "data: {\"error\":\"boom\"}\n\n"), OutcomeHTTP4xx, "boom"},
	{"redirect", answers(307, "text/plain", ""), OutcomeHTTP3xx, "HTTP 307"},
	{"200 with a JSON error", answers(200, "application/json", `{"error":{"message":"boom"}}`), OutcomeStreamError, "boom"},
	{"200 with a whole completion", answers(200, "application/json", `{"choices":[{"text":"a"}]}`), OutcomeBadContentType, "application/json"},
	{"200 HTML", answers(200, "text/html", "<html>login</html>"), OutcomeBadContentType, "text/html"},
	{"compressed stream", func(c io.Writer) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc")
	}, OutcomeBadContentType, "turn it off in the proxy"},
	{"error event, then the end mark (vLLM)", streams(text("a") + "data: {\"error\":{\"message\":\"boom\",\"code\":500}}\n\n" + done), OutcomeStreamError, "boom"},
	{"error event first", streams("data: {\"error\":\"boom\"}\n\n"), OutcomeStreamError, "boom"},
	{"flat error event", streams("data: {\"object\":\"error\",\"message\":\"boom\"}\n\n"), OutcomeStreamError, "boom"},
	{"error built without escaping (transformers)", streams(text("a") + "data: {\"error\": \"it said \"boom\"\"}\n\n"), OutcomeStreamError, "boom"},
	{"event: error with a comment only (Dynamo)", streams(text("a") + "event: error\n: boom\n\n"), OutcomeStreamError, "boom"},
	{"error: field (llama.cpp)", streams("error: {\"message\":\"boom\"}\n\n"), OutcomeStreamError, "boom"},
	{"bare JSON in a stream (proxies)", streams("{\"error\":{\"message\":\"boom\"}}"), OutcomeStreamError, "boom"},
	{"bare text in a stream", streams("upstream timed out\n"), OutcomeNoTokens, "upstream timed out"},
	{"finish reason abort", streams(text("a") + "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"abort\"}]}\n\n" + used + done), OutcomeStreamError, "abort"},
	{"not JSON", streams(text("a") + "data: oops\n\n" + finish + done), OutcomeBadEvent, "oops"},
	{"an array", streams("data: []\n\n"), OutcomeBadEvent, "[]"},
	{"cut before the first event", cuts(": ping\n\n"), OutcomeTruncated, "unexpected EOF"},
	{"cut between events", cuts(text("a")), OutcomeTruncated, "unexpected EOF"},
	{"cut inside an event", cuts(text("a") + "data: {\"choi"), OutcomeTruncated, "unexpected EOF"},
	{"cut after the finish", cuts(text("a") + finish), OutcomeTruncated, "unexpected EOF"},
	{"clean end inside an event", streams(text("a") + "data: {\"choi"), OutcomeNoFinish, ""},
	{"clean end without finish (Ollama)", streams(text("a")), OutcomeNoFinish, "without a finish reason"},
	{"end mark without finish", streams(text("a") + done), OutcomeNoFinish, "without a finish reason"},
	{"finish without end mark", streams(text("a") + finish + used), OutcomeNoDone, "[DONE]"},
	{"end mark without tokens", streams(done), OutcomeNoTokens, "without a token"},
	{"finish without tokens", streams(text("") + finish + done), OutcomeNoTokens, "without a token"},
	{"empty stream", streams("\n"), OutcomeNoTokens, "without a token"},
	{"prompt cut silently (Ollama)", streams(text("a") + finish + "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":32,\"completion_tokens\":3}}\n\n" + done), OutcomePromptTruncated, "context length"},
	{"closes without an answer", func(io.Writer) {}, OutcomeReset, "EOF"},
	{"not HTTP", func(c io.Writer) { io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n") }, OutcomeBadResponse, "malformed"},
}

func TestFailuresAreNeverSuccesses(t *testing.T) {
	for _, c := range badAnswers {
		rec := ask(t, testTarget(serve(t, c.play)), "")
		require.Equal(t, c.want, rec.Outcome, "%s: %s", c.why, rec.Error)
		require.Contains(t, rec.Error, c.msg, c.why)
	}
}

func TestResetWithinTheStream(t *testing.T) {
	url := serve(t, func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, text("a"))
		time.Sleep(50 * time.Millisecond)
		c.(interface{ SetLinger(int) error }).SetLinger(0)
	})
	rec := ask(t, testTarget(url), "")
	require.Equal(t, OutcomeReset, rec.Outcome)
	require.Len(t, rec.Events, 1)
}

func TestAdapterFailuresHaveNames(t *testing.T) {
	for _, c := range []struct {
		why  string
		play script
		want Outcome
	}{
		{"vLLM", answers(404, "application/json", `{"error":{"message":"The model a0 does not exist."}}`), OutcomeUnknownAdapter},
		{"Triton OpenAI", answers(400, "application/json", `{"detail":"Unknown LoRA: a0; for model: m"}`), OutcomeUnknownAdapter},
		{"in the stream", streams("data: {\"error\":\"LoRA a0 is not supported, we currently support ['doll']\"}\n\n"), OutcomeUnknownAdapter},
		{"evicted", streams("data: {\"error\":\"LoRA task 7 not found in cache. Please send LoRA weights with request\"}\n\n"), OutcomeAdapterEvicted},
		{"something else", answers(400, "application/json", `{"error":"max_tokens is too large"}`), OutcomeHTTP4xx},
	} {
		require.Equal(t, c.want, ask(t, testTarget(serve(t, c.play)), "a0").Outcome, c.why)
	}
}

func TestRealCaptures(t *testing.T) {
	for _, c := range []struct {
		file           string
		dialect        Dialect
		events, prompt int
	}{{"ollama-0.6.5-completions.http", OpenAICompletions, 6, 14}, {"ollama-0.6.5-chat.http", OpenAIChat, 5, 6}} {
		whole, err := os.ReadFile("testdata/" + c.file)
		require.NoError(t, err)
		_, body, ok := bytes.Cut(bytes.ReplaceAll(whole, []byte("\r\n"), []byte("\n")), []byte("\n\n"))
		require.True(t, ok)
		target := testTarget(serve(t, streams(string(body))))
		target.Dialect = c.dialect
		target.Model = "tiny"
		cl, err := newClient(t.Context(), target, Workload{OutputTokens: 6}, nil)
		require.NoError(t, err)
		rec := &Record{}
		(&worker{c: cl}).send(t.Context(), rec, PromptText{Text: "x"}, -1)
		cl.close()
		require.Equal(t, OutcomeOK, rec.Outcome, rec.Error)
		require.Len(t, rec.Events, c.events)
		require.Equal(t, c.events, *rec.OutputTokens)
		require.Equal(t, c.prompt, *rec.PromptTokens)
		require.Nil(t, rec.CachedTokens)
		require.Equal(t, "length", rec.Finish)
	}
}

func TestErrorsNeverHoldTheKey(t *testing.T) {
	target := testTarget(serve(t, answers(401, "application/json", `{"error":"bad key sk-secret-1"}`)))
	target.APIKey = "sk-secret-1"
	rec := ask(t, target, "")
	require.Equal(t, "HTTP 401: bad key [key]", rec.Error)
}

func TestCancelledRequestIsNoFailureOfTheServer(t *testing.T) {
	url := serve(t, func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, text("a"))
		time.Sleep(200 * time.Millisecond)
	})
	cl, err := newClient(t.Context(), testTarget(url), Workload{OutputTokens: 3}, nil)
	require.NoError(t, err)
	defer cl.close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	rec := &Record{}
	(&worker{c: cl}).send(ctx, rec, PromptText{}, -1)
	require.Equal(t, OutcomeCancelled, rec.Outcome)
	require.Len(t, rec.Events, 1)
}
