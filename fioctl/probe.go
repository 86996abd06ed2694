package fioctl

import "time"

// Probe is a victim: a reader of depth 1 at a small fixed rate, direct, on the
// server's file system. Its latency is what one read meets there.
type Probe struct {
	Path       string  `json:"path"` // a target's file
	SizeBytes  int64   `json:"size_bytes"`
	BlockBytes int64   `json:"block_bytes"`
	PerSec     float64 `json:"per_sec"` // reads per second, 1 to 200
	Seed       uint64  `json:"seed"`    // of the offsets
}

// Sample is one read of a probe; instants count from the epoch given to Run.
type Sample struct {
	Due   time.Duration `json:"due_ns"`
	Start time.Duration `json:"start_ns"`
	End   time.Duration `json:"end_ns"`
}

// Victim is a probe's samples reduced: the time from start to end.
type Victim struct {
	Reads int           `json:"reads"`
	Late  int           `json:"late"` // started more than one period after due
	P50   time.Duration `json:"p50_ns"`
	P95   time.Duration `json:"p95_ns"`
	P99   time.Duration `json:"p99_ns"`
	Mean  time.Duration `json:"mean_ns"`
}
