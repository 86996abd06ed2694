package emulator

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// timer sleeps until absolute instants of CLOCK_MONOTONIC. A timerfd behind the
// runtime's poller wakes some 30 us late, where time.Sleep takes up to a
// millisecond; and unlike clock_nanosleep it keeps no scheduler slot while it
// sleeps, which matters on machines of two cores.
type timer struct {
	fd int
	f  *os.File
}

func newTimer() (*timer, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("emulator: create timer: %w", err)
	}
	return &timer{fd, os.NewFile(uintptr(fd), "timerfd")}, nil
}

// until returns at or after the instant.
func (t *timer) until(at time.Duration) error {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(at), 1))}
	if err := unix.TimerfdSettime(t.fd, unix.TFD_TIMER_ABSTIME, &spec, nil); err != nil {
		return fmt.Errorf("emulator: set timer: %w", err)
	}
	var expirations [8]byte
	if _, err := t.f.Read(expirations[:]); err != nil {
		return fmt.Errorf("emulator: wait for timer: %w", err)
	}
	return nil
}

func (t *timer) close() error { return t.f.Close() }
