package spark

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spark-harness/harness/internal/cgroup"
)

// Why a throttle cannot be, or is no longer.
var (
	// ErrNoCgroup: the server has no cgroup of its own that could be limited.
	ErrNoCgroup = errors.New("spark: no cgroup to throttle (start the server in a group of its own, as StartEmulator, systemd-run and docker do)")
	// ErrNoIOController: the group cannot limit I/O.
	ErrNoIOController = errors.New("spark: the cgroup has no io controller (version 2: write +io to cgroup.subtree_control of every group above, which must have no processes of their own; systemd: IOAccounting=yes or Delegate=yes)")
	// ErrCgroupReadOnly: the cgroup file system is mounted read-only.
	ErrCgroupReadOnly = errors.New("spark: the cgroup file system is read-only (in a container: run it privileged, or throttle from the host)")
	// ErrNotPermitted: the user may not set limits.
	ErrNotPermitted = errors.New("spark: not permitted to set I/O limits (run as root)")
	// ErrUnknownDevice: no block device has that number.
	ErrUnknownDevice = errors.New("spark: no block device of that number (lsblk lists them)")
	// ErrPartition: limits are for whole disks.
	ErrPartition = errors.New("spark: a partition cannot be throttled")
	// ErrThrottleLost: limits are not in force, or not those that we set.
	ErrThrottleLost = errors.New("spark: the throttle is not in force")
)

const (
	subtreeControl = "cgroup.subtree_control"
	controllers    = "cgroup.controllers"
	ioController   = "io"
)

// majMin tells whether text is a device number.
func majMin(text string) bool {
	major, minor, ok := strings.Cut(text, ":")
	for _, n := range []string{major, minor} {
		v, err := strconv.ParseUint(n, 10, 32)
		ok = ok && err == nil && strconv.FormatUint(v, 10) == n // the kernel's own spelling
	}
	return ok
}

// groupPath makes a path as in /proc/PID/cgroup relative. The root group is
// refused: it is the whole machine.
func groupPath(path string) (string, error) {
	rel := strings.Trim(path, "/")
	switch {
	case rel == "":
		return "", fmt.Errorf("%w: path %q is the whole machine", ErrNoCgroup, path)
	case !filepath.IsLocal(rel) || filepath.Clean(rel) != rel:
		return "", fmt.Errorf("%w: path %q leads out of what can be seen here (look it up on the host)", ErrNoCgroup, path)
	}
	return rel, nil
}

// wholeDisk refuses a number of no device and of a partition, for which the
// kernel has one answer only, ENODEV.
func (c ThrottleConfig) wholeDisk() error {
	dir, err := filepath.EvalSymlinks(filepath.Join(c.SysRoot, "dev/block", c.MajMin))
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrUnknownDevice, c.MajMin)
	}
	if err != nil {
		return fmt.Errorf("spark: throttle: find device %s: %w", c.MajMin, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "partition")); err != nil {
		return nil
	}
	disk := filepath.Dir(dir)
	number, err := readText(filepath.Join(disk, "dev"))
	if err != nil {
		number = "unknown"
	}
	return fmt.Errorf("%w: %s is %s (give its disk %s, %s)", ErrPartition, c.MajMin, filepath.Base(dir), filepath.Base(disk), number)
}

// hierarchy is where a group's I/O is limited.
type hierarchy struct {
	version int
	root    string // mount point
	group   string // relative to it
}

func (h hierarchy) dir() string { return filepath.Join(h.root, h.group) }

// hierarchy finds the one that has the io controller: version 1's blkio where it
// is mounted, because the kernel then gives it to no other, else version 2's,
// alone or beside version 1.
func (c ThrottleConfig) hierarchy() (hierarchy, error) {
	group, err := groupPath(c.CgroupPath)
	if err != nil {
		return hierarchy{}, err
	}
	base := filepath.Join(c.SysRoot, "fs/cgroup")
	var tried []string
	for _, h := range []hierarchy{
		{1, filepath.Join(base, "blkio"), group},
		{2, base, group},
		{2, filepath.Join(base, "unified"), group},
	} {
		mark := controllers
		if h.version == 1 {
			mark = "cgroup.procs"
		}
		text, err := os.ReadFile(filepath.Join(h.root, mark))
		if err != nil {
			continue
		}
		if h.version == 2 && !slices.Contains(strings.Fields(string(text)), ioController) {
			tried = append(tried, h.root)
			continue
		}
		if info, err := os.Stat(h.dir()); err != nil || !info.IsDir() {
			return hierarchy{}, fmt.Errorf("%w: no directory %s", ErrNoCgroup, h.dir())
		}
		return h, nil
	}
	if len(tried) > 0 {
		return hierarchy{}, fmt.Errorf("%w: not even the root groups have it (%s)", ErrNoIOController, strings.Join(tried, ", "))
	}
	return hierarchy{}, fmt.Errorf("%w: no blkio or version 2 hierarchy below %s", ErrNoCgroup, base)
}

// notOurs refuses a group that holds this very program: its own files and probes
// would be limited with the server's.
func (c ThrottleConfig) notOurs(h hierarchy) error {
	own, err := cgroup.Own(c.ProcRoot)
	if err != nil {
		return fmt.Errorf("spark: throttle: %w", err)
	}
	key := ""
	if h.version == 1 {
		key = "blkio"
	}
	mine := strings.Trim(own[key], "/")
	if mine == h.group || h.version == 2 && strings.HasPrefix(mine, h.group+"/") {
		return fmt.Errorf("%w: this program itself is in %s", ErrNoCgroup, h.dir())
	}
	return nil
}

// enable hands version 2's io controller down to the group, from the root on,
// and remembers where it had not been.
func (t *Throttle) enable(h hierarchy) error {
	if h.version != 2 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(h.dir(), ioMax)); err == nil {
		return nil
	}
	above := h.root
	parts := strings.Split(h.group, "/")
	for _, part := range parts {
		if err := t.enableBelow(above); err != nil {
			return err
		}
		above = filepath.Join(above, part)
	}
	return nil
}

func (t *Throttle) enableBelow(dir string) error {
	step := undoStep{
		Path: filepath.Join(dir, subtreeControl), Kind: controller, Key: ioController,
		Set: []string{ioController}, Write: "-" + ioController,
	}
	now, err := step.value()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoIOController, err)
	}
	if now != "" {
		return nil
	}
	t.enabled = append(t.enabled, step)
	if err := t.guard.hold(t.enabled); err != nil {
		return err
	}
	if err := t.write(step.Path, "+"+ioController); err != nil {
		if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
			return explainWrite(step.Path, "+"+ioController, err)
		}
		// EBUSY: the group has processes. ENOENT: it has not got the controller.
		return fmt.Errorf("%w: %w", ErrNoIOController, err)
	}
	if now, err = step.value(); err != nil || now == "" {
		return errors.Join(fmt.Errorf("%w: %s does not keep it", ErrNoIOController, step.Path), err)
	}
	return nil
}

// controllerUser names a group below that would lose limits if the controller
// were turned off for them, "" without one.
func controllerUser(subtreePath string) string {
	above := filepath.Dir(subtreePath)
	groups, err := os.ReadDir(above)
	if err != nil {
		return "" // gone, and limits with it
	}
	for _, g := range groups {
		text, err := os.ReadFile(filepath.Join(above, g.Name(), ioMax))
		if err != nil {
			continue // a file, or a group that just went
		}
		for line := range strings.Lines(string(text)) {
			if _, v, _ := strings.Cut(strings.TrimSpace(line), " "); limitText(v) != "" {
				return filepath.Join(above, g.Name())
			}
		}
	}
	return ""
}
