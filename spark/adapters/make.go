package adapters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	// writers is how many adapters are written at a time: while one waits for its
	// sync, others keep the disk at work.
	writers = 4
	// reserveBytes stay free, or a part of the file system if that is less.
	reserveBytes = 1 << 30
	reservePart  = 20
)

// Make writes count adapters named lora-0001 and so on below dir, or finds them
// there from an earlier call with the same Spec. progress, if not nil, hears of
// the bytes written, one call at a time, of all that have to be written.
// Interrupted, it leaves whole adapters only.
//
// dir is made if it is not there. An adapter is written under a hidden name,
// past the page cache where the file system can, synced and renamed; what a
// killed Make left under such a name, the next one removes.
//
// Errors are Spec.Validate's, ErrExists, ErrBusy, ErrNoSpace, ctx's cause, and
// the system's.
func Make(ctx context.Context, dir string, s Spec, count int, progress func(done, total int64)) ([]Adapter, error) {
	m := maker{progress: progress, space: space, write: (*os.File).WriteAt}
	return m.run(ctx, dir, s, count)
}

// maker is one call of Make. Tests put failing disks in.
type maker struct {
	plan     plan
	dir      string // absolute
	root     *os.Root
	self     *os.File // the directory
	progress func(done, total int64)
	space    func(fd int) (free, all int64, err error)
	write    func(f *os.File, b []byte, off int64) (int, error)

	mu          sync.Mutex
	done, total int64
}

func (m *maker) run(ctx context.Context, dir string, s Spec, count int) (list []Adapter, err error) {
	if count < 1 || count > MaxCount {
		err = fmt.Errorf("adapters: count %d (1 to %d)", count, MaxCount)
	}
	plan, perr := s.plan()
	if err := errors.Join(err, perr); err != nil {
		return nil, err
	}
	m.plan = plan
	if ctx.Err() != nil {
		return nil, fmt.Errorf("adapters: make: %w", context.Cause(ctx))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("adapters: make: %w", err)
	}
	if m.dir, m.root, err = openDir(dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.root.Close()) }()
	if m.self, err = m.root.Open("."); err != nil {
		return nil, fmt.Errorf("adapters: make: %w", err)
	}
	defer func() { err = errors.Join(err, m.self.Close()) }()
	if err := m.lock(); err != nil {
		return nil, err
	}
	if err := m.clearPartials(); err != nil {
		return nil, err
	}
	list, missing, err := m.find(count)
	if err != nil {
		return nil, err
	}
	if err := m.fill(ctx, list, missing); err != nil {
		return nil, err
	}
	return list, nil
}

func (m *maker) fd() int { return int(m.self.Fd()) }

// lock keeps a second Make out; the kernel unlocks when the directory is closed.
func (m *maker) lock() error {
	err := unix.Flock(m.fd(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("adapters: make below %s: %w (wait for it, or use another directory)", m.dir, ErrBusy)
	}
	if err != nil {
		return fmt.Errorf("adapters: lock %s: %w (choose a local file system)", m.dir, err)
	}
	return nil
}

func adapterName(n int) string { return fmt.Sprintf("lora-%04d", n) }

const partialEnd = ".partial"

func partialName(n int) string { return "." + adapterName(n) + partialEnd }

// clearPartials removes what killed calls left. Nobody else is at it: we hold
// the lock.
func (m *maker) clearPartials() error {
	entries, err := fs.ReadDir(m.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("adapters: list %s: %w", m.dir, err)
	}
	for _, e := range entries {
		var n int
		if _, err := fmt.Sscanf(e.Name(), ".lora-%d", &n); err != nil || e.Name() != partialName(n) {
			continue
		}
		if err := m.clearPartial(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) clearPartial(name string) error {
	path := filepath.Join(m.dir, name)
	inside, err := fs.ReadDir(m.root.FS(), name)
	if err != nil {
		return fmt.Errorf("adapters: make: %s: %w (remove it): %w", path, ErrExists, err)
	}
	for _, f := range inside {
		if f.Name() != configFile && f.Name() != weightsFile || !f.Type().IsRegular() {
			return fmt.Errorf("adapters: make: %s: %w, with %s that is none of ours (move it away)", path, ErrExists, f.Name())
		}
	}
	if err := m.root.RemoveAll(name); err != nil {
		return fmt.Errorf("adapters: remove %s: %w", path, err)
	}
	return nil
}

// find looks for the adapters, and tells the numbers of those that are missing.
func (m *maker) find(count int) (list []Adapter, missing []int, err error) {
	list = make([]Adapter, count)
	for n := 1; n <= count; n++ {
		name := adapterName(n)
		info, err := m.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, n)
			continue
		}
		if err == nil && !info.IsDir() {
			err = errors.New("it is no directory")
		}
		if err == nil {
			list[n-1], err = m.verify(n)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("adapters: make %s: %w: %w (remove it, or use another directory)", filepath.Join(m.dir, name), ErrExists, err)
		}
	}
	return list, missing, nil
}

// verify reads adapter n back and holds it against the plan.
func (m *maker) verify(n int) (a Adapter, err error) {
	sub, err := m.root.OpenRoot(adapterName(n))
	if err != nil {
		return Adapter{}, err
	}
	defer func() { err = errors.Join(err, sub.Close()) }()
	p, err := examine(sub, filepath.Join(m.dir, adapterName(n)))
	if err != nil {
		return Adapter{}, err
	}
	if !bytes.Equal(p.config, m.plan.config) || !bytes.Equal(p.head, m.plan.head(n)) {
		return Adapter{}, errors.New("it is another adapter than would be made")
	}
	return p.Adapter, nil
}

// fill makes the missing ones, several at a time. After a fault the others stop
// too, and all clean up.
func (m *maker) fill(ctx context.Context, list []Adapter, missing []int) (err error) {
	if len(missing) == 0 {
		return nil
	}
	m.total = m.plan.fileBytes() * int64(len(missing))
	if err := m.checkSpace(len(missing)); err != nil {
		return err
	}
	work := make(chan int, len(missing))
	for _, n := range missing {
		work <- n
	}
	close(work)
	group, gctx := errgroup.WithContext(ctx)
	for range min(writers, len(missing)) {
		group.Go(func() error { return m.worker(gctx, work, list) })
	}
	err = group.Wait()
	if e := m.self.Sync(); e != nil { // the names of those that are whole
		err = errors.Join(err, fmt.Errorf("adapters: sync %s: %w", m.dir, e))
	}
	return err
}

func (m *maker) worker(ctx context.Context, work <-chan int, list []Adapter) (err error) {
	buf, err := unix.Mmap(-1, 0, chunkBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS) // aligned, as direct I/O wants it
	if err != nil {
		return fmt.Errorf("adapters: take %d bytes for a buffer: %w", chunkBytes, err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(buf)) }()
	for n := range work {
		if err := m.one(ctx, n, buf); err != nil {
			return fmt.Errorf("adapters: make %s: %w", filepath.Join(m.dir, adapterName(n)), err)
		}
		if list[n-1], err = m.verify(n); err != nil {
			return err
		}
	}
	return nil
}

// checkSpace refuses before anything is written, rather than fill a disk.
func (m *maker) checkSpace(count int) error {
	free, all, err := m.space(m.fd())
	if err != nil {
		return fmt.Errorf("adapters: ask for the free space of %s: %w", m.dir, err)
	}
	reserve := min(reserveBytes, all/reservePart)
	each := roundUp(m.plan.fileBytes()) + 4*blockBytes // with the config, the directory and what describes them
	if need := each * int64(count); free-need < reserve {
		return fmt.Errorf("adapters: make %d below %s: %w: %d MB wanted, %d MB free of which %d MB stay (free some, or make fewer or smaller ones)",
			count, m.dir, ErrNoSpace, need/1e6, free/1e6, reserve/1e6)
	}
	return nil
}

func space(fd int) (free, all int64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// wrote counts bytes towards the progress.
func (m *maker) wrote(n int64) {
	if m.progress == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.progress(m.done, m.total)
}
