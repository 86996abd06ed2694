package spark

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Cgroup is the control group of a started server, by which the kernel counts
// its I/O and memory apart from ours.
type Cgroup struct {
	Path   string   `json:"path,omitempty"`   // as in /proc/PID/cgroup, "" without one
	Dirs   []string `json:"dirs,omitempty"`   // its directories, one per hierarchy
	Reason string   `json:"reason,omitempty"` // why there is none
}

// cgroupPrefix starts the names of our groups; the id of the server follows.
const cgroupPrefix = "spark-emulator-"

// newCgroup puts a process into a new group, best effort: most users may not.
// On version 2 the group stands beside ours, because a group with processes
// cannot hand its controllers down; on version 1 it stands below ours in blkio,
// and in memory too where our path is the same there.
func newCgroup(procRoot, sysRoot string, pid int) Cgroup {
	own, err := ownCgroups(filepath.Join(procRoot, "self/cgroup"))
	if err != nil {
		return Cgroup{Reason: err.Error()}
	}
	root := filepath.Join(sysRoot, "fs/cgroup")
	name := cgroupPrefix + strconv.Itoa(pid)
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		parent := filepath.Dir(own[""])
		return enter(filepath.Join(parent, name), []string{root}, procRoot, pid)
	}
	parent, ok := own["blkio"]
	if !ok {
		return Cgroup{Reason: "no blkio hierarchy"}
	}
	roots := []string{filepath.Join(root, "blkio")}
	if own["memory"] == parent {
		roots = append(roots, filepath.Join(root, "memory"))
	}
	return enter(filepath.Join(parent, name), roots, procRoot, pid)
}

// enter makes the group in each hierarchy and moves the process there; all or
// nothing.
func enter(path string, roots []string, procRoot string, pid int) Cgroup {
	c := Cgroup{Path: path}
	for _, root := range roots {
		dir := filepath.Join(root, path)
		sweep(filepath.Dir(dir), procRoot)
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			c.Dirs = append(c.Dirs, dir)
			err = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
		}
		if err != nil {
			// The process may be in an earlier one: those go when it is gone.
			return Cgroup{Dirs: c.Dirs, Reason: err.Error()}
		}
	}
	return c
}

// sweep removes groups that runs which were killed have left. The kernel
// refuses to remove one that has processes.
func sweep(parent, procRoot string) {
	old, err := filepath.Glob(filepath.Join(parent, cgroupPrefix+"*"))
	if err != nil {
		return // only a bad pattern errs
	}
	for _, dir := range old {
		pid := strings.TrimPrefix(filepath.Base(dir), cgroupPrefix)
		if _, err := os.Stat(filepath.Join(procRoot, pid)); errors.Is(err, os.ErrNotExist) {
			_ = syscall.Rmdir(dir)
		}
	}
}

// remove takes the group away once its process is gone.
func (c Cgroup) remove() error {
	var errs []error
	for _, dir := range c.Dirs {
		if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, fmt.Errorf("spark: remove cgroup %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// ownCgroups reads lines such as "7:blkio:/a" and "0::/b" into path by
// controller; version 2's has no name. See cgroups(7).
func ownCgroups(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("spark: read own cgroup: %w", err)
	}
	own := map[string]string{}
	for line := range strings.Lines(string(text)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 || !strings.HasPrefix(part[2], "/") {
			continue
		}
		for controller := range strings.SplitSeq(part[1], ",") {
			own[controller] = part[2]
		}
	}
	return own, nil
}
