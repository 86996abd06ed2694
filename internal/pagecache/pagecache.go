// Package pagecache asks what the kernel's page cache holds of a file, and
// takes it out. Counts are pages of the system's size. Its functions keep no
// state and are safe for concurrent use. They take regular files alone and
// never change one.
package pagecache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Conditions that make an answer worthless; test with errors.Is.
var (
	// ErrHidden means that the kernel keeps from this process what is cached of a
	// file that it neither owns nor may write: it would call every page resident.
	ErrHidden = errors.New("the kernel hides what is cached of this file")
	// ErrNotRoot means that this process may not drop the machine's caches.
	ErrNotRoot = errors.New("dropping the page cache needs root")
	// ErrInMemory means that a file lives in memory alone, so nothing drops it.
	ErrInMemory = errors.New("the file system keeps its files in memory")
	// ErrNotRegular means that a path is no regular file.
	ErrNotRegular = errors.New("not a regular file")
	// ErrResident means that pages stayed that were to be dropped.
	ErrResident = errors.New("still in the page cache")
)

// Residency is how much of a file the page cache holds.
type Residency struct {
	Pages    int64 `json:"pages"` // of the file
	Resident int64 `json:"resident"`
}

// Share is the resident part in [0,1]; 0 for an empty file.
func (r Residency) Share() float64 {
	if r.Pages == 0 {
		return 0
	}
	return float64(r.Resident) / float64(r.Pages)
}

// Add is both files together.
func (r Residency) Add(o Residency) Residency {
	return Residency{r.Pages + o.Pages, r.Resident + o.Resident}
}

// Drop asks the kernel to forget the clean pages of the file at path
// (posix_fadvise(2), POSIX_FADV_DONTNEED), after writing dirty ones. Pages that
// somebody has mapped stay: ask Of afterwards. Where files live in memory alone
// it is ErrInMemory.
func Drop(path string) (err error) {
	f, _, err := open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	fd := int(f.Fd())
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return fmt.Errorf("pagecache: ask for the file system of %s: %w", path, err)
	}
	if t := int64(st.Type); t == unix.TMPFS_MAGIC || t == unix.RAMFS_MAGIC || t == unix.HUGETLBFS_MAGIC {
		return fmt.Errorf("pagecache: drop %s: %w (use a file on a disk)", path, ErrInMemory)
	}
	if err := retry(func() error { return unix.Fdatasync(fd) }); err != nil {
		return fmt.Errorf("pagecache: write dirty pages of %s: %w", path, err)
	}
	if err := unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED); err != nil { // a length of 0 is to the end
		return fmt.Errorf("pagecache: drop %s: %w", path, err)
	}
	return nil
}

// DropAll writes dirty pages and drops every clean page of the machine that
// nobody has mapped (/proc/sys/vm/drop_caches). The error is ErrNotRoot where
// that is not allowed.
func DropAll() error { return dropAll("/proc/sys/vm/drop_caches") }

// dropAll writes 1, page cache alone: dentries and inodes are no adapter's data.
// https://docs.kernel.org/admin-guide/sysctl/vm.html#drop-caches
func dropAll(control string) (err error) {
	f, err := os.OpenFile(control, os.O_WRONLY, 0)
	if err != nil {
		return refused(control, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	unix.Sync()
	if _, err := f.WriteString("1"); err != nil {
		return refused(control, err)
	}
	return nil
}

func refused(control string, err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
		return fmt.Errorf("pagecache: write %s: %w: %w (run as root, in a container with --privileged)", control, ErrNotRoot, err)
	}
	return fmt.Errorf("pagecache: drop the page cache: %w", err)
}

// open opens a regular file for reading. It does not wait for a FIFO's writer.
func open(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("pagecache: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("pagecache: %w", err), f.Close())
	}
	return f, info, nil
}

// retry does a system call again that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
