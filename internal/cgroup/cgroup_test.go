package cgroup

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
)

func TestPlaces(t *testing.T) {
	for name, row := range map[string]struct {
		own    string
		memory bool
		dirs   []string // that exist below fs/cgroup
		path   string
		made   []string // below fs/cgroup, with the pid in cgroup.procs
		reason string
	}{
		"version 2: beside ours":      {"0::/user.slice/a.scope\n", true, []string{"user.slice/a.scope"}, "/user.slice/spark-7", []string{"user.slice/spark-7"}, ""},
		"version 2 at the root":       {"0::/\n", false, []string{"."}, "/spark-7", []string{"spark-7"}, ""},
		"version 1: below ours":       {"4:memory:/a\n7:blkio,cpu:/a\n0::/\n", false, []string{"blkio/a", "memory/a"}, "/a/spark-7", []string{"blkio/a/spark-7"}, ""},
		"version 1 and memory":        {"4:memory:/a\n7:blkio:/a\n0::/\n", true, []string{"blkio/a", "memory/a"}, "/a/spark-7", []string{"blkio/a/spark-7", "memory/a/spark-7"}, ""},
		"paths that differ: I/O only": {"4:memory:/m\n7:blkio:/\n", true, []string{"blkio", "memory/m"}, "/spark-7", []string{"blkio/spark-7"}, ""},
		"version 1 without blkio":     {"4:memory:/m\n", true, []string{"memory/m"}, "", nil, "no blkio"},
		"not allowed, or not mounted": {"0::/gone/a\n", false, nil, "", nil, "no such file"},
		"memory not allowed: neither": {"4:memory:/a\n7:blkio:/a\n", true, []string{"blkio/a"}, "", []string{"blkio/a/spark-7"}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			proc, sys := fixture.Files(t, map[string]string{"self/cgroup": row.own}), t.TempDir()
			root := filepath.Join(sys, "fs/cgroup")
			for _, d := range row.dirs {
				require.NoError(t, os.MkdirAll(filepath.Join(root, d), 0o755))
			}
			if row.own[0] == '0' {
				require.NoError(t, os.MkdirAll(root, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("io memory\n"), 0o644))
			}
			g := Config{Prefix: "spark-", Memory: row.memory, ProcRoot: proc, SysRoot: sys}.New(7)
			require.Equal(t, row.path, g.Path)
			require.Contains(t, g.Reason, row.reason)
			require.Equal(t, row.path == "", g.Reason != "")
			require.Len(t, g.Dirs, len(row.made))
			for _, d := range row.made {
				procs, err := os.ReadFile(filepath.Join(root, d, "cgroup.procs"))
				require.NoError(t, err)
				require.Equal(t, "7", string(procs))
				// A real one has no files of its own that could be removed.
				require.NoError(t, os.Remove(filepath.Join(root, d, "cgroup.procs")))
			}
			require.NoError(t, g.Remove())
			for _, d := range row.made {
				require.NoDirExists(t, filepath.Join(root, d))
			}
			require.NoError(t, g.Remove(), "gone is gone")
		})
	}
}

func TestWithoutProc(t *testing.T) {
	g := Config{Prefix: "spark-", ProcRoot: t.TempDir(), SysRoot: t.TempDir()}.New(7)
	require.Contains(t, g.Reason, "own cgroup")
	require.NoError(t, g.Remove(), "nothing was made")
}

func TestRemoveSaysWhatIsLeft(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.ErrorContains(t, Group{Dirs: []string{dir}}.Remove(), "remove cgroup "+dir)
}

func TestSweepTakesOnlyGroupsOfTheDead(t *testing.T) {
	parent := t.TempDir()
	proc := fixture.Files(t, map[string]string{"8/stat": ""})
	for _, d := range []string{"spark-fio-7", "spark-fio-8", "spark-fio-mine", "spark-emulator-9"} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, d), 0o755))
	}
	Config{Prefix: "spark-fio-", ProcRoot: proc}.sweep(parent)
	require.NoDirExists(t, filepath.Join(parent, "spark-fio-7"))
	require.DirExists(t, filepath.Join(parent, "spark-fio-8"), "its process lives")
	require.DirExists(t, filepath.Join(parent, "spark-fio-mine"), "no process has that id")
	require.DirExists(t, filepath.Join(parent, "spark-emulator-9"), "another prefix")
}

func TestJSONHasTheFieldsOfStoredRuns(t *testing.T) {
	b, err := json.Marshal(Group{Path: "/a", Dirs: []string{"/sys/fs/cgroup/a"}})
	require.NoError(t, err)
	require.JSONEq(t, `{"path":"/a","dirs":["/sys/fs/cgroup/a"]}`, string(b))
	b, err = json.Marshal(Group{Reason: "not allowed"})
	require.NoError(t, err)
	require.JSONEq(t, `{"reason":"not allowed"}`, string(b))
}

// The kernel's own files, where it lets us make groups at all.
func TestRealGroup(t *testing.T) {
	sleeper := exec.Command("sleep", "60")
	require.NoError(t, sleeper.Start())
	g := Config{Prefix: "spark-test-"}.New(sleeper.Process.Pid)
	held := g.Remove()
	require.NoError(t, sleeper.Process.Kill())
	require.Error(t, sleeper.Wait(), "killed")
	if g.Path == "" {
		require.NoError(t, g.Remove())
		t.Skipf("SKIPPED: no group can be made here: %s", g.Reason)
	}
	require.ErrorContains(t, held, "busy", "a group with a process in it stays")
	require.Contains(t, g.Path, strconv.Itoa(sleeper.Process.Pid))
	require.NoError(t, g.Remove())
	require.Eventually(t, func() bool { _, err := os.Stat(g.Dirs[0]); return os.IsNotExist(err) }, time.Second, time.Millisecond)
}
