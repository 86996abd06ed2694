package adapters

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Check reads one adapter's directory and proves that its parts belong
// together. It reads headers, not weights: of the weights' file no more than
// the header's pages come into the page cache.
//
// The error is ErrNotAdapter, ErrCorrupt, which names the tensor, ErrOutside, or
// the system's. Links within the directory are followed.
func Check(dir string) (a Adapter, err error) {
	dir, root, err := openDir(dir)
	if err != nil {
		return Adapter{}, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	p, err := examine(root, dir)
	return p.Adapter, err
}

// List checks every adapter directly below dir, in the order of their names as
// bytes; the error joins every fault, and the adapters without one are returned
// beside it. Passed over are files, hidden directories, links within dir, and
// directories that hold no part of an adapter; a link that leads out of dir is
// ErrOutside.
func List(dir string) (list []Adapter, err error) {
	dir, root, err := openDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	if partOfAdapter(root) {
		return nil, fmt.Errorf("adapters: list %s: it is one adapter, not a directory of adapters (give the directory above it)", dir)
	}
	entries, err := fs.ReadDir(root.FS(), ".") // sorted
	if err != nil {
		return nil, fmt.Errorf("adapters: list %s: %w", dir, err)
	}
	var errs []error
	for _, e := range entries {
		a, is, err := listed(root, dir, e)
		if err != nil {
			errs = append(errs, err)
		} else if is {
			list = append(list, a)
		}
	}
	return list, errors.Join(errs...)
}

// listed examines one entry of a directory of adapters.
func listed(root *os.Root, dir string, e fs.DirEntry) (a Adapter, is bool, err error) {
	path := filepath.Join(dir, e.Name())
	switch {
	case strings.HasPrefix(e.Name(), "."):
		return Adapter{}, false, nil
	case e.Type()&fs.ModeSymlink != 0:
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if _, err := root.Stat(e.Name()); err != nil {
				return Adapter{}, false, outside(path)
			}
		}
		return Adapter{}, false, nil
	case !e.IsDir():
		return Adapter{}, false, nil
	}
	sub, err := root.OpenRoot(e.Name())
	if err != nil {
		return Adapter{}, false, fmt.Errorf("adapters: open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	if !partOfAdapter(sub) {
		return Adapter{}, false, nil
	}
	p, err := examine(sub, path)
	return p.Adapter, err == nil, err
}

// partOfAdapter tells a directory that means to be an adapter.
func partOfAdapter(root *os.Root) bool {
	for _, name := range []string{configFile, weightsFile, "adapter_model.bin"} {
		if _, err := root.Lstat(name); err == nil {
			return true
		}
	}
	return false
}

func openDir(dir string) (string, *os.Root, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, fmt.Errorf("adapters: %w", err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return "", nil, fmt.Errorf("adapters: %w", err)
	}
	return abs, root, nil
}

// parts is an adapter and the bytes by which two can be told apart.
type parts struct {
	Adapter
	config, head []byte
}

// examine is Check on an open directory.
func examine(root *os.Root, dir string) (p parts, err error) {
	defer func() {
		if err != nil {
			p, err = parts{}, fmt.Errorf("adapters: check %s: %w", dir, err)
		}
	}()
	p.config, err = readConfig(root, dir)
	if err != nil {
		return p, err
	}
	c, err := parseConfig(p.config)
	if err != nil {
		return p, err
	}
	p.Adapter = Adapter{Name: filepath.Base(dir), Dir: dir, File: filepath.Join(dir, weightsFile), Base: c.base, Rank: int(c.rank), Modules: c.modules}
	tensors, err := p.readHeader(root)
	if err != nil {
		return p, err
	}
	found, err := c.pairUp(tensors)
	if err != nil {
		return p, fmt.Errorf("%w: %s: %w", ErrCorrupt, weightsFile, err)
	}
	if c.modules == nil {
		p.Modules = found
	}
	p.Tensors = len(tensors)
	return p, nil
}

func readConfig(root *os.Root, dir string) (b []byte, err error) {
	f, _, err := openFile(root, dir, configFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: it has no %s (give the directory that PEFT's save_pretrained wrote)", ErrNotAdapter, configFile)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err = io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(b) > maxConfig {
		err = fmt.Errorf("%w: %s is longer than %d bytes", ErrCorrupt, configFile, maxConfig)
	}
	return b, err
}

// readHeader reads the start of the weights' file, and its size.
func (p *parts) readHeader(root *os.Root) (tensors []tensor, err error) {
	f, info, err := openFile(root, p.Dir, weightsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noWeights(root)
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// Without this the kernel would read weights ahead, and a cold adapter would
	// no longer be quite cold. A refusal costs no more than that.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM)
	corrupt := func(err error) error { return fmt.Errorf("%w: %s: %w", ErrCorrupt, weightsFile, err) }
	p.Bytes = info.Size()
	var length [8]byte
	if p.Bytes < int64(len(length)) {
		return nil, corrupt(fmt.Errorf("its %d bytes are too few for a header", p.Bytes))
	}
	if _, err := f.ReadAt(length[:], 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", weightsFile, err)
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || int64(n) > p.Bytes-8 {
		return nil, corrupt(fmt.Errorf("its header claims %d bytes, of the file's %d (at most %d are read)", n, p.Bytes, maxHeader))
	}
	p.head = make([]byte, 8+n)
	if _, err := f.ReadAt(p.head, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", weightsFile, err)
	}
	if tensors, err = parseHeader(p.head[8:], p.Bytes-int64(len(p.head))); err != nil {
		return nil, corrupt(err)
	}
	return tensors, nil
}

// noWeights says why there is no weights' file to read.
func noWeights(root *os.Root) error {
	names, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	if slices.ContainsFunc(names, func(e fs.DirEntry) bool { return e.Name() == "adapter_model.bin" }) {
		return fmt.Errorf("%w: it has adapter_model.bin only, a pickle (load it with PEFT and save it with safe_serialization=True)", ErrNotAdapter)
	}
	return fmt.Errorf("%w: it has no %s (copy it there)", ErrNotAdapter, weightsFile)
}

// openFile opens a regular file in the directory, without waiting for a FIFO.
func openFile(root *os.Root, dir, name string) (*os.File, fs.FileInfo, error) {
	path := filepath.Join(dir, name)
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		link, lerr := root.Lstat(name)
		if lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil, fmt.Errorf("%w: %s is a symbolic link to nothing", ErrNotAdapter, name)
			}
			return nil, nil, outside(path)
		}
		return nil, nil, fmt.Errorf("open: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrNotAdapter, name)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// outside refuses a link such as those in the cache of Hugging Face's hub.
func outside(path string) error {
	return fmt.Errorf("%s: a symbolic link that %w (copy what it leads to, with cp -rL)", path, ErrOutside)
}
