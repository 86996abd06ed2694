package sysmon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
)

func TestCgroupOf(t *testing.T) {
	proc, sys := fixture.Plant(t, "testdata/gb10.tree")
	require.NoError(t, os.RemoveAll(filepath.Join(proc, "self")))
	require.NoError(t, os.MkdirAll(filepath.Join(proc, "5"), 0o755))
	require.NoError(t, os.Symlink("5", filepath.Join(proc, "self")))
	set := func(pid, text string) { fixture.Put(t, text, proc, pid, "cgroup") }

	set("5", "0::/user.slice/shell.scope\n")
	set("77", "0::/llm.slice/server.scope\n")
	path, err := CgroupOf(77, proc, sys)
	require.NoError(t, err)
	require.Equal(t, "/llm.slice/server.scope", path)
	for _, shared := range []string{"0::/\n", "0::/user.slice/shell.scope\n"} {
		set("77", shared)
		_, err = CgroupOf(77, proc, sys)
		require.ErrorIs(t, err, ErrSharedCgroup)
	}
	_, err = CgroupOf(78, proc, sys)
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, os.Remove(filepath.Join(sys, "fs/cgroup/cgroup.controllers")))
	set("77", "4:memory:/m\n7:cpu,blkio:/llm\n0::/\n")
	path, err = CgroupOf(77, proc, sys)
	require.NoError(t, err)
	require.Equal(t, "/llm", path, "version 1: the group that counts I/O")
	set("77", "4:memory:/m\n")
	_, err = CgroupOf(77, proc, sys)
	require.ErrorContains(t, err, "no cgroup that counts I/O")
}
