package sysmon

import "github.com/spark-harness/harness/internal/blockdev"

// Device is the block device that a path's I/O reaches.
type Device = blockdev.Device

// Node is one block device of a Device's chain.
type Node = blockdev.Node

// Errors of DeviceOf.
var (
	// ErrNoDevice says that there is no such block device.
	ErrNoDevice = blockdev.ErrNoDevice
	// ErrNotBlock says that a path's file system has no block device of its own
	// that could be watched: memory, network, overlay or pooled file systems.
	ErrNotBlock = blockdev.ErrNotBlock
)

// DeviceOf finds the whole disk below an existing path: st_dev, then
// /sys/dev/block, up from partitions to their disk and down through dm, LUKS,
// LVM, md and loop to what they stand on. procRoot and sysRoot are "" for /proc
// and /sys. It refuses tmpfs, overlay, btrfs, zfs and network file systems
// (ErrNotBlock): their st_dev names no disk, and a guess would watch an idle one.
func DeviceOf(path, procRoot, sysRoot string) (Device, error) {
	return blockdev.Of(path, procRoot, sysRoot)
}
