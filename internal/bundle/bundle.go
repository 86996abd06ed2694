// Package bundle keeps one run's directory: made as NAME.partial, filled,
// summed and committed by one rename, so that a directory without the suffix is
// whole by construction and one with it is the readable record of a run that
// was killed. Nothing is ever overwritten.
//
// A Run is for one goroutine, except Path and WriteJSON, which are safe for
// concurrent use on different names. The package refuses names that leave the
// run directory.
package bundle

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// PartialSuffix marks a run directory that was not committed.
const PartialSuffix = ".partial"

// InterruptedFile stands in a partial directory whose run ended knowingly.
const InterruptedFile = "interrupted.json"

// ErrDiskFull is wrapped by errors of a file system without room.
var ErrDiskFull = errors.New("no space left (free space or choose another directory with SPARK_RESULTS)")

// Run is a run directory that is being written.
type Run struct {
	dir   string // with PartialSuffix
	final string
}

// Create makes root/hypothesis/STAMP-RANDOM.partial with raw/ inside.
func Create(root, hypothesis string, now time.Time) (*Run, error) {
	var id [3]byte
	_, _ = rand.Read(id[:]) // never fails on Linux
	name := now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(id[:])
	final := filepath.Join(root, hypothesis, name)
	r := &Run{dir: final + PartialSuffix, final: final}
	if err := os.MkdirAll(filepath.Dir(final), 0o755); err != nil {
		return nil, fmt.Errorf("bundle: make results directory: %w (choose a writable one with SPARK_RESULTS)", explain(err))
	}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return nil, fmt.Errorf("bundle: make run directory: %w (choose a writable one with SPARK_RESULTS)", explain(err))
	}
	if err := os.Mkdir(filepath.Join(r.dir, "raw"), 0o755); err != nil {
		return nil, fmt.Errorf("bundle: make run directory: %w", explain(err))
	}
	return r, nil
}

// Dir is the directory as it stands now: partial until Commit.
func (r *Run) Dir() string { return r.dir }

// Arm makes raw/name for one arm and returns its path.
func (r *Run) Arm(name string) (string, error) {
	if !fs.ValidPath(name) || strings.Contains(name, "/") {
		return "", fmt.Errorf("bundle: arm name %q is not a single path element", name)
	}
	dir := filepath.Join(r.dir, "raw", name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("bundle: make arm: %w", explain(err))
	}
	return dir, nil
}

// WriteJSON writes v to name (a slash-separated path inside the run) through a
// temporary file, synced and renamed. It refuses a name that exists.
func (r *Run) WriteJSON(name string, v any) error {
	if !fs.ValidPath(name) {
		return fmt.Errorf("bundle: %q leaves the run directory", name)
	}
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("bundle: %s: %w", name, fs.ErrExist)
	}
	return WriteJSON(path, v)
}

// WriteJSON writes v as indented JSON to path atomically, replacing an earlier
// file whole.
func WriteJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("bundle: encode %s: %w", filepath.Base(path), err)
	}
	return WriteFile(path, append(b, '\n'))
}

// WriteFile writes b to path atomically: temporary file, sync, rename, sync of
// the directory.
func WriteFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return fmt.Errorf("bundle: write %s: %w", filepath.Base(path), explain(err))
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // best effort: the first error is the one that matters
		return fmt.Errorf("bundle: write %s: %w", filepath.Base(path), explain(err))
	}
	return syncDir(filepath.Dir(path))
}

// Interrupt marks the run as ended early and why; the directory keeps its
// .partial name and everything measured so far.
func (r *Run) Interrupt(reason string, now time.Time) error {
	return WriteJSON(filepath.Join(r.dir, InterruptedFile), map[string]string{
		"state": "interrupted", "reason": reason, "time": now.UTC().Format(time.RFC3339),
	})
}

// Commit sums every file, syncs and renames the directory to its final name,
// which it returns.
func (r *Run) Commit() (string, error) {
	if err := writeSums(r.dir); err != nil {
		return "", err
	}
	if err := syncDir(r.dir); err != nil {
		return "", err
	}
	// RENAME_NOREPLACE: a run is never overwritten, whatever the clock did.
	if err := unix.Renameat2(unix.AT_FDCWD, r.dir, unix.AT_FDCWD, r.final, unix.RENAME_NOREPLACE); err != nil {
		return "", fmt.Errorf("bundle: commit %s: %w", r.final, err)
	}
	r.dir = r.final
	return r.final, syncDir(filepath.Dir(r.final))
}

// Runs lists the committed runs of a hypothesis under root, oldest first. A
// root without any is an empty list.
func Runs(root, hypothesis string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, hypothesis))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: list runs: %w", err)
	}
	var runs []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasSuffix(e.Name(), PartialSuffix) {
			runs = append(runs, filepath.Join(root, hypothesis, e.Name()))
		}
	}
	slices.Sort(runs)
	return runs, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("bundle: sync: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("bundle: sync %s: %w", dir, err)
	}
	return nil
}

func explain(err error) error {
	if errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("%w: %w", err, ErrDiskFull)
	}
	return err
}
