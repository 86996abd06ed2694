package fioctl

import "time"

// Result is one document of fio's JSON output, reduced to what is used. Fields
// that a version of fio does not tell are zero, maps and slices nil.
type Result struct {
	Version string    `json:"fio_version"` // as fio prints it: "fio-3.33"
	At      time.Time `json:"at"`          // wall clock when fio wrote the document (timestamp_ms)
	Errno   int       `json:"errno"`       // first error of a job that is not 0
	Jobs    int       `json:"jobs"`        // entries merged
	Read    Direction `json:"read"`
	Write   Direction `json:"write"`
	// DepthShare is iodepth_level: the share, in [0,1], of I/Os that found at
	// least this many in flight (keys 1, 2, 4, … 64), up to the next key.
	DepthShare map[int]float64 `json:"depth_share,omitempty"`
	UserCPU    float64         `json:"user_cpu"`   // cores, of the job's elapsed time
	SystemCPU  float64         `json:"system_cpu"` // cores
	Disks      []DiskUtil      `json:"disks,omitempty"`
}

// Direction is the reads or the writes of a result.
type Direction struct {
	Bytes   int64         `json:"bytes"`
	IOs     int64         `json:"ios"`
	Short   int64         `json:"short_ios,omitempty"`
	Dropped int64         `json:"dropped_ios,omitempty"`
	Runtime time.Duration `json:"runtime_ns"`
	Slat    Latency       `json:"slat"` // submission
	Clat    Latency       `json:"clat"` // submission to completion: what the verdicts read
	Lat     Latency       `json:"lat"`  // both
}

// Latency is one of fio's latency blocks.
type Latency struct {
	N      int64         `json:"n"`
	Min    time.Duration `json:"min_ns"`
	Max    time.Duration `json:"max_ns"`
	Mean   float64       `json:"mean_ns"`
	Stddev float64       `json:"stddev_ns"`
	// Percentiles are fio's own, by quantile in [0,1].
	Percentiles map[float64]time.Duration `json:"-"`
	// Bins are the json+ buckets, ascending. Each covers less than 1/64 of its
	// value. Mid-run their sum trails the count by the I/Os in flight.
	Bins []Bin `json:"bins,omitempty"`
}

// Bin is one json+ bucket: its value in fio's output and how many I/Os fell in.
type Bin struct {
	Value time.Duration `json:"ns"`
	Count int64         `json:"n"`
}

// DiskUtil is fio's own account of a disk. Reported, never steered by.
type DiskUtil struct {
	Name    string  `json:"name"`
	UtilPct float64 `json:"util_pct"`
}
