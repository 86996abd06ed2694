package spark

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
)

// undoKind says which part of a kernel file a step owns. The rest of the file
// is somebody else's.
type undoKind string

const (
	wholeFile  undoKind = ""           // all of it
	keyedLine  undoKind = "line"       // what follows Key on its line
	controller undoKind = "controller" // the word Key in cgroup.subtree_control
)

// undoStep is one reversible setting of the machine: where it is, what it was,
// and how to bring it back. It is plain data, so that another process can undo
// it after ours was killed.
type undoStep struct {
	Path  string   `json:"path"` // absolute
	Kind  undoKind `json:"kind,omitempty"`
	Key   string   `json:"key,omitempty"`
	Was   string   `json:"was"`   // the value before us, "" for none
	Set   []string `json:"set"`   // values that we set; with any other value it is not ours
	Write string   `json:"write"` // what brings Was back
}

// errForeign means that a setting holds neither our value nor the one before:
// somebody else has set it since, and it stays as it is.
var errForeign = errors.New("somebody else has changed it; it stays as it is")

// errGone means that the file is no more, and what was set with it.
var errGone = errors.New("the file is gone")

// maxKernelFile bounds what is read of one: they are a page or a few.
const maxKernelFile = 1 << 20

// writeFunc writes a kernel file.
type writeFunc func(path, text string) error

// writeKernel writes in one system call and never makes a file.
func writeKernel(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// value is what the setting is now, errGone without its file.
func (s undoStep) value() (string, error) {
	f, err := os.Open(s.Path)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, maxKernelFile))
		err = errors.Join(err, f.Close())
	}
	// A file of a cgroup that is removed while it is open reads as ENODEV.
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENODEV) {
		return "", fmt.Errorf("%w: %w", errGone, err)
	}
	if err != nil {
		return "", err
	}
	return s.pick(string(text)), nil
}

// pick takes the step's part out of the file's text.
func (s undoStep) pick(text string) string {
	switch s.Kind {
	case keyedLine:
		for line := range strings.Lines(text) {
			if key, v, _ := strings.Cut(strings.TrimSpace(line), " "); key == s.Key {
				return limitText(v)
			}
		}
		return ""
	case controller:
		if slices.Contains(strings.Fields(text), s.Key) {
			return s.Key
		}
		return ""
	default:
		return strings.TrimSpace(text)
	}
}

// restore brings the value before us back and reads it back. It writes only
// where the present value is one that we set.
func (s undoStep) restore(write writeFunc) (wrote bool, err error) {
	now, err := s.value()
	if errors.Is(err, errGone) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("spark: restore: %w", err)
	}
	switch {
	case now == s.Was:
		return false, nil
	case !slices.Contains(s.Set, now):
		return false, fmt.Errorf("spark: restore %s: %w: it holds %q, we set %q", s.Path, errForeign, now, s.Set)
	}
	if s.Kind == controller {
		if user := controllerUser(s.Path); user != "" {
			return false, fmt.Errorf("spark: restore %s: %w: %s needs the controller now", s.Path, errForeign, user)
		}
	}
	if err := write(s.Path, s.Write); err != nil {
		return false, fmt.Errorf("spark: restore: %w", err)
	}
	if now, err = s.value(); err != nil && !errors.Is(err, errGone) {
		return true, fmt.Errorf("spark: restore: %w", err)
	}
	if err == nil && now != s.Was {
		return true, fmt.Errorf("spark: restore %s: it reads %q after %q was written, want %q", s.Path, now, s.Write, s.Was)
	}
	return true, nil
}

// undone is what became of a list of steps.
type undone struct {
	restored int        // settings written back
	left     []undoStep // still ours: writing failed
	err      error      // why, joined
	foreign  error      // settings that are somebody else's now, joined
}

// restoreAll undoes the steps from the last to the first and does all that it
// can.
func restoreAll(steps []undoStep, write writeFunc) undone {
	var u undone
	for _, s := range slices.Backward(steps) {
		wrote, err := s.restore(write)
		switch {
		case errors.Is(err, errForeign):
			u.foreign = errors.Join(u.foreign, err)
		case err != nil:
			u.left = append(u.left, s)
			u.err = errors.Join(u.err, err)
		case wrote:
			u.restored++
		}
	}
	slices.Reverse(u.left)
	return u
}
