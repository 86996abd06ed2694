// Package loopdisk gives tests a disk whose counters nobody else moves: an ext4
// file system on a loop device of its own. It needs root and util-linux, and
// skips the test loudly without them.
package loopdisk

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// New makes the disk in a file of so many bytes below a directory, and takes it
// away when the test ends. It returns where the file system is mounted and the
// device's name. Only with direct does the device read its file past the page
// cache.
func New(t *testing.T, below string, size int64, direct bool) (dir, name string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: a loop device needs root")
	}
	image, dir := filepath.Join(below, "image"), filepath.Join(below, "mnt")
	require.NoError(t, os.WriteFile(image, nil, 0o600))
	require.NoError(t, os.Truncate(image, size))
	require.NoError(t, os.Mkdir(dir, 0o700))
	tool := func(name string, args ...string) string {
		out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		if err != nil {
			t.Skipf("SKIPPED: %s %s: %v: %s", name, strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	t.Cleanup(func() { requireGone(t, image, dir) }) // last of all
	past := "--direct-io=off"
	if direct {
		past = "--direct-io=on"
	}
	device := tool("losetup", "--find", "--show", past, image)
	t.Cleanup(func() { require.NoError(t, exec.Command("losetup", "--detach", device).Run()) })
	tool("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
	require.NoError(t, unix.Mount(device, dir, "ext4", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir, filepath.Base(device)
}

// requireGone fails a test that leaves its device or mount behind.
func requireGone(t *testing.T, image, dir string) {
	require.Eventually(t, func() bool {
		out, err := exec.Command("losetup", "--associated", image).Output()
		return err == nil && len(out) == 0
	}, 5*time.Second, 10*time.Millisecond, "the loop device is still there")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	require.NotContains(t, string(mounts), dir)
}
