package spark

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
)

// IOLimits bound the I/O of a server on one disk. 0 sets none: what stood there
// before stays in force.
type IOLimits struct {
	ReadIOPS         int64 `json:"read_iops,omitempty"`  // requests a second
	WriteIOPS        int64 `json:"write_iops,omitempty"` // requests a second
	ReadBytesPerSec  int64 `json:"read_bytes_per_sec,omitempty"`
	WriteBytesPerSec int64 `json:"write_bytes_per_sec,omitempty"`
}

// maxLimitIOPS is the largest number of requests a second that the kernel
// keeps: 32 bits, of which the last means none.
const maxLimitIOPS = 1<<32 - 2

// Validate refuses negative limits, and IOPS above 2³²-2, which the kernel
// would cut to its low 32 bits.
func (l IOLimits) Validate() error {
	var errs []error
	for _, f := range []struct {
		name     string
		v, upper int64
	}{
		{"read_iops", l.ReadIOPS, maxLimitIOPS},
		{"write_iops", l.WriteIOPS, maxLimitIOPS},
		{"read_bytes_per_sec", l.ReadBytesPerSec, 1 << 62},
		{"write_bytes_per_sec", l.WriteBytesPerSec, 1 << 62},
	} {
		if f.v < 0 || f.v > f.upper {
			errs = append(errs, fmt.Errorf("spark: I/O limit %s = %d: want 0 for none, or 1 to %d", f.name, f.v, f.upper))
		}
	}
	return errors.Join(errs...)
}

// ThrottleConfig says whom to hold on which disk.
type ThrottleConfig struct {
	CgroupPath string   `json:"cgroup_path"` // as in /proc/PID/cgroup, such as Cgroup.Path
	MajMin     string   `json:"maj_min"`     // number of a whole disk, "259:0"
	Limits     IOLimits `json:"limits"`
	// LeaseDir is a directory for a file that lets RepairThrottles undo the
	// limits if the guardian was killed too; "" writes none. One that is emptied
	// at boot, below /run, suits: limits do not outlive the kernel either.
	LeaseDir string `json:"lease_dir,omitempty"`
	ProcRoot string `json:"-"` // "" is /proc; says in which group we are
	SysRoot  string `json:"-"` // "" is /sys

	write writeFunc // nil is writeKernel
}

// Validate checks what can be checked without looking at the machine.
func (c ThrottleConfig) Validate() error {
	errs := []error{c.Limits.Validate()}
	if c.Limits == (IOLimits{}) {
		errs = append(errs, errors.New("spark: throttle: no limit (set at least one)"))
	}
	if !majMin(c.MajMin) {
		errs = append(errs, fmt.Errorf("spark: throttle: device %q: want major:minor, such as 259:0", c.MajMin))
	}
	if _, err := groupPath(c.CgroupPath); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Throttle is a limit on the I/O of a cgroup on one disk, cgroup version 2's
// io.max or version 1's blkio.throttle files, in force from [ApplyThrottle] to
// Undo. A guardian process undoes it when ours ends in any way, SIGKILL and
// Ctrl-C included. Its methods are safe for concurrent use.
//
// # The law of this lever
//
// Both versions hold requests back before the block layer accounts for them.
// The device's r_await, await and queue size therefore do NOT show the wait.
// Measured on version 1, Linux 6.18, with random direct reads of 64 KiB:
//
//	limit                    rate            requests wait        device r_await
//	none, depth 32           13,000-16,000/s 2.0-2.4 ms, p99 5 ms 1.2-2.2 ms
//	read_iops=500, depth 32  507 /s          63 ms, p99 104 ms    0.3-2.4 ms
//	20 MB/s, depth 1         20.0 MB/s       3.3 ms, p99 97 ms    0.14 ms
//	100 MiB/s, depth 8       99.9 MiB/s      5.0 ms, p99 93 ms    not above idle
//
// The mean wait is depth/rate (32/500 = 64 ms). A probe that reads from inside
// the cgroup shows it, and so do the server's own counters (DiskReadSum over
// DiskReadCount in [Counters]); a probe outside, on the same disk, is not held,
// which tells this lever from contention for the disk.
//
// The rate is within 2 % over seconds but bursty below one: version 1 hands out
// slices of about 0.1 s, so a request passes at once or waits for the next.
//
// What is held (measured on version 1): direct reads and writes; buffered reads
// that miss the page cache; buffered writes that a process of the group flushes
// itself (fsync). What is not: buffered writes that the kernel, or anybody
// outside the group, writes back (64 MiB in 25 ms under a limit of 10 MB/s).
// Version 2 charges those to the group too where the file system supports it
// (ext4, btrfs, xfs).
//
// Version 1 holds only processes in the group itself, not in groups below it;
// version 2 holds the whole tree. Both take whole disks only: a partition's
// number is refused. A loop device counts as a whole disk, with this law for
// its own number. With the number of the disk below it, its I/O is held as
// well, but on the way down: the loop device's r_await then shows the wait (103
// ms at 300/s and depth 32), the disk's does not.
//
// Source: Linux Documentation/admin-guide/cgroup-v2.rst and
// cgroup-v1/blkio-controller.rst, block/blk-throttle.c.
type Throttle struct {
	Version int      `json:"cgroup_version"` // 1 or 2
	Dir     string   `json:"dir"`            // of the group
	MajMin  string   `json:"maj_min"`
	Limits  IOLimits `json:"limits"` // asked for; see Change
	Before  IOLimits `json:"before"` // what stood there before us, 0 for none

	mu      sync.Mutex
	write   writeFunc
	enabled []undoStep // version 2: controllers that we turned on
	files   []limitFile
	guard   *guardian // nil when undone
	left    []undoStep
	result  error // of the first Undo, but for what could not be written
}

// ApplyThrottle puts limits on a cgroup in force, reads them back and returns.
// The program must call RunChild first, else the error is ErrNoChildHook. On
// version 2 it turns the io controller on for the group where that is allowed.
// When it fails, everything is as it was.
//
// Errors: ErrNoCgroup, ErrNoIOController, ErrCgroupReadOnly, ErrNotPermitted,
// ErrUnknownDevice, ErrPartition.
func ApplyThrottle(c ThrottleConfig) (*Throttle, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.ProcRoot == "" {
		c.ProcRoot = "/proc"
	}
	if c.SysRoot == "" {
		c.SysRoot = "/sys"
	}
	if c.write == nil {
		c.write = writeKernel
	}
	if err := c.wholeDisk(); err != nil {
		return nil, err
	}
	h, err := c.hierarchy()
	if err != nil {
		return nil, err
	}
	if err := c.notOurs(h); err != nil {
		return nil, err
	}
	l, err := newLease(c.LeaseDir, throttleLease)
	if err != nil {
		return nil, err
	}
	guard, err := startGuardian(l)
	if err != nil {
		return nil, fmt.Errorf("spark: throttle: start guardian: %w", err)
	}
	t := &Throttle{Version: h.version, Dir: h.dir(), MajMin: c.MajMin, write: c.write, guard: guard}
	if err := t.start(h, c.Limits); err != nil {
		return nil, errors.Join(fmt.Errorf("spark: throttle %s: %w", t.Dir, err), t.Undo())
	}
	return t, nil
}

func (t *Throttle) start(h hierarchy, limits IOLimits) error {
	if err := t.enable(h); err != nil {
		return err
	}
	files, err := h.limitFiles(t.MajMin)
	if err != nil {
		return err
	}
	t.files = files
	for _, f := range files {
		f.before(&t.Before)
	}
	return t.set(limits)
}

// Change replaces the limits while they are in force; the server notices at
// its next request. On error the earlier ones are in force, unless it is
// ErrThrottleLost.
func (t *Throttle) Change(limits IOLimits) error {
	if err := limits.Validate(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.verify(); err != nil {
		return err
	}
	earlier := t.Limits
	if err := t.set(limits); err != nil {
		return errors.Join(fmt.Errorf("spark: change throttle of %s: %w", t.Dir, err), t.set(earlier))
	}
	return nil
}

// set hands the guardian every value that may stand in the files from now on,
// then writes them.
func (t *Throttle) set(limits IOLimits) error {
	for i := range t.files {
		f := &t.files[i]
		want, text := f.target(limits)
		// Until it is written the earlier one stands.
		f.step.Set = slices.Compact([]string{f.want, want})
		f.want, f.text = want, text
	}
	if err := t.guard.hold(t.steps()); err != nil {
		return err
	}
	for _, f := range t.files {
		if err := f.put(t.write); err != nil {
			return err
		}
	}
	t.Limits = limits
	return nil
}

// Verify tells whether the limits are in force now and the guardian lives:
// ErrThrottleLost or ErrGuardian if not.
func (t *Throttle) Verify() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.verify()
}

func (t *Throttle) verify() error {
	if t.guard == nil {
		return fmt.Errorf("%w: it was undone", ErrThrottleLost)
	}
	for _, f := range t.files {
		now, err := f.step.value()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrThrottleLost, err)
		}
		if now != f.want {
			return fmt.Errorf("%w: %s holds %q, we set %q", ErrThrottleLost, f.step.Path, now, f.want)
		}
	}
	return t.guard.alive()
}

func (t *Throttle) steps() []undoStep {
	steps := slices.Clone(t.enabled)
	for _, f := range t.files {
		steps = append(steps, f.step)
	}
	return steps
}

// Undo brings back exactly what was there before, reads it back, and ends the
// guardian. A group that is gone took its limits along. A setting that somebody
// else has changed since is left as it is, and named in the error. Calling
// again gives the same answer, and tries again what could not be written.
func (t *Throttle) Undo() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	steps := t.left
	if t.guard != nil {
		steps = t.steps()
	} else if len(steps) == 0 {
		return t.result
	}
	u := restoreAll(steps, t.write)
	t.left = u.left
	t.result = errors.Join(t.result, u.foreign)
	if t.guard != nil {
		// Its own try may do what ours could not, but that is for later to see.
		t.result = errors.Join(t.result, t.guard.release(len(u.left) == 0))
		t.guard = nil
	}
	return errors.Join(u.err, t.result)
}

// throttleLease is the kind of the leases that throttles write.
const throttleLease = "throttle"

// RepairThrottles undoes the limits that earlier runs left in force because
// their guardian was killed too, from the leases in dir, the LeaseDir of those
// runs, and tells how many settings it wrote back. Call it before a
// measurement. It leaves limits alone whose process lives, writes only to
// cgroup files that a lease names, and only where they hold what that run set.
func RepairThrottles(dir string) (restored int, err error) {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return repairLeases(dir, throttleLease, isLimitFile)
}
