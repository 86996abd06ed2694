package fioctl

import (
	"fmt"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

const (
	reserveShare = 10       // default reserve: one in ten bytes of the file system
	reserveLeast = 20 << 30 // and at least this on a disk
)

// checkSpace refuses a write that would leave less than the reserve free to an
// ordinary user.
func (g guard) checkSpace(fd int, s TargetSpec) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil {
		return fmt.Errorf("fioctl: ask for free space in %s: %w", s.Dir, err)
	}
	free, total := int64(fs.Bavail)*int64(fs.Bsize), int64(fs.Blocks)*int64(fs.Bsize)
	keep := s.reserve(total)
	if free-s.SizeBytes < keep {
		return fmt.Errorf("fioctl: %s: %w: %s free, the target takes %s and %s are to stay free (free some, ask for a smaller target, or lower the reserve)",
			s.Dir, ErrSpace, sizeText(free), sizeText(s.SizeBytes), sizeText(keep))
	}
	if !s.Memory || s.ReserveBytes < 0 {
		return nil
	}
	return g.checkMemory(s)
}

func (s TargetSpec) reserve(total int64) int64 {
	switch {
	case s.ReserveBytes > 0:
		return s.ReserveBytes
	case s.ReserveBytes < 0:
		return 0
	case s.Memory:
		return total / reserveShare
	}
	return max(total/reserveShare, reserveLeast)
}

// checkMemory keeps a file in memory from taking more than half of what is
// available: tmpfs promises more than the machine may have.
func (g guard) checkMemory(s TargetSpec) error {
	fs, err := procfs.NewFS(g.proc)
	if err != nil {
		return fmt.Errorf("fioctl: ask for free memory: %w", err)
	}
	m, err := fs.Meminfo()
	if err != nil {
		return fmt.Errorf("fioctl: ask for free memory: %w", err)
	}
	if m.MemAvailableBytes == nil {
		return nil // a kernel before 3.14
	}
	if free := int64(*m.MemAvailableBytes); s.SizeBytes > free/2 {
		return fmt.Errorf("fioctl: %s: %w: the target takes %s of %s available memory (ask for half of it at most)",
			s.Dir, ErrSpace, sizeText(s.SizeBytes), sizeText(free))
	}
	return nil
}

func sizeText(n int64) string {
	switch {
	case n >= 1<<30 || n <= -1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20 || n <= -1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", n)
}
