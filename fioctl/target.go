package fioctl

import "github.com/spark-harness/harness/internal/blockdev"

// Target is a file full of incompressible bytes that jobs read. It is made
// once and found again by its fingerprint.
type Target struct {
	Path      string          `json:"path"` // real path, inside the directory given
	SizeBytes int64           `json:"size_bytes"`
	Seed      uint64          `json:"seed"`
	Device    blockdev.Device `json:"device"`           // below the file; zero in memory
	Memory    bool            `json:"memory,omitempty"` // on tmpfs: only for a null load
	Reused    bool            `json:"reused"`           // found, not written
}
