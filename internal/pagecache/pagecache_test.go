package pagecache

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const fileBytes = 8<<20 + 123

// written is a file of n bytes in dir, just written, so cached.
func written(t *testing.T, dir string, n int) string {
	t.Helper()
	path := filepath.Join(dir, "data")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte{7}, n), 0o600))
	return path
}

// onDisk is a directory whose files can leave the page cache.
func onDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if inMemory(t, dir) {
		t.Skip("SKIPPED: the temporary directory is in memory, which drops nothing (set TMPDIR to a disk)")
	}
	return dir
}

func inMemory(t *testing.T, dir string) bool {
	t.Helper()
	var st unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &st))
	return int64(st.Type) == unix.TMPFS_MAGIC || int64(st.Type) == unix.RAMFS_MAGIC
}

func pages(n int) int64 {
	page := os.Getpagesize()
	return int64((n + page - 1) / page)
}

func TestWrittenIsResidentAndDroppedIsNot(t *testing.T) {
	path := written(t, onDisk(t), fileBytes)
	r, err := Of(path)
	require.NoError(t, err)
	require.Equal(t, Residency{pages(fileBytes), pages(fileBytes)}, r, "what was just written is cached, the broken last page too")
	require.InDelta(t, 1, r.Share(), 0)

	require.NoError(t, Drop(path), "its pages are dirty still")
	r, err = Of(path)
	require.NoError(t, err)
	require.Equal(t, pages(fileBytes), r.Pages)
	require.Less(t, r.Share(), 0.01)

	// One page is read, and no more ahead of it: it alone is resident.
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM))
	_, err = f.ReadAt(make([]byte, 1), 4<<20)
	require.NoError(t, err)
	after, err := Of(path)
	require.NoError(t, err)
	require.Equal(t, r.Resident+1, after.Resident)
}

func TestMappedPagesStay(t *testing.T) {
	path := written(t, onDisk(t), fileBytes)
	require.NoError(t, Drop(path))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, 1<<20, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(mem)) }()

	require.NoError(t, Drop(path))
	r, err := Of(path)
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Resident, pages(1<<20), "somebody holds them")
	_, err = ReadRate(path)
	require.ErrorIs(t, err, ErrResident, "such a read would not be of the disk")
	runtime.KeepAlive(mem)
}

func TestLargeFilesAreAskedInPieces(t *testing.T) {
	path := filepath.Join(onDisk(t), "sparse")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	const size = 3*window + 5
	require.NoError(t, f.Truncate(size))
	for _, off := range []int64{0, window - 1, window, 2*window + 4096, size - 1} {
		_, err := f.WriteAt([]byte{1}, off)
		require.NoError(t, err)
	}
	r, err := Of(path)
	require.NoError(t, err)
	require.Equal(t, int64(3*window/os.Getpagesize()+1), r.Pages)
	require.GreaterOrEqual(t, r.Resident, int64(5), "one page in each place")
	require.Less(t, r.Share(), 0.01, "and no page of the holes between")
}

func TestTruncatedFileHasNoPagesThere(t *testing.T) {
	f, err := os.Open(written(t, onDisk(t), fileBytes))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Truncate(f.Name(), 0))
	n, err := resident(f, 0, fileBytes) // the size that Of saw before somebody cut it
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	asks := map[string]func(string) error{
		"Of":       func(p string) error { _, err := Of(p); return err },
		"Drop":     Drop,
		"ReadRate": func(p string) error { _, err := ReadRate(p); return err },
	}
	for name, ask := range asks {
		for _, c := range []struct {
			why, path string
			want      error
		}{
			{"missing", filepath.Join(dir, "none"), fs.ErrNotExist},
			{"a directory", dir, ErrNotRegular},
			{"a FIFO that nobody writes to must not be waited for", fifo, ErrNotRegular},
			{"a device", "/dev/null", ErrNotRegular},
		} {
			require.ErrorIs(t, ask(c.path), c.want, "%s: %s", name, c.why)
		}
	}
}

func TestEmptyFile(t *testing.T) {
	path := written(t, onDisk(t), 0)
	r, err := Of(path)
	require.NoError(t, err)
	require.Equal(t, Residency{}, r)
	require.Zero(t, r.Share())
	require.NoError(t, Drop(path))
	_, err = ReadRate(path)
	require.ErrorContains(t, err, "empty")
}

func TestMemoryIsNeverDropped(t *testing.T) {
	const shm = "/dev/shm"
	if _, err := os.Stat(shm); err != nil || !inMemory(t, shm) {
		t.Skip("SKIPPED: this machine has no tmpfs at /dev/shm")
	}
	dir, err := os.MkdirTemp(shm, "pagecache")
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(dir)) }()
	path := written(t, dir, 1<<20)
	require.ErrorIs(t, Drop(path), ErrInMemory)
	_, err = ReadRate(path)
	require.ErrorIs(t, err, ErrInMemory)
	r, err := Of(path)
	require.NoError(t, err)
	require.InDelta(t, 1, r.Share(), 0)
}

// As a user who neither owns the file nor may write it, the kernel calls all of
// it resident. Root becomes such a user for file access on one thread; others
// have plenty of root's files at hand.
func TestHiddenResidencyIsToldApart(t *testing.T) {
	path := "/bin/sh"
	if os.Geteuid() == 0 {
		dir, err := os.MkdirTemp("", "pagecache")
		require.NoError(t, err)
		defer func() { require.NoError(t, os.RemoveAll(dir)) }()
		require.NoError(t, os.Chmod(dir, 0o755))
		path = written(t, dir, 1<<20)
		require.NoError(t, os.Chmod(path, 0o644))
		require.NoError(t, Drop(path))
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		_, err = unix.SetfsuidRetUid(65534)
		require.NoError(t, err)
		defer func() { _, _ = unix.SetfsuidRetUid(0) }()
	}
	_, err := Of(path)
	require.ErrorIs(t, err, ErrHidden)
	require.ErrorContains(t, err, "owner")
}

func TestReadRate(t *testing.T) {
	path := written(t, onDisk(t), fileBytes)
	rate, err := ReadRate(path)
	require.NoError(t, err)
	require.Positive(t, rate)
	r, err := Of(path)
	require.NoError(t, err)
	require.InDelta(t, 1, r.Share(), 0, "it was read through the cache, all of it")
}

func TestDropAll(t *testing.T) {
	dir := t.TempDir()
	control := filepath.Join(dir, "drop_caches")
	require.NoError(t, os.WriteFile(control, nil, 0o600))
	require.NoError(t, dropAll(control))
	wrote, err := os.ReadFile(control)
	require.NoError(t, err)
	require.Equal(t, "1", string(wrote), "the page cache alone, not dentries and inodes")

	require.ErrorIs(t, dropAll(filepath.Join(dir, "none")), fs.ErrNotExist)
	require.ErrorIs(t, refused(control, unix.EACCES), ErrNotRoot)
	require.ErrorIs(t, refused(control, unix.EROFS), ErrNotRoot, "as /proc/sys is in a container")
	require.NotErrorIs(t, refused(control, unix.EIO), ErrNotRoot)
}

func TestAdd(t *testing.T) {
	require.Equal(t, Residency{11, 3}, Residency{10, 3}.Add(Residency{1, 0}))
	require.InDelta(t, 0.3, Residency{10, 3}.Share(), 1e-12)
}
