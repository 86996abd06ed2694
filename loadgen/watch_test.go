package loadgen

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipeServer answers over net.Pipe, so that a whole exchange runs in fake time.
func pipeServer(play func(c io.Writer)) dialFunc {
	return func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			req, err := http.ReadRequest(bufio.NewReader(far))
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err == nil {
				play(far)
			}
		}()
		return near, nil
	}
}

const second = time.Second

var timeoutCases = []struct {
	why                 string
	header, idle, total time.Duration
	play                script
	want                Outcome
	after               time.Duration // from dispatch to the end
	events              int
}{
	{"no header", 2 * second, second, 0, func(c io.Writer) { time.Sleep(time.Hour) }, OutcomeHeader, 2 * second, 0},
	{"header at once, then queue and prefill", 5 * second, second, 0, func(c io.Writer) {
		io.WriteString(c, streamHead)
		time.Sleep(4 * second)
		streamsRest(c, text("a")+finish+used+done)
	}, OutcomeOK, 4 * second, 1},
	{"header at once, then nothing", 5 * second, second, 0, func(c io.Writer) {
		io.WriteString(c, streamHead)
		time.Sleep(time.Hour)
	}, OutcomeIdle, 5 * second, 0},
	{"stall between tokens", 5 * second, second, 0, func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, text("a"))
		time.Sleep(700 * time.Millisecond)
		chunked(c, text("b"))
		time.Sleep(time.Hour)
	}, OutcomeIdle, 1700 * time.Millisecond, 2},
	{"keep-alive comments do not count", 5 * second, second, 0, func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, text("a"))
		for range 100 {
			time.Sleep(300 * time.Millisecond)
			chunked(c, ": ping\n\n")
		}
	}, OutcomeIdle, second, 1},
	{"tokens without end", 0, second, 2900 * time.Millisecond, func(c io.Writer) {
		io.WriteString(c, streamHead)
		for range 100 {
			chunked(c, text("a"))
			time.Sleep(500 * time.Millisecond)
		}
	}, OutcomeTotal, 2900 * time.Millisecond, 6},
	{"an error event, then never closed", 0, second, 0, func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, "data: {\"error\":\"boom\"}\n\n")
		time.Sleep(time.Hour)
	}, OutcomeStreamError, 0, 0},
	{"finished, then never closed", 0, 9 * second, 0, func(c io.Writer) {
		io.WriteString(c, streamHead)
		chunked(c, text("a")+finish+used+done)
		time.Sleep(time.Hour)
	}, OutcomeOK, 0, 1},
	{"an error status whose body hangs", 0, 0, 2 * second, func(c io.Writer) {
		io.WriteString(c, "HTTP/1.1 503 x\r\nContent-Length: 99\r\n\r\nbusy")
		time.Sleep(time.Hour)
	}, OutcomeHTTP5xx, 2 * second, 0},
}

// streamsRest ends a stream whose header was sent.
func streamsRest(c io.Writer, body string) {
	chunked(c, body)
	io.WriteString(c, "0\r\n\r\n")
}

func TestTimeouts(t *testing.T) {
	for _, c := range timeoutCases {
		t.Run(c.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				target := testTarget("http://in.memory")
				target.HeaderTimeout, target.IdleTimeout, target.TotalTimeout = c.header, c.idle, c.total
				cl, err := newClient(ctx, target, Workload{OutputTokens: 3}, pipeServer(c.play))
				require.NoError(t, err)
				rec := &Record{}
				(&worker{c: cl}).send(ctx, rec, PromptText{}, -1)
				require.Equal(t, c.want, rec.Outcome, rec.Error)
				took, _ := rec.Close.Sub(rec.Dispatched)
				require.Equal(t, c.after, took)
				require.Len(t, rec.Events, c.events)
				if rec.Status != 0 {
					require.Equal(t, StampUser, rec.Stamp, "a pipe has no kernel stamps")
				}
				cl.close()
				time.Sleep(2 * time.Hour) // let the server's side end
			})
		})
	}
}

func TestFakeTimeIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cl, err := newClient(t.Context(), testTarget("http://in.memory"), Workload{OutputTokens: 3}, pipeServer(func(c io.Writer) {
			time.Sleep(100 * time.Millisecond)
			io.WriteString(c, streamHead)
			time.Sleep(200 * time.Millisecond)
			chunked(c, text("a"))
			time.Sleep(20 * time.Millisecond)
			chunked(c, text("b"))
			streamsRest(c, finish+used+done)
		}))
		require.NoError(t, err)
		defer cl.close()
		rec := &Record{}
		(&worker{c: cl}).send(t.Context(), rec, PromptText{}, -1)
		require.Equal(t, OutcomeOK, rec.Outcome, rec.Error)
		for want, at := range map[time.Duration]Instant{
			0: rec.Written, 100 * time.Millisecond: rec.Header,
			300 * time.Millisecond: rec.FirstToken, 320 * time.Millisecond: rec.LastToken,
		} {
			got, ok := at.Sub(rec.Dispatched)
			require.True(t, ok)
			require.Equal(t, want, got)
		}
		require.Equal(t, rec.FirstToken, rec.FirstVisible)
		require.Equal(t, 2, rec.Reads)
	})
}
