package fioctl

import (
	"time"
)

// Pattern is what a job does, in fio's words (rw=).
type Pattern string

// Patterns. Measured jobs read; writes wear the disk and are asked for by name.
const (
	RandRead  Pattern = "randread"
	Read      Pattern = "read"
	RandRW    Pattern = "randrw" // with ReadPercent
	RandWrite Pattern = "randwrite"
)

// Job is one load. It lands in the run's record, and together with [Fio] it
// determines the job file byte for byte. The zero value is not usable.
type Job struct {
	Name       string  `json:"name"`        // letters, digits, dash, underscore
	Pattern    Pattern `json:"pattern"`     // "" is RandRead
	ReadPct    int     `json:"read_pct"`    // of RandRW, 1 to 99
	BlockBytes int64   `json:"block_bytes"` // of one I/O: a multiple of 512, 512 B to 16 MiB
	// Depth is how many I/Os are in flight over all threads, 1 to 1,024. An
	// engine that cannot queue gets as many threads of depth 1.
	Depth int `json:"depth"`
	// Threads share Depth; 1 unless one submitting thread is too slow.
	Threads int `json:"threads"`
	// RateIOPS bounds the I/Os per second over all threads; 0 does not. Arrivals
	// are a Poisson process.
	RateIOPS float64 `json:"rate_iops,omitempty"`
	// Backstop ends the job even if nobody stops it: longer than any window.
	Backstop time.Duration `json:"backstop_ns"`
	// StatusEvery is the pace of live status, 100 ms at least; 0 means 250 ms.
	StatusEvery time.Duration `json:"status_every_ns,omitempty"`
	// CPUs pins fio's threads, as "0-3,8"; "" leaves them free.
	CPUs string `json:"cpus,omitempty"`
	Seed uint64 `json:"seed"` // of the offsets
	// Buffered goes through the page cache: only for a target in memory, whose
	// file system may know no direct I/O.
	Buffered bool `json:"buffered,omitempty"`
}
