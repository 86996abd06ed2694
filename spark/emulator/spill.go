package emulator

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Conditions under which a directory cannot hold a spill file.
var (
	// ErrNoDisk: the file system is memory or a layer over another, so reads
	// would measure nothing.
	ErrNoDisk = errors.New("emulator: spill directory is not on a disk")
	// ErrNoDirect: the file system cannot read and write past the page cache.
	ErrNoDirect = errors.New("emulator: file system has no direct I/O")
	// ErrSpillBusy: another server uses the directory's spill file.
	ErrSpillBusy = errors.New("emulator: spill file is in use by another server")
	// ErrSpace: the file system has not enough room.
	ErrSpace = errors.New("emulator: not enough disk space for the spill file")
)

const (
	spillName  = "spark-emulator.spill"
	spillMagic = "spark spill 1\n"
	chunkBytes = 1 << 20 // of a prefill write; the first one is the header's
)

// spill is the disk tier's file: a header and then slots of one block each, all
// of it written with random bytes before use. A hole or an unwritten extent
// would be answered by the file system without asking the disk.
type spill struct {
	path   string
	file   *os.File
	fd     int // file's; the descriptor stays in blocking mode
	block  int64
	keep   bool
	reused bool
}

func (s *spill) offset(id int32) int64 { return chunkBytes + int64(id)*s.block }

// openSpill makes the spill file ready, which takes as long as writing it
// unless a whole one of the same size is there. It locks the file.
func openSpill(ctx context.Context, cfg Config) (*spill, error) {
	if err := checkDir(cfg.SpillDir); err != nil {
		return nil, err
	}
	path := filepath.Join(cfg.SpillDir, spillName)
	f, err := lockSpill(path)
	if err != nil {
		return nil, err
	}
	s := &spill{path: path, file: f, fd: int(f.Fd()), block: cfg.BlockBytes(), keep: cfg.KeepSpill}
	size := spillFileBytes(cfg.SpillBytes)
	if err = checkAlignment(s.fd, path, s.block); err == nil {
		if s.reused, err = isWhole(s.fd, size); err == nil && !s.reused {
			if err = checkSpace(s.fd, cfg.SpillDir, size); err == nil {
				err = writeSpill(ctx, f, size)
			}
		}
	}
	if err != nil {
		s.keep = false
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// spillFileBytes is the file's size: header and slots, in whole chunks.
func spillFileBytes(spillBytes int64) int64 {
	return chunkBytes + (spillBytes+chunkBytes-1)/chunkBytes*chunkBytes
}

// close removes the file unless it shall be kept, and unlocks it.
func (s *spill) close() error {
	var err error
	if !s.keep {
		err = os.Remove(s.path)
	}
	if err = errors.Join(err, s.file.Close()); err != nil {
		return fmt.Errorf("emulator: close spill file: %w", err)
	}
	return nil
}

// checkDir refuses directories without a disk of their own.
func checkDir(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("emulator: look at spill directory %s: %w (create it on the disk under test)", dir, err)
	}
	return refuseMagic(dir, int64(fs.Type))
}

func refuseMagic(dir string, magic int64) error {
	kind := map[int64]string{
		unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay",
		unix.HUGETLBFS_MAGIC: "hugetlbfs", unix.PROC_SUPER_MAGIC: "proc", unix.SYSFS_MAGIC: "sysfs",
	}[magic]
	if kind == "" {
		return nil
	}
	return fmt.Errorf("%w: %s is on %s (name a directory on a real file system, such as a bind-mounted volume)", ErrNoDisk, dir, kind)
}

// lockSpill opens the file for direct I/O and takes its lock. The loop covers a
// former owner that removes the file between the two.
func lockSpill(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_DIRECT, 0o600)
		if errors.Is(err, unix.EINVAL) {
			return nil, fmt.Errorf("%w: open %s: %w", ErrNoDirect, path, err)
		}
		if err != nil {
			return nil, fmt.Errorf("emulator: open spill file: %w", err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %s: %w (give each server a spill directory of its own)", ErrSpillBusy, path, err), f.Close())
		}
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("emulator: look at spill file: %w", err), f.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		if err := f.Close(); err != nil {
			return nil, fmt.Errorf("emulator: close stale spill file: %w", err)
		}
	}
}

// checkAlignment compares what the file system asks of direct I/O, where it
// says so (Linux 6.1), with what the pool and the slots keep.
func checkAlignment(fd int, path string, block int64) error {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_DIOALIGN, &st)
	if err != nil || st.Mask&unix.STATX_DIOALIGN == 0 {
		return nil
	}
	mem, off := int64(st.Dio_mem_align), int64(st.Dio_offset_align)
	if mem == 0 || off == 0 {
		return fmt.Errorf("%w: %s", ErrNoDirect, path)
	}
	if pageBytes%mem != 0 || block%off != 0 || chunkBytes%off != 0 {
		return fmt.Errorf("%w: %s wants memory aligned to %d and offsets to %d bytes; blocks are %d (raise kv_bytes_per_token or block_tokens)",
			ErrNoDirect, path, mem, off, block)
	}
	return nil
}

// checkSpace wants room for the file and a tenth of it, or 1 GiB, besides.
func checkSpace(fd int, dir string, size int64) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("emulator: look at spill directory %s: %w", dir, err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("emulator: look at spill file: %w", err)
	}
	free := int64(fs.Bavail)*int64(fs.Bsize) + st.Blocks*512
	if need := size + max(size/10, 1<<30); free < need {
		return fmt.Errorf("%w: %s has %d bytes free, %d wanted (free some, or lower spill_bytes)", ErrSpace, dir, free, need)
	}
	return nil
}

// writeSpill writes random bytes over the whole file, syncs, and only then
// writes and syncs the header that vouches for them.
func writeSpill(ctx context.Context, f *os.File, size int64) error {
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("emulator: empty spill file: %w", err)
	}
	// Allocation first: the file lies in few pieces, and a full disk shows now.
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return spaceError(f.Name(), err)
	}
	if err := prefill(ctx, f, f.Name(), size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("emulator: sync spill file: %w", err)
	}
	if _, err := f.WriteAt(header(size), 0); err != nil {
		return spaceError(f.Name(), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("emulator: sync spill file: %w", err)
	}
	return nil
}

func prefill(ctx context.Context, w io.WriterAt, name string, size int64) error {
	buf := aligned(chunkBytes)
	for at := int64(0); at < size; at += chunkBytes {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("emulator: write spill file: %w", context.Cause(ctx))
		}
		fillRandom(buf, uint64(at)^weyl)
		if _, err := w.WriteAt(buf, at); err != nil {
			return spaceError(name, err)
		}
	}
	return nil
}

func spaceError(name string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: write %s: %w (free some, or lower spill_bytes)", ErrSpace, name, err)
	}
	return fmt.Errorf("emulator: write spill file: %w", err)
}

// header is the first page of a whole file of that size.
func header(size int64) []byte {
	h := aligned(pageBytes)
	fillRandom(h, uint64(size))
	copy(h, spillMagic)
	binary.LittleEndian.PutUint64(h[len(spillMagic):], uint64(size))
	return h
}

// isWhole says whether the file was written to its end by writeSpill and every
// byte of it still lies on the disk.
func isWhole(fd int, size int64) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, fmt.Errorf("emulator: look at spill file: %w", err)
	}
	if st.Size != size {
		return false, nil
	}
	h := aligned(pageBytes)
	if n, err := unix.Pread(fd, h, 0); err != nil || n != len(h) || !bytes.Equal(h, header(size)) {
		return false, nil
	}
	extents, err := fileExtents(fd)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) {
		return noZeros(fd, size), nil
	}
	if err != nil {
		return false, err
	}
	return covered(extents, size), nil
}

// noZeros looks at one page of every chunk, for file systems that do not tell
// their extents: holes read as zeros, and nothing we write does.
func noZeros(fd int, size int64) bool {
	page, zero := aligned(pageBytes), make([]byte, pageBytes)
	for at := int64(0); at < size; at += chunkBytes {
		n, err := unix.Pread(fd, page, at+int64(mix(uint64(at))%(chunkBytes/pageBytes))*pageBytes)
		if err != nil || n != pageBytes || bytes.Equal(page, zero) {
			return false
		}
	}
	return true
}

// aligned is a buffer that direct I/O accepts.
func aligned(n int) []byte {
	b := make([]byte, n+pageBytes)
	skip := pageBytes - int(uintptr(unsafe.Pointer(&b[0]))%pageBytes)
	return b[skip : skip+n : skip+n]
}
