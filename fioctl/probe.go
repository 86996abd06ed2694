package fioctl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/clock"
)

// Probe is a victim: a reader of depth 1 at a small fixed rate, direct, on the
// server's file system. Its latency is what one read meets there.
type Probe struct {
	Path       string  `json:"path"` // a target's file
	SizeBytes  int64   `json:"size_bytes"`
	BlockBytes int64   `json:"block_bytes"` // of one read: a multiple of 512, 512 B to 16 MiB
	PerSec     float64 `json:"per_sec"`     // reads per second, 1 to 200
	Seed       uint64  `json:"seed"`        // of the offsets
}

// Sample is one read of a probe; instants count from the epoch given to Run.
type Sample struct {
	Due   time.Duration `json:"due_ns"`
	Start time.Duration `json:"start_ns"`
	End   time.Duration `json:"end_ns"`
}

// ErrProbe marks a probe that cannot work as described.
var ErrProbe = errors.New("probe not usable")

// wakingBytes is the size of the read before each that is measured. On an idle
// machine a read also waits for processors to leave their sleep, below a virtual
// machine those of its host too: that doubles the median of an idle probe, and
// the first light load makes it faster. A small read before wakes them all, so
// that what is measured is the way to the device and back.
const wakingBytes = 4096

const (
	minBlockBytes = 512
	maxBlockBytes = 16 << 20
)

// Validate reports every field out of its range, wrapped in ErrProbe.
func (p Probe) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("fioctl: check probe: %w: "+format, append([]any{ErrProbe}, args...)...))
	}
	if p.Path == "" {
		bad("it has no file (use a target's path)")
	}
	if !blockOK(p.BlockBytes) {
		bad("block of %d bytes is not a multiple of 512 in 512 B to 16 MiB", p.BlockBytes)
	} else if p.SizeBytes < p.BlockBytes {
		bad("file of %d bytes holds no block of %d", p.SizeBytes, p.BlockBytes)
	}
	if !(p.PerSec >= 1 && p.PerSec <= 200) {
		bad("%v reads per second are outside 1 to 200", p.PerSec)
	}
	return errors.Join(errs...)
}

// blockOK says whether direct I/O can be done in such blocks.
func blockOK(n int64) bool {
	return n >= minBlockBytes && n <= maxBlockBytes && n%minBlockBytes == 0
}

// Period is the time between two reads that are due.
func (p Probe) Period() time.Duration {
	return time.Duration(math.Round(float64(time.Second) / p.PerSec))
}

// BytesRead is what a probe has read from the device for so many samples.
func (p Probe) BytesRead(samples int) int64 {
	return int64(samples) * (p.BlockBytes + min(p.BlockBytes, wakingBytes))
}

// Run reads until ctx ends, then returns nil; any other end is an error, also
// one that emit returned. Due times lie on a grid of one period from the first
// read on: a read that is late shifts none after it, and a period that a slow
// read has covered is left out rather than caught up (Reduce counts it). Stamps
// are CLOCK_MONOTONIC less epoch and enclose the system call alone.
//
// A small read of 4 KiB goes before each that is measured, so that both idle and
// loaded probes find the machine awake; BytesRead counts it.
//
// It works on the caller's goroutine, which it locks to its thread meanwhile,
// and calls emit from there between two reads. The context is looked at between
// reads; a read cannot be broken off.
func (p Probe) Run(ctx context.Context, epoch time.Duration, emit func(Sample) error) error {
	if err := p.Validate(); err != nil {
		return err
	}
	fd, err := openDirect(p.Path)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	buf, free, err := alignedBuffer(int(p.BlockBytes))
	if err != nil {
		return err
	}
	defer free()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	c := clock.New()
	offsets := rand.New(rand.NewPCG(p.Seed, 0x70726f6265)) // a stream of its own per seed
	blocks, waking := p.SizeBytes/p.BlockBytes, min(p.BlockBytes, wakingBytes)
	return pace(ctx, p.Period(), func() time.Duration { return c.Now() - epoch }, func(due time.Duration) error {
		if err := readFull(fd, buf[:waking], offsets.Int64N(blocks)*p.BlockBytes); err != nil {
			return fmt.Errorf("fioctl: wake %s: %w", p.Path, err)
		}
		off := offsets.Int64N(blocks) * p.BlockBytes
		s := Sample{Due: due, Start: c.Now() - epoch}
		err := readFull(fd, buf, off)
		s.End = c.Now() - epoch
		if err != nil {
			return fmt.Errorf("fioctl: probe %s at byte %d: %w", p.Path, off, err)
		}
		return emit(s)
	})
}

// pace calls do at due times on a grid until ctx ends or do fails.
func pace(ctx context.Context, period time.Duration, now func() time.Duration, do func(due time.Duration) error) error {
	origin := now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := time.Duration(0); ; {
		due := origin + k*period
		timer.Reset(due - now())
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if ctx.Err() != nil { // both were ready
			return nil
		}
		if err := do(due); err != nil {
			return err
		}
		k = max(k+1, nextDue(now()-origin, period))
	}
}

// nextDue is the first grid point that is not yet a whole period past: the one
// that a slow read ran over may start late, those before it are missed.
func nextDue(elapsed, period time.Duration) time.Duration { return elapsed / period }

func openDirect(path string) (int, error) {
	for {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
		switch {
		case err == nil:
			return fd, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EINVAL):
			return -1, fmt.Errorf("%w: %w", noDirect(path), err)
		default:
			return -1, fmt.Errorf("fioctl: open probe file: %w: %w (prefill the target first)", ErrProbe, &os.PathError{Op: "open", Path: path, Err: err})
		}
	}
}

// errShortRead is a file that ends before the size given.
var errShortRead = fmt.Errorf("%w: the file ends before its stated size (prefill the target again)", ErrProbe)

func readFull(fd int, buf []byte, off int64) error {
	for {
		n, err := unix.Pread(fd, buf, off)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("pread", err)
		case n < len(buf):
			return errShortRead
		default:
			return nil
		}
	}
}
