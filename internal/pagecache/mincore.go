package pagecache

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// window is how much of a file is mapped at a time: the answer takes a byte a
// page, so 256 KiB, whatever the file's size.
const window = 1 << 30

// Of is the residency of the file at path, by mincore(2). It touches no page.
// Since Linux 5.2 the kernel calls every page resident of a file that the asker
// neither owns nor may write; that is ErrHidden here.
func Of(path string) (r Residency, err error) {
	f, info, err := open(path)
	if err != nil {
		return Residency{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, page := info.Size(), int64(os.Getpagesize())
	if size == 0 {
		return Residency{}, nil
	}
	// No page this far behind the end can be cached, whatever the size of the
	// cache's folios: who calls it resident, says so of every page.
	beyond := (size/window + 2) * window
	lie, err := resident(f, beyond, page)
	if err != nil {
		return Residency{}, err
	}
	if lie != 0 {
		return Residency{}, fmt.Errorf("pagecache: ask what is cached of %s: %w (run as the file's owner, or as root)", path, ErrHidden)
	}
	for off := int64(0); off < size; off += window {
		n := min(window, size-off)
		in, err := resident(f, off, n)
		if err != nil {
			return Residency{}, err
		}
		r = r.Add(Residency{Pages: (n + page - 1) / page, Resident: in})
	}
	return r, nil
}

// resident counts the cached pages of n bytes at off, a multiple of the page
// size. A part past the end of the file has none.
func resident(f *os.File, off, n int64) (count int64, err error) {
	mem, err := unix.Mmap(int(f.Fd()), off, int(n), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("pagecache: map %s: %w", f.Name(), err)
	}
	defer func() {
		if e := unix.Munmap(mem); e != nil {
			err = errors.Join(err, fmt.Errorf("pagecache: unmap %s: %w", f.Name(), e))
		}
	}()
	page := int64(os.Getpagesize())
	pages := make([]byte, (n+page-1)/page)
	err = retry(func() error {
		_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(n), uintptr(unsafe.Pointer(&pages[0])))
		if errno != 0 {
			return errno
		}
		return nil
	})
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("%w (the kernel is short of memory; ask again)", err)
	}
	if err != nil {
		return 0, fmt.Errorf("pagecache: ask what is cached of %s: %w", f.Name(), err)
	}
	for _, p := range pages {
		count += int64(p & 1) // the other bits are undefined
	}
	return count, nil
}
