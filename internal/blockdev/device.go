// Package blockdev walks from a path to the disk below it: partitions, dm, LUKS,
// LVM, md and loop devices. It only reads sysfs and mountinfo.
package blockdev

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/prometheus/procfs"
)

// Device is the block device that a path's I/O reaches.
type Device struct {
	Name    string `json:"name"`              // kernel name to watch, under /sys/block
	MajMin  string `json:"maj_min"`           // its number, "259:0"
	Chain   []Node `json:"chain"`             // from the path's own device down to Name
	Several bool   `json:"several"`           // more than one disk below: Name is the joint device above them
	Disks   []Node `json:"disks"`             // the disks at the bottom
	Model   string `json:"model,omitempty"`   // as the disk reports it; "" = it does not, or several
	FSType  string `json:"fs_type,omitempty"` // file system of the path; "" = not in mountinfo
}

// Node is one block device of a chain.
type Node struct {
	Name   string `json:"name"`    // kernel name
	MajMin string `json:"maj_min"` // "259:2"
	Kind   string `json:"kind"`    // disk, partition, loop, md, dm, crypt, lvm
}

// ErrNotBlock says that a path's file system has no block device of its own
// that could be watched: memory, network, overlay or pooled file systems.
var ErrNotBlock = errors.New("not on a block device")

// ErrNoDevice says that there is no such block device.
var ErrNoDevice = errors.New("no such block device")

// maxChain bounds how deep devices may stand on each other.
const maxChain = 16

// Of finds the whole disk below an existing path: st_dev, then
// /sys/dev/block, up from partitions to their disk and down through dm, LUKS,
// LVM, md and loop to what they stand on. procRoot and sysRoot are "" for /proc
// and /sys. It refuses tmpfs, overlay, btrfs, zfs and network file systems
// (ErrNotBlock): their st_dev names no disk, and a guess would watch an idle one.
func Of(path, procRoot, sysRoot string) (Device, error) {
	r := resolver{proc: cmp.Or(procRoot, "/proc"), sys: cmp.Or(sysRoot, "/sys"), stat: statDev}
	return r.resolve(path)
}

// Named is the device with a kernel name such as "nvme0n1" and what it stands
// on; sysRoot is "" for /sys. ErrNoDevice where there is none.
func Named(name, sysRoot string) (Device, error) {
	r := resolver{proc: "/proc", sys: cmp.Or(sysRoot, "/sys"), stat: statDev}
	num := Attr(filepath.Join(r.sys, "class/block", name, "dev"))
	if num == "" || name != filepath.Base(name) {
		return Device{}, fmt.Errorf("blockdev: %w: %q is not under %s/class/block (lsblk lists them)", ErrNoDevice, name, r.sys)
	}
	var d Device
	if err := r.descend(&d, num, 0); err != nil {
		return Device{}, fmt.Errorf("blockdev: find device %s: %w", name, err)
	}
	return d, nil
}

// resolver holds the roots, and stat so that fixtures need no real devices.
type resolver struct {
	proc, sys string
	stat      func(path string) (major, minor uint32, err error)
}

func statDev(path string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, 0, fmt.Errorf("blockdev: stat %s: %w", path, err)
	}
	return unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), nil
}

func (r resolver) resolve(path string) (Device, error) {
	major, minor, err := r.stat(path)
	if err != nil {
		return Device{}, err
	}
	num := fmt.Sprintf("%d:%d", major, minor)
	fs := r.fsType(path, num)
	if err := refuse(path, fs, major); err != nil {
		return Device{}, err
	}
	d := Device{FSType: fs}
	if err := r.descend(&d, num, 0); err != nil {
		return Device{}, fmt.Errorf("blockdev: find device of %s: %w", path, err)
	}
	if !d.Several {
		d.Model = Attr(filepath.Join(r.sys, "block", d.Name, "device/model"))
	}
	return d, nil
}

// refuse names the file systems whose st_dev is not their disk.
func refuse(path, fs string, major uint32) error {
	fail := func(why string) error {
		return fmt.Errorf("blockdev: find device of %s: %w: %s", path, ErrNotBlock, why)
	}
	switch fs {
	case "tmpfs", "ramfs", "devtmpfs", "hugetlbfs":
		return fail(fs + " is memory: direct I/O there succeeds and measures nothing (use a directory on a disk)")
	case "overlay", "aufs", "fuse-overlayfs":
		return fail(fs + " hides its disk (use a path outside the container's root, such as a bind mount of the host's file system)")
	case "btrfs", "zfs", "bcachefs":
		return fail(fs + " pools disks behind one number (use an ext4 or xfs directory)")
	}
	if major == 0 {
		return fail(fmt.Sprintf("file system %q has no block device (use a directory on a local disk)", fs))
	}
	return nil
}

// fsType is the type of the mount that holds the path, from mountinfo; "" when
// it is not listed. Among mounts of the number, the longest mount point wins; a
// number that no mount has (a btrfs subvolume's) is looked up by path alone.
func (r resolver) fsType(path, num string) string {
	fs, err := procfs.NewFS(r.proc)
	if err != nil {
		return ""
	}
	mounts, err := fs.GetMounts()
	if err != nil {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	best, kind := -1, ""
	for _, m := range mounts {
		n := 0
		if under(path, m.MountPoint) {
			n = len(m.MountPoint)
		}
		if m.MajorMinorVer == num {
			n += 1 << 20 // any mount of the number beats every other
		} else if n == 0 {
			continue
		}
		if n > best {
			best, kind = n, m.FSType
		}
	}
	return kind
}

func under(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// descend adds device num and what it stands on to the chain.
func (r resolver) descend(d *Device, num string, depth int) error {
	if depth > maxChain {
		return fmt.Errorf("devices stand on each other more than %d deep", maxChain)
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(r.sys, "dev/block", num))
	if err != nil {
		return fmt.Errorf("%w: %s is not under %s/dev/block: %w", ErrNoDevice, num, r.sys, err)
	}
	n := Node{Name: filepath.Base(dir), MajMin: num, Kind: kindOf(dir)}
	if n.Kind == "memory" {
		return fmt.Errorf("%w: %s is memory", ErrNotBlock, n.Name)
	}
	d.Chain = append(d.Chain, n)
	if n.Kind == "partition" {
		return r.descend(d, Attr(filepath.Join(filepath.Dir(dir), "dev")), depth+1)
	}
	d.Name, d.MajMin = n.Name, num
	if n.Kind == "loop" {
		return r.descendLoop(d, dir, depth)
	}
	slaves, err := os.ReadDir(filepath.Join(dir, "slaves"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list slaves: %w", err)
	}
	if len(slaves) == 0 {
		d.Disks = append(d.Disks, n)
		return nil
	}
	return r.descendSlaves(d, dir, slaves, depth)
}

// descendSlaves follows one or more underlying devices. Where they end on one
// disk, that disk is the device; where on several, the joint device above is.
func (r resolver) descendSlaves(d *Device, dir string, slaves []os.DirEntry, depth int) error {
	if len(slaves) == 1 {
		return r.descend(d, Attr(filepath.Join(dir, "slaves", slaves[0].Name(), "dev")), depth+1)
	}
	var below Device
	for _, s := range slaves {
		one := Device{}
		if err := r.descend(&one, Attr(filepath.Join(dir, "slaves", s.Name(), "dev")), depth+1); err != nil {
			return err
		}
		below.Chain = one.Chain
		for _, disk := range one.Disks {
			if !slices.Contains(below.Disks, disk) {
				below.Disks = append(below.Disks, disk)
			}
		}
	}
	d.Disks = append(d.Disks, below.Disks...)
	if len(below.Disks) == 1 {
		d.Chain = append(d.Chain, below.Chain...)
		d.Name, d.MajMin = below.Disks[0].Name, below.Disks[0].MajMin
		return nil
	}
	d.Several = true
	return nil
}

func (r resolver) descendLoop(d *Device, dir string, depth int) error {
	back := Attr(filepath.Join(dir, "loop/backing_file"))
	if back == "" {
		return fmt.Errorf("%w: %s has no backing file", ErrNotBlock, filepath.Base(dir))
	}
	major, minor, err := r.stat(back)
	if err != nil {
		return fmt.Errorf("backing file of %s cannot be seen from here: %w", filepath.Base(dir), err)
	}
	num := fmt.Sprintf("%d:%d", major, minor)
	if err := refuse(back, r.fsType(back, num), major); err != nil {
		return err
	}
	return r.descend(d, num, depth+1)
}

// kindOf tells a block device's kind from its sysfs directory.
func kindOf(dir string) string {
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	name := filepath.Base(dir)
	switch uuid := Attr(filepath.Join(dir, "dm/uuid")); {
	case has("partition"):
		return "partition"
	case strings.HasPrefix(uuid, "CRYPT-"):
		return "crypt"
	case strings.HasPrefix(uuid, "LVM-"):
		return "lvm"
	case has("dm"):
		return "dm"
	case has("md"):
		return "md"
	case strings.HasPrefix(name, "loop"):
		return "loop"
	case strings.HasPrefix(name, "zram"), strings.HasPrefix(name, "ram"):
		return "memory"
	}
	return "disk"
}

// Attr is the text of a small file such as those of sysfs, without the white
// space around it; "" when there is none.
func Attr(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
