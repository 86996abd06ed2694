package adapters

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

const (
	chunkBytes = 4 << 20 // of one write
	blockBytes = 4096    // what direct I/O is aligned to, and files are rounded up to
)

func roundUp(n int64) int64 { return (n + blockBytes - 1) / blockBytes * blockBytes }

// one makes adapter n. Until the rename, and after a fault, there is nothing
// under its name.
func (m *maker) one(ctx context.Context, n int, buf []byte) (err error) {
	partial := partialName(n)
	if err := m.root.Mkdir(partial, 0o755); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.root.RemoveAll(partial))
		}
	}()
	if err := m.files(ctx, partial, n, buf); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return m.rename(partial, adapterName(n))
}

// files writes the two files and syncs them and their names.
func (m *maker) files(ctx context.Context, partial string, n int, buf []byte) (err error) {
	sub, err := m.root.OpenRoot(partial)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	if err := m.weights(ctx, sub, n, buf); err != nil {
		return err
	}
	if err := m.writeConfig(sub); err != nil {
		return err
	}
	self, err := sub.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(self.Sync(), self.Close())
}

func (m *maker) writeConfig(sub *os.Root) (err error) {
	f, err := sub.OpenFile(configFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := m.write(f, m.plan.config, 0); err != nil {
		return err
	}
	return f.Sync()
}

// weights writes adapter_model.safetensors in whole chunks, and cuts what the
// last one has too much.
func (m *maker) weights(ctx context.Context, sub *os.Root, n int, buf []byte) (err error) {
	f, err := createDirect(sub)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	head, size, data := m.plan.head(n), m.plan.fileBytes(), m.plan.stream(n)
	if err := allocate(f, roundUp(size)); err != nil {
		return err
	}
	for off := int64(0); off < size; off += chunkBytes {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b := buf[:min(chunkBytes, roundUp(size-off))]
		data.fill(b, off)
		if off < int64(len(head)) {
			copy(b, head[off:])
		}
		if err := m.writeChunk(f, b, off); err != nil {
			return err
		}
		m.wrote(min(int64(len(b)), size-off))
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// createDirect makes the weights' file, past the page cache if it can be.
func createDirect(sub *os.Root) (*os.File, error) {
	f, err := sub.OpenFile(weightsFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_DIRECT, 0o644)
	if errors.Is(err, unix.EINVAL) { // which some file systems say after making it
		f, err = sub.OpenFile(weightsFile, os.O_WRONLY|os.O_CREATE, 0o644)
	}
	return f, err
}

// allocate lets a full disk show before anything is written. Not every file
// system can, and none need.
func allocate(f *os.File, size int64) error {
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return nil
		case !errors.Is(err, unix.EINTR):
			return fmt.Errorf("allocate %s: %w (free some space)", weightsFile, err)
		}
	}
}

// writeChunk writes b. Where direct writes turn out to be refused, it goes
// through the page cache from there on.
func (m *maker) writeChunk(f *os.File, b []byte, off int64) error {
	_, err := m.write(f, b, off)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags&^unix.O_DIRECT)
	}
	if err == nil {
		_, err = m.write(f, b, off)
	}
	return err
}

// rename gives the directory its name, and replaces nothing.
func (m *maker) rename(partial, name string) error {
	err := unix.Renameat2(m.fd(), partial, m.fd(), name, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		if _, err := m.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(ErrExists, err)
		}
		err = m.root.Rename(partial, name)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: another program made it meanwhile", ErrExists)
	}
	return err
}
