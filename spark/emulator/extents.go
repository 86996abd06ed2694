package emulator

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// extent is one piece of a file as the file system maps it
// (struct fiemap_extent, include/uapi/linux/fiemap.h).
type extent struct {
	logical, physical, length uint64
	_                         [2]uint64
	flags                     uint32
	_                         [3]uint32
}

const (
	fsIocFiemap    = 0xc020660b
	fiemapSync     = 0x1
	extentLast     = 0x1
	extentUnknown  = 0x2   // no place on the disk yet
	extentDelayed  = 0x4   // not allocated yet
	extentEncoded  = 0x8   // compressed or encrypted
	extentInline   = 0x200 // inside metadata
	extentUnwriten = 0x800 // allocated, reads as zeros without the disk
)

// fileExtents is the file's whole map (FS_IOC_FIEMAP).
func fileExtents(fd int) ([]extent, error) {
	const batch = 256
	var m struct {
		start, length             uint64
		flags, mapped, count, pad uint32
		extents                   [batch]extent
	}
	var all []extent
	for {
		m.start, m.length, m.flags, m.mapped, m.count = 0, ^uint64(0), fiemapSync, 0, batch
		if n := len(all); n > 0 {
			m.start = all[n-1].logical + all[n-1].length
			m.length -= m.start
		}
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), fsIocFiemap, uintptr(unsafe.Pointer(&m))); e != 0 {
			return nil, fmt.Errorf("emulator: map extents of spill file: %w", e)
		}
		if m.mapped == 0 {
			return all, nil
		}
		all = append(all, m.extents[:min(m.mapped, batch)]...)
		if all[len(all)-1].flags&extentLast != 0 {
			return all, nil
		}
	}
}

// covered says whether the extents put every byte of the file on the disk.
func covered(extents []extent, size int64) bool {
	const bad = extentUnknown | extentDelayed | extentEncoded | extentInline | extentUnwriten
	var end uint64
	for _, e := range extents {
		if e.logical > end || e.flags&bad != 0 {
			return false
		}
		end = max(end, e.logical+e.length)
	}
	return end >= uint64(size)
}
