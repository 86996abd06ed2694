package spark

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// leaseEnd ends the names of lease files.
const leaseEnd = ".undo"

// lease is a file that tells the next start what is to be undone, for the case
// that a guardian was killed too. It is locked while we or the guardian live. A
// list is a JSON line; the last whole one counts, and it is written before the
// settings change. A nil lease does nothing.
type lease struct {
	file *os.File
	path string
}

// leasePattern names the leases of one kind in dir.
func leasePattern(dir, kind string) string {
	return filepath.Join(dir, "spark-"+kind+"-*"+leaseEnd)
}

// newLease makes one; "" as dir makes none.
func newLease(dir, kind string) (*lease, error) {
	if dir == "" {
		return nil, nil
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("spark: make lease: %w", err)
	}
	for {
		f, err := os.CreateTemp(dir, filepath.Base(leasePattern(dir, kind)))
		if err != nil {
			return nil, fmt.Errorf("spark: make lease: %w (choose a directory that can be written)", err)
		}
		l := &lease{f, f.Name()}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			return nil, errors.Join(fmt.Errorf("spark: lock %s: %w (choose a local file system)", l.path, err), l.remove())
		}
		// Between the two calls a repair may have taken it for a left one.
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil {
			return nil, errors.Join(fmt.Errorf("spark: stat %s: %w", l.path, err), l.remove())
		}
		if st.Nlink > 0 {
			return l, nil
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("spark: make lease: %w", err)
		}
	}
}

func (l *lease) name() string {
	if l == nil {
		return ""
	}
	return l.path
}

func (l *lease) record(list undoList) error {
	if l == nil {
		return nil
	}
	line, err := json.Marshal(list)
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err != nil {
		return fmt.Errorf("spark: write lease: %w (free space, or choose another directory)", err)
	}
	return nil
}

// remove takes the file away: nothing is left to undo.
func (l *lease) remove() error {
	if l == nil {
		return nil
	}
	return errors.Join(removeFile(l.path), l.close())
}

// close lets go and leaves the file to the next start.
func (l *lease) close() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// errInUse means that a lease's process or guardian lives.
var errInUse = errors.New("the lease is in use")

// openLease opens and locks a left lease. It trusts only a plain file of this
// user that nobody else can write: anybody may make files in a shared directory.
func openLease(path string) (*lease, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*lease, error) { return nil, errors.Join(err, f.Close()) }
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fail(fmt.Errorf("stat %s: %w", path, err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 {
		return fail(fmt.Errorf("%s is not a file of this user alone (remove it if you do not know it)", path))
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fail(errInUse)
	}
	if err != nil {
		return fail(fmt.Errorf("lock %s: %w", path, err))
	}
	return &lease{f, path}, nil
}

// read gives the last list that was written whole; what is cut short was
// written by a process killed before it changed anything.
func (l *lease) read() (undoList, error) {
	text, err := io.ReadAll(io.LimitReader(l.file, 16<<20))
	if err != nil {
		return undoList{}, err
	}
	return parseLease(text)
}

func parseLease(text []byte) (undoList, error) {
	var list undoList
	end := bytes.LastIndexByte(text, '\n')
	if end < 0 {
		return list, nil
	}
	line := text[bytes.LastIndexByte(text[:end], '\n')+1 : end]
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return undoList{}, fmt.Errorf("not a lease of this version: %w (see what it names, then remove it)", err)
	}
	return list, nil
}

// repairLeases undoes what left leases of one kind record, where allowed says
// that a step is of that kind, and removes those that are settled. Leases in
// use are left alone.
func repairLeases(dir, kind string, allowed func(undoStep) bool) (restored int, err error) {
	paths, err := filepath.Glob(leasePattern(strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir), kind))
	if err != nil {
		return 0, fmt.Errorf("spark: repair: %w", err)
	}
	var errs []error
	for _, path := range paths {
		n, err := repairLease(path, allowed)
		restored += n
		if err != nil && !errors.Is(err, errInUse) && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("spark: repair from %s: %w", path, err))
		}
	}
	return restored, errors.Join(errs...)
}

func repairLease(path string, allowed func(undoStep) bool) (restored int, err error) {
	l, err := openLease(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	list, err := l.read()
	if err != nil {
		return 0, err
	}
	for _, s := range list.Steps {
		if !filepath.IsAbs(s.Path) || !allowed(s) {
			return 0, fmt.Errorf("it names %q, no file of this kind (remove it if you do not know it)", s.Path)
		}
	}
	// What somebody else has changed since is settled: it is theirs.
	u := restoreAll(list.Steps, writeKernel)
	if u.err != nil {
		return u.restored, u.err
	}
	return u.restored, removeFile(path)
}
