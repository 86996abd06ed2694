// Package cgroup puts a started process into a control group of its own, by
// which the kernel counts its I/O and memory apart from ours, and takes the
// group away again. Processes are named by their id. It is best effort, because
// most users may not make groups: what could not be done is a Reason, not an
// error. A Group is a value for one goroutine.
package cgroup

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

// Group is the control group of one process.
type Group struct {
	Path   string   `json:"path,omitempty"`   // as in /proc/PID/cgroup, "" without one
	Dirs   []string `json:"dirs,omitempty"`   // its directories, one per hierarchy
	Reason string   `json:"reason,omitempty"` // why there is none
}

// Config says which groups to make.
type Config struct {
	Prefix string // starts the names of the groups; the id of the process follows
	// Memory counts memory too on version 1, where our path is the same in both
	// hierarchies. Version 2 has one hierarchy for all.
	Memory            bool
	ProcRoot, SysRoot string // "" means /proc and /sys
}

// New puts a process into a new group, after sweeping what runs that were
// killed have left beside it. On version 2 the group stands beside ours, because
// a group with processes cannot hand its controllers down; on version 1 it
// stands below ours in blkio, and in memory too where that is asked for.
func (c Config) New(pid int) Group {
	c.ProcRoot, c.SysRoot = or(c.ProcRoot, "/proc"), or(c.SysRoot, "/sys")
	own, err := Own(c.ProcRoot)
	if err != nil {
		return Group{Reason: err.Error()}
	}
	root := filepath.Join(c.SysRoot, "fs/cgroup")
	name := c.Prefix + strconv.Itoa(pid)
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return c.enter(filepath.Join(filepath.Dir(own[""]), name), []string{root}, pid)
	}
	parent, ok := own["blkio"]
	if !ok {
		return Group{Reason: "no blkio hierarchy"}
	}
	roots := []string{filepath.Join(root, "blkio")}
	if c.Memory && own["memory"] == parent {
		roots = append(roots, filepath.Join(root, "memory"))
	}
	return c.enter(filepath.Join(parent, name), roots, pid)
}

func or(path, fallback string) string {
	if path == "" {
		return fallback
	}
	return path
}

// enter makes the group in each hierarchy and moves the process there; all or
// nothing.
func (c Config) enter(path string, roots []string, pid int) Group {
	g := Group{Path: path}
	for _, root := range roots {
		dir := filepath.Join(root, path)
		c.sweep(filepath.Dir(dir))
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			g.Dirs = append(g.Dirs, dir)
			err = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644)
		}
		if err != nil {
			// The process may be in an earlier one: those go when it is gone.
			return Group{Dirs: g.Dirs, Reason: err.Error()}
		}
	}
	return g
}

// sweep removes groups of processes that are gone. The kernel refuses to remove
// one that has processes.
func (c Config) sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // no such place: making a group there will say so
	}
	for _, e := range entries {
		pid, ours := strings.CutPrefix(e.Name(), c.Prefix)
		if _, err := strconv.Atoi(pid); !ours || err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(c.ProcRoot, pid)); errors.Is(err, os.ErrNotExist) {
			_ = syscall.Rmdir(filepath.Join(parent, e.Name()))
		}
	}
}

// Remove takes the group away once its process is gone. The error says what is
// left; without a group it is nil.
func (g Group) Remove() error {
	var errs []error
	for _, dir := range g.Dirs {
		err := syscall.Rmdir(dir)
		// The kernel lets go of the dead a moment after they are reaped.
		for try := 0; errors.Is(err, syscall.EBUSY) && try < 50; try++ {
			time.Sleep(2 * time.Millisecond)
			err = syscall.Rmdir(dir)
		}
		if err != nil && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, fmt.Errorf("cgroup: remove cgroup %s: %w", dir, err))
		}
	}
	return errors.Join(errs...)
}

// Own reads this program's groups, lines such as "7:blkio:/a" and "0::/b", into
// path by controller; version 2's has no name. See cgroups(7).
func Own(procRoot string) (map[string]string, error) {
	text, err := os.ReadFile(filepath.Join(procRoot, "self/cgroup"))
	if err != nil {
		return nil, fmt.Errorf("cgroup: read own cgroup: %w", err)
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
