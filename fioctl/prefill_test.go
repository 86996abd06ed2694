package fioctl

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
)

// diskDir is a directory on a disk, with its real path.
func diskDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	if _, err := blockdev.Of(dir, "", ""); err != nil {
		t.Skipf("SKIPPED: the temporary directory is on no disk; set TMPDIR to a directory on ext4 or xfs: %v", err)
	}
	return dir
}

func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fioctl-test-")
	if err != nil || inMemory(dir) != nil {
		t.Skipf("SKIPPED: no tmpfs at /dev/shm: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func smallSpec(dir string) TargetSpec {
	return TargetSpec{Dir: dir, Name: "target", SizeBytes: 3 << 20, Seed: 7, ReserveBytes: -1}
}

// snapshot is everything in a directory: types, modes, times and contents.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		fmt.Fprintf(&out, "%s %v %d", path, info.Mode(), info.Size())
		if path != dir { // a file made and removed again touches the directory's time
			fmt.Fprintf(&out, " %v %+v", info.ModTime(), info.Sys().(*syscall.Stat_t).Ino)
		}
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			fmt.Fprintf(&out, " %x", sha256.Sum256(b))
		}
		out.WriteByte('\n')
		return nil
	}))
	return out.String()
}

func requireContents(t *testing.T, tg Target) {
	t.Helper()
	want := make([]byte, tg.SizeBytes)
	header{tg.Seed, tg.SizeBytes}.fill(want, 0)
	got, err := os.ReadFile(tg.Path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "every byte is a function of seed and offset")
}

func TestPrefillMakesThenFinds(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, where := range []struct {
		name string
		spec TargetSpec
	}{
		{"disk", func() TargetSpec { s := smallSpec(diskDir(t)); s.SizeBytes = 17 << 20; return s }()},
		{"memory", func() TargetSpec { s := smallSpec(memoryDir(t)); s.Memory = true; return s }()},
	} {
		s := where.spec
		var seen []int64
		tg, err := Prefill(t.Context(), s, func(done, total int64) {
			require.Equal(t, s.SizeBytes, total)
			seen = append(seen, done)
		})
		require.NoError(t, err, where.name)
		if s.Memory {
			require.Equal(t, []int64{3 << 20}, seen)
		} else {
			require.Equal(t, []int64{16 << 20, 17 << 20}, seen)
		}
		require.Equal(t, filepath.Join(s.Dir, s.Name), tg.Path)
		require.True(t, tg.Made)
		require.False(t, tg.Reused)
		require.Positive(t, tg.WriteBytesPerSec)
		require.Positive(t, tg.AlignBytes)
		require.Equal(t, s.Memory, tg.Device.Name == "", "a device on a disk, none in memory")
		requireContents(t, tg)

		before := snapshot(t, s.Dir)
		again, err := Prefill(t.Context(), s, func(int64, int64) { t.Error("a reused file is not written") })
		require.NoError(t, err, where.name)
		require.True(t, again.Reused)
		tg.Reused, tg.WriteBytesPerSec = true, 0
		require.Equal(t, tg, again)
		require.Equal(t, before, snapshot(t, s.Dir))

		require.NoError(t, again.Remove())
		left, err := os.ReadDir(s.Dir)
		require.NoError(t, err)
		require.Empty(t, left)
		require.NoError(t, again.Remove(), "gone is as good as removed")
	}
}

func TestPrefillRewritesItsOwn(t *testing.T) {
	overwrite := func(off int64, b []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.WriteAt(b, off)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		}
	}
	for _, tt := range []struct {
		why    string
		change func(t *testing.T, path string)
		spec   func(*TargetSpec)
	}{
		{"another seed", nil, func(s *TargetSpec) { s.Seed++ }},
		{"larger", nil, func(s *TargetSpec) { s.SizeBytes += 3 << 20 }},
		{"smaller", nil, func(s *TargetSpec) { s.SizeBytes -= 1 << 20 }},
		{"cut short behind our back", func(t *testing.T, p string) { require.NoError(t, os.Truncate(p, 2<<20)) }, nil},
		{"last block changed", overwrite(3<<20-1, []byte{0}), nil},
		{"a write job ran over it", overwrite(1<<20, make([]byte, 2<<20)), nil},
		{"a hole punched", func(t *testing.T, p string) {
			f, err := os.OpenFile(p, os.O_RDWR, 0)
			require.NoError(t, err)
			require.NoError(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1<<20, 4096))
			require.NoError(t, f.Close())
		}, nil},
	} {
		s := smallSpec(diskDir(t))
		tg, err := Prefill(t.Context(), s, nil)
		require.NoError(t, err, tt.why)
		if tt.change != nil {
			tt.change(t, tg.Path)
		}
		if tt.spec != nil {
			tt.spec(&s)
		}
		tg, err = Prefill(t.Context(), s, nil)
		require.NoError(t, err, tt.why)
		require.False(t, tg.Reused, tt.why)
		requireContents(t, tg)
		left, err := os.ReadDir(s.Dir)
		require.NoError(t, err)
		require.Len(t, left, 1, tt.why)
	}
}

func TestPrefillCancelledLeavesNothing(t *testing.T) {
	defer goleak.VerifyNone(t)
	for _, older := range []bool{false, true} {
		s := smallSpec(diskDir(t))
		s.SizeBytes = 17 << 20
		if older {
			_, err := Prefill(t.Context(), s, nil)
			require.NoError(t, err)
			s.Seed++
		}
		before := snapshot(t, s.Dir)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("Ctrl-C")
		_, err := Prefill(ctx, s, func(done, _ int64) {
			require.Less(t, done, s.SizeBytes)
			require.FileExists(t, filepath.Join(s.Dir, s.Name+partialSuffix))
			cancel(why)
		})
		require.ErrorIs(t, err, why)
		require.Equal(t, before, snapshot(t, s.Dir), "an older target survives")
		_, err = Prefill(ctx, s, nil)
		require.ErrorIs(t, err, why)
		require.Equal(t, before, snapshot(t, s.Dir))
	}
}

func TestPrefillAloneWritesATarget(t *testing.T) {
	s := smallSpec(diskDir(t))
	tg, err := Prefill(t.Context(), s, func(done, total int64) {
		_, err := Prefill(t.Context(), s, nil)
		require.ErrorIs(t, err, ErrBusy)
	})
	require.NoError(t, err)
	requireContents(t, tg)
}

func TestPrefillMeetsAPartialFile(t *testing.T) {
	ours := make([]byte, 1<<20)
	header{Seed: 99, Size: 5 << 30}.fill(ours, 0)
	noise := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	for _, tt := range []struct {
		partial []byte
		is      error
		why     string
	}{
		{ours, nil, "left by a killed prefill"},
		{[]byte{}, nil, "killed before the first write"},
		{noise, ErrForeign, "somebody's download"},
		{[]byte("x"), ErrForeign, "too short to tell"},
	} {
		s := smallSpec(diskDir(t))
		path := filepath.Join(s.Dir, s.Name+partialSuffix)
		require.NoError(t, os.WriteFile(path, tt.partial, 0o644))
		before := snapshot(t, s.Dir)
		tg, err := Prefill(t.Context(), s, nil)
		require.ErrorIs(t, err, tt.is, tt.why)
		if tt.is != nil {
			require.Equal(t, before, snapshot(t, s.Dir), tt.why)
			continue
		}
		requireContents(t, tg)
		require.NoFileExists(t, path)
	}
}

// TestPrefillStoppedBySystem runs in a child whose files may not grow beyond
// about 1 MiB.
func TestPrefillStoppedBySystem(t *testing.T) {
	const key = "FIOCTL_TEST_LIMITED_DIR"
	if dir := os.Getenv(key); dir != "" {
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1<<20 + 4096, Max: 1<<20 + 4096}))
		before := snapshot(t, dir)
		_, err := Prefill(t.Context(), smallSpec(dir), nil)
		require.ErrorIs(t, err, unix.EFBIG)
		require.Equal(t, before, snapshot(t, dir))
		return
	}
	dir := diskDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bystander"), []byte("x"), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPrefillStoppedBySystem$", "-test.v")
	cmd.Env = append(os.Environ(), key+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestPrefillStoppedBySystem")
}

func TestRemoveTakesOnlyItsOwn(t *testing.T) {
	s := smallSpec(diskDir(t))
	tg, err := Prefill(t.Context(), s, nil)
	require.NoError(t, err)
	for _, tt := range []struct {
		change func() Target
		why    string
	}{
		{func() Target { c := tg; c.Seed++; return c }, "the file became another target"},
		{func() Target { c := tg; c.SizeBytes += chunkBytes; return c }, "the file became another size"},
		{func() Target { c := tg; c.Made = false; return c }, "it was brought"},
		{func() Target { return Target{} }, "nothing is named"},
		{func() Target {
			require.NoError(t, os.Rename(tg.Path, tg.Path+".moved"))
			require.NoError(t, os.WriteFile(tg.Path, make([]byte, 1<<20), 0o600))
			return tg
		}, "the file was replaced"},
	} {
		target := tt.change()
		before := snapshot(t, s.Dir)
		require.ErrorIs(t, target.Remove(), ErrForeign, tt.why)
		require.Equal(t, before, snapshot(t, s.Dir), tt.why)
	}
	require.NoError(t, os.Remove(tg.Path))
	require.NoError(t, os.Symlink(tg.Path+".moved", tg.Path))
	require.ErrorIs(t, tg.Remove(), ErrNotRegular, "a link is not followed")
	require.FileExists(t, tg.Path+".moved")

	tg.Path = filepath.Join(s.Dir, "gone", "target")
	require.NoError(t, tg.Remove(), "its directory is gone too")
}
