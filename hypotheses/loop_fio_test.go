//go:build fio

package hypotheses

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
)

// loopDisk is an ext4 file system on a loop device of its own, which reads its
// backing file past the page cache: a disk with counters that nobody else
// moves.
func loopDisk(t *testing.T, size int64) (dir, name string) {
	t.Helper()
	needRoot(t, "a loop device")
	root := t.TempDir()
	image, dir := filepath.Join(root, "image"), filepath.Join(root, "mnt")
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
	t.Cleanup(func() { // last of all
		require.Eventually(t, func() bool {
			out, err := exec.Command("losetup", "--associated", image).Output()
			return err == nil && len(out) == 0
		}, 5*time.Second, 10*time.Millisecond, "the loop device is still there")
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		require.NoError(t, err)
		require.NotContains(t, string(mounts), dir)
	})
	device := tool("losetup", "--find", "--show", "--direct-io=on", image)
	t.Cleanup(func() { require.NoError(t, exec.Command("losetup", "--detach", device).Run()) })
	tool("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)
	require.NoError(t, unix.Mount(device, dir, "ext4", 0, ""))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	return dir, filepath.Base(device)
}

// H4 on a loop device, whose own counters prove every window.
func TestRealH4OnALoopDevice(t *testing.T) {
	c := realToy(t)
	c.Dir, c.Device = loopDisk(t, 2<<30) // the emulator wants 1 GiB beside its file
	j, dir := measured(t, c, Progress{})
	require.NotContains(t, j.Verdict.Reasons, "NOT_PAGING")
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	for _, a := range e.Arms {
		require.NotContains(t, failed(a), fioctl.CheckBalance, "%s: nobody but us reads from this disk", a.Name)
		t.Logf("%-22s the device read %.1f MB; failed %v", a.Name, a.Telemetry.ReadBytes/1e6, failed(a))
	}
	require.Greater(t, armNamed(t, dir, "paging-HEAVY-r0").Telemetry.ReadBytes, 2*armNamed(t, dir, "paging-BASELINE-r0").Telemetry.ReadBytes)
}
