package spark

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCgroupPlaces(t *testing.T) {
	for name, row := range map[string]struct {
		own    string
		dirs   []string // that exist below fs/cgroup
		path   string
		made   []string // below fs/cgroup, with the pid in cgroup.procs
		reason string
	}{
		"version 2: beside ours": {
			"0::/user.slice/a.scope\n",
			[]string{"user.slice/a.scope"},
			"/user.slice/spark-emulator-7",
			[]string{"user.slice/spark-emulator-7"},
			"",
		},
		"version 2 at the root": {
			"0::/\n",
			[]string{"."},
			"/spark-emulator-7",
			[]string{"spark-emulator-7"},
			"",
		},
		"version 1: below ours, in both where the path is one": {
			"4:memory:/a\n7:blkio:/a\n0::/\n",
			[]string{"blkio/a", "memory/a"},
			"/a/spark-emulator-7",
			[]string{"blkio/a/spark-emulator-7", "memory/a/spark-emulator-7"},
			"",
		},
		"version 1 with paths that differ: I/O only": {
			"4:memory:/m\n7:blkio:/\n",
			[]string{"blkio", "memory/m"},
			"/spark-emulator-7",
			[]string{"blkio/spark-emulator-7"},
			"",
		},
		"version 1 without blkio": {"4:memory:/m\n", []string{"memory/m"}, "", nil, "no blkio"},
		"not allowed":             {"0::/gone/a\n", nil, "", nil, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			proc, sys := tree(t, map[string]string{"self/cgroup": row.own}), t.TempDir()
			root := filepath.Join(sys, "fs/cgroup")
			for _, d := range row.dirs {
				require.NoError(t, os.MkdirAll(filepath.Join(root, d), 0o755))
			}
			if row.own[0] == '0' {
				require.NoError(t, os.MkdirAll(root, 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("io memory\n"), 0o644))
			}
			c := newCgroup(proc, sys, 7)
			require.Equal(t, row.path, c.Path)
			require.Contains(t, c.Reason, row.reason)
			require.Equal(t, row.path == "", c.Reason != "")
			require.Len(t, c.Dirs, len(row.made))
			for _, d := range row.made {
				procs, err := os.ReadFile(filepath.Join(root, d, "cgroup.procs"))
				require.NoError(t, err)
				require.Equal(t, "7", string(procs))
			}
		})
	}
}

func TestCgroupWithoutProc(t *testing.T) {
	c := newCgroup(t.TempDir(), t.TempDir(), 7)
	require.Contains(t, c.Reason, "own cgroup")
	require.NoError(t, c.remove(), "nothing was made")
}

func TestSweepTakesOnlyGroupsOfTheDead(t *testing.T) {
	parent := t.TempDir()
	proc := tree(t, map[string]string{"8/stat": ""})
	for _, d := range []string{"spark-emulator-7", "spark-emulator-8", "other-9"} {
		require.NoError(t, os.Mkdir(filepath.Join(parent, d), 0o755))
	}
	sweep(parent, proc)
	require.NoDirExists(t, filepath.Join(parent, "spark-emulator-7"))
	require.DirExists(t, filepath.Join(parent, "spark-emulator-8"), "its process lives")
	require.DirExists(t, filepath.Join(parent, "other-9"), "not ours")
}
