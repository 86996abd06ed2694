package fioctl

import "time"

// Calibration is what a device can do at one block size, and the jobs that
// bring it to levels of contention. It holds for one device, one fio and one
// target, and expires.
type Calibration struct {
	Schema      int           `json:"schema"`
	Fingerprint string        `json:"fingerprint"` // of device, fio, engine, block and target; see Fingerprint
	At          time.Time     `json:"at"`
	BlockBytes  int64         `json:"block_bytes"`
	Idle        Victim        `json:"idle"` // the probe without load
	Sweep       []Depth       `json:"sweep"`
	Max         Depth         `json:"max"` // the plateau: most I/Os at the least depth
	Levels      []Level       `json:"levels"`
	Took        time.Duration `json:"took_ns"`
}

// Depth is the device at one depth without a rate.
type Depth struct {
	Depth       int           `json:"depth"`
	IOPS        float64       `json:"iops"`
	BytesPerSec float64       `json:"bytes_per_sec"`
	ClatP50     time.Duration `json:"clat_p50_ns"`
	ClatP99     time.Duration `json:"clat_p99_ns"`
	RAwait      time.Duration `json:"r_await_ns"` // of the device
	AquSz       float64       `json:"aqu_sz"`
	UtilPct     float64       `json:"util_pct"` // reported, never steered by
}

// Aim is what a level is to reach. Exactly one of the three is set.
type Aim struct {
	Share         float64 `json:"share,omitempty"`          // of the maximum IOPS, (0,1]; 1 takes no rate
	AquSz         float64 `json:"aqu_sz,omitempty"`         // of the device
	ProbeMultiple float64 `json:"probe_multiple,omitempty"` // of the idle probe's median latency, above 1
}

// Level is a named contention and the job that makes it. A level without a job
// is the absence of load.
type Level struct {
	Name string `json:"name"` // "BASELINE", "MODERATE", "HEAVY", …
	Aim  Aim    `json:"aim"`
	Job  *Job   `json:"job,omitempty"`

	// As calibrated, alone on the device.
	IOPS     float64       `json:"iops,omitempty"`
	RAwait   time.Duration `json:"r_await_ns,omitempty"`
	AquSz    float64       `json:"aqu_sz,omitempty"`
	Victim   Victim        `json:"victim"`
	Miss     float64       `json:"miss"`      // |achieved/aimed − 1|
	Spread   float64       `json:"spread"`    // largest/least achieved over the repeats − 1
	CPUCores float64       `json:"cpu_cores"` // fio's own
}
