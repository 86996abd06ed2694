package emulator

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/pagecache"
)

// heldPages keeps adapters' files mapped, each page present, so that neither
// posix_fadvise nor drop_caches takes them out of the page cache. It is safe for
// concurrent use; the zero value holds nothing.
type heldPages struct {
	mu   sync.Mutex
	maps map[string][]byte // by file
}

// add maps the file, which reads what is not cached yet.
func (h *heldPages) add(l *lora) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("emulator: hold adapter %s: %w", l.name, err)
		}
	}()
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.maps[l.file]; ok {
		return nil
	}
	if err := checkMemory(l.bytes, "held page cache", "lower the number of adapters, or set adapter_pages to keep"); err != nil {
		return err
	}
	f, err := os.Open(l.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	mem, err := unix.Mmap(int(f.Fd()), 0, int(l.bytes), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("map %s: %w", l.file, err)
	}
	// Against a kernel that is short of memory; without the right to it the
	// mapping alone must do.
	_ = unix.Mlock(mem)
	if h.maps == nil {
		h.maps = map[string][]byte{}
	}
	h.maps[l.file] = mem
	r, err := pagecache.Of(l.file)
	if errors.Is(err, pagecache.ErrHidden) {
		return nil
	}
	if err == nil && r.Resident < r.Pages {
		err = fmt.Errorf("%w: %d of %d pages of %s are resident (free memory, or set adapter_pages to keep)", ErrMemory, r.Resident, r.Pages, l.file)
	}
	return err
}

func (h *heldPages) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for file, mem := range h.maps {
		if err := unix.Munmap(mem); err != nil {
			errs = append(errs, fmt.Errorf("emulator: unmap %s: %w", file, err))
		}
	}
	h.maps = nil
	return errors.Join(errs...)
}

// checkDroppable refuses directories whose files are memory: nothing takes them
// out of it.
func checkDroppable(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("%w: look at %s: %w", ErrAdapters, dir, err)
	}
	switch int64(fs.Type) {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.HUGETLBFS_MAGIC:
		return fmt.Errorf("%w: adapters in %s lie in memory and can never be cold (name a directory on a disk, or set adapter_pages to keep)", ErrNoDisk, dir)
	}
	return nil
}
