package loadgen

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/clock"
)

// arrival is what one exchange knows about the bytes that it was delivered. Its
// fields are atomic because the transport reads headers in a goroutine of its
// own; the body is read by whoever reads the response.
type arrival struct {
	reads atomic.Int64 // reads that delivered bytes
	first atomic.Int64 // CLOCK_MONOTONIC ns of the first of them, 0 before it
	last  atomic.Int64 // of the newest
	user  atomic.Bool  // some stamp is from the user clock
}

func (a *arrival) note(at time.Duration, user bool) {
	a.last.Store(int64(at))
	if a.first.Load() == 0 {
		a.first.Store(int64(at))
	}
	if user {
		a.user.Store(true)
	}
	a.reads.Add(1)
}

// seen leads from a connection to the exchange that has it now. An exchange's
// own stamps stay as they are when its connection goes to the next.
type seen struct{ now atomic.Pointer[arrival] }

// stampInto gives the connection to an exchange.
func (s *seen) stampInto(a *arrival) { s.now.Store(a) }

func (s *seen) note(at time.Duration, user bool) {
	if a := s.now.Load(); a != nil {
		a.note(at, user)
	}
}

// stamped is a connection that stamps what it delivers.
type stamped interface {
	net.Conn
	stampInto(*arrival)
}

// kernelClock maps kernel packet stamps, which are CLOCK_REALTIME, onto
// CLOCK_MONOTONIC. The offset is refreshed about once a second, because NTP
// slews the one clock against the other; a step of the wall clock spoils stamps
// until then. Safe for concurrent use.
type kernelClock struct {
	clock.Clock
	offset    atomic.Int64
	refreshAt atomic.Int64
}

func newKernelClock() *kernelClock {
	k := &kernelClock{Clock: clock.New()}
	k.offset.Store(int64(clock.RealOffset()))
	k.refreshAt.Store(int64(k.Now() + time.Second))
	return k
}

// monotonic converts a stamp in CLOCK_REALTIME nanoseconds.
func (k *kernelClock) monotonic(real int64) time.Duration {
	m := real - k.offset.Load()
	if at := k.refreshAt.Load(); m > at && k.refreshAt.CompareAndSwap(at, m+int64(time.Second)) {
		k.offset.Store(int64(clock.RealOffset()))
		m = real - k.offset.Load()
	}
	return time.Duration(m)
}

// kernelConn is a TCP connection that reads with recvmsg and takes the kernel's
// receive stamp of the newest segment in each read (SO_TIMESTAMPNS; see
// Documentation/networking/timestamping.rst). Reading does not allocate. Like
// any use by http.Transport, it has one reader at a time.
type kernelConn struct {
	*net.TCPConn
	seen
	raw   syscall.RawConn
	clk   *kernelClock
	hdr   unix.Msghdr
	iov   unix.Iovec
	oob   [64]byte // one SCM_TIMESTAMPNS takes 32
	n     int
	errno syscall.Errno
	recv  func(fd uintptr) bool // bound once: a method value would allocate per read
}

// errNoStamps means that the kernel, or what plays it, has no receive stamps.
var errNoStamps = errors.New("loadgen: no kernel receive stamps here")

func newKernelConn(c *net.TCPConn, clk *kernelClock) (*kernelConn, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var opt error
	if err := raw.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	}); err != nil {
		return nil, err
	}
	if opt != nil {
		return nil, errors.Join(errNoStamps, opt)
	}
	k := &kernelConn{TCPConn: c, raw: raw, clk: clk}
	k.hdr.Iov = &k.iov
	k.hdr.SetIovlen(1)
	k.hdr.Control = &k.oob[0]
	k.recv = k.recvmsg
	return k, nil
}

// recvmsg is one attempt; false means that nothing was there. RawSyscall is
// right because the socket never blocks.
func (k *kernelConn) recvmsg(fd uintptr) bool {
	for {
		k.hdr.SetControllen(len(k.oob))
		n, _, e := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&k.hdr)), unix.MSG_DONTWAIT)
		k.n, k.errno = int(n), e
		switch e {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		joined(fd)
		return true
	}
}

// Read reads like net.TCPConn's, and stamps.
func (k *kernelConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	k.iov.Base = &p[0]
	k.iov.SetLen(len(p))
	err := k.raw.Read(k.recv)
	runtime.KeepAlive(k)
	k.iov.Base = nil
	switch {
	case err != nil:
		return 0, err
	case k.errno != 0:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: k.LocalAddr(), Addr: k.RemoteAddr(), Err: k.errno}
	case k.n == 0:
		return 0, io.EOF
	}
	k.note(k.stamp())
	return k.n, nil
}

// stamp is the kernel's stamp of the last recvmsg, or now where it sent none.
func (k *kernelConn) stamp() (at time.Duration, user bool) {
	const head = unix.SizeofCmsghdr
	if int(k.hdr.Controllen) >= head+int(unsafe.Sizeof(unix.Timespec{})) {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&k.oob[0]))
		if h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS {
			ts := (*unix.Timespec)(unsafe.Pointer(&k.oob[head]))
			return k.clk.monotonic(ts.Nano()), false
		}
	}
	return k.clk.Now(), true
}

// userConn stamps reads when they return: for sockets without kernel stamps.
type userConn struct {
	net.Conn
	seen
	clk *kernelClock
}

func (u *userConn) Read(p []byte) (int, error) {
	n, err := u.Conn.Read(p)
	if n > 0 {
		u.note(u.clk.Now(), true)
	}
	return n, err
}

// stampDelay is what the kernel may take to begin stamping: it patches its own
// code, from a work queue (net_enable_timestamp in net/core/dev.c).
const stampDelay = 20 * time.Millisecond

// keepStamping makes the kernel stamp packets until the file is closed, and
// waits until it does. Each kernelConn asks for stamps too, but the first
// responses would come without. The file is nil where there is nobody to ask.
func keepStamping() *os.File {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	f := os.NewFile(uintptr(fd), "stamping")
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) != nil {
		f.Close()
		return nil
	}
	time.Sleep(stampDelay)
	return f
}

// stampConn wraps a fresh connection with the best stamps it can have.
func stampConn(c net.Conn, clk *kernelClock, userClock bool) stamped {
	if tcp, ok := c.(*net.TCPConn); ok && !userClock {
		if k, err := newKernelConn(tcp, clk); err == nil {
			return k
		}
	}
	return &userConn{Conn: c, clk: clk}
}
