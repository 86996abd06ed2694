package fioctl

import (
	"errors"
	"fmt"

	"github.com/spark-harness/harness/internal/blockdev"
)

// Why a file may not be a target. Errors that carry one say where and what to
// do.
var (
	// ErrTmpfs: the directory is memory. It wraps blockdev.ErrNotBlock.
	ErrTmpfs = fmt.Errorf("memory, not a disk: %w", blockdev.ErrNotBlock)
	// ErrOverlay: the directory is an overlay, as containers have. It wraps
	// blockdev.ErrNotBlock.
	ErrOverlay = fmt.Errorf("overlay file system: %w", blockdev.ErrNotBlock)
	// ErrNotMemory: a file for a null load would land on a disk.
	ErrNotMemory = errors.New("not in memory")
	// ErrOutside: the path leads out of the directory that was given.
	ErrOutside = errors.New("outside of the directory given")
	// ErrForeign: somebody else's file has the name, or another user owns it.
	ErrForeign = errors.New("not made by this program")
	// ErrNotRegular: a directory, symbolic link, FIFO or the like has the name.
	ErrNotRegular = errors.New("not a regular file")
	// ErrNotDir: the directory given is something else.
	ErrNotDir = errors.New("not a directory")
	// ErrBusy: another process is writing the same target.
	ErrBusy = errors.New("being written by another process")
	// ErrSpace: the file system would be left with less than the reserve.
	ErrSpace = errors.New("not enough free space")
	// ErrSparse: blocks are missing or were allocated and never written; the
	// kernel answers such reads itself and the device sees nothing of them.
	ErrSparse = errors.New("not fully written")
	// ErrCompressible: a device that compresses would be read too fast.
	ErrCompressible = errors.New("compressible")
	// ErrTooSmall: the file has fewer bytes than the jobs need.
	ErrTooSmall = errors.New("too small")
	// ErrDevice: the path is a device or below /dev. Nothing here reads or
	// writes devices.
	ErrDevice = errors.New("a device, not a file")
	// ErrMounted: it is a block device that is in use. It wraps ErrDevice.
	ErrMounted = fmt.Errorf("in use by a mounted file system: %w", ErrDevice)
	// ErrNoDirect: the file system knows no direct I/O.
	ErrNoDirect = errors.New("no direct I/O here")
	// ErrNoCounters: the kernel does not count the device's I/O.
	ErrNoCounters = errors.New("device without counters")
	// ErrOtherDevice: two paths do not end on the same disks.
	ErrOtherDevice = errors.New("not the same disk")
)
