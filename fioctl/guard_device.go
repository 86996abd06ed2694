package fioctl

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
)

// guard holds the roots of procfs and sysfs, so that tests may plant others.
type guard struct{ proc, sys string }

func host() guard { return guard{"/proc", "/sys"} }

// device finds the disk below a path and refuses what could not be watched.
func (g guard) device(path string) (blockdev.Device, error) {
	d, err := blockdev.Of(path, g.proc, g.sys)
	if err != nil {
		return blockdev.Device{}, nameFileSystem(path, err)
	}
	if err := g.counted(d.Name); err != nil {
		return blockdev.Device{}, fmt.Errorf("fioctl: %s: %w", path, err)
	}
	return d, nil
}

// nameFileSystem adds the sentinel of the file system to a refusal.
func nameFileSystem(path string, err error) error {
	var fs unix.Statfs_t
	if errors.Is(err, blockdev.ErrNotBlock) && unix.Statfs(path, &fs) == nil {
		switch int64(fs.Type) {
		case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
			return fmt.Errorf("fioctl: %w: %w", ErrTmpfs, err)
		case unix.OVERLAYFS_SUPER_MAGIC:
			return fmt.Errorf("fioctl: %w: %w", ErrOverlay, err)
		}
	}
	return fmt.Errorf("fioctl: %w", err)
}

// counted looks for a device's line in diskstats; without it nothing could
// prove that a load arrived. See Documentation/admin-guide/iostats.rst.
func (g guard) counted(name string) error {
	path := filepath.Join(g.proc, "diskstats")
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w: %w (mount procfs)", ErrNoCounters, err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if col := strings.Fields(lines.Text()); len(col) > 3 && col[2] == name {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: read %s: %w", ErrNoCounters, path, err)
	}
	return fmt.Errorf("%w: %s has no line in %s (use another disk; a load here could not be proven)", ErrNoCounters, name, path)
}

// refuseDevice refuses a path that is a device itself. mode and rdev are its
// stat's.
func (g guard) refuseDevice(path string, mode uint32, rdev uint64) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return fmt.Errorf("fioctl: %s: %w (give a directory or file on the disk)", path, ErrDevice)
	case unix.S_IFBLK:
	default:
		return nil
	}
	num := fmt.Sprintf("%d:%d", unix.Major(rdev), unix.Minor(rdev))
	if mount, ok := g.mounted(num); ok {
		return fmt.Errorf("fioctl: %s: %w at %s (give a directory on that file system)", path, ErrMounted, mount)
	}
	return fmt.Errorf("fioctl: %s: %w (make a file system on it and give a directory there)", path, ErrDevice)
}

// mounted says where the block device, one of its partitions or a device above
// them is mounted.
func (g guard) mounted(num string) (mountPoint string, ok bool) {
	fs, err := procfs.NewFS(g.proc)
	if err != nil {
		return "", false
	}
	mounts, err := fs.GetMounts()
	if err != nil {
		return "", false
	}
	above := g.above(num, nil)
	for _, m := range mounts {
		if slices.Contains(above, m.MajorMinorVer) {
			return m.MountPoint, true
		}
	}
	return "", false
}

// above is the device's number and those of everything that stands on it: its
// partitions, and their and its holders.
func (g guard) above(num string, seen []string) []string {
	if slices.Contains(seen, num) {
		return seen
	}
	seen = append(seen, num)
	dir := filepath.Join(g.sys, "dev/block", num)
	for _, pattern := range []string{"*/partition", "holders/*/dev"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			continue
		}
		for _, f := range found {
			if up := blockdev.Attr(filepath.Join(filepath.Dir(f), "dev")); up != "" {
				seen = g.above(up, seen)
			}
		}
	}
	return seen
}

// refuseDev refuses paths below /dev, where only /dev/shm holds files.
func refuseDev(realPath string) error {
	if realPath == "/dev" || within(realPath, "/dev") && !within(realPath, "/dev/shm") && realPath != "/dev/shm" {
		return fmt.Errorf("fioctl: %s: %w (give a path outside of /dev)", realPath, ErrDevice)
	}
	return nil
}

// within says that a clean absolute path lies below dir.
func within(path, dir string) bool {
	return strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// SameDevice says that both end on the same disks, through whatever partitions,
// dm, LUKS, LVM, md and loop devices. A zero device is the same as none.
func SameDevice(a, b blockdev.Device) bool {
	x, y := bottom(a), bottom(b)
	return len(x) > 0 && slices.Equal(x, y)
}

func bottom(d blockdev.Device) []string {
	var disks []string
	for _, n := range d.Disks {
		disks = append(disks, n.Name+" "+n.MajMin)
	}
	slices.Sort(disks)
	return slices.Compact(disks)
}

// ProveSameDevice is nil if both end on the same disks. Else the error is
// ErrOtherDevice and tells both ways down.
func ProveSameDevice(file, watched blockdev.Device) error {
	if SameDevice(file, watched) {
		return nil
	}
	return fmt.Errorf("fioctl: %w: fio's file is on %s, the watched disk is %s (put the file on the file system of the server)",
		ErrOtherDevice, wayDown(file), wayDown(watched))
}

// wayDown is a chain in words: "sda1 → sda", "md0 → nvme0n1 + nvme1n1".
func wayDown(d blockdev.Device) string {
	var names, disks []string
	for _, n := range d.Chain {
		names = append(names, n.Name)
	}
	for _, n := range d.Disks {
		disks = append(disks, n.Name)
	}
	if len(disks) > 0 && (len(names) == 0 || len(disks) > 1 || names[len(names)-1] != disks[0]) {
		names = append(names, strings.Join(disks, " + "))
	}
	if len(names) == 0 {
		return "no disk"
	}
	return strings.Join(names, " → ")
}
