package emulator

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// readPiece is how much of an adapter's file is read, checked and asked about
// stopping at a time.
const readPiece = 1 << 20

// adapterFile reads one adapter's file into memory, through the page cache, as
// loaders of weights do.
type adapterFile struct {
	lora   *lora
	mapped bool           // map the file and copy out of it
	stop   func() error   // asked between pieces
	table  *crc32.Table   // Castagnoli, which processors have in hardware
	buf    []byte         // at least the file's size
	opened func(*os.File) // for tests that change the file under the reader; may be nil
}

// read fills the front of buf with the whole file and returns its checksum. It
// fails, wrapped in errAdapterChanged where that is why, if the file is not of
// the size that was registered, or changes while it is read.
func (a *adapterFile) read() (sum uint64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("emulator: load adapter %s: %w", a.lora.name, err)
		}
	}()
	// A FIFO in the file's place must not hold the loader.
	f, err := os.OpenFile(a.lora.file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errAdapterChanged, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	fd := int(f.Fd())
	before, err := a.stat(fd)
	if err != nil {
		return 0, err
	}
	if a.opened != nil {
		a.opened(f)
	}
	fill := a.readOut
	if a.mapped {
		fill = a.copyOut
	}
	sum, err = fill(fd, a.buf[:a.lora.bytes])
	if err != nil {
		return 0, err
	}
	after, err := a.stat(fd)
	if err != nil {
		return 0, err
	}
	if before.Mtim != after.Mtim || before.Ctim != after.Ctim {
		return 0, fmt.Errorf("%w: %s was written while it was read", errAdapterChanged, a.lora.file)
	}
	if err := a.plausible(); err != nil {
		return 0, err
	}
	return sum, nil
}

// stat wants the file to be regular and of its registered size.
func (a *adapterFile) stat(fd int) (st unix.Stat_t, err error) {
	if err := unix.Fstat(fd, &st); err != nil {
		return st, fmt.Errorf("look at %s: %w", a.lora.file, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return st, fmt.Errorf("%w: %s is no regular file any more", errAdapterChanged, a.lora.file)
	}
	if st.Size != a.lora.bytes {
		return st, fmt.Errorf("%w: %s has %d bytes, %d when it was registered", errAdapterChanged, a.lora.file, st.Size, a.lora.bytes)
	}
	return st, nil
}

// plausible looks at the start of what was read: a safetensors file begins with
// the length of its header, which is JSON.
func (a *adapterFile) plausible() error {
	if len(a.buf) < 9 || a.lora.bytes < 9 {
		return fmt.Errorf("%w: %s is too short", errAdapterChanged, a.lora.file)
	}
	if n := binary.LittleEndian.Uint64(a.buf); n > uint64(a.lora.bytes-8) || a.buf[8] != '{' {
		return fmt.Errorf("%w: %s is no safetensors file any more", errAdapterChanged, a.lora.file)
	}
	return nil
}

// readOut reads with pread(2).
func (a *adapterFile) readOut(fd int, dst []byte) (uint64, error) {
	var crc uint32
	for at := 0; at < len(dst); {
		if err := a.stop(); err != nil {
			return 0, err
		}
		piece := dst[at:min(at+readPiece, len(dst))]
		n, err := unix.Pread(fd, piece, int64(at))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("read %s at byte %d: %w", a.lora.file, at, err)
		}
		if n == 0 {
			return 0, fmt.Errorf("%w: %s ends at byte %d: %w", errAdapterChanged, a.lora.file, at, io.ErrUnexpectedEOF)
		}
		crc = crc32.Update(crc, a.table, piece[:n])
		at += n
	}
	return uint64(crc), nil
}

// copyOut maps the file and copies out of the mapping.
func (a *adapterFile) copyOut(fd int, dst []byte) (sum uint64, err error) {
	src, err := unix.Mmap(fd, 0, len(dst), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("map %s: %w", a.lora.file, err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(src)) }()
	_ = unix.Madvise(src, unix.MADV_SEQUENTIAL) // only advice
	var crc uint32
	for at := 0; at < len(dst); {
		if err := a.stop(); err != nil {
			return 0, err
		}
		end := min(at+readPiece, len(dst))
		// The pages are faulted in by a system call, which reports a failing disk as
		// an error and lets the scheduler use the processor meanwhile. EINVAL: a
		// kernel before Linux 5.14, where the copy faults them in.
		err := unix.Madvise(src[at:end], unix.MADV_POPULATE_READ)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil && !errors.Is(err, unix.EINVAL) {
			return 0, a.fault(fd, at, err)
		}
		if err := a.copyPiece(fd, dst[at:end], src[at:end], at); err != nil {
			return 0, err
		}
		crc = crc32.Update(crc, a.table, dst[at:end])
		at = end
	}
	return uint64(crc), nil
}

// copyPiece copies out of the mapping of a file that may have been cut since,
// which raises a signal: it becomes an error here.
func (a *adapterFile) copyPiece(fd int, dst, src []byte, at int) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(interface {
				error
				Addr() uintptr
			})
			if !ok {
				panic(r)
			}
			err = a.fault(fd, at, fault)
		}
	}()
	copy(dst, src)
	return nil
}

// fault says why a page of the mapping could not be had: the file is shorter
// now, or the disk failed.
func (a *adapterFile) fault(fd, at int, cause error) error {
	if _, err := a.stat(fd); err != nil {
		return err
	}
	return fmt.Errorf("read the mapping of %s near byte %d: %w", a.lora.file, at, cause)
}
