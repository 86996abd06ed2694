//go:build fio

package hypotheses

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/bundle"
)

const (
	emulatorMark = "--spark-emulator-child--"
	guardianMark = "--spark-guardian-child--"
	blkio        = "/sys/fs/cgroup/blkio"
)

// A harness that is ended in the middle of an arm, politely or not, takes
// everything that moves or limits the disk along within 3 s.
func TestRealHarnessEndedInAnArm(t *testing.T) {
	for _, row := range []struct {
		lever, arm string // the first of these arms is interrupted
		sig        syscall.Signal
		root       bool
	}{
		{leverFio, "null-HEAVY", syscall.SIGINT, false},
		{leverFio, "comfy-HEAVY", syscall.SIGKILL, false},
		{leverThrottle, "throttled", syscall.SIGINT, true},
		{leverBoth, "throttled", syscall.SIGKILL, true},
	} {
		t.Run(fmt.Sprintf("%s %v", row.lever, row.sig), func(t *testing.T) {
			if row.root {
				needRoot(t, "limiting a control group")
				if _, err := os.Stat(filepath.Join(blkio, "cgroup.procs")); err != nil {
					t.Skipf("SKIPPED: limits are looked for in cgroup version 1's blkio only: %v", err)
				}
			}
			c := realToy(t)
			c.Lever = row.lever
			h := startHarness(t, c)
			h.await(t, row.arm)
			mover := fioPath(t)
			if strings.HasPrefix(row.arm, "throttled") {
				mover = guardianMark
			}
			children := h.awaitChild(t, mover)
			require.True(t, slices.ContainsFunc(children, func(k kid) bool { return k.is(emulatorMark) }), "%v", children)
			groups := groupsOfKids(children)
			if mover == guardianMark {
				require.Eventually(t, func() bool { return limitsIn(t, groups) != "" }, 5*time.Second, time.Millisecond)
			}
			time.Sleep(300 * time.Millisecond)
			children = kids(h.cmd.Process.Pid)
			groups = groupsOfKids(children)

			began := time.Now()
			require.NoError(t, h.cmd.Process.Signal(row.sig))
			err := h.cmd.Wait()
			require.Error(t, err)
			for _, k := range children {
				require.Eventually(t, func() bool { return !k.lives() }, 3*time.Second-time.Since(began), time.Millisecond, "%v", k.command)
			}
			require.Empty(t, limitsIn(t, groups))
			requireEmptyDir(t, filepath.Join(c.Dir, "spill"))
			left, err := filepath.Glob(filepath.Join(c.Dir, "*.undo"))
			require.NoError(t, err)
			require.Empty(t, left)
			t.Logf("%d processes gone after %v; stderr: %s", len(children), time.Since(began).Round(time.Millisecond), h.stderr.String())
			if row.sig == syscall.SIGINT {
				dir, reason := partial(t, c, "H4")
				require.Contains(t, reason, row.arm)
				require.Contains(t, reason, "interrupt")
				nothingOfFioLeft(t, c, dir)
				requireNoDirs(t, groups)
				return
			}
			runs, err := filepath.Glob(filepath.Join(c.Results, "H4", "*"+bundle.PartialSuffix))
			require.NoError(t, err)
			require.Len(t, runs, 1, "what was measured so far is kept")
			require.NoFileExists(t, filepath.Join(runs[0], bundle.InterruptedFile), "nobody was left to say why")
			t.Logf("left for the next run to remove: %s", strings.Join(leftovers(t, c, groups), " "))
			for _, k := range children { // whoever adopted them has to reap them first
				require.Eventually(t, func() bool { _, err := os.Stat(k.proc()); return err != nil }, 10*time.Second, time.Millisecond)
			}
			c.Lever, c.profile.Window = leverFio, 150*time.Millisecond
			measured(t, c, Progress{})
			requireNoDirs(t, groups)
		})
	}
}

// Ctrl-C before the first arm leaves no file that is not whole.
func TestRealHarnessInterruptedWhileItPrepares(t *testing.T) {
	for _, at := range []string{"writing its spill file", "writing " + TargetName, "writing " + nullName, "pilot: "} {
		t.Run(at, func(t *testing.T) {
			c := realToy(t)
			h := startHarness(t, c)
			h.await(t, at)
			children := kids(h.cmd.Process.Pid)
			require.NoError(t, h.cmd.Process.Signal(syscall.SIGINT))
			require.Error(t, h.cmd.Wait())
			for _, k := range children {
				require.Eventually(t, func() bool { return !k.lives() }, 3*time.Second, time.Millisecond, "%v", k.command)
			}
			dir, reason := partial(t, c, "H4")
			require.Contains(t, reason, "interrupt")
			require.NotContains(t, reason, "SPARK_", "no setting would have helped")
			nothingOfFioLeft(t, c, dir)
		})
	}
}

// harness is a copy of the test binary that measures H4.
type harness struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

func startHarness(t *testing.T, c Config) *harness {
	t.Helper()
	text, err := json.Marshal(harnessSetting{Dir: c.Dir, Fio: c.Fio, NullDir: c.NullDir, Lever: c.Lever, Context: c.Context, Window: 2500 * time.Millisecond})
	require.NoError(t, err)
	h := &harness{cmd: exec.Command("/proc/self/exe", harnessRole, string(text))}
	h.cmd.Stderr = &h.stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // nobody's terminal
	h.cmd.WaitDelay = time.Second
	read, write, err := os.Pipe()
	require.NoError(t, err)
	h.cmd.Stdout = write
	require.NoError(t, h.cmd.Start())
	require.NoError(t, write.Close())
	t.Cleanup(func() {
		_ = h.cmd.Process.Kill() // it is gone, unless the test failed
		_ = h.cmd.Wait()
		_ = read.Close()
	})
	h.lines = bufio.NewScanner(read)
	return h
}

// await reads what the harness shows until it tells of something.
func (h *harness) await(t *testing.T, what string) {
	t.Helper()
	for h.lines.Scan() {
		if strings.Contains(h.lines.Text(), what) {
			return
		}
	}
	require.FailNow(t, "the harness ended before "+what, h.stderr.String())
}

// awaitChild waits for a child that is the word, and returns all.
func (h *harness) awaitChild(t *testing.T, word string) (children []kid) {
	t.Helper()
	require.Eventually(t, func() bool {
		children = kids(h.cmd.Process.Pid)
		return slices.ContainsFunc(children, func(k kid) bool { return k.is(word) })
	}, 20*time.Second, 2*time.Millisecond, "no %s", word)
	return children
}

// groupsOfKids are the groups of version 1's blkio that hold the processes and
// nobody else.
func groupsOfKids(children []kid) (dirs []string) {
	for _, k := range children {
		text, _ := os.ReadFile(filepath.Join(k.proc(), "cgroup"))
		for line := range strings.Lines(string(text)) {
			part := strings.SplitN(strings.TrimSpace(line), ":", 3)
			if len(part) == 3 && part[1] == "blkio" && strings.Contains(part[2], "spark-") {
				dirs = append(dirs, filepath.Join(blkio, part[2]))
			}
		}
	}
	return dirs
}

// limitsIn is everything that limits I/O in groups; one that is gone limits
// nothing.
func limitsIn(t *testing.T, groups []string) (limits string) {
	t.Helper()
	for _, dir := range groups {
		files, err := filepath.Glob(filepath.Join(dir, "blkio.throttle.*_device"))
		require.NoError(t, err)
		for _, f := range files {
			text, _ := os.ReadFile(f)
			limits += string(text)
		}
	}
	return limits
}

func requireNoDirs(t *testing.T, dirs []string) {
	t.Helper()
	for _, dir := range dirs {
		require.NoDirExists(t, dir)
	}
}

// leftovers is what a harness that was killed could not remove.
func leftovers(t *testing.T, c Config, groups []string) (left []string) {
	t.Helper()
	for _, dir := range groups {
		if _, err := os.Stat(dir); err == nil {
			left = append(left, dir)
		}
	}
	for _, root := range []string{c.Dir, c.NullDir} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if d.IsDir() && path == c.Results {
				return fs.SkipDir
			}
			left = append(left, path)
			return err
		}))
	}
	return left
}
