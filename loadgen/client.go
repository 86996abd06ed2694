package loadgen

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

// dialTimeout bounds connecting; a server that queues connections answers
// within its backlog, and a dead route must not hang for minutes.
const dialTimeout = 10 * time.Second

// idleConns is how long a connection is kept without use. Servers on uvicorn,
// which are most, close theirs after 5 s; a request that meets the closing would
// fail and is not retried.
const idleConns = 4 * time.Second

// client sends one target's requests. It is safe for concurrent use; close ends
// everything it started.
type client struct {
	target    Target
	epoch     time.Duration // CLOCK_MONOTONIC instant that records count from
	clk       *kernelClock
	transport *http.Transport
	header    http.Header // shared by all requests, read-only
	url       *url.URL
	parts     bodyParts
	adapters  []Adapter // what a request's adapter counts in
	want      int       // output tokens asked for

	life context.Context // over when the client closes
	end  context.CancelFunc
	keep *os.File // keeps the kernel stamping; may be nil
}

// dialFunc makes a connection, as net.Dialer.DialContext does.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// newClient prepares to send w to t until ctx ends. A nil dial uses the network.
func newClient(ctx context.Context, t Target, w Workload, dial dialFunc) (*client, error) {
	parts, err := newBodyParts(t, w)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(t.endpoint(parts.path))
	if err != nil {
		return nil, fmt.Errorf("loadgen: target: %w", err)
	}
	roots, err := readRoots(t.CAFile)
	if err != nil {
		return nil, err
	}
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	c := &client{target: t, epoch: t.Epoch, clk: newKernelClock(), header: t.header(), url: u, parts: parts, adapters: w.Adapters.List, want: w.OutputTokens}
	c.life, c.end = context.WithCancel(ctx)
	if !t.UserClock {
		c.keep = keepStamping()
	}
	c.transport = &http.Transport{
		DialContext:         c.dialer(dial),
		TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: dialTimeout,
		DisableCompression:  true, // a decompressor holds tokens back
		MaxIdleConnsPerHost: math.MaxInt32,
		IdleConnTimeout:     idleConns,
		// HTTP/1.1 only: streams that share a connection have no stamps of
		// their own. A custom dialler already keeps HTTP/2 off.
		ForceAttemptHTTP2: false,
	}
	return c, nil
}

// header is what every request to the target carries.
func (t Target) header() http.Header {
	h := http.Header{
		"Content-Type":    {"application/json"},
		"Accept":          {"text/event-stream"},
		"Accept-Encoding": {"identity"},
		"User-Agent":      {"spark-harness-loadgen"},
	}
	if t.APIKey != "" {
		h.Set("Authorization", "Bearer "+t.APIKey)
	}
	return h
}

// readRoots is the system's certificates and those in file; nil, the system's
// alone, when file is empty.
func readRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("loadgen: read CAFile: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("loadgen: read CAFile %s: no PEM certificate in it", file)
	}
	return pool, nil
}

// dialer wraps dial with receive stamps, and ends dials with the client: the
// transport lets a dial outlive the request that wanted it.
func (c *client) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(c.life, cancel)()
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return stampConn(conn, c.clk, c.target.UserClock), nil
	}
}

// close drops the idle connections and ends dials under way.
func (c *client) close() {
	c.end()
	c.transport.CloseIdleConnections()
	if c.keep != nil {
		c.keep.Close()
	}
}

// ErrUnreachable means that nothing answered at a target's address.
var ErrUnreachable = errors.New("server unreachable")

// reach connects once, so that a wrong address is an error and not a run full of
// failures.
func (c *client) reach(ctx context.Context) error {
	host, port := c.url.Hostname(), c.url.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[c.url.Scheme]
	}
	conn, err := c.transport.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	switch {
	case err == nil:
		return conn.Close()
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return fmt.Errorf("loadgen: reach %s: %w: %w (is the server up, and the port right?)", c.target.BaseURL, ErrUnreachable, err)
}
