//go:build fio

package fioctl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
)

// loopDir is an ext4 of 96 MiB on a loop device, mounted for the test.
func loopDir(t *testing.T) (dir, device, image string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can mount")
	}
	root := diskDir(t)
	image, dir = filepath.Join(root, "image"), filepath.Join(root, "mnt")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, 96<<20))
	require.NoError(t, os.Mkdir(dir, 0o700))
	tool := func(name string, args ...string) string {
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			t.Skipf("SKIPPED: %s %s: %v: %s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	tool("mkfs.ext4", "-q", "-F", "-m", "0", image)
	device = tool("losetup", "--find", "--show", image)
	t.Cleanup(func() { require.NoError(t, exec.Command("losetup", "--detach", device).Run()) })
	tool("mount", device, dir)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir, device, image
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("SKIPPED: cannot mount %s: %v", kind, err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(target, 0)) })
}

func TestDiskFullLeavesNothing(t *testing.T) {
	dir, _, _ := loopDir(t)
	s := smallSpec(dir)
	s.SizeBytes = 64 << 20
	bystander := filepath.Join(dir, "bystander")
	filled := false
	_, err := Prefill(t.Context(), s, func(done, total int64) {
		if filled {
			return
		}
		filled = true // somebody else takes the room that was there at the start
		f, err := os.Create(bystander)
		require.NoError(t, err)
		b := make([]byte, 1<<20)
		for err == nil {
			_, err = f.Write(b)
			if err == nil {
				err = f.Sync()
			}
		}
		require.ErrorIs(t, err, unix.ENOSPC)
		require.NoError(t, f.Close())
	})
	require.True(t, filled)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.ErrorIs(t, err, ErrSpace)
	require.NoFileExists(t, filepath.Join(dir, s.Name))
	require.NoFileExists(t, filepath.Join(dir, s.Name+partialSuffix))
	require.FileExists(t, bystander)

	require.NoError(t, os.Remove(bystander))
	tg, err := Prefill(t.Context(), s, nil)
	require.NoError(t, err)
	requireContents(t, tg)
	s.SizeBytes = 80 << 20
	before := snapshot(t, dir)
	_, err = Prefill(t.Context(), s, nil)
	require.ErrorIs(t, err, ErrSpace, "refused before it writes: there is no room for both")
	require.Equal(t, before, snapshot(t, dir))
}

func TestLoopDeviceStandsOnItsDisk(t *testing.T) {
	dir, device, image := loopDir(t)
	tg, err := Prefill(t.Context(), smallSpec(dir), nil)
	require.NoError(t, err)
	below, err := blockdev.Of(image, "", "")
	require.NoError(t, err)
	require.NoError(t, ProveSameDevice(tg.Device, below))

	for _, path := range []string{device, "/dev/block/" + numberOf(t, device)} {
		_, err = CheckTarget(path, 1)
		if _, missing := os.Stat(path); missing != nil {
			continue
		}
		require.ErrorIs(t, err, ErrMounted)
		require.ErrorContains(t, err, dir)
		s := smallSpec(path)
		_, err = Prefill(t.Context(), s, nil)
		require.ErrorIs(t, err, ErrMounted)
	}
	node := filepath.Join(dir, "node")
	require.NoError(t, unix.Mknod(node, unix.S_IFBLK|0o600, int(rdevOf(t, device))))
	s := smallSpec(dir)
	s.Name = "node"
	_, err = Prefill(t.Context(), s, nil)
	require.ErrorIs(t, err, ErrMounted, "a device node under the name")
}

func rdevOf(t *testing.T, path string) uint64 {
	var st unix.Stat_t
	require.NoError(t, unix.Stat(path, &st))
	return st.Rdev
}

func numberOf(t *testing.T, path string) string {
	return strings.TrimSpace(blockdev.Attr("/sys/block/" + filepath.Base(path) + "/dev"))
}

func TestOverlayAndMountsAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can mount")
	}
	root := diskDir(t)
	for _, d := range []string{"lower", "upper", "work", "merged", "memory", "plain"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, d), 0o700))
	}
	t.Run("overlay", func(t *testing.T) {
		mount(t, "overlay", root+"/merged", "overlay", 0, "lowerdir="+root+"/lower,upperdir="+root+"/upper,workdir="+root+"/work")
		_, err := Prefill(t.Context(), smallSpec(root+"/merged"), nil)
		require.ErrorIs(t, err, ErrOverlay)
		require.ErrorIs(t, err, blockdev.ErrNotBlock)
		left, err := os.ReadDir(root + "/merged")
		require.NoError(t, err)
		require.Empty(t, left)
	})
	t.Run("tmpfs", func(t *testing.T) {
		mount(t, "tmpfs", root+"/memory", "tmpfs", 0, "size=48m")
		s := smallSpec(root + "/memory")
		_, err := Prefill(t.Context(), s, nil)
		require.ErrorIs(t, err, ErrTmpfs)
		s.Memory = true
		tg, err := Prefill(t.Context(), s, nil)
		require.NoError(t, err)
		require.NoError(t, tg.Remove())
		s.SizeBytes, s.ReserveBytes = 44<<20, 0
		_, err = Prefill(t.Context(), s, nil)
		require.ErrorIs(t, err, ErrSpace, "a tenth stays free")
	})
	t.Run("a file mounted over the name", func(t *testing.T) {
		s := smallSpec(root + "/plain")
		tg, err := Prefill(t.Context(), s, nil)
		require.NoError(t, err)
		require.NoError(t, os.Rename(tg.Path, root+"/elsewhere"))
		require.NoError(t, os.WriteFile(tg.Path, nil, 0o600))
		mount(t, root+"/elsewhere", tg.Path, "", unix.MS_BIND, "")
		_, err = Prefill(t.Context(), s, nil)
		require.ErrorIs(t, err, ErrOutside)
		require.ErrorIs(t, tg.Remove(), ErrOutside)
		require.FileExists(t, root+"/elsewhere")
	})
}
