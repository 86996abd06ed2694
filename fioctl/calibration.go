package fioctl

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Calibration is what a device can do at one block size, and the jobs that
// bring it to levels of contention. It holds for one device, one fio and one
// target, and expires.
type Calibration struct {
	Schema      int       `json:"schema"`
	Fingerprint string    `json:"fingerprint"` // of device, fio, engine, block and target; see Fingerprint
	At          time.Time `json:"at"`
	BlockBytes  int64     `json:"block_bytes"`
	Idle        Victim    `json:"idle"` // the probe without load
	Sweep       []Depth   `json:"sweep"`
	// Plateau is the least depth from which doubling twice gains less than the
	// plan's Gain; 0 when the device still gained at the deepest.
	Plateau int `json:"plateau"`
	// Max is the device when it is saturated: at the plateau's depth, or deeper
	// where the plan wants that for contention. Shares are of its IOPS.
	Max    Depth         `json:"max"`
	Levels []Level       `json:"levels"` // in the plan's order, each stronger than the one before
	Took   time.Duration `json:"took_ns"`
}

// calibrationSchema is raised when a stored calibration would be misread.
const calibrationSchema = 1

// Depth is the device at one depth without a rate: medians over repeats.
type Depth struct {
	Depth       int           `json:"depth"`
	IOPS        float64       `json:"iops"`
	BytesPerSec float64       `json:"bytes_per_sec"`
	ClatP50     time.Duration `json:"clat_p50_ns"`
	ClatP99     time.Duration `json:"clat_p99_ns"`
	RAwait      time.Duration `json:"r_await_ns"` // of the device
	AquSz       float64       `json:"aqu_sz"`
	UtilPct     float64       `json:"util_pct"` // reported, never steered by
	Spread      float64       `json:"spread"`   // largest/least IOPS over the repeats − 1
	CPUCores    float64       `json:"cpu_cores"`
}

// Aim is what a level is to reach. Exactly one of the three is set; a level
// without load has none.
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

	// As calibrated, alone on the device: medians over repeats, the probe's
	// reads pooled.
	IOPS     float64       `json:"iops,omitempty"`
	RAwait   time.Duration `json:"r_await_ns,omitempty"`
	AquSz    float64       `json:"aqu_sz,omitempty"`
	Victim   Victim        `json:"victim"`
	Miss     float64       `json:"miss"`      // |achieved/aimed − 1|
	Spread   float64       `json:"spread"`    // largest/least IOPS over the repeats − 1
	CPUCores float64       `json:"cpu_cores"` // fio's own
}

// Level finds a level by its name.
func (c Calibration) Level(name string) (Level, bool) {
	for _, l := range c.Levels {
		if l.Name == name {
			return l, true
		}
	}
	return Level{}, false
}

// DefaultTTL is how long a calibration holds when nothing is known to have
// changed: a day.
const DefaultTTL = 24 * time.Hour

// ErrStale says that a calibration does not hold any more.
var ErrStale = errors.New("calibration does not hold any more")

// Fresh is nil while a calibration holds, and an ErrStale that says why when it
// does not: it is older than ttl (0 takes DefaultTTL), from the future, or of
// another device, fio, engine, target or block size.
func (c Calibration) Fresh(fingerprint string, now time.Time, ttl time.Duration) error {
	if ttl <= 0 {
		ttl = DefaultTTL
	}
	stale := func(format string, args ...any) error {
		return fmt.Errorf("fioctl: %w: "+format+" (calibrate again)", append([]any{ErrStale}, args...)...)
	}
	if c.Schema != calibrationSchema {
		return stale("it has schema %d, this program writes %d", c.Schema, calibrationSchema)
	}
	if c.Fingerprint != fingerprint {
		return stale("%s", differences(c.Fingerprint, fingerprint))
	}
	switch age := now.Sub(c.At); {
	case age < 0:
		return stale("it is dated %v in the future", -age.Round(time.Second))
	case age > ttl:
		return stale("it is %v old, %v are allowed", age.Round(time.Second), ttl)
	}
	return nil
}

// differences names the parts in which two fingerprints differ.
func differences(then, now string) string {
	parts := func(s string) (keys []string, of map[string]string) {
		of = map[string]string{}
		for p := range strings.SplitSeq(s, "; ") {
			k, v, _ := strings.Cut(p, "=")
			keys, of[k] = append(keys, k), v
		}
		return keys, of
	}
	keysThen, a := parts(then)
	keysNow, b := parts(now)
	var all []string
	for _, k := range append(keysThen, keysNow...) {
		if a[k] != b[k] {
			all = append(all, fmt.Sprintf("%s was %q and is %q", k, a[k], b[k]))
			a[k] = b[k] // name it once
		}
	}
	return strings.Join(all, ", ")
}
