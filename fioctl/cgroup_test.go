package fioctl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// plant writes files below a temporary directory.
func plant(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	return root
}

func TestCgroupPlaces(t *testing.T) {
	for name, row := range map[string]struct {
		own    string
		dirs   []string // that exist below fs/cgroup
		path   string
		made   string // below fs/cgroup, with the pid in cgroup.procs
		reason string
	}{
		"version 2: beside ours":      {"0::/user.slice/a.scope\n", []string{"user.slice/a.scope"}, "/user.slice/spark-fio-7", "user.slice/spark-fio-7", ""},
		"version 2 at the root":       {"0::/\n", []string{"."}, "/spark-fio-7", "spark-fio-7", ""},
		"version 1: below ours":       {"4:memory:/m\n7:blkio,cpu:/a\n0::/\n", []string{"blkio/a"}, "/a/spark-fio-7", "blkio/a/spark-fio-7", ""},
		"version 1 without blkio":     {"4:memory:/m\n", []string{"memory/m"}, "", "", "no blkio"},
		"not allowed, or not mounted": {"0::/gone/a\n", nil, "", "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			proc, sys := plant(t, map[string]string{"self/cgroup": row.own}), t.TempDir()
			root := filepath.Join(sys, "fs/cgroup")
			for _, d := range row.dirs {
				require.NoError(t, os.MkdirAll(filepath.Join(root, d), 0o755))
			}
			if row.own[0] == '0' {
				require.NoError(t, os.MkdirAll(root, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("io\n"), 0o644))
			}
			c := newCgroup(proc, sys, 7)
			require.Equal(t, row.path, c.Path)
			require.Contains(t, c.Reason, row.reason)
			require.Equal(t, row.path == "", c.Reason != "")
			if row.made != "" {
				procs, err := os.ReadFile(filepath.Join(root, row.made, "cgroup.procs"))
				require.NoError(t, err)
				require.Equal(t, "7", string(procs))
				// A real one has no files of its own that could be removed.
				require.NoError(t, os.Remove(filepath.Join(root, row.made, "cgroup.procs")))
			}
			require.NoError(t, c.remove())
			require.NoDirExists(t, filepath.Join(root, "blkio/a/spark-fio-7"))
		})
	}
}

func TestCgroupWithoutProc(t *testing.T) {
	c := newCgroup(t.TempDir(), t.TempDir(), 7)
	require.Contains(t, c.Reason, "own cgroup")
	require.NoError(t, c.remove(), "nothing was made")
}

func TestCgroupsOfTheDeadGo(t *testing.T) {
	parent := t.TempDir()
	proc := plant(t, map[string]string{"8/stat": ""})
	for _, d := range []string{"spark-fio-7", "spark-fio-8", "spark-emulator-9"} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, d), 0o755))
	}
	sweepCgroups(parent, proc)
	require.NoDirExists(t, filepath.Join(parent, "spark-fio-7"))
	require.DirExists(t, filepath.Join(parent, "spark-fio-8"), "its process lives")
	require.DirExists(t, filepath.Join(parent, "spark-emulator-9"), "not ours")
}
