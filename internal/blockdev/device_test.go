package blockdev

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
)

// fixtureResolver answers stat from a table of "path major:minor".
func fixtureResolver(proc, sys string, devs map[string][2]uint32) resolver {
	return resolver{proc: proc, sys: sys, stat: func(path string) (uint32, uint32, error) {
		d, ok := devs[path]
		if !ok {
			return 0, 0, fmt.Errorf("blockdev: stat %s: %w", path, os.ErrNotExist)
		}
		return d[0], d[1], nil
	}}
}

func names(ns []Node) string {
	var out []string
	for _, n := range ns {
		out = append(out, n.Name+":"+n.Kind)
	}
	return strings.Join(out, " ")
}

func TestOfFindsTheDiskBelow(t *testing.T) {
	proc, sys := fixture.Plant(t, "../../sysmon/testdata/gb10.tree")
	r := fixtureResolver(proc, sys, map[string][2]uint32{
		"/models": {259, 2}, "/data/kv": {252, 1}, "/luks": {252, 0}, "/raid/x": {9, 0},
		"/image/f": {7, 0}, "/images/disk.img": {259, 2}, "/whole": {259, 0},
	})
	for _, tt := range []struct {
		path, name, chain, disks, why string
		several                       bool
	}{
		{"/models", "nvme0n1", "nvme0n1p2:partition nvme0n1:disk", "nvme0n1:disk", "a partition belongs to its parent", false},
		{"/whole", "nvme0n1", "nvme0n1:disk", "nvme0n1:disk", "a file system straight on the disk", false},
		{"/luks", "nvme0n1", "dm-0:crypt nvme0n1p3:partition nvme0n1:disk", "nvme0n1:disk", "LUKS on a partition", false},
		{"/data/kv", "nvme0n1", "dm-1:lvm dm-0:crypt nvme0n1p3:partition nvme0n1:disk", "nvme0n1:disk", "LVM on LUKS", false},
		{"/raid/x", "md0", "md0:md", "nvme0n1:disk nvme1n1:disk", "two disks: the joint device is watched", true},
		{"/image/f", "nvme0n1", "loop0:loop nvme0n1p2:partition nvme0n1:disk", "nvme0n1:disk", "a loop device stands on its file", false},
	} {
		d, err := r.resolve(tt.path)
		require.NoError(t, err, tt.why)
		require.Equal(t, tt.name, d.Name, tt.why)
		require.Equal(t, tt.chain, names(d.Chain), tt.why)
		require.Equal(t, tt.disks, names(d.Disks), tt.why)
		require.Equal(t, tt.several, d.Several, tt.why)
	}
	d, err := r.resolve("/data/kv")
	require.NoError(t, err)
	require.Equal(t, "259:0", d.MajMin)
	require.Equal(t, "xfs", d.FSType)
	require.Equal(t, "SAMSUNG MZALC4T0HBL1-00B07", d.Model)
}

func TestOfRefuses(t *testing.T) {
	proc, sys := fixture.Plant(t, "../../sysmon/testdata/gb10.tree")
	r := fixtureResolver(proc, sys, map[string][2]uint32{
		"/tmp/x": {0, 40}, "/merged/x": {0, 41}, "/pool/x": {0, 42}, "/pool/sub": {0, 77},
		"/net/x": {0, 43}, "/odd": {8, 1}, "/image/f": {7, 0},
	})
	for _, tt := range []struct {
		path, says string
		is         error
	}{
		{"/tmp/x", "tmpfs is memory", ErrNotBlock},
		{"/merged/x", "overlay hides its disk", ErrNotBlock},
		{"/pool/x", "btrfs pools disks", ErrNotBlock},
		{"/pool/sub", "btrfs pools disks", ErrNotBlock}, // a subvolume's number is in no mount
		{"/net/x", `file system "nfs4" has no block device`, ErrNotBlock},
		{"/odd", "8:1 is not under", ErrNoDevice},
		{"/image/f", "backing file of loop0 cannot be seen from here", os.ErrNotExist},
		{"/gone", "stat /gone", os.ErrNotExist},
	} {
		_, err := r.resolve(tt.path)
		require.ErrorIs(t, err, tt.is, tt.path)
		require.ErrorContains(t, err, tt.says)
	}
	proc, sys = fixture.Plant(t, "../../sysmon/testdata/virtio.tree")
	r = fixtureResolver(proc, sys, map[string][2]uint32{"/z": {253, 0}, "/home": {254, 0}})
	_, err := r.resolve("/z")
	require.ErrorIs(t, err, ErrNotBlock, "a compressed RAM disk is no disk")
	d, err := r.resolve("/home")
	require.NoError(t, err)
	require.Equal(t, "vda", d.Name)
	require.Empty(t, d.Model, "virtio disks tell none")
}

func TestOfThisMachine(t *testing.T) {
	_, err := Of("/dev/shm", "", "")
	if _, statErr := os.Stat("/dev/shm"); statErr == nil {
		require.ErrorIs(t, err, ErrNotBlock, "shared memory is never a disk")
	}
	_, err = Of(t.TempDir()+"/none", "", "")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestNamed(t *testing.T) {
	disks, err := os.ReadDir("/sys/class/block")
	if err != nil || len(disks) == 0 {
		t.Skipf("SKIPPED: no block devices here: %v", err)
	}
	found := 0
	for _, e := range disks {
		d, err := Named(e.Name(), "")
		if err != nil {
			continue // a loop device without a file, for one
		}
		found++
		require.Equal(t, e.Name(), d.Chain[0].Name)
		require.NotEmpty(t, d.MajMin)
	}
	require.Positive(t, found)
	for _, name := range []string{"", "nosuchdisk", "../block", "."} {
		_, err := Named(name, "")
		require.ErrorIs(t, err, ErrNoDevice, name)
	}
}
