package spark

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
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// maxAnswer bounds what is read of any one answer of a server, in bytes. A
// busy vLLM page of metrics is about 100 KB.
const maxAnswer = 8 << 20

// Endpoint says where a server listens, how to talk to it and how to be let in. The zero value is not usable: URL is required.
type Endpoint struct {
	URL    string `json:"url"`               // http(s)://host:port, an ending /v1 is cut off
	Model  string `json:"model,omitempty"`   // "" takes the first base model listed, on Triton the one that answers text
	APIKey string `json:"-"`                 // sent as a bearer token, never stored or printed
	CAFile string `json:"ca_file,omitempty"` // PEM roots for https, "" for the system's

	// API is how to talk to the server: "" or "openai" for the OpenAI API,
	// "triton" for Triton's generate_stream in the shape that it serves (found by
	// asking), one of either's forms by name (a loadgen.Dialect), "auto" for
	// whichever of the two answers, or any other name that loadgen.ParseMode knows.
	API string `json:"api,omitempty"`

	// ReadyTimeout bounds the wait for the first streamed token; 0 means two
	// minutes, because a server may load its model at the first request.
	ReadyTimeout time.Duration `json:"ready_timeout_ns,omitempty"`
}

// Validate reports every fault of e, joined.
func (e Endpoint) Validate() error {
	_, err := e.base()
	if e.ReadyTimeout < 0 {
		err = errors.Join(err, fmt.Errorf("spark: endpoint: negative ready timeout %v", e.ReadyTimeout))
	}
	if _, wrong := e.mode(); wrong != nil {
		err = errors.Join(err, fmt.Errorf("spark: endpoint: %w", wrong))
	}
	return err
}

// apiAuto is the API of a server that is to be asked for it.
const apiAuto = "auto"

// mode is the API by name.
func (e Endpoint) mode() (loadgen.Mode, error) {
	if e.API == "" {
		return loadgen.Mode{}, nil
	}
	return loadgen.ParseMode(e.API, false)
}

// base is the root of the server's paths.
func (e Endpoint) base() (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(e.URL))
	switch {
	case err != nil:
		// The parse error repeats its input, which may hold a password.
		return nil, errors.New("spark: endpoint: not a URL (give one like http://127.0.0.1:8000)")
	case u.User != nil:
		return nil, fmt.Errorf("spark: endpoint %s: credentials do not belong in the URL (give the key apart)", u.Redacted())
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return nil, fmt.Errorf("spark: endpoint %q: not an http or https URL (give one like http://127.0.0.1:8000)", e.URL)
	}
	u.RawQuery, u.Fragment = "", ""
	u.Path = strings.TrimSuffix(strings.TrimRight(u.Path, "/"), "/v1")
	return u, nil
}

// client speaks HTTP to one server. It holds no connection between calls.
type client struct {
	base *url.URL
	key  string
	http *http.Client
}

func newClient(e Endpoint) (*client, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	base, err := e.base()
	if err != nil {
		return nil, err
	}
	// No proxy: the environment must not decide what is measured.
	tr := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	if e.CAFile != "" {
		pem, err := os.ReadFile(e.CAFile)
		if err != nil {
			return nil, fmt.Errorf("spark: read CA file: %w", err)
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("spark: read CA file %s: no certificate in it (expected PEM)", e.CAFile)
		}
		tr.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &client{base: base, key: e.APIKey, http: &http.Client{Transport: tr}}, nil
}

// answer is a whole response.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// get reads a path within the time given.
func (c *client) get(ctx context.Context, path string, timeout time.Duration) (answer, error) {
	return c.ask(ctx, http.MethodGet, path, nil, timeout)
}

// post sends JSON to a path and reads the answer within the time given.
func (c *client) post(ctx context.Context, path string, body any, timeout time.Duration) (answer, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return answer{}, fmt.Errorf("spark: encode request: %w", err)
	}
	return c.ask(ctx, http.MethodPost, path, b, timeout)
}

// at is the client of another address of the same host, without the key: it may
// be another's.
func (c *client) at(base *url.URL) *client { return &client{base: base, http: c.http} }

func (c *client) ask(ctx context.Context, method, path string, body []byte, timeout time.Duration) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := c.do(ctx, method, path, body)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return answer{}, fmt.Errorf("spark: read %s: %w", c.base.JoinPath(path), err)
	}
	if len(said) > maxAnswer {
		return answer{}, fmt.Errorf("spark: read %s: longer than %d bytes", c.base.JoinPath(path), maxAnswer)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: said}, nil
}

// do sends a request; failures to get any answer are ErrUnreachable.
func (c *client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("spark: build request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "text/event-stream")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		// Unwrap url.Error: it repeats method and URL that callers name.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return nil, fmt.Errorf("%w: %s: %w", ErrUnreachable, c.base, err)
	}
	return resp, nil
}

// says quotes a body for an error message: short, on one line, without the key.
func (c *client) says(body []byte) string {
	s := strings.Join(strings.Fields(string(body)), " ")
	if c.key != "" {
		s = strings.ReplaceAll(s, c.key, "[key]")
	}
	if len(s) > 300 {
		s = strings.ToValidUTF8(s[:300], "") + "…"
	}
	if s == "" {
		return "(empty answer)"
	}
	return s
}
