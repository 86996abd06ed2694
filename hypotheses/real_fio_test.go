//go:build fio

package hypotheses

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/internal/bundle"
)

// The whole of H4 at toy scale with a real fio. Its levels are made up, so that
// no window need be as lifted as they say: what is looked at is whether
// everything runs, is told and is taken back.

// realToy is the toy with the fio of this machine, and windows that a person
// could interfere with.
func realToy(t *testing.T) Config {
	t.Helper()
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skipf("SKIPPED: %v (apt-get install fio)", err)
	}
	c := toy(t)
	if !inMemory(c.NullDir) {
		t.Skipf("SKIPPED: no memory file system at %s", defaultNullDir)
	}
	c.Fio = ""
	c.Context = 1600 // four users of it exceed the toy's memory: it pages
	c.profile.Window = 800 * time.Millisecond
	return c
}

// needRoot skips what only root may do.
func needRoot(t *testing.T, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skipf("SKIPPED: %s needs root", what)
	}
}

// measured is one run of H4 that was committed, judged and left nothing behind.
func measured(t *testing.T, c Config, p Progress) (Judgement, string) {
	t.Helper()
	p.Log = func(line string) { t.Log(line) }
	j, dir, err := Execute(t.Context(), c, H4(), time.Time{}, p)
	require.NoError(t, err)
	t.Log("\n" + j.Verdict.String())
	require.NoError(t, j.Verdict.Validate())
	require.NoError(t, bundle.Verify(dir))
	nothingOfFioLeft(t, c, dir)
	return j, dir
}

// nothingOfFioLeft checks what a run that ended by itself, well or not, may not
// leave: processes, groups, scratch, leases, files in memory. dir is the run's.
func nothingOfFioLeft(t *testing.T, c Config, dir string) {
	t.Helper()
	require.Empty(t, kids(os.Getpid()), "no process of ours runs")
	requireEmptyDir(t, filepath.Join(c.Dir, "spill"))
	requireEmptyDir(t, c.NullDir)
	for _, pattern := range []string{"fioctl-*", "*.undo", "*.partial"} {
		left, err := filepath.Glob(filepath.Join(c.Dir, pattern))
		require.NoError(t, err)
		require.Empty(t, left)
	}
	for _, group := range groupsOf(t, dir) {
		require.NoDirExists(t, group)
	}
}

func requireEmptyDir(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	require.Empty(t, left, dir)
}

// groupsOf are the cgroups that a run says it made.
func groupsOf(t *testing.T, dir string) (groups []string) {
	t.Helper()
	var man struct {
		Process struct {
			Cgroup struct{ Dirs []string }
		}
	}
	if readRecord(t, filepath.Join(dir, "manifest.json"), &man) {
		groups = man.Process.Cgroup.Dirs
	}
	runs, err := filepath.Glob(filepath.Join(dir, "raw", "*", "fio.json"))
	require.NoError(t, err)
	for _, path := range runs {
		var run fioctl.Run
		readRecord(t, path, &run)
		groups = append(groups, run.Cgroup.Dirs...)
	}
	return groups
}

func readRecord(t *testing.T, path string, to any) bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return false
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, to))
	return true
}

// armNamed is the one arm of a run whose name ends so.
func armNamed(t *testing.T, dir, end string) *analysis.Measured {
	t.Helper()
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	i := slices.IndexFunc(e.Arms, func(a *analysis.Measured) bool { return strings.HasSuffix(a.Name, end) })
	require.GreaterOrEqual(t, i, 0, end)
	return e.Arms[i]
}

// failed are the names of the checks that an arm's window did not pass.
func failed(a *analysis.Measured) (names []string) {
	for _, check := range a.Contention.Verification.Checks {
		if !check.OK {
			names = append(names, check.Name)
		}
	}
	return names
}

// kid is a process that another one started.
type kid struct {
	pid     int
	command []string
	began   string // clock ticks since boot: with the number it names one process for ever
}

// is tells whether the process was started as this executable, or has this
// argument.
func (k kid) is(word string) bool {
	return len(k.command) > 0 && (k.command[0] == word || slices.Contains(k.command[1:], word))
}

func (k kid) proc() string { return "/proc/" + strconv.Itoa(k.pid) }

func (k kid) lives() bool {
	began, _ := beganOf(k.pid)
	return began == k.began
}

// kids are the children of a process that run.
func kids(pid int) (all []kid) {
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		return nil // only a bad pattern errs
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread that ended
		for word := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(word)
			began, ok := beganOf(child)
			command, _ := os.ReadFile("/proc/" + word + "/cmdline")
			if err == nil && ok {
				all = append(all, kid{child, strings.Split(strings.TrimSuffix(string(command), "\x00"), "\x00"), began})
			}
		}
	}
	return all
}

// beganOf is when a process began; ok is false for one that is gone or waits to
// be reaped. See proc_pid_stat(5): state is field 3, starttime field 22.
func beganOf(pid int) (began string, ok bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", false
	}
	return fields[19], true
}

// fioPath is how a run starts the fio of this machine.
func fioPath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("fio")
	require.NoError(t, err)
	path, err = filepath.Abs(path)
	require.NoError(t, err)
	return path
}

// diskOf is the disk that a run in this directory watches.
func diskOf(t *testing.T, dir string) string {
	t.Helper()
	d, err := blockdev.Of(dir, "", "")
	require.NoError(t, err)
	return d.Name
}
