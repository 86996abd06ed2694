package watch

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/sysmon"
)

func keepRow(sysmon.Row) error { return nil }

func TestParseAddr(t *testing.T) {
	for _, c := range []struct{ in, want, why string }{
		{"8080", "127.0.0.1:8080", "a port is loopback's"},
		{":8080", "127.0.0.1:8080", "and so with a colon: nobody is served by accident"},
		{"localhost:0", "127.0.0.1:0", "the one name that is known"},
		{"127.0.0.1:8080", "127.0.0.1:8080", ""},
		{"0.0.0.0:8080", "0.0.0.0:8080", "told so, it listens everywhere"},
		{"[::1]:080", "[::1]:80", "IPv6"},
		{"", "", "nothing"},
		{"host:80", "", "a name may be anything tomorrow"},
		{"127.0.0.1", "", "no port"},
		{"127.0.0.1:", "", "no port"},
		{"127.0.0.1:65536", "", "no such port"},
		{"-1", "", "no such port"},
		{"1.2.3.4:80:90", "", "no address"},
	} {
		got, err := ParseAddr(c.in)
		if c.want == "" {
			require.ErrorIs(t, err, ErrAddr, c.in)
			continue
		}
		require.NoError(t, err, c.in)
		require.Equal(t, c.want, got, c.why)
	}
}

func FuzzParseAddr(f *testing.F) {
	for _, s := range []string{"8080", ":1", "0.0.0.0:80", "[::1]:8", "localhost:9", "[fe80::1%eth0]:80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseAddr(s)
		if err != nil {
			return
		}
		again, err := ParseAddr(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
	})
}

// serve opens a server on a free port, with a client of its own.
func serve(t *testing.T) (*Server, *http.Client) {
	t.Helper()
	s, err := Open("127.0.0.1:0")
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return s, &http.Client{Transport: transport}
}

func TestATakenPortIsRefusedWithARemedy(t *testing.T) {
	s, _ := serve(t)
	defer s.Close()
	_, err := Open(s.addr.String())
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.ErrorContains(t, err, "choose another port")
	_, err = Open("192.0.2.1:80")
	require.ErrorContains(t, err, "address of this host")
}

func TestAnAddressServesOneRunAfterAnother(t *testing.T) {
	s, _ := serve(t)
	addr := s.addr.String()
	require.NoError(t, s.Close())
	for range 3 {
		s, err := Open(addr)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
}

func TestThePageTakesNothingFromElsewhere(t *testing.T) {
	s, c := serve(t)
	defer s.Close()
	require.False(t, s.Public())
	for _, path := range []string{"", "chart.js", "watch.js", "watch.css", "icon.svg", "metrics"} {
		r, err := c.Get(s.URL() + path)
		require.NoError(t, err)
		b, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, 200, r.StatusCode, path)
		require.Contains(t, r.Header.Get("Content-Security-Policy"), "default-src 'none'")
		if path != "metrics" {
			text := strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", "")
			require.NotContains(t, text, "http", path)
			require.NotContains(t, text, "innerHTML", path)
		}
	}
	r, err := c.Post(s.URL(), "text/plain", nil)
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusMethodNotAllowed, r.StatusCode)
}

func TestForeignNamesAreRefusedOnLoopback(t *testing.T) {
	s, c := serve(t)
	defer s.Close()
	for host, want := range map[string]int{"evil.example": 403, "127.0.0.1.evil.example:80": 403, "localhost:1": 200, "[::1]:9": 200} {
		req, err := http.NewRequest("GET", s.URL()+"metrics", nil)
		require.NoError(t, err)
		req.Host = host
		r, err := c.Do(req)
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		require.Equal(t, want, r.StatusCode, host)
	}
}

// listen opens the stream and returns a reader of its messages.
func listen(t *testing.T, s *Server, c *http.Client) (next func() (message, error), stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", s.URL()+"events", nil)
	require.NoError(t, err)
	r, err := c.Do(req)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", r.Header.Get("Content-Type"))
	in := bufio.NewReader(r.Body)
	return func() (m message, err error) {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return m, err
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				return m, json.Unmarshal([]byte(data), &m)
			}
		}
	}, func() { cancel(); r.Body.Close() }
}

// UnmarshalJSON lets tests read what they are sent.
func (n *num) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

func TestTheStreamHasTheRunAndItsEnd(t *testing.T) {
	s, c := serve(t)
	s.Hub().Begin("H0", "<b>title</b>", "claim")
	next, stop := listen(t, s, c)
	defer stop()
	m, err := next()
	require.NoError(t, err)
	require.True(t, m.Reset)
	require.Equal(t, fields(), m.Fields)
	s.Hub().Log("last words")
	s.Hub().End(Result{Outcome: "SUPPORTED"})
	require.NoError(t, s.Close())
	var logs []string
	var last *stateMessage
	for {
		logs = append(logs, m.Logs...)
		if m.State != nil {
			last = m.State
		}
		if m.Over {
			break
		}
		m, err = next()
		require.NoError(t, err)
	}
	require.Equal(t, []string{"last words"}, logs, "nothing is lost at the end")
	require.Equal(t, "SUPPORTED", last.Runs[0].Outcome)
	_, err = next()
	require.ErrorIs(t, err, io.EOF)
}

func TestReadersWhoVanishOrStallHoldNothingUp(t *testing.T) {
	s, c := serve(t)
	for range 4 {
		next, stop := listen(t, s, c)
		_, err := next()
		require.NoError(t, err)
		stop()
	}
	// One who asks and never reads, with the least of buffers between.
	conn, err := net.Dial("tcp", s.addr.String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(1))
	_, err = conn.Write([]byte("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return s.readers.Load() == 1 }, 3*time.Second, 5*time.Millisecond, "those who left are gone")
	big := strings.Repeat("x", 64<<10)
	for range maxLogs {
		s.Hub().Log(big) // 13 MB that it will not take
	}
	begun := time.Now()
	require.NoError(t, s.Close())
	require.Less(t, time.Since(begun), 3*closeAfter)
}

func TestTooManyReadersAreTurnedAway(t *testing.T) {
	s, c := serve(t)
	defer s.Close()
	s.readers.Store(maxReaders)
	r, err := c.Get(s.URL() + "events")
	require.NoError(t, err)
	require.NoError(t, r.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, r.StatusCode)
	require.EqualValues(t, maxReaders, s.readers.Load())
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s, c := serve(t)
	next, stop := listen(t, s, c)
	_, err := next()
	require.NoError(t, err)
	require.NoError(t, s.Close())
	stop()
	c.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}
