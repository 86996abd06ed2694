package spark

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked means that another measurement has the machine.
var ErrLocked = errors.New("spark: another measurement is running")

// Lock keeps measurements on one machine apart. The kernel lets go of it when
// its process dies, however that happens.
type Lock struct{ file *os.File }

// holder is what the lock file says about who has it.
type holder struct {
	PID     int       `json:"pid"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// DefaultLock is the path of the lock that all measurements of a machine share:
// packages that are tested together run at the same time, and so may users.
func DefaultLock() string { return filepath.Join(os.TempDir(), "spark-harness.lock") }

// AcquireLock takes the lock at path, a file that stays afterwards, at once or
// not at all: the error is ErrLocked and names the holder. Child processes do
// not inherit it.
func AcquireLock(path string) (*Lock, error) {
	// Read-only does for flock, so that users may share a file in /tmp; the
	// sticky bit there makes the kernel refuse O_CREATE on another user's file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("spark: open lock file: %w (choose a place that can be written)", err)
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, errors.Join(fmt.Errorf("%w: lock %s is held by %s (wait for it to end, or end it)", ErrLocked, path, whoHolds(f)), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("spark: lock %s: %w (choose a local file system)", path, err), f.Close())
	}
	me, err := json.Marshal(holder{os.Getpid(), filepath.Base(os.Args[0]), time.Now().Round(time.Second)})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spark: lock %s: %w", path, err), f.Close())
	}
	// Who holds it is a courtesy to others: the lock stands without.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(me, 0)
	}
	return &Lock{f}, nil
}

func whoHolds(f *os.File) string {
	var h holder
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 4096))
	if err != nil || json.Unmarshal(text, &h) != nil {
		return "a process that did not say who it is"
	}
	return fmt.Sprintf("process %d (%s) since %s", h.PID, h.Program, h.Since.Format(time.DateTime))
}

// Release lets go. Releasing twice, or a nil lock, does nothing.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	_ = f.Truncate(0) // nobody holds it: nobody's name stands in it
	if err := f.Close(); err != nil {
		return fmt.Errorf("spark: release lock: %w", err)
	}
	return nil
}
