package loadgen

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// alarm wakes one goroutine at a CLOCK_MONOTONIC instant, which others may move
// while it waits. set and stop must not run at the same time.
type alarm interface {
	set(at time.Duration)
	wait()
	stop()
}

// timerfdAlarm waits on a kernel timer through Go's poller. time.Sleep wakes up
// to 1.1 ms late, because the runtime rounds its own waits up to milliseconds; a
// timer that is a file wakes the poller when it fires. Against a thread in
// clock_nanosleep it is as precise, can be moved while it waits, and holds no
// processor of the runtime while it sleeps.
type timerfdAlarm struct {
	fd   int
	file *os.File
	buf  [8]byte
}

func newTimerfdAlarm() (*timerfdAlarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("loadgen: create timer: %w", err)
	}
	return &timerfdAlarm{fd: fd, file: os.NewFile(uintptr(fd), "timerfd")}, nil
}

func (a *timerfdAlarm) set(at time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(at), 1))} // 0 would disarm
	// It fails only for a bad descriptor, which wait reports by returning.
	_ = unix.TimerfdSettime(a.fd, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

func (a *timerfdAlarm) wait() {
	if n, err := a.file.Read(a.buf[:]); err != nil || binary.NativeEndian.Uint64(a.buf[:n]) == 0 {
		time.Sleep(time.Millisecond) // never spin, whatever became of the timer
	}
}

func (a *timerfdAlarm) stop() { a.file.Close() }

// goAlarm is an alarm on Go's own timers: later by up to a millisecond, but it
// follows the fake time of testing/synctest.
type goAlarm struct {
	now   func() time.Duration
	timer *time.Timer
}

func newGoAlarm(now func() time.Duration) *goAlarm {
	return &goAlarm{now: now, timer: time.NewTimer(time.Hour)}
}

func (a *goAlarm) set(at time.Duration) { a.timer.Reset(at - a.now()) }
func (a *goAlarm) wait()                { <-a.timer.C }
func (a *goAlarm) stop()                { a.timer.Stop() }
