package spark

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// setting is a file in force: it holds "ours" and held "theirs".
func setting(t *testing.T, now string) undoStep {
	t.Helper()
	path := filepath.Join(t.TempDir(), "setting")
	require.NoError(t, os.WriteFile(path, []byte(now+"\n"), 0o644))
	return undoStep{Path: path, Was: "theirs", Set: []string{"ours", "ours too"}, Write: "theirs"}
}

func holds(t *testing.T, s undoStep, want string) {
	t.Helper()
	v, err := s.value()
	require.NoError(t, err)
	require.Equal(t, want, v)
}

func TestRestoreWritesOnlyWhatIsOurs(t *testing.T) {
	for now, row := range map[string]struct {
		then, err string
		wrote     bool
	}{
		"ours":     {"theirs", "", true},
		"ours too": {"theirs", "", true},
		"theirs":   {"theirs", "", false},
		"another":  {"another", "somebody else", false},
		"":         {"", "somebody else", false},
	} {
		s := setting(t, now)
		wrote, err := s.restore(writeKernel)
		require.Equal(t, row.wrote, wrote, now)
		if row.err == "" {
			require.NoError(t, err, now)
		} else {
			require.ErrorContains(t, err, row.err, now)
		}
		holds(t, s, row.then)
	}
	deaf := func(string, string) error { return nil }
	_, err := setting(t, "ours").restore(deaf)
	require.ErrorContains(t, err, `reads "ours" after`, "a kernel that ignores a write is noticed")
	require.ErrorIs(t, writeKernel(filepath.Join(t.TempDir(), "new"), "x"), os.ErrNotExist, "no file is ever made")
}

func TestRestoreAllGoesBackwardsAndOn(t *testing.T) {
	a, b, gone := setting(t, "ours"), setting(t, "ours"), setting(t, "ours")
	foreign := setting(t, "another")
	require.NoError(t, os.Remove(gone.Path))
	var order []string
	u := restoreAll([]undoStep{a, foreign, gone, b}, func(path, text string) error {
		order = append(order, path)
		if path == b.Path {
			return syscall.EIO
		}
		return writeKernel(path, text)
	})
	require.Equal(t, []string{b.Path, a.Path}, order)
	require.Equal(t, 1, u.restored)
	require.Equal(t, []undoStep{b}, u.left)
	require.ErrorIs(t, u.err, syscall.EIO)
	require.ErrorIs(t, u.foreign, errForeign)
}

func TestGuardianUndoesWhenItsInputEnds(t *testing.T) {
	line := func(l undoList) string {
		b, err := json.Marshal(l)
		require.NoError(t, err)
		return string(b) + "\n"
	}
	first, second := setting(t, "ours"), setting(t, "ours")
	held := line(undoList{Steps: []undoStep{first}})
	for name, row := range map[string]struct {
		stdin         string
		first, second string
	}{
		"nothing held":         {"", "ours", "ours"},
		"one list":             {held, "theirs", "ours"},
		"the last list counts": {held + line(undoList{Steps: []undoStep{second}}), "ours", "theirs"},
		"a cut list does not":  {held + line(undoList{Steps: []undoStep{second}})[:20], "theirs", "ours"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range []undoStep{first, second} {
				require.NoError(t, writeKernel(s.Path, "ours"))
			}
			var out bytes.Buffer
			require.Zero(t, runGuardian(strings.NewReader(row.stdin), &out))
			holds(t, first, row.first)
			holds(t, second, row.second)
		})
	}
	require.NoError(t, writeKernel(first.Path, "ours"))
	require.Equal(t, 1, runGuardian(strings.NewReader(held), deaf{}), "nobody listens")
	holds(t, first, "ours") // the list was never taken over
}

func TestGuardianTellsWhatItCouldNotDo(t *testing.T) {
	s := setting(t, "ours")
	s.Path = filepath.Dir(s.Path) // no file
	lease := filepath.Join(t.TempDir(), "lease")
	require.NoError(t, os.WriteFile(lease, nil, 0o600))
	b, err := json.Marshal(undoList{Lease: lease, Steps: []undoStep{s}})
	require.NoError(t, err)
	var out bytes.Buffer
	require.Equal(t, 1, runGuardian(bytes.NewReader(b), &out))
	require.Contains(t, out.String(), "is a directory")
	require.FileExists(t, lease, "the next start tries again")
}

func TestGuardianIsAProcessOfItsOwn(t *testing.T) {
	dir := t.TempDir()
	l, err := newLease(dir, "test")
	require.NoError(t, err)
	g, err := startGuardian(l)
	require.NoError(t, err)
	pid := g.cmd.Process.Pid
	session, err := unix.Getsid(pid)
	require.NoError(t, err)
	require.Equal(t, pid, session, "a session of its own")
	cwd, err := os.Readlink(filepath.Join("/proc", itoa(pid), "cwd"))
	require.NoError(t, err)
	require.Equal(t, "/", cwd)

	s := setting(t, "theirs")
	require.NoError(t, g.hold([]undoStep{s}))
	require.NoError(t, writeKernel(s.Path, "ours"))
	_, err = openLease(l.path)
	require.ErrorIs(t, err, errInUse)
	n, err := repairLeases(dir, "test", func(undoStep) bool { return true })
	require.NoError(t, err, "a lease in use is left alone")
	require.Zero(t, n)
	holds(t, s, "ours")

	require.NoError(t, g.release(true))
	gone(t, pid)
	holds(t, s, "theirs")
	require.NoFileExists(t, l.path)
}

func TestKilledGuardian(t *testing.T) {
	dir := t.TempDir()
	l, err := newLease(dir, "test")
	require.NoError(t, err)
	g, err := startGuardian(l)
	require.NoError(t, err)
	s := setting(t, "theirs")
	require.NoError(t, g.hold([]undoStep{s}))
	require.NoError(t, writeKernel(s.Path, "ours"))
	require.NoError(t, syscall.Kill(g.cmd.Process.Pid, syscall.SIGKILL))
	require.ErrorIs(t, g.hold([]undoStep{s}), ErrGuardian)
	require.ErrorIs(t, g.hold([]undoStep{s}), ErrGuardian)
	_, err = openLease(l.path)
	require.ErrorIs(t, err, errInUse, "we live and may still undo")

	require.NoError(t, g.release(false)) // as if we were killed too
	_, err = repairLeases(dir, "test", func(undoStep) bool { return false })
	require.ErrorContains(t, err, "no file of this kind")
	holds(t, s, "ours")
	n, err := repairLeases(dir, "test", func(undoStep) bool { return true })
	require.NoError(t, err)
	require.Equal(t, 1, n)
	holds(t, s, "theirs")
	require.NoFileExists(t, l.path)
}

func TestLeaseIsTrustedOnlyIfOurs(t *testing.T) {
	write := func(mode os.FileMode, text string) string {
		path := filepath.Join(t.TempDir(), "spark-throttle-1"+leaseEnd)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		require.NoError(t, os.Chmod(path, mode)) // whatever the umask
		return path
	}
	path := write(0o666, "")
	_, err := RepairThrottles(filepath.Dir(path))
	require.ErrorContains(t, err, "not a file of this user alone")

	link := filepath.Join(t.TempDir(), "spark-throttle-1"+leaseEnd)
	require.NoError(t, os.Symlink(path, link))
	_, err = RepairThrottles(filepath.Dir(link))
	require.ErrorIs(t, err, syscall.ELOOP)

	path = write(0o600, `{"steps":[{"path":"/etc/passwd","was":"","set":[],"write":""}]}`+"\n")
	_, err = RepairThrottles(filepath.Dir(path))
	require.ErrorContains(t, err, `names "/etc/passwd"`)
	require.FileExists(t, path)

	path = write(0o600, "{\"steps\":[]}\nrubbish\n")
	_, err = RepairThrottles(filepath.Dir(path))
	require.ErrorContains(t, err, "not a lease of this version")

	for name, text := range map[string]string{"killed before the first list": "", "killed in the middle of it": `{"steps":[{"pa`} {
		path = write(0o600, text)
		n, err := RepairThrottles(filepath.Dir(path))
		require.NoError(t, err, name)
		require.Zero(t, n)
		require.NoFileExists(t, path, name)
	}
	n, err := RepairThrottles(filepath.Join(t.TempDir(), "never made"))
	require.NoError(t, err)
	require.Zero(t, n)
}

// TestKilledParentUndoesTheThrottle kills a process that holds a throttle on a
// fixture tree, first so that its guardian undoes it, then with its guardian,
// so that the next start does.
func TestKilledParentUndoesTheThrottle(t *testing.T) {
	k := v1(t, nil)
	const file = "fs/cgroup/blkio" + group + "/blkio.throttle.read_iops_device"
	cfg := k.config(IOLimits{ReadIOPS: 500})
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGTERM} {
		holder, _ := startThrottleParent(t, cfg, k.sys)
		require.Equal(t, disk+" 500", k.get(file))
		require.NoError(t, syscall.Kill(holder.Process.Pid, sig))
		require.Error(t, holder.Wait())
		require.Eventually(t, func() bool { return k.get(file) == disk+" 0" && len(leases(t, cfg.LeaseDir)) == 0 },
			10*time.Second, time.Millisecond, "after %v", sig)
	}

	k.put(file, "")
	holder, guard := startThrottleParent(t, cfg, k.sys)
	require.NoError(t, syscall.Kill(guard, syscall.SIGKILL))
	require.NoError(t, syscall.Kill(holder.Process.Pid, syscall.SIGKILL))
	require.Error(t, holder.Wait())
	gone(t, guard)
	require.Equal(t, disk+" 500", k.get(file))
	// The lock goes with the last thread of the guardian, a moment after its first.
	require.Eventually(t, func() bool {
		n, err := RepairThrottles(cfg.LeaseDir)
		require.NoError(t, err)
		return n == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, disk+" 0", k.get(file))
	require.Empty(t, leases(t, cfg.LeaseDir))
}

func FuzzLease(f *testing.F) {
	f.Add(`{"lease":"/run/a","steps":[{"path":"/sys/fs/cgroup/a/io.max","kind":"line","key":"8:0","was":"","set":["rbps=1"],"write":"8:0 rbps=max"}]}` + "\n")
	f.Add("{}\n{\"steps\":null}\n{\"st")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseLease([]byte(text))
		if err != nil {
			return
		}
		for _, s := range list.Steps {
			isLimitFile(s)
		}
	})
}

func FuzzLimitText(f *testing.F) {
	f.Add("8:0 rbps=1 wbps=max riops=max wiops=max\n259:0 0\n", "8:0")
	f.Add("8:0 18446744073709551615", "8:0")
	f.Fuzz(func(t *testing.T, text, key string) {
		s := undoStep{Kind: keyedLine, Key: key}
		v := s.pick(text)
		require.Equal(t, v, limitText(v))
		file := limitFile{step: undoStep{Key: key, Was: v}, keys: v2Keys()}
		var l IOLimits
		file.before(&l)
		require.NoError(t, IOLimits{ReadBytesPerSec: min(l.ReadBytesPerSec, 1<<62)}.Validate(), "never negative")
		same, _ := file.target(IOLimits{})
		require.Equal(t, v, same)
	})
}
