package emulator

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// aio is the kernel's asynchronous I/O (io_submit(2)) with an eventfd that the
// Go runtime's poller understands, so that reads in flight hold no thread and
// no scheduler slot. It is for one goroutine, but for kick.
type aio struct {
	ctx    uintptr
	fd     int // eventfd
	wake   *os.File
	iocbs  []iocb
	ptrs   []*iocb
	events []ioEvent
}

// iocb and ioEvent are the kernel's, on little-endian machines
// (include/uapi/linux/aio_abi.h).
type iocb struct {
	data   uint64
	_      [2]uint32 // key, flags of the read or write
	opcode uint16
	_      int16 // priority
	fd     uint32
	buf    uint64
	bytes  uint64
	offset int64
	_      uint64
	flags  uint32
	resFD  uint32
}

type ioEvent struct {
	data, obj uint64
	res, res2 int64
}

const (
	iocbRead    = 0 // IOCB_CMD_PREAD
	iocbWrite   = 1 // IOCB_CMD_PWRITE
	iocbEventFD = 1 // IOCB_FLAG_RESFD
)

func newAIO(depth int) (*aio, error) {
	a := &aio{iocbs: make([]iocb, depth), ptrs: make([]*iocb, depth), events: make([]ioEvent, depth)}
	for i := range a.ptrs {
		a.ptrs[i] = &a.iocbs[i]
	}
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, uintptr(depth), uintptr(unsafe.Pointer(&a.ctx)), 0); e != 0 {
		return nil, fmt.Errorf("emulator: set up asynchronous I/O of depth %d: %w (needs the kernel's AIO and room under fs.aio-max-nr)", depth, e)
	}
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		a.destroy()
		return nil, fmt.Errorf("emulator: create event descriptor: %w", err)
	}
	a.fd, a.wake = fd, os.NewFile(uintptr(fd), "eventfd")
	return a, nil
}

// kick makes wait return. It may be called from any goroutine until close.
func (a *aio) kick() {
	one := [8]byte{1} // little-endian
	// A full counter (EAGAIN) is a wake-up already on its way.
	_, _ = unix.Write(a.fd, one[:])
}

// wait returns after a completion or a kick.
func (a *aio) wait() error {
	var n [8]byte
	if _, err := a.wake.Read(n[:]); err != nil {
		return fmt.Errorf("emulator: wait for I/O: %w", err)
	}
	return nil
}

// set describes I/O i of the next submit; tag comes back with its completion.
func (a *aio) set(i int, tag int, write bool, fd int, buf []byte, offset int64) {
	opcode := uint16(iocbRead)
	if write {
		opcode = iocbWrite
	}
	a.iocbs[i] = iocb{
		data: uint64(tag), opcode: opcode, fd: uint32(fd),
		buf: uint64(uintptr(unsafe.Pointer(&buf[0]))), bytes: uint64(len(buf)), offset: offset,
		flags: iocbEventFD, resFD: uint32(a.fd),
	}
}

// submit starts the first n I/Os set. The buffers must lie outside the Go heap
// and stay mapped until their completions.
func (a *aio) submit(n int) error {
	for start := 0; start < n; {
		k, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, a.ctx, uintptr(n-start), uintptr(unsafe.Pointer(&a.ptrs[start])))
		runtime.KeepAlive(a)
		switch {
		case e == unix.EINTR || e == unix.EAGAIN:
			runtime.Gosched()
		case e != 0:
			return fmt.Errorf("emulator: submit I/O: %w", e)
		}
		if e == 0 {
			start += int(k)
		}
	}
	return nil
}

// reap returns the completions at hand without waiting.
func (a *aio) reap() ([]ioEvent, error) {
	var zero unix.Timespec
	for {
		n, _, e := unix.Syscall6(unix.SYS_IO_GETEVENTS, a.ctx, 0, uintptr(len(a.events)),
			uintptr(unsafe.Pointer(&a.events[0])), uintptr(unsafe.Pointer(&zero)), 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return nil, fmt.Errorf("emulator: collect I/O: %w", e)
		}
		return a.events[:n], nil
	}
}

func (a *aio) destroy() { _, _, _ = unix.Syscall(unix.SYS_IO_DESTROY, a.ctx, 0, 0) }

// close waits for what is in flight and frees everything.
func (a *aio) close() error {
	a.destroy()
	return a.wake.Close()
}
