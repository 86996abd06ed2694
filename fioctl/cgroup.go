package fioctl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cgroup is the control group of one fio, by which the kernel counts its I/O
// apart from everybody else's.
type Cgroup struct {
	Path   string   `json:"path,omitempty"`   // as in /proc/PID/cgroup, "" without one
	Dirs   []string `json:"dirs,omitempty"`   // its directories, one per hierarchy
	Reason string   `json:"reason,omitempty"` // why there is none
}

// cgroupPrefix starts the names of our groups; the id of the process follows.
const cgroupPrefix = "spark-fio-"

// newCgroup puts a process into a new group, best effort: most users may not.
// On version 2 the group stands beside ours, because a group with processes
// cannot hand its controllers down; on version 1 it stands below ours in blkio.
func newCgroup(procRoot, sysRoot string, pid int) Cgroup {
	own, err := ownCgroups(filepath.Join(procRoot, "self/cgroup"))
	if err != nil {
		return Cgroup{Reason: err.Error()}
	}
	root := filepath.Join(sysRoot, "fs/cgroup")
	parent, ok := own["blkio"]
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		parent, ok = filepath.Dir(own[""]), true
	} else {
		root = filepath.Join(root, "blkio")
	}
	if !ok {
		return Cgroup{Reason: "no blkio hierarchy"}
	}
	c := Cgroup{Path: filepath.Join(parent, cgroupPrefix+strconv.Itoa(pid))}
	dir := filepath.Join(root, c.Path)
	sweepCgroups(filepath.Dir(dir), procRoot)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return Cgroup{Reason: err.Error()}
	}
	c.Dirs = []string{dir}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return Cgroup{Dirs: c.Dirs, Reason: err.Error()}
	}
	return c
}

// sweepCgroups removes groups that runs which were killed have left. The kernel
// refuses to remove one that has processes.
func sweepCgroups(parent, procRoot string) {
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
		err := syscall.Rmdir(dir)
		// The kernel lets go of the dead a moment after they are reaped.
		for try := 0; errors.Is(err, syscall.EBUSY) && try < 50; try++ {
			time.Sleep(2 * time.Millisecond)
			err = syscall.Rmdir(dir)
		}
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, fmt.Errorf("fioctl: remove cgroup %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// ownCgroups reads lines such as "7:blkio:/a" and "0::/b" into path by
// controller; version 2's has no name. See cgroups(7).
func ownCgroups(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("fioctl: read own cgroup: %w", err)
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
