// Package clock reads the one clock that every part of a run shares: Linux
// CLOCK_MONOTONIC, which is the same for all processes of a machine, so that
// logs of the harness, its servers and fio join by subtraction.
//
// Instants are time.Duration since boot as CLOCK_MONOTONIC counts it; a run
// subtracts its epoch before it stores them. Reading is safe for concurrent
// use and does not allocate. The package refuses to guess wall time: a Clock
// relates the two clocks only at the moment it was made.
package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock converts Go's monotonic readings into CLOCK_MONOTONIC instants. Go
// reads CLOCK_MONOTONIC itself but hides the number; a Clock keeps one pair of
// readings and adds time.Since, which costs a vDSO call instead of a syscall.
// The zero Clock is not usable; call New. A Clock is immutable.
type Clock struct {
	base time.Time
	mono time.Duration
}

// New relates the two readings, taking the tightest of a few tries so that a
// preemption between them cannot shift every later instant.
func New() Clock {
	best := Clock{}
	var width time.Duration = 1 << 62
	for range 16 {
		a := time.Now()
		m := read(unix.CLOCK_MONOTONIC)
		b := time.Now()
		if w := b.Sub(a); w < width {
			width = w
			best = Clock{base: a.Add(w / 2), mono: m}
		}
	}
	return best
}

// Now is the CLOCK_MONOTONIC instant.
func (c Clock) Now() time.Duration { return c.mono + time.Since(c.base) }

// At is the CLOCK_MONOTONIC instant of t, which must carry a monotonic reading
// (as returned by time.Now).
func (c Clock) At(t time.Time) time.Duration { return c.mono + t.Sub(c.base) }

// RealOffset is CLOCK_REALTIME minus CLOCK_MONOTONIC now, in nanoseconds, from
// the tightest of a few readings. Kernel packet stamps are CLOCK_REALTIME;
// callers refresh the offset about once a second, because NTP slews it.
func RealOffset() time.Duration {
	var best time.Duration
	var width time.Duration = 1 << 62
	for range 4 {
		a := read(unix.CLOCK_MONOTONIC)
		r := read(unix.CLOCK_REALTIME)
		b := read(unix.CLOCK_MONOTONIC)
		if w := b - a; w < width {
			width = w
			best = r - (a + w/2)
		}
	}
	return best
}

func read(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		// Both clocks exist on every Linux that Go runs on.
		panic(fmt.Sprintf("clock: read clock %d: %v", id, err))
	}
	return time.Duration(ts.Nano())
}
