package emulator

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/clock"
)

// diskDir is a directory with a disk under it, or the test is skipped.
func diskDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := checkDir(dir); err != nil {
		t.Skipf("SKIPPED, direct I/O not tested: %v (set TMPDIR to a directory on a disk)", err)
	}
	f, err := lockSpill(filepath.Join(dir, "probe"))
	if errors.Is(err, ErrNoDirect) {
		t.Skipf("SKIPPED, direct I/O not tested: %v (set TMPDIR to a file system that has it)", err)
	}
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, os.Remove(f.Name()))
	return dir
}

func TestSpillIsWrittenReusedAndRemoved(t *testing.T) {
	cfg := tiny()
	cfg.SpillDir, cfg.KeepSpill = diskDir(t), true
	cfg.SpillBytes = 3 << 20
	size := spillFileBytes(cfg.SpillBytes)
	path := filepath.Join(cfg.SpillDir, spillName)
	open := func(reused bool, reason string) {
		t.Helper()
		s, err := openSpill(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, reused, s.reused, reason)
		_, err = openSpill(t.Context(), cfg)
		require.ErrorIs(t, err, ErrSpillBusy, "one server at a time")
		require.NoError(t, s.close())
	}
	open(false, "there was none")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.EqualValues(t, size, len(text))
	enc, err := zstd.NewWriter(nil)
	require.NoError(t, err)
	require.Greater(t, len(enc.EncodeAll(text, nil)), len(text)*99/100, "a disk that compresses gains nothing")
	open(true, "it is whole")

	spoil := func(f func(*os.File) error) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, f(file))
		require.NoError(t, file.Sync())
		require.NoError(t, file.Close())
	}
	punch := func(f *os.File) error {
		return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 2<<20, 1<<20)
	}
	spoil(punch)
	open(false, "it had a hole")
	spoil(func(f *os.File) error {
		return errors.Join(punch(f), unix.Fallocate(int(f.Fd()), 0, 2<<20, 1<<20))
	})
	open(false, "it had an extent that was allocated but never written")
	spoil(func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 0); return err })
	open(false, "its header was not ours")
	spoil(func(f *os.File) error { return f.Truncate(size - 1) })
	open(false, "it was short")
	open(true, "and is whole again")

	cfg.KeepSpill = false
	open(true, "kept by the one before")
	require.NoFileExists(t, path)
}

func TestZerosAreFoundWithoutExtents(t *testing.T) {
	cfg := tiny()
	cfg.SpillDir = diskDir(t)
	s, err := openSpill(t.Context(), cfg)
	require.NoError(t, err)
	size := spillFileBytes(cfg.SpillBytes)
	require.True(t, noZeros(s.fd, size))
	require.NoError(t, unix.Fallocate(s.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, chunkBytes, chunkBytes))
	require.False(t, noZeros(s.fd, size))
	require.NoError(t, s.close())
}

func TestExtentsCoverTheFile(t *testing.T) {
	rows := []struct {
		reason  string
		extents []extent
		want    bool
	}{
		{"one piece", []extent{{length: 100, flags: extentLast}}, true},
		{"two pieces", []extent{{length: 50}, {logical: 50, length: 50}}, true},
		{"past the end", []extent{{length: 4096}}, true},
		{"none", nil, false},
		{"a hole at the start", []extent{{logical: 1, length: 99}}, false},
		{"a hole between", []extent{{length: 50}, {logical: 51, length: 49}}, false},
		{"a hole at the end", []extent{{length: 99}}, false},
		{"unwritten", []extent{{length: 50}, {logical: 50, length: 50, flags: extentUnwriten}}, false},
		{"delayed", []extent{{length: 100, flags: extentDelayed | extentUnknown}}, false},
		{"compressed", []extent{{length: 100, flags: extentEncoded}}, false},
	}
	for _, r := range rows {
		require.Equal(t, r.want, covered(r.extents, 100), r.reason)
	}
	require.EqualValues(t, 56, unsafe.Sizeof(extent{}), "struct fiemap_extent")
	require.EqualValues(t, 64, unsafe.Sizeof(iocb{}), "struct iocb")
	require.EqualValues(t, 32, unsafe.Sizeof(ioEvent{}), "struct io_event")
}

func TestDirectoriesWithoutADisk(t *testing.T) {
	rows := map[int64]string{unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.RAMFS_MAGIC: "ramfs"}
	for magic, name := range rows {
		err := refuseMagic("/d", magic)
		require.ErrorIs(t, err, ErrNoDisk)
		require.ErrorContains(t, err, name)
	}
	require.NoError(t, refuseMagic("/d", unix.EXT4_SUPER_MAGIC))
	cfg := tiny()
	cfg.SpillDir = filepath.Join(t.TempDir(), "missing")
	require.ErrorIs(t, Serve(t.Context(), cfg, nil), os.ErrNotExist)
	if cfg.SpillDir = "/dev/shm"; errors.Is(checkDir(cfg.SpillDir), ErrNoDisk) {
		require.ErrorIs(t, Serve(t.Context(), cfg, nil), ErrNoDisk)
		require.NoFileExists(t, filepath.Join(cfg.SpillDir, spillName), "nothing is left behind")
	}
}

// fullDisk takes a few writes and then has no room.
type fullDisk struct{ left int }

func (d *fullDisk) WriteAt(b []byte, _ int64) (int, error) {
	if d.left--; d.left < 0 {
		return 0, &os.PathError{Op: "write", Path: "f", Err: unix.ENOSPC}
	}
	return len(b), nil
}

func TestFullDiskIsNamed(t *testing.T) {
	err := prefill(t.Context(), &fullDisk{2}, "f", 4<<20)
	require.ErrorIs(t, err, ErrSpace)
	require.ErrorContains(t, err, "spill_bytes")
	require.NoError(t, prefill(t.Context(), &fullDisk{4}, "f", 4<<20))

	cfg := tiny()
	cfg.SpillDir = diskDir(t)
	cfg.SpillBytes = 1 << 43 // more than any disk this runs on has free
	_, err = openSpill(t.Context(), cfg)
	require.ErrorIs(t, err, ErrSpace)
	require.NoFileExists(t, filepath.Join(cfg.SpillDir, spillName))
}

func TestCancelledPrefillLeavesNothing(t *testing.T) {
	cfg := tiny()
	cfg.SpillDir, cfg.KeepSpill = diskDir(t), true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := openSpill(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, filepath.Join(cfg.SpillDir, spillName))
}

func TestArenaFillsAndChecks(t *testing.T) {
	a, err := newArena(8, 4096)
	require.NoError(t, err)
	a.fill(1, 77)
	a.fill(2, 77)
	a.fill(3, 78)
	require.Equal(t, a.crc(1), a.crc(2), "content follows from the name")
	require.NotEqual(t, a.crc(1), a.crc(3))
	require.True(t, a.holds(2, 77))
	require.False(t, a.holds(3, 77))
	require.Equal(t, crc32.Checksum(a.bytes(3), crc32.MakeTable(crc32.Castagnoli)), a.crc(3))
	require.Zero(t, uintptr(unsafe.Pointer(&a.bytes(5)[0]))%pageBytes)
	require.NoError(t, a.close())
	_, err = newArena(1<<20, 1<<30)
	require.ErrorIs(t, err, ErrMemory)
}

// landing collects what a disk finishes.
type landing struct {
	mu   sync.Mutex
	got  []landed
	bell chan struct{}
}

func (l *landing) land(ls []landed) {
	l.mu.Lock()
	l.got = append(l.got, ls...)
	l.mu.Unlock()
	l.bell <- struct{}{}
}

func (l *landing) wait(t *testing.T, n int) []landed {
	t.Helper()
	for {
		l.mu.Lock()
		if len(l.got) >= n {
			got := l.got
			l.got = nil
			l.mu.Unlock()
			require.Len(t, got, n)
			return got
		}
		l.mu.Unlock()
		select {
		case <-l.bell:
		case <-time.After(20 * time.Second):
			require.Fail(t, "the disk does not answer")
		}
	}
}

func TestDiskMovesAndChecksBlocks(t *testing.T) {
	cfg := tiny()
	cfg.SpillDir, cfg.SpillBytes = diskDir(t), 64*4096
	sp, err := openSpill(t.Context(), cfg)
	require.NoError(t, err)
	ar, err := newArena(cfg.poolBlocks(), cfg.BlockBytes())
	require.NoError(t, err)
	l := &landing{bell: make(chan struct{}, 1000)}
	d, err := newDisk(clock.New(), 4, sp, ar, l.land)
	require.NoError(t, err)
	done := make(chan error)
	go func() { done <- d.run() }()

	var writes, reads []op
	for i := range int32(40) {
		ar.fill(i, uint64(i))
		writes = append(writes, op{write: true, block: i, slot: 63 - i, hash: uint64(i)})
	}
	d.submit(writes)
	for _, x := range l.wait(t, 40) {
		require.NoError(t, x.err)
		require.Positive(t, x.took)
		reads = append(reads, op{block: x.op.block, slot: x.op.slot, hash: x.op.hash, crc: x.op.crc})
	}
	rand.Shuffle(len(reads), func(i, j int) { reads[i], reads[j] = reads[j], reads[i] })
	for i := range reads {
		reads[i].block = int32(i)
		clear(ar.bytes(int32(i)))
	}
	d.submit(reads)
	for _, x := range l.wait(t, 40) {
		require.NoError(t, x.err)
		require.True(t, ar.holds(x.op.block, x.op.hash))
	}

	// A flipped bit, a block in the wrong place and a short file are all noticed.
	o := reads[0]
	flip(t, sp.path, sp.offset(o.slot)+4000)
	d.submit([]op{o})
	require.ErrorIs(t, l.wait(t, 1)[0].err, ErrCorrupt)
	wrong := reads[1]
	wrong.hash = 12345
	d.submit([]op{wrong})
	require.ErrorIs(t, l.wait(t, 1)[0].err, ErrCorrupt)
	require.NoError(t, os.Truncate(sp.path, sp.offset(reads[2].slot)))
	d.submit([]op{reads[2]})
	require.ErrorContains(t, l.wait(t, 1)[0].err, "0 bytes of 4096")

	d.submit(reads[10:30]) // closing does not wait for the queue, only for the device
	d.close()
	require.NoError(t, <-done)
	d.submit(reads[:1])
	d.close()
	require.NoError(t, errors.Join(sp.close(), ar.close()))
}

func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

func TestMemAvailable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meminfo")
	require.NoError(t, os.WriteFile(path, fmt.Appendln(nil, "MemTotal: 9 kB\nMemAvailable:    2048 kB"), 0o600))
	n, ok := memAvailable(path)
	require.True(t, ok)
	require.EqualValues(t, 2<<20, n)
	_, ok = memAvailable(filepath.Join(t.TempDir(), "none"))
	require.False(t, ok, "absent is not 0")
}
