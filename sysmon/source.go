package sysmon

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// source reads one kernel file (or one call) into its slots of the raw vector.
// read fills every slot, NaN where the kernel has no such field, and does not
// allocate unless it fails.
type source interface {
	read(dst []float64) error
	close() error
}

// maxKernelFile bounds what one kernel file may grow the buffer to, in bytes.
const maxKernelFile = 4 << 20

// file is a kernel file held open and read again from its start: procfs and
// sysfs render anew on a read at offset 0.
type file struct {
	path string
	fd   int
	buf  []byte
}

func openFile(path string) (*file, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("sysmon: open %s: %w", path, err)
	}
	return &file{path: path, fd: fd, buf: make([]byte, 16<<10)}, nil
}

// bytes is the file's present content, valid until the next call.
func (f *file) bytes() ([]byte, error) {
	n := 0
	for {
		m, err := unix.Pread(f.fd, f.buf[n:], int64(n))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sysmon: read %s: %w", f.path, err)
		}
		if m == 0 {
			return f.buf[:n], nil
		}
		if n += m; n == len(f.buf) {
			if n >= maxKernelFile {
				return nil, fmt.Errorf("sysmon: read %s: longer than %d bytes", f.path, maxKernelFile)
			}
			f.buf = append(f.buf, make([]byte, len(f.buf))...)
		}
	}
}

func (f *file) close() error { return unix.Close(f.fd) }

// parsed is a source of one file and one parse function.
type parsed struct {
	f     *file
	parse func(b []byte, dst []float64) error
}

func newParsed(path string, parse func([]byte, []float64) error) (source, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	return &parsed{f, parse}, nil
}

func (p *parsed) close() error { return p.f.close() }

func (p *parsed) read(dst []float64) error {
	b, err := p.f.bytes()
	if err != nil {
		return err
	}
	if err := p.parse(b, dst); err != nil {
		return fmt.Errorf("sysmon: parse %s: %w", p.f.path, err)
	}
	return nil
}

func fillNaN(dst []float64) {
	for i := range dst {
		dst[i] = math.NaN()
	}
}
