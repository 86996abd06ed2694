package fioctl

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spark-harness/harness/internal/blockdev"
)

// Target is a file full of incompressible bytes that jobs read. It is made
// once and found again by its fingerprint.
type Target struct {
	Path      string          `json:"path"` // real path, inside the directory given
	SizeBytes int64           `json:"size_bytes"`
	Seed      uint64          `json:"seed"`             // of the bytes; 0 of a file that was brought
	Device    blockdev.Device `json:"device"`           // below the file; zero in memory
	Memory    bool            `json:"memory,omitempty"` // on tmpfs: only for a null load
	Reused    bool            `json:"reused"`           // found, not written

	Made bool `json:"made"` // by Prefill, now or before: Remove may take it away
	// AlignBytes is what offsets, lengths and buffers of direct I/O must be
	// multiples of: the kernel's word (STATX_DIOALIGN), else 4,096.
	AlignBytes int64 `json:"align_bytes"`
	// WriteBytesPerSec is how fast the prefill went, fsync included; 0 if reused.
	WriteBytesPerSec float64 `json:"write_bytes_per_sec,omitempty"`
}

// TargetSpec is the file that Prefill is to make or to find.
type TargetSpec struct {
	Dir  string `json:"dir"`  // exists; on a file system with a disk of its own
	Name string `json:"name"` // of the file in Dir: one path element, 200 bytes at most
	// SizeBytes is a multiple of 1 MiB, at most 1 PiB. To defeat a cache in the
	// device it should be a multiple of the cache.
	SizeBytes int64 `json:"size_bytes"`
	// Seed and the offset determine each byte.
	Seed uint64 `json:"seed"`
	// Memory puts the file on tmpfs, and only there: for a load that reaches no
	// disk.
	Memory bool `json:"memory,omitempty"`
	// ReserveBytes stay free on the file system after the write. 0 is 10 % of
	// it, at least 20 GiB on a disk; -1 is none.
	ReserveBytes int64 `json:"reserve_bytes,omitempty"`
}

const (
	chunkBytes    = 1 << 20 // of one write
	maxTargetSize = 1 << 50
	maxNameBytes  = 200 // leaves room for the suffix
	partialSuffix = ".partial"
)

// Validate says everything that is wrong with the spec itself; it looks at no
// file. A name that would lead out of Dir is ErrOutside.
func (s TargetSpec) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("fioctl: target: "+format, args...))
	}
	if s.Dir == "" {
		bad("no directory (name one on the disk to load)")
	}
	switch {
	case s.Name == "" || len(s.Name) > maxNameBytes || strings.ContainsRune(s.Name, 0):
		bad("name %q: want 1 to %d bytes without a NUL", s.Name, maxNameBytes)
	case s.Name == "." || s.Name == ".." || filepath.Base(s.Name) != s.Name:
		bad("%w: name %q is not a plain file name (give the directory in Dir)", ErrOutside, s.Name)
	case strings.HasSuffix(s.Name, partialSuffix):
		bad("name %q: the suffix %s is for files being written", s.Name, partialSuffix)
	}
	if s.SizeBytes < chunkBytes || s.SizeBytes > maxTargetSize || s.SizeBytes%chunkBytes != 0 {
		bad("size of %d bytes: want a multiple of 1 MiB, 1 MiB to 1 PiB", s.SizeBytes)
	}
	if s.ReserveBytes < -1 {
		bad("reserve of %d bytes: want -1 for none, 0 for the default, or more", s.ReserveBytes)
	}
	return errors.Join(errs...)
}
