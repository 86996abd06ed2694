package fioctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
)

// place is the directory of a target, held open: whatever is renamed around
// it, the file stays in it.
type place struct {
	guard guard
	fd    int
	path  string // real
	st    unix.Stat_t
	dev   blockdev.Device // zero in memory
	mem   bool
}

// openPlace opens the directory and refuses what is not fit for a target.
func (g guard) openPlace(dir string, mem bool) (*place, error) {
	path, err := filepath.Abs(dir)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return nil, fmt.Errorf("fioctl: directory of the target: %w (make it first)", err)
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil, fmt.Errorf("fioctl: stat %s: %w", path, err)
	}
	if err := g.refuseDevice(path, st.Mode, st.Rdev); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil, fmt.Errorf("fioctl: %s: %w (give the directory of the target)", path, ErrNotDir)
	}
	if err := refuseDev(path); err != nil {
		return nil, err
	}
	p := &place{guard: g, path: path, mem: mem}
	if mem {
		err = inMemory(path)
	} else {
		p.dev, err = g.device(path)
	}
	if err != nil {
		return nil, err
	}
	if p.fd, err = unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("fioctl: open directory %s: %w", path, err)
	}
	if err := unix.Fstat(p.fd, &p.st); err != nil || p.st.Dev != st.Dev || p.st.Ino != st.Ino {
		return nil, errors.Join(fmt.Errorf("fioctl: directory %s was changed meanwhile", path), err, p.close())
	}
	return p, nil
}

func inMemory(path string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return fmt.Errorf("fioctl: ask for the file system of %s: %w", path, err)
	}
	if t := int64(fs.Type); t != unix.TMPFS_MAGIC && t != unix.RAMFS_MAGIC {
		return fmt.Errorf("fioctl: %s: %w: a null load there would reach a disk (use a tmpfs such as /dev/shm)", path, ErrNotMemory)
	}
	return nil
}

func (p *place) close() error { return unix.Close(p.fd) }

func (p *place) join(name string) string { return filepath.Join(p.path, name) }

// stat is lstat of a name; os.ErrNotExist if there is none.
func (p *place) stat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(p.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil {
		return st, fmt.Errorf("fioctl: stat %s: %w", p.join(name), err)
	}
	return st, nil
}

// open opens a name in the directory without following links or crossing
// mounts, direct unless in memory.
func (p *place) open(name string, flags int, mode uint32) (*file, error) {
	flags |= unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	if !p.mem {
		flags |= unix.O_DIRECT
	}
	fd, err := unix.Openat2(p.fd, name, &unix.OpenHow{
		Flags: uint64(flags), Mode: uint64(mode),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV,
	})
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// Before Linux 5.6, or filtered; a single name cannot lead far.
		fd, err = unix.Openat(p.fd, name, flags, mode)
	}
	f := &file{fd: fd, path: p.join(name), align: 1}
	switch {
	case errors.Is(err, unix.EINVAL) && !p.mem:
		return nil, noDirect(f.path)
	case errors.Is(err, unix.EXDEV):
		return nil, fmt.Errorf("fioctl: %s: %w: something is mounted there (use another name)", f.path, ErrOutside)
	case err != nil:
		return nil, fmt.Errorf("fioctl: open %s: %w", f.path, err)
	}
	if err := f.describe(p); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

func (f *file) describe(p *place) error {
	if err := unix.Fstat(f.fd, &f.st); err != nil {
		return fmt.Errorf("fioctl: stat %s: %w", f.path, err)
	}
	if f.st.Dev != p.st.Dev {
		return fmt.Errorf("fioctl: %s: %w: it is on another file system", f.path, ErrOutside)
	}
	if p.mem {
		return nil
	}
	var err error
	f.align, err = directAlign(f.fd, f.path)
	return err
}

// is says that the name still means the open file.
func (p *place) is(name string, f *file) bool {
	st, err := p.stat(name)
	return err == nil && st.Dev == f.st.Dev && st.Ino == f.st.Ino
}

// examine says what has the name: nothing (nil, nil), a target of ours (open
// for reading, with its header), or an error if anything else has it.
func (p *place) examine(name string) (*file, header, error) {
	st, err := p.stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, header{}, nil
	}
	if err != nil {
		return nil, header{}, err
	}
	if err := p.refuse(name, st); err != nil {
		return nil, header{}, err
	}
	f, err := p.open(name, unix.O_RDONLY, 0)
	if err != nil {
		return nil, header{}, err
	}
	h, err := f.header()
	if err != nil {
		return nil, header{}, errors.Join(err, f.close())
	}
	return f, h, nil
}

// refuse refuses by type and owner, before anything is opened.
func (p *place) refuse(name string, st unix.Stat_t) error {
	path := p.join(name)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFBLK, unix.S_IFCHR:
		return p.guard.refuseDevice(path, st.Mode, st.Rdev)
	case unix.S_IFLNK:
		if to, err := filepath.EvalSymlinks(path); err != nil || !within(to, p.path) {
			return fmt.Errorf("fioctl: %s: %w: a symbolic link that leads %w (remove it or use another name)", path, ErrNotRegular, ErrOutside)
		}
		return fmt.Errorf("fioctl: %s: %w: a symbolic link (remove it or use another name)", path, ErrNotRegular)
	default:
		return fmt.Errorf("fioctl: %s: %w (use another name)", path, ErrNotRegular)
	}
	if uid := os.Geteuid(); int(st.Uid) != uid {
		return fmt.Errorf("fioctl: %s: %w: user %d owns it, this is user %d (use another name, or run as its owner)", path, ErrForeign, st.Uid, uid)
	}
	return nil
}

// header reads the file's own account of itself; ErrForeign if it has none.
func (f *file) header() (header, error) {
	foreign := fmt.Errorf("fioctl: %s: %w: it does not begin like a target (move it away or use another name)", f.path, ErrForeign)
	n := max(sampleBytes, f.align)
	if f.st.Size < n {
		return header{}, foreign
	}
	b, free, err := alignedBuffer(int(n))
	if err != nil {
		return header{}, err
	}
	defer free()
	if err := f.readAt(b, 0); err != nil {
		return header{}, err
	}
	h, err := parseHeader(b)
	if err != nil {
		return header{}, foreign
	}
	return h, nil
}
