package fioctl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// writer makes one target file.
type writer struct {
	place    *place
	spec     TargetSpec
	old      *file // closed: an older target that has the name, nil if none
	progress func(done, total int64)
}

func (w writer) run(ctx context.Context, t *Target) (err error) {
	partial := w.spec.Name + partialSuffix
	if err := w.clearPartial(partial); err != nil {
		return err
	}
	if err := w.place.guard.checkSpace(w.place.fd, w.spec); err != nil {
		return err
	}
	f, err := w.create(partial)
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if !renamed && w.place.is(partial, f) {
			err = errors.Join(err, unix.Unlinkat(w.place.fd, partial, 0))
		}
		err = errors.Join(err, f.close())
	}()
	began := time.Now()
	if err := w.write(ctx, f); err != nil {
		return err
	}
	if err := f.fullyWritten(); err != nil { // syncs
		return err
	}
	t.WriteBytesPerSec, t.AlignBytes = rate(w.spec.SizeBytes, time.Since(began)), f.align
	if err := f.matches(header{w.spec.Seed, w.spec.SizeBytes}); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("fioctl: prefill %s: %w", f.path, context.Cause(ctx))
	}
	if err := w.rename(partial, f); err != nil {
		return err
	}
	renamed = true
	if err := unix.Fsync(w.place.fd); err != nil {
		return fmt.Errorf("fioctl: sync directory %s: %w", w.place.path, err)
	}
	return nil
}

// clearPartial removes what a killed Prefill of the name left behind. A live
// one holds a lock on it.
func (w writer) clearPartial(name string) (err error) {
	st, err := w.place.stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := w.place.refuse(name, st); err != nil {
		return err
	}
	f, err := w.place.open(name, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.lock(); err != nil {
		return err
	}
	if f.st.Size > 0 {
		if _, err := f.header(); err != nil {
			return err
		}
	}
	if !w.place.is(name, f) {
		return busy(f.path)
	}
	if err := unix.Unlinkat(w.place.fd, name, 0); err != nil {
		return fmt.Errorf("fioctl: remove %s: %w", f.path, err)
	}
	return nil
}

func busy(path string) error {
	return fmt.Errorf("fioctl: %s: %w (wait for it, or use another name)", path, ErrBusy)
}

func (f *file) lock() error {
	err := unix.Flock(f.fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return busy(f.path)
	}
	if err != nil {
		return fmt.Errorf("fioctl: lock %s: %w", f.path, err)
	}
	return nil
}

func (w writer) create(name string) (*file, error) {
	f, err := w.place.open(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, busy(w.place.join(name))
	}
	if err != nil {
		// Some file systems create the file and then refuse direct I/O on it.
		if st, serr := w.place.stat(name); serr == nil && st.Size == 0 && errors.Is(err, ErrNoDirect) {
			err = errors.Join(err, unix.Unlinkat(w.place.fd, name, 0))
		}
		return nil, err
	}
	// Another Prefill may have taken the new file for a left one.
	if err := f.lock(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	if !w.place.is(name, f) {
		return nil, errors.Join(busy(f.path), f.close())
	}
	return f, nil
}

// rename gives the file its name, and replaces only what was found to be ours.
func (w writer) rename(partial string, f *file) error {
	to := w.place.join(w.spec.Name)
	if !w.place.is(partial, f) || w.old != nil && !w.place.is(w.spec.Name, w.old) {
		return fmt.Errorf("fioctl: %s or %s was replaced meanwhile (another program uses the directory)", f.path, to)
	}
	err := error(unix.EINVAL)
	if w.old == nil {
		err = unix.Renameat2(w.place.fd, partial, w.place.fd, w.spec.Name, unix.RENAME_NOREPLACE)
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = unix.Renameat(w.place.fd, partial, w.place.fd, w.spec.Name)
	}
	if err != nil {
		return fmt.Errorf("fioctl: rename %s to %s: %w", f.path, to, err)
	}
	return nil
}

// write fills the file. The bytes of the next chunk are made while the last one
// is written, so that the disk alone sets the pace.
func (w writer) write(ctx context.Context, f *file) error {
	const buffers = 4
	mem, free, err := alignedBuffer(buffers * chunkBytes)
	if err != nil {
		return err
	}
	defer free()

	empty, full := make(chan []byte, buffers), make(chan []byte, buffers)
	for i := range buffers {
		empty <- mem[i*chunkBytes : (i+1)*chunkBytes]
	}
	stop, made := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(made)
		h := header{w.spec.Seed, w.spec.SizeBytes}
		for off := int64(0); off < h.Size; off += chunkBytes {
			select {
			case b := <-empty:
				h.fill(b, off)
				full <- b // has room for all buffers
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-made }() // before the memory goes

	for off := int64(0); off < w.spec.SizeBytes; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("fioctl: prefill %s: %w", f.path, context.Cause(ctx))
		case b := <-full:
			if ctx.Err() != nil {
				return fmt.Errorf("fioctl: prefill %s: %w", f.path, context.Cause(ctx))
			}
			if err := f.writeAt(b, off); err != nil {
				return err
			}
			empty <- b
		}
		off += chunkBytes
		if w.progress != nil && (off%progressEvery == 0 || off == w.spec.SizeBytes) {
			w.progress(off, w.spec.SizeBytes)
		}
	}
	return nil
}
