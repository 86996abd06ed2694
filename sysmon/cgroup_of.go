package sysmon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/prometheus/procfs"
)

// ErrSharedCgroup says that a process has no cgroup of its own: its counters
// would be the sum of others' work too.
var ErrSharedCgroup = errors.New("no cgroup of its own")

// CgroupOf is the cgroup of a process, fit for Config.ServerCgroup: its version
// 2 path, or its blkio path where version 1 is mounted. It refuses the root and
// the caller's own group (ErrSharedCgroup). procRoot and sysRoot are "" for
// /proc and /sys.
func CgroupOf(pid int, procRoot, sysRoot string) (string, error) {
	c := Config{ProcRoot: procRoot, SysRoot: sysRoot}.withDefaults()
	fs, err := procfs.NewFS(c.ProcRoot)
	if err != nil {
		return "", fmt.Errorf("sysmon: find cgroup of %d: %w", pid, err)
	}
	controller := "blkio"
	if _, err := os.Stat(c.sys("fs/cgroup/cgroup.controllers")); err == nil {
		controller = ""
	}
	path, err := cgroupPath(fs.Proc, pid, controller)
	if err != nil {
		return "", fmt.Errorf("sysmon: find cgroup of %d: %w", pid, err)
	}
	own, err := cgroupPath(func(int) (procfs.Proc, error) { return fs.Self() }, 0, controller)
	if path == "/" || (err == nil && own == path) {
		return "", fmt.Errorf("sysmon: find cgroup of %d: %w: it is in %s (start it with systemd-run --scope or in a container)", pid, ErrSharedCgroup, path)
	}
	return path, nil
}

func cgroupPath(open func(int) (procfs.Proc, error), pid int, controller string) (string, error) {
	p, err := open(pid)
	if err != nil {
		return "", err
	}
	groups, err := p.Cgroups()
	if err != nil {
		return "", err
	}
	for _, g := range groups {
		if slices.Contains(g.Controllers, controller) || (controller == "" && g.HierarchyID == 0) {
			return filepath.Clean(g.Path), nil
		}
	}
	return "", errors.New("it is in no cgroup that counts I/O")
}
