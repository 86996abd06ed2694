package fioctl

import "time"

// Result is one document of fio's JSON output, reduced to what is used. Fields
// that a version of fio does not tell are zero, maps and slices nil; a float
// that fio prints as nan or inf is zero too.
type Result struct {
	Version string    `json:"fio_version"` // as fio prints it: "fio-3.33"
	At      time.Time `json:"at"`          // wall clock when fio wrote the document (timestamp_ms)
	// JobStart is the wall clock when the first job began, to the millisecond;
	// zero before fio 3.36.
	JobStart time.Time `json:"job_start,omitzero"`
	Errno    int       `json:"errno"` // first error of a job that is not 0
	Jobs     int       `json:"jobs"`  // entries merged
	Read     Direction `json:"read"`
	Write    Direction `json:"write"`
	// DepthShare is iodepth_level: the share, in [0,1], of I/Os that found at
	// least this many in flight (keys 1, 2, 4, … 64), up to the next key. fio
	// prints any share below 0.001 that is not 0 as 0.001 or 0.0001.
	DepthShare map[int]float64 `json:"depth_share,omitempty"`
	UserCPU    float64         `json:"user_cpu"`   // cores over all threads, of the longest direction's runtime
	SystemCPU  float64         `json:"system_cpu"` // cores, likewise
	Disks      []DiskUtil      `json:"disks,omitempty"`
}

// Direction is the reads or the writes of a result. Mid-run its counts are
// taken one after the other while I/O flows, so they differ by what was in
// flight; at the end they agree.
type Direction struct {
	Bytes   int64         `json:"bytes"`
	IOs     int64         `json:"ios"`
	Short   int64         `json:"short_ios,omitempty"`
	Dropped int64         `json:"dropped_ios,omitempty"`
	Runtime time.Duration `json:"runtime_ns"` // whole milliseconds, of the longest thread
	Slat    Latency       `json:"slat"`       // submission
	Clat    Latency       `json:"clat"`       // submission to completion: what the verdicts read
	Lat     Latency       `json:"lat"`        // both
}

// IOPS is the mean rate of I/Os over Runtime; 0 without a runtime. Like fio's
// own it is a mean over the run, not of samples.
func (d Direction) IOPS() float64 { return d.perSec(d.IOs) }

// BytesPerSec is the mean rate over Runtime; 0 without a runtime.
func (d Direction) BytesPerSec() float64 { return d.perSec(d.Bytes) }

func (d Direction) perSec(n int64) float64 {
	if d.Runtime <= 0 {
		return 0
	}
	return float64(n) / d.Runtime.Seconds()
}

// Latency is one of fio's latency blocks. Its values are nanoseconds.
type Latency struct {
	N      int64         `json:"n"`
	Min    time.Duration `json:"min_ns"`
	Max    time.Duration `json:"max_ns"`
	Mean   float64       `json:"mean_ns"`
	Stddev float64       `json:"stddev_ns"`
	// Percentiles are fio's own, by quantile in [0,1]. Percentiles of several
	// jobs cannot be merged: there are none then. See Quantile.
	Percentiles map[float64]time.Duration `json:"-"`
	// Bins are the json+ buckets, ascending. Each covers at most 1/64 of its
	// value. In the last document their sum is N; mid-run the two may differ by
	// the I/Os in flight.
	Bins []Bin `json:"bins,omitempty"`
}

// Bin is one json+ bucket: its value in fio's output, the middle of what it
// covers, and how many I/Os fell in.
type Bin struct {
	Value time.Duration `json:"ns"`
	Count int64         `json:"n"`
}

// DiskUtil is fio's own account of a disk. Reported, never steered by.
type DiskUtil struct {
	Name     string  `json:"name"`
	ReadIOs  int64   `json:"read_ios"`
	WriteIOs int64   `json:"write_ios"`
	UtilPct  float64 `json:"util_pct"`
	// Sectors of 512 bytes; 0 where fio does not tell, as 3.33.
	ReadSectors  int64 `json:"read_sectors,omitempty"`
	WriteSectors int64 `json:"write_sectors,omitempty"`
}
