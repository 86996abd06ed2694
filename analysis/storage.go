package analysis

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/jsonl"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// Conditions of an arm whose storage is treated.
const (
	ConditionPaging    = "paging"    // the server pages, and its disk is shared
	ConditionComfy     = "comfy"     // the server's memory holds everything, its disk is shared
	ConditionNull      = "null"      // the server pages; the load reads off its disk
	ConditionComfyNull = "comfynull" // the server's memory holds everything; the load reads off its disk
	ConditionThrottled = "throttled" // the server pages under limits of its own
)

// Storage is what an arm is to do to the disk: part of plan.json and arm.json.
type Storage struct {
	Condition string       `json:"condition"`
	Level     fioctl.Level `json:"level"` // with its job; a level without one is no load
	// Target is what the job reads; OffDevice says that it is not on the watched
	// disk.
	Target    *fioctl.Target  `json:"target,omitempty"`
	OffDevice bool            `json:"off_device,omitempty"`
	Limits    *spark.IOLimits `json:"limits,omitempty"` // of a throttled server
	Probe     fioctl.Probe    `json:"probe"`
	Idle      fioctl.Victim   `json:"idle"` // the probe without load, as calibrated
}

// Null says that the load is meant to read off the watched disk.
func (s *Storage) Null() bool {
	return s.Condition == ConditionNull || s.Condition == ConditionComfyNull
}

// Comfy says that the server's memory is meant to hold everything.
func (s *Storage) Comfy() bool {
	return s.Condition == ConditionComfy || s.Condition == ConditionComfyNull
}

// Contention is the evidence of what an arm's storage treatment did.
type Contention struct {
	Run  *fioctl.Run   // nil without load
	Seen fioctl.Victim // the probe in the measured window
	// ProbeMBPerSec, FioMBPerSec and FioIOPS are over the measured window, 0
	// without load, NaN where fio did not tell.
	ProbeMBPerSec, FioMBPerSec, FioIOPS float64
	// ServerReadMs is the server's own mean wait of one read from its disk tier,
	// over the arm; NaN where it does not tell or read nothing.
	ServerReadMs float64
	Throttle     *ThrottleRecord // nil without limits
	Verification fioctl.Verification

	window fioctl.Window // what Verification is judged from
}

// ThrottleRecord is throttle.json: what became of an arm's limits.
type ThrottleRecord struct {
	Limits  spark.IOLimits `json:"limits"`
	Version int            `json:"cgroup_version"`
	Fault   string         `json:"fault,omitempty"` // not in force when checked after the load
}

// Fault says what an arm's storage treatment lacked, "" when it is proven.
func (c *Contention) Fault() string {
	switch {
	case c == nil:
		return "no storage record"
	case c.Throttle != nil && c.Throttle.Fault != "":
		return c.Throttle.Fault
	case c.Verification.OK:
		return ""
	}
	var failed []string
	for _, check := range c.Verification.Checks {
		if !check.OK {
			failed = append(failed, checkText(check))
		}
	}
	if c.Run != nil && c.Run.Fault != "" {
		failed = append([]string{c.Run.Fault}, failed...)
	}
	return strings.Join(failed, "; ")
}

func checkText(c fioctl.Check) string {
	value := "absent"
	if c.Value != nil {
		value = fmt.Sprintf("%.3g", *c.Value)
	}
	return fmt.Sprintf("%s is %s (limit %.3g)", c.Name, value, c.Limit)
}

// DiskInBytes is what the server says it read back from a disk over the arm,
// idle edge to idle edge: from any tier where it does not tell them apart, NaN
// where it tells nothing.
func (m *Measured) DiskInBytes() float64 {
	switch s := m.Server; {
	case s.DiskInBytes != nil:
		return *s.DiskInBytes
	case s.TierInBytes != nil:
		return *s.TierInBytes
	}
	return math.NaN()
}

// readContention reads what an arm left of its storage treatment.
func (m *Measured) readContention(dir string) error {
	if m.Storage == nil {
		return nil
	}
	c := &Contention{ServerReadMs: math.NaN()}
	samples, err := readSamples(filepath.Join(dir, "probe.jsonl.zst"))
	if err != nil {
		return err
	}
	if c.Run, err = readOptional[fioctl.Run](filepath.Join(dir, "fio.json")); err != nil {
		return err
	}
	if c.Throttle, err = readOptional[ThrottleRecord](filepath.Join(dir, "throttle.json")); err != nil {
		return err
	}
	w, probe := m.Summary.Window, m.Storage.Probe
	c.Seen = fioctl.Reduce(between(samples, w), probe.Period())
	c.ProbeMBPerSec = float64(probe.BytesRead(c.Seen.Reads)) / 1e6 / w.Length().Seconds()
	probed := len(slices.Collect(between(samples, m.Idle)))
	if c.Run != nil {
		bytes, ios, ok := c.Run.ReadBetween(w.Start, w.End)
		if !ok {
			bytes, ios = math.NaN(), math.NaN()
		}
		c.FioMBPerSec, c.FioIOPS = bytes/1e6/w.Length().Seconds(), ios/w.Length().Seconds()
	}
	if s := m.Server; s.DiskReadSum != nil && s.DiskReadCount != nil && *s.DiskReadCount > 0 {
		c.ServerReadMs = 1e3 * *s.DiskReadSum / *s.DiskReadCount
	}
	c.window = fioctl.Window{
		Level: m.Storage.Level, Idle: m.Storage.Idle, Start: w.Start, End: w.End,
		Run: c.Run, Seen: c.Seen, AquSz: m.Telemetry.AquSz, Null: m.Storage.Null(),
		DeviceBytes: m.Telemetry.ReadBytes,
		OtherBytes:  m.DiskInBytes() + float64(probe.BytesRead(probed)),
	}
	m.Contention = c
	return nil
}

// verifyContention judges every window that had a treatment. A null load is
// compared with the arm of its block that had the same server load and no other.
func verifyContention(arms []*Measured) {
	type place struct {
		block int
		comfy bool
	}
	unloaded := map[place]fioctl.Victim{}
	for _, m := range arms {
		if s := m.Storage; s != nil && s.Level.Job == nil && s.Limits == nil {
			unloaded[place{m.Block, s.Comfy()}] = m.Contention.Seen
		}
	}
	for _, m := range arms {
		if m.Storage != nil {
			m.Contention.window.Unloaded = unloaded[place{m.Block, m.Storage.Comfy()}]
			m.Contention.Verification = fioctl.Verify(m.Contention.window)
		}
	}
}

func readSamples(path string) ([]fioctl.Sample, error) {
	var samples []fioctl.Sample
	for s, err := range jsonl.Read[fioctl.Sample](path) {
		if err != nil {
			return nil, fmt.Errorf("analysis: read probe: %w: %w", err, damageOf(err))
		}
		samples = append(samples, s)
	}
	return samples, nil
}

func between(samples []fioctl.Sample, w loadgen.Window) iter.Seq[fioctl.Sample] {
	return fioctl.Between(slices.Values(samples), w.Start, w.End)
}

// readOptional reads a JSON file that an arm need not have left.
func readOptional[T any](path string) (*T, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	v := new(T)
	return v, readJSON(path, v)
}
