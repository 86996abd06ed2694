package loadgen

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pieces writes a body in three HTTP chunks.
func pieces(c io.Writer, body string) {
	for _, part := range []string{body[:len(body)/3], body[len(body)/3 : len(body)/2], body[len(body)/2:]} {
		if part != "" {
			chunked(c, part)
		}
	}
}

// play is what a server does that behaves as the fixture says.
func (f fixture) play(c io.Writer) {
	head := func(version, more string) {
		fmt.Fprintf(c, "HTTP/%s %d x\r\nContent-Type: %s; charset=utf-8\r\n%s\r\n", version, f.status, f.kind, more)
	}
	body := f.body
	switch f.how {
	case "close":
		return
	case "http10":
		head("1.0", "")
		io.WriteString(c, body)
		return
	case "length":
		head("1.1", fmt.Sprintf("Content-Length: %d\r\n", len(body)))
		io.WriteString(c, body)
		return
	case "gzip":
		head("1.1", "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n")
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		io.WriteString(w, body)
		w.Close()
		body = packed.String()
	default:
		head("1.1", "Transfer-Encoding: chunked\r\n")
	}
	pieces(c, body)
	switch f.how {
	case "cut":
	case "reset":
		time.Sleep(50 * time.Millisecond) // the client's read cannot be seen from here
		c.(interface{ SetLinger(int) error }).SetLinger(0)
	case "stall":
		for err := error(nil); err == nil; _, err = fmt.Fprintf(c, "8\r\n: ping\n\n\r\n") {
			time.Sleep(5 * time.Millisecond)
		}
	case "linger":
		io.Copy(io.Discard, c.(io.Reader)) // until the client goes
	default:
		io.WriteString(c, "0\r\n\r\n")
	}
}

func TestFixturesOverTheWire(t *testing.T) {
	for _, family := range families() {
		for _, f := range fixtures(t, family) {
			t.Run(family+"/"+f.name(), func(t *testing.T) {
				t.Parallel()
				target := f.target
				target.BaseURL = serve(t, f.play)
				target.IdleTimeout = 10 * time.Second
				if f.how == "stall" {
					target.IdleTimeout = 100 * time.Millisecond
				}
				r := ask(t, target, f.adapter)
				f.check(t, r)
				if f.how != "close" {
					require.Equal(t, f.status, r.Status)
				}
				if f.want.OK() {
					requireOrder(t, withDue(r))
				}
			})
		}
	}
}

// dialectsOf are a family's.
func dialectsOf(family string) []Dialect {
	if family == "triton" {
		return []Dialect{TritonTRTLLM, TritonLLMAPI, TritonVLLM}
	}
	return []Dialect{OpenAICompletions, OpenAIChat}
}

// TestRefusalsInEveryShape: no refusal is a success, and its words are kept,
// whatever the dialect, the status and the shape of the body.
func TestRefusalsInEveryShape(t *testing.T) {
	shapes := []struct{ why, kind, body, says string }{
		{"string error (trtllm-serve, Triton)", "application/json", `{"error":"boom no 7"}`, "boom no 7"},
		{"flat object (trtllm-serve, old vLLM)", "application/json", `{"object":"error","message":"boom no 7","type":"BadRequestError","param":null,"code":400}`, "boom no 7"},
		{"flat without object (Dynamo)", "application/json", `{"message":"boom no 7","type":"Not Found","code":404}`, "boom no 7"},
		{"wrapped (vLLM, llama.cpp, Ollama)", "application/json", `{"error":{"message":"boom no 7","type":"x","param":null,"code":400}}`, "boom no 7"},
		{"beside its type (TGI)", "application/json", `{"error":"boom no 7","error_type":"overloaded"}`, "boom no 7"},
		{"detail (FastAPI)", "application/json", `{"detail":"boom no 7"}`, "boom no 7"},
		{"details (FastAPI)", "application/json", `{"detail":[{"loc":["body","x"],"msg":"boom no 7","type":"missing"}]}`, "boom no 7"},
		{"event (Triton's first response)", "text/event-stream; charset=utf-8", "data: {\"error\":\"boom no 7\"}\n\n", "boom no 7"},
		{"plain text", "text/plain", "boom no 7\n", "boom no 7"},
		{"empty", "text/plain", "", "HTTP "},
		{"HTML of a proxy", "text/html", "<html>\r\n<head><title>boom no 7</title></head></html>", "<title>boom no 7</title>"},
	}
	outcomes := map[int]Outcome{400: OutcomeHTTP4xx, 404: OutcomeHTTP4xx, 422: OutcomeHTTP4xx, 429: OutcomeHTTP429, 500: OutcomeHTTP5xx, 503: OutcomeHTTP5xx}
	var play script // changes between requests
	url := serve(t, func(c io.Writer) { play(c) })
	for _, d := range dialects {
		c, err := newClient(t.Context(), Target{BaseURL: url, Model: "m", Dialect: d}, Workload{OutputTokens: 3}, nil)
		require.NoError(t, err)
		w := worker{c: c}
		for status, want := range outcomes {
			for _, s := range shapes {
				play = answers(status, s.kind, s.body)
				r := &Record{}
				w.send(t.Context(), r, PromptText{Text: "x"}, -1)
				requireTold(t, r)
				require.Equal(t, want, r.Outcome, "%s %d %s", d, status, s.why)
				require.Contains(t, r.Error, fmt.Sprintf("HTTP %d", status), s.why)
				require.Contains(t, r.Error, s.says, s.why)
				require.Equal(t, status, r.Status)
				require.Empty(t, r.Events)
			}
		}
		c.close()
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	for _, family := range families() {
		r := ask(t, Target{BaseURL: "http://" + l.Addr().String(), Model: "m", Dialect: dialectsOf(family)[0]}, "")
		require.Equal(t, OutcomeRefused, r.Outcome, r.Error)
	}
}

// TestServerRestartsBetweenRequests: the next request after a restart is sent
// over a connection of its own, and none is sent twice.
func TestServerRestartsBetweenRequests(t *testing.T) {
	for _, family := range families() {
		good := fixtures(t, family)[0]
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, good.body[:9])
			w.(http.Flusher).Flush()
			io.WriteString(w, good.body[9:])
		})
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		first := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
		first.Start()
		target := good.target
		target.BaseURL = first.URL
		c, err := newClient(t.Context(), target, Workload{OutputTokens: 3}, nil)
		require.NoError(t, err)
		w := worker{c: c}
		ask := func() *Record {
			rec := &Record{}
			w.send(t.Context(), rec, PromptText{Text: "x"}, -1)
			return rec
		}
		require.Equal(t, OutcomeOK, ask().Outcome)
		warm := ask()
		require.Equal(t, OutcomeOK, warm.Outcome)
		require.True(t, warm.ReusedConn)
		first.Close()
		down := ask()
		require.Contains(t, []Outcome{OutcomeRefused, OutcomeReset}, down.Outcome, down.Error)

		l, err = net.Listen("tcp", l.Addr().String())
		require.NoError(t, err)
		second := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler}}
		second.Start()
		again := ask()
		require.Equal(t, OutcomeOK, again.Outcome, again.Error)
		require.False(t, again.ReusedConn)
		good.check(t, again)
		c.close()
		second.Close()
	}
}

// TestHTTP2IsNotUsed: streams that share a connection have no stamps of their
// own, so a proxy that offers HTTP/2 is spoken to in HTTP/1.1.
func TestHTTP2IsNotUsed(t *testing.T) {
	for _, family := range families() {
		good := fixtures(t, family)[0]
		proto := ""
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			proto = r.Proto
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			io.WriteString(w, good.body)
		}))
		srv.EnableHTTP2 = true
		srv.StartTLS()
		roots := filepath.Join(t.TempDir(), "roots.pem")
		require.NoError(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600))
		target := good.target
		target.BaseURL, target.CAFile = srv.URL, roots
		good.check(t, ask(t, target, ""))
		require.Equal(t, "HTTP/1.1", proto)
		srv.Close()
	}
}

// TestHintsOfTheRightDialect: what a server says to the wrong one.
func TestHintsOfTheRightDialect(t *testing.T) {
	const missing = `{"error":"[request id: <id_unknown>] expected number of inputs between 2 and 30 but got 1 inputs for model 'ensemble'. Got input(s) ['text_input'], but missing required input(s) ['max_tokens']. Please provide all required input(s)."}`
	for _, c := range []struct {
		why     string
		dialect Dialect
		status  int
		body    string
		want    string // "" is no hint
	}{
		{"prompt sent to Triton's generate", OpenAICompletions, 400, strings.Replace(missing, "['max_tokens']", "['text_input']", 1), `it looks like Triton: use dialect "triton-trtllm"`},
		{"Triton has no /v1, and says nothing", OpenAIChat, 400, "", `Triton is asked with dialect "triton-trtllm"`},
		{"or 404", OpenAIChat, 404, `{"error":"Not Found"}`, `Triton is asked with dialect`},
		{"a model that is not there", OpenAICompletions, 404, `{"error":{"message":"The model m does not exist."}}`, ""},
		{"load", OpenAICompletions, 429, "", ""},
		{"FastAPI (vLLM, SGLang, trtllm-serve)", TritonTRTLLM, 404, `{"detail":"Not Found"}`, `asked with dialect "openai-completions"`},
		{"Ollama", TritonVLLM, 404, "404 page not found", `asked with dialect "openai-completions"`},
		{"llama.cpp", TritonLLMAPI, 404, `{"error":{"code":404,"message":"File Not Found","type":"not_found_error"}}`, `asked with dialect "openai-completions"`},
		{"a model that is not in the repository", TritonTRTLLM, 400, `{"error":"Request for unknown model: 'm' is not found"}`, "POST /v2/repository/index lists them"},
		{"llmapi's names sent to the ensemble", TritonLLMAPI, 400, missing, `it looks like dialect "triton-trtllm"`},
		{"the ensemble's names, and no max_tokens", TritonTRTLLM, 400, missing, ""},
		{"the ensemble's names sent to vLLM", TritonTRTLLM, 500, `{"error":"Error generating stream: 'NoneType' object has no attribute 'lora_name'"}`, `it looks like dialect "triton-vllm"`},
		{"the same in the stream", TritonTRTLLM, 200, `{"error":"Error generating stream: 'NoneType' object has no attribute 'lora_name'"}`, `it looks like dialect "triton-vllm"`},
	} {
		r := ask(t, Target{BaseURL: serve(t, answers(c.status, "application/json", c.body)), Model: "m", Dialect: c.dialect}, "")
		require.NotEqual(t, OutcomeOK, r.Outcome)
		if c.want == "" {
			require.NotContains(t, r.Error, "dialect", c.why)
			continue
		}
		require.Contains(t, r.Error, c.want, c.why)
		require.True(t, json.Valid([]byte(quote(r.Error))))
	}
}
