package fioctl

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// keeper writes fio's raw output to a file that gets its name only when it is
// whole. Its errors wait for commit: the run goes on without. It is safe for
// concurrent use.
type keeper struct {
	path string // "" keeps nothing

	mu   sync.Mutex
	file *os.File
	zip  *zstd.Encoder // nil when plain
	err  error
	kept bool
}

func newKeeper(path string) (*keeper, error) {
	k := &keeper{path: path}
	if path == "" {
		return k, nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		if err == nil {
			err = os.ErrExist
		}
		return nil, fmt.Errorf("keep output at %s: %w (results are never overwritten)", path, err)
	}
	f, err := os.Create(path + ".partial")
	if err != nil {
		return nil, fmt.Errorf("keep output: %w", err)
	}
	k.file = f
	if strings.HasSuffix(path, ".zst") {
		// Fastest level, one goroutine: the server shares the cores.
		k.zip, err = zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("keep output: %w", err), k.drop())
		}
	}
	return k, nil
}

// Write never fails and never writes less, so that reading goes on.
func (k *keeper) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil || k.err != nil {
		return len(b), nil
	}
	var to io.Writer = k.file
	if k.zip != nil {
		to = k.zip
	}
	_, k.err = to.Write(b)
	return len(b), nil
}

// commit makes the file durable and gives it its name.
func (k *keeper) commit() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.file == nil {
		return nil
	}
	f := k.file
	k.file = nil
	if k.zip != nil {
		k.err = errors.Join(k.err, k.zip.Close())
	}
	err := errors.Join(k.err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), k.path)
	}
	if err != nil {
		return fmt.Errorf("fioctl: keep output: %w", err)
	}
	k.kept = true
	return nil
}

// drop removes what there is, even after commit.
func (k *keeper) drop() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept {
		k.kept = false
		return os.Remove(k.path)
	}
	if k.file == nil {
		return nil
	}
	f := k.file
	k.file = nil
	if k.zip != nil {
		_ = k.zip.Close() // ends its state; what it writes goes too
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
