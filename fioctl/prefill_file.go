package fioctl

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// file is an open file by its descriptor, direct where it is on a disk.
type file struct {
	fd    int
	path  string // for errors
	st    unix.Stat_t
	align int64
}

func (f *file) close() error {
	if f.fd < 0 {
		return nil
	}
	fd := f.fd
	f.fd = -1
	return unix.Close(fd)
}

// defaultAlign suits every device in use when the kernel does not tell.
const defaultAlign = 4096

// directAlign asks the kernel for the alignment of direct I/O (statx(2),
// STATX_DIOALIGN, Linux 6.1).
func directAlign(fd int, path string) (int64, error) {
	var x unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &x)
	if err != nil || x.Mask&unix.STATX_DIOALIGN == 0 {
		return defaultAlign, nil // an older kernel
	}
	if x.Dio_offset_align == 0 || x.Dio_mem_align == 0 {
		return 0, noDirect(path)
	}
	align := int64(max(x.Dio_offset_align, x.Dio_mem_align))
	if align > chunkBytes || chunkBytes%align != 0 {
		return 0, fmt.Errorf("fioctl: %s: %w: alignment of %d bytes (use another file system)", path, ErrNoDirect, align)
	}
	return align, nil
}

func noDirect(path string) error {
	return fmt.Errorf("fioctl: %s: %w (use a directory on ext4 or xfs)", path, ErrNoDirect)
}

// alignedBuffer is memory that direct I/O takes: whole pages. free gives it
// back.
func alignedBuffer(n int) (b []byte, free func(), err error) {
	b, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("fioctl: take %d bytes for a buffer: %w", n, err)
	}
	return b, func() { _ = unix.Munmap(b) }, nil
}

// readAt fills b. A short file is io.ErrUnexpectedEOF.
func (f *file) readAt(b []byte, off int64) error {
	for done := 0; done < len(b); {
		n, err := unix.Pread(f.fd, b[done:], off+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("fioctl: read %s at %d: %w", f.path, off+int64(done), err)
		case n == 0:
			return fmt.Errorf("fioctl: read %s at %d: %w", f.path, off+int64(done), io.ErrUnexpectedEOF)
		default:
			done += n
		}
	}
	return nil
}

// writeAt writes all of b.
func (f *file) writeAt(b []byte, off int64) error {
	for done := 0; done < len(b); {
		n, err := unix.Pwrite(f.fd, b[done:], off+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT):
			return fmt.Errorf("fioctl: write %s at %d: %w: %w (free some, or ask for a smaller target)", f.path, off+int64(done), ErrSpace, err)
		case err != nil:
			return fmt.Errorf("fioctl: write %s at %d: %w", f.path, off+int64(done), err)
		case n == 0:
			return fmt.Errorf("fioctl: write %s at %d: %w", f.path, off+int64(done), io.ErrShortWrite)
		default:
			done += n
		}
	}
	return nil
}

// fullyWritten refuses a file of which the kernel would make up some bytes:
// holes, and extents that were allocated but never written. ext4 and xfs count
// both as holes in SEEK_HOLE, unless clean pages of them are cached, so those
// are dropped first.
func (f *file) fullyWritten() error {
	if err := unix.Fsync(f.fd); err != nil {
		return fmt.Errorf("fioctl: sync %s: %w", f.path, err)
	}
	if err := unix.Fstat(f.fd, &f.st); err != nil {
		return fmt.Errorf("fioctl: stat %s: %w", f.path, err)
	}
	if on := f.st.Blocks * 512; on < f.st.Size {
		return fmt.Errorf("fioctl: %s: %w: %d of %d bytes are on the disk (write it anew)", f.path, ErrSparse, on, f.st.Size)
	}
	if err := unix.Fadvise(f.fd, 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("fioctl: drop cached pages of %s: %w", f.path, err)
	}
	hole, err := unix.Seek(f.fd, 0, unix.SEEK_HOLE)
	if errors.Is(err, unix.EINVAL) {
		return nil // a file system that cannot tell; the contents decide
	}
	if err != nil {
		return fmt.Errorf("fioctl: look for holes in %s: %w", f.path, err)
	}
	if hole < f.st.Size {
		return fmt.Errorf("fioctl: %s: %w: nothing is written at %d of %d (write it anew; fallocate does not write)", f.path, ErrSparse, hole, f.st.Size)
	}
	return nil
}
