package fioctl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/blockdev"
)

// plantDevices is procfs and sysfs of a machine where nvme0n1p3 carries LUKS
// (dm-0), which is mounted, and nvme1n1 is free.
func plantDevices(t *testing.T) guard {
	t.Helper()
	root := t.TempDir()
	put := func(path, text string) {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	link := func(to, path string) {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.Symlink(filepath.Join(root, to), path))
	}
	put("sys/block/nvme0n1/dev", "259:0\n")
	put("sys/block/nvme0n1/nvme0n1p3/dev", "259:3\n")
	put("sys/block/nvme0n1/nvme0n1p3/partition", "3\n")
	put("sys/block/dm-0/dev", "252:0\n")
	put("sys/block/nvme1n1/dev", "259:8\n")
	link("sys/block/dm-0", "sys/block/nvme0n1/nvme0n1p3/holders/dm-0")
	link("sys/block/nvme0n1", "sys/dev/block/259:0")
	link("sys/block/nvme0n1/nvme0n1p3", "sys/dev/block/259:3")
	link("sys/block/dm-0", "sys/dev/block/252:0")
	link("sys/block/nvme1n1", "sys/dev/block/259:8")
	put("proc/self/mountinfo", "22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/mapper/root rw\n")
	put("proc/diskstats", " 259       0 nvme0n1 1 2 3 4 5 6 7 8 9 10 11\n 252 0 dm-0 1 2 3 4 5 6 7 8 9 10 11\n\n garbage\n")
	return guard{root + "/proc", root + "/sys"}
}

func TestDevicesAreRefused(t *testing.T) {
	g := plantDevices(t)
	for _, tt := range []struct {
		major, minor uint32
		mode         uint32
		mounted      bool
		why          string
	}{
		{252, 0, unix.S_IFBLK, true, "mounted itself"},
		{259, 3, unix.S_IFBLK, true, "below a mounted device"},
		{259, 0, unix.S_IFBLK, true, "the disk below it all"},
		{259, 8, unix.S_IFBLK, false, "a free disk is a device still"},
		{7, 77, unix.S_IFBLK, false, "not in sysfs"},
		{252, 0, unix.S_IFCHR, false, "a character device has numbers of its own"},
	} {
		err := g.refuseDevice("/dev/x", tt.mode|0o600, unix.Mkdev(tt.major, tt.minor))
		require.ErrorIs(t, err, ErrDevice, tt.why)
		if tt.mounted {
			require.ErrorIs(t, err, ErrMounted, tt.why)
			require.ErrorContains(t, err, "at /", tt.why)
		} else {
			require.NotErrorIs(t, err, ErrMounted, tt.why)
		}
	}
	require.NoError(t, g.refuseDevice("/x", unix.S_IFREG, 0))
	for _, path := range []string{"/dev/null", "/dev/zero"} {
		_, err := CheckTarget(path, 1)
		require.ErrorIs(t, err, ErrDevice)
	}
}

func TestADeviceMustBeCounted(t *testing.T) {
	g := plantDevices(t)
	require.NoError(t, g.counted("nvme0n1"))
	for _, name := range []string{"nvme0n", "nvme1n1", "garbage", "", "259"} {
		require.ErrorIs(t, g.counted(name), ErrNoCounters, name)
	}
	require.ErrorIs(t, guard{proc: g.sys}.counted("nvme0n1"), ErrNoCounters, "no diskstats at all")

	dir := diskDir(t)
	real := host()
	planted := guard{t.TempDir(), real.sys}
	require.NoError(t, os.WriteFile(planted.proc+"/diskstats", nil, 0o600))
	before := snapshot(t, dir)
	_, err := planted.prefill(t.Context(), smallSpec(dir), nil)
	require.ErrorIs(t, err, ErrNoCounters)
	require.Equal(t, before, snapshot(t, dir))
}

func TestPathsBelowDev(t *testing.T) {
	for path, bad := range map[string]bool{
		"/dev": true, "/dev/sda": true, "/dev/disk/by-id/x": true, "/dev/shm": false, "/dev/shm/x": false,
		"/dev/shmx": true, "/device/x": false, "/home/dev/x": false, "/": false,
	} {
		if err := refuseDev(path); bad {
			require.ErrorIs(t, err, ErrDevice, path)
		} else {
			require.NoError(t, err, path)
		}
	}
}

func TestSameDevice(t *testing.T) {
	node := func(name, num, kind string) blockdev.Node { return blockdev.Node{Name: name, MajMin: num, Kind: kind} }
	nvme, nvme1, sda := node("nvme0n1", "259:0", "disk"), node("nvme1n1", "259:8", "disk"), node("sda", "8:0", "disk")
	device := func(chain []blockdev.Node, disks ...blockdev.Node) blockdev.Device {
		return blockdev.Device{Name: disks[0].Name, Chain: chain, Disks: disks, Several: len(disks) > 1}
	}
	part := device([]blockdev.Node{node("nvme0n1p2", "259:2", "partition"), nvme}, nvme)
	luks := device([]blockdev.Node{node("dm-1", "252:1", "lvm"), node("dm-0", "252:0", "crypt"), node("nvme0n1p3", "259:3", "partition"), nvme}, nvme)
	raid := device([]blockdev.Node{node("md0", "9:0", "md")}, nvme, nvme1)
	diar := device([]blockdev.Node{node("md1", "9:1", "md")}, nvme1, nvme)
	other := device([]blockdev.Node{node("sda1", "8:1", "partition"), sda}, sda)
	for _, tt := range []struct {
		a, b blockdev.Device
		same bool
		why  string
	}{
		{part, part, true, "itself"},
		{part, luks, true, "two partitions of a disk, one under LUKS and LVM"},
		{raid, diar, true, "two arrays of the same disks"},
		{part, raid, false, "one disk of two is half a load"},
		{part, other, false, "two disks"},
		{blockdev.Device{}, blockdev.Device{}, false, "memory is not on the same disk as memory"},
		{part, blockdev.Device{}, false, "memory is on no disk"},
	} {
		require.Equal(t, tt.same, SameDevice(tt.a, tt.b), tt.why)
		require.Equal(t, tt.same, SameDevice(tt.b, tt.a), tt.why)
		if err := ProveSameDevice(tt.a, tt.b); tt.same {
			require.NoError(t, err, tt.why)
		} else {
			require.ErrorIs(t, err, ErrOtherDevice, tt.why)
		}
	}
	require.ErrorContains(t, ProveSameDevice(other, luks), "fio's file is on sda1 → sda, the watched disk is dm-1 → dm-0 → nvme0n1p3 → nvme0n1 ")
	require.ErrorContains(t, ProveSameDevice(raid, blockdev.Device{}), "is on md0 → nvme0n1 + nvme1n1, the watched disk is no disk ")
}
