package smart

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// adminCommand is struct nvme_passthru_cmd of linux/nvme_ioctl.h.
type adminCommand struct {
	opcode      uint8
	flags       uint8
	_           uint16
	namespace   uint32
	cdw2, cdw3  uint32
	metadata    uint64
	addr        uint64
	metadataLen uint32
	dataLen     uint32
	cdw10       uint32
	cdw11       uint32
	cdw12       uint32
	cdw13       uint32
	cdw14       uint32
	cdw15       uint32
	timeoutMs   uint32
	result      uint32
}

const (
	ioctlAdmin    = 0xc0484e41 // NVME_IOCTL_ADMIN_CMD = _IOWR('N', 0x41, struct nvme_passthru_cmd)
	opGetLogPage  = 0x02
	pageSMART     = 0x02
	wholeDevice   = 0xffffffff // the controller's counters, of all namespaces
	adminTimeout  = 2000       // ms
	dwordBytes    = 4
	numberOfWords = PageBytes/dwordBytes - 1 // counted from 0
)

// getSMART is the only command that this package sends: Get Log Page, SMART.
func getSMART(buf *[PageBytes]byte) adminCommand {
	return adminCommand{
		opcode: opGetLogPage, namespace: wholeDevice, dataLen: PageBytes, timeoutMs: adminTimeout,
		addr: uint64(uintptr(unsafe.Pointer(buf))), cdw10: numberOfWords<<16 | pageSMART,
	}
}

// readPage asks the NVMe node (a namespace such as /dev/nvme0n1, or its
// controller /dev/nvme0) for its SMART log.
func readPage(node string) ([]byte, error) {
	f, err := os.OpenFile(node, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, explain(err)
	}
	defer f.Close()
	buf := new([PageBytes]byte)
	var pin runtime.Pinner // the kernel writes to it by address
	pin.Pin(buf)
	defer pin.Unpin()
	cmd := getSMART(buf)
	status, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), ioctlAdmin, uintptr(unsafe.Pointer(&cmd)))
	runtime.KeepAlive(buf)
	switch {
	case errno != 0:
		return nil, fmt.Errorf("smart: get log page of %s: %w", node, explain(errno))
	case status != 0: // the controller's own status, positive
		return nil, fmt.Errorf("smart: get log page of %s: %w: the controller answers status %#x", node, ErrNoLog, status)
	}
	return buf[:], nil
}

// explain adds the sentinel and the remedy that go with an error of the kernel.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", ErrNotRoot, err)
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: %w", ErrNoLog, err)
	}
	return err
}
