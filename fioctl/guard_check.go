package fioctl

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

const (
	checkBytes  = 64 << 10 // of one sample of a file that was brought
	checkBlocks = 64
	// leastRatio is how much of the samples must remain under zstd's fastest
	// level. Random bytes keep all, quantized weights nearly all, text a third.
	leastRatio = 0.9
)

// CheckTarget says whether a file that Prefill did not make can serve as a
// target of at least need bytes: a regular file, all of it written, on a block
// device, readable with direct I/O, of bytes that hardly compress. It reads
// 4 MiB of samples at random places and writes nothing. A symbolic link is
// followed. Errors: ErrDevice, ErrMounted, ErrNotRegular, ErrTooSmall,
// ErrSparse, ErrCompressible, ErrNoDirect, ErrNoCounters, those that wrap
// blockdev.ErrNotBlock, and the system's.
func CheckTarget(path string, need int64) (Target, error) { return host().checkTarget(path, need) }

func (g guard) checkTarget(path string, need int64) (t Target, err error) {
	real, err := filepath.Abs(path)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return Target{}, fmt.Errorf("fioctl: target: %w (give an existing file)", err)
	}
	if err := g.checkKind(real); err != nil {
		return Target{}, err
	}
	p, err := g.openPlace(filepath.Dir(real), false)
	if err != nil {
		return Target{}, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	f, err := p.open(filepath.Base(real), unix.O_RDONLY, 0)
	if err != nil {
		return Target{}, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if f.st.Mode&unix.S_IFMT != unix.S_IFREG {
		return Target{}, fmt.Errorf("fioctl: %s: %w (give a file)", real, ErrNotRegular)
	}
	if least := max(need, checkBytes, f.align); f.st.Size < least {
		return Target{}, fmt.Errorf("fioctl: %s: %w: %s, the jobs need %s (give a larger file)", real, ErrTooSmall, sizeText(f.st.Size), sizeText(least))
	}
	if err := f.fullyWritten(); err != nil {
		return Target{}, err
	}
	if err := f.incompressible(); err != nil {
		return Target{}, err
	}
	return Target{Path: real, SizeBytes: f.st.Size, Device: p.dev, AlignBytes: f.align}, nil
}

// checkKind refuses by type, before anything is opened: opening a device can
// have effects.
func (g guard) checkKind(real string) error {
	var st unix.Stat_t
	if err := unix.Lstat(real, &st); err != nil {
		return fmt.Errorf("fioctl: stat %s: %w", real, err)
	}
	if err := g.refuseDevice(real, st.Mode, st.Rdev); err != nil {
		return err
	}
	if err := refuseDev(real); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("fioctl: %s: %w (give a file)", real, ErrNotRegular)
	}
	return nil
}

// incompressible compresses samples, each by itself: far copies of a block are
// not seen, a block of one value is.
func (f *file) incompressible() error {
	n := max(checkBytes, f.align)
	b, free, err := alignedBuffer(int(n))
	if err != nil {
		return err
	}
	defer free()
	// Literals too: without matches this level would store skewed bytes as they
	// are.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return fmt.Errorf("fioctl: start zstd: %w", err)
	}
	defer enc.Close()
	whole := f.st.Size / n
	var raw, packed int
	var out []byte
	for i := range min(checkBlocks, whole) {
		// One place in each of as many equal stretches of the file.
		from, to := i*whole/min(checkBlocks, whole), (i+1)*whole/min(checkBlocks, whole)
		off := (from + rand.Int64N(to-from)) * n
		if err := f.readAt(b, off); err != nil {
			return err
		}
		out = enc.EncodeAll(b, out[:0])
		raw, packed = raw+len(b), packed+len(out)
		if len(out) < len(b)/100 {
			return fmt.Errorf("fioctl: %s: %w: hardly anything but repetition at %d (give a file of random bytes, or let Prefill make one)", f.path, ErrCompressible, off)
		}
	}
	if ratio := float64(packed) / float64(raw); ratio < leastRatio {
		return fmt.Errorf("fioctl: %s: %w: zstd takes %.0f %% off the samples, at most %.0f %% is allowed (give a file of random bytes, or let Prefill make one)",
			f.path, ErrCompressible, 100*(1-ratio), 100*(1-leastRatio))
	}
	return nil
}
