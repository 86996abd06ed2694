package loadgen

import (
	"encoding/pem"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
)

// tcpPair is both ends of a loopback connection.
func tcpPair(t testing.TB) (near, far net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accepted := make(chan net.Conn)
	go func() {
		c, err := l.Accept()
		if err != nil {
			close(accepted)
			return
		}
		accepted <- c
	}()
	near, err = net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	far = <-accepted
	require.NotNil(t, far)
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestKernelStampsAreTheArrivalNotTheRead(t *testing.T) {
	clk := newKernelClock()
	if keep := keepStamping(); keep != nil {
		defer keep.Close()
	}
	near, far := tcpPair(t)
	c := stampConn(near, clk, false)
	if _, ok := c.(*kernelConn); !ok {
		t.Skip("this kernel gives no receive stamps")
	}
	var a arrival
	c.stampInto(&a)
	buf := make([]byte, 100)
	io.WriteString(far, "x")
	_, err := c.Read(buf)
	require.NoError(t, err)

	before := clk.Now()
	io.WriteString(far, "hello")
	after := clk.Now()
	time.Sleep(50 * time.Millisecond)
	n, err := c.Read(buf)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buf[:n]))
	at := time.Duration(a.last.Load())
	require.GreaterOrEqual(t, at, before-time.Millisecond)
	require.Less(t, at, after+20*time.Millisecond, "stamped when it came, not when it was read")
	require.EqualValues(t, 2, a.reads.Load())

	var next arrival
	c.stampInto(&next)
	io.WriteString(far, "again")
	_, err = c.Read(buf)
	require.NoError(t, err)
	require.EqualValues(t, 2, a.reads.Load(), "an exchange that is over is left alone")
	require.EqualValues(t, 1, next.reads.Load())
	require.Equal(t, next.first.Load(), next.last.Load())
}

func TestKernelConnReadsLikeAnyConn(t *testing.T) {
	near, far := tcpPair(t)
	c := stampConn(near, newKernelClock(), false)
	n, err := c.Read(nil)
	require.NoError(t, err)
	require.Zero(t, n)

	require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, c.SetReadDeadline(time.Time{}))

	io.WriteString(far, "abc")
	far.Close()
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Equal(t, "abc", string(got))
	require.NoError(t, c.Close())
	_, err = c.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestKernelConnDoesNotAllocate(t *testing.T) {
	near, far := tcpPair(t)
	c := stampConn(near, newKernelClock(), false)
	var a arrival
	c.stampInto(&a)
	buf, event := make([]byte, 100), []byte("data: x\n\n")
	allocs := testing.AllocsPerRun(200, func() {
		if _, err := far.Write(event); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			t.Fatal(err)
		}
	})
	require.Zero(t, allocs)
}

func TestUserClockWhereTheKernelHasNone(t *testing.T) {
	near, far := tcpPair(t)
	_, ok := stampConn(near, newKernelClock(), true).(*userConn)
	require.True(t, ok, "asked for")
	clk := newKernelClock()
	pipe, other := net.Pipe()
	defer other.Close()
	c := stampConn(pipe, clk, false)
	var a arrival
	c.stampInto(&a)
	go io.WriteString(other, "x")
	before := clk.Now()
	_, err := c.Read(make([]byte, 1))
	require.NoError(t, err)
	require.True(t, a.user.Load())
	require.GreaterOrEqual(t, time.Duration(a.last.Load()), before)
	_ = far
}

func TestKernelClockFollowsTheWallClock(t *testing.T) {
	k := newKernelClock()
	k.offset.Store(0) // as after a step of the wall clock
	k.refreshAt.Store(int64(k.Now()))
	real := int64(clock.RealOffset() + k.Now())
	require.InDelta(t, float64(k.Now()), float64(k.monotonic(real)), float64(50*time.Millisecond))
}

func TestStreamsAreStampedByTheKernelAlsoUnderTLS(t *testing.T) {
	s := &streamer{tokens: 3}
	for _, secure := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(s)
		if secure {
			srv.StartTLS()
		} else {
			srv.Start()
		}
		defer srv.Close()
		target := testTarget(srv.URL)
		if secure {
			rec := ask(t, target, "")
			require.Equal(t, OutcomeTLS, rec.Outcome, rec.Error)
			target.CAFile = filepath.Join(t.TempDir(), "ca.pem")
			block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
			require.NoError(t, os.WriteFile(target.CAFile, block, 0o600))
		}
		rec := ask(t, target, "")
		require.Equal(t, OutcomePromptTruncated, rec.Outcome, rec.Error) // it says 12 of 100
		require.Equal(t, StampKernel, rec.Stamp)
		target.UserClock = true
		require.Equal(t, StampUser, ask(t, target, "").Stamp)
	}
}

func TestCAFileFaults(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(bad, []byte("no"), 0o600))
	_, err := readRoots(bad)
	require.ErrorContains(t, err, "no PEM certificate")
	_, err = readRoots(bad + "x")
	require.ErrorIs(t, err, os.ErrNotExist)
}
