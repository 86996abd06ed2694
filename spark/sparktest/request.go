package sparktest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// newClient is plain net/http, so that no code is shared with the load
// generator that relies on this suite.
func newClient(caFile string) (*http.Client, error) {
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("sparktest: read CA file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("sparktest: read CA file %s: no certificate in it", caFile)
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: tr}, nil
}

// ask is a request to the model.
type ask struct {
	chat   bool
	model  string // "" is the server's
	prompt string
	tokens int  // max_tokens
	whole  bool // not streamed
}

// exact tells whether the server can be asked for an exact length.
func (s *suite) exact() bool {
	if shape := s.shape(); shape != "" {
		return shape != loadgen.TritonLLMAPI
	}
	return !slices.Contains([]loadgen.Flavor{loadgen.FlavorGeneric, loadgen.FlavorOllama, loadgen.FlavorTritonOpenAI}, s.flavor)
}

// ask is a short request in the form that the server is measured in.
func (s *suite) ask(prompt string, tokens int) ask {
	return ask{chat: s.server.Dialect == string(loadgen.OpenAIChat), prompt: prompt, tokens: tokens}
}

func (s *suite) body(a ask) []byte {
	if a.model == "" {
		a.model = s.server.Endpoint.Model
	}
	if s.shape() != "" {
		return s.tritonBody(a)
	}
	m := map[string]any{"model": a.model, "max_tokens": a.tokens, "temperature": 0, "seed": 1}
	if a.chat {
		m["messages"] = []map[string]string{{"role": "user", "content": a.prompt}}
	} else {
		m["prompt"] = a.prompt
	}
	if !a.whole {
		m["stream"] = true
		m["stream_options"] = map[string]any{"include_usage": true}
	}
	if s.exact() {
		m["ignore_eos"], m["min_tokens"] = true, a.tokens
	}
	return encoded(m)
}

func encoded(m map[string]any) []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return b
}

func (s *suite) path(a ask) string {
	if s.shape() != "" {
		return s.tritonPath(a)
	}
	if a.chat {
		return "/v1/chat/completions"
	}
	return "/v1/completions"
}

// post sends a body and returns the open response, whatever its status.
func (s *suite) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.server.Endpoint.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("build request: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Accept-Encoding", "identity")
	if key := s.o.Endpoint.APIKey; key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	return s.client.Do(req)
}

// refusal is an answer with an error status.
type refusal struct {
	status int
	body   []byte
}

func (r *refusal) Error() string {
	said := strings.Join(strings.Fields(string(r.body)), " ")
	if len(said) > 200 {
		said = strings.ToValidUTF8(said[:200], "") + "…"
	}
	return fmt.Sprintf("status %d: %s", r.status, said)
}

// wellMade checks that a refusal is one that a client can act on: the client's
// fault by its status, and JSON that says something.
func (r *refusal) wellMade() error {
	if r.status < 400 || r.status > 499 {
		return fmt.Errorf("refused with %w; want a status of 400 to 499", r)
	}
	// Triton sends an error of a stream as its event.
	said := bytes.TrimPrefix(r.body, []byte("data: "))
	if !json.Valid(said) || len(bytes.TrimSpace(said)) < 3 {
		return fmt.Errorf("refused without a JSON body: %w", r)
	}
	return nil
}

// refused posts a body that must be refused and checks how; a server that
// answers instead is reported with what it answered.
func (s *suite) refused(ctx context.Context, path string, body []byte) error {
	resp, err := s.post(ctx, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil && resp.StatusCode < 400 {
		return fmt.Errorf("status %d and then: %w", resp.StatusCode, err)
	}
	if resp.StatusCode < 400 {
		return fmt.Errorf("accepted: %w", &refusal{resp.StatusCode, said})
	}
	return (&refusal{resp.StatusCode, said}).wellMade()
}

// send streams one request to its end.
func (s *suite) send(ctx context.Context, a ask) (*stream, error) {
	start := time.Now()
	resp, err := s.post(ctx, s.path(a), s.body(a))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, errors.Join(&refusal{resp.StatusCode, said}, err)
	}
	st := readStream(resp.Body, start, s.shape())
	if ct := resp.Header.Get("Content-Type"); !strings.HasPrefix(strings.ToLower(ct), "text/event-stream") {
		st.faultf("content type is %q, not text/event-stream", ct)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		st.faultf("content encoding is %q though only identity was asked for", enc)
	}
	return st, nil
}

// scrape reads the server's counters, or says why there are none.
func (s *suite) scrape(ctx context.Context) (spark.Counters, error) {
	scraper, err := spark.NewScraper(s.server, 0)
	if err != nil {
		return spark.Counters{}, skipf("%v", err)
	}
	p := scraper.Scrape(ctx).Point()
	if p.Error != "" {
		return p.Counters, fmt.Errorf("read counters: %s", p.Error)
	}
	return p.Counters, nil
}
