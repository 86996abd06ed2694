package smart

import (
	"encoding/json"
	"errors"
	"time"
)

// Sources of a snapshot, best first.
const (
	SourceIoctl    = "nvme-ioctl" // the log page, from the controller itself
	SourceSmartctl = "smartctl"   // smartctl --json -A
	SourceNVMeCLI  = "nvme-cli"   // nvme smart-log -o json
	// SourceDiskstats is the stand-in where the disk has no log, or nobody may
	// read it: the block layer's counters alone.
	SourceDiskstats = "diskstats"
)

// Conditions under which a source has nothing to give.
var (
	// ErrNoLog means that the disk has no NVMe log, or no way to it leads from here.
	ErrNoLog = errors.New("no NVMe log (virtio, SATA and joint devices have none; pass the NVMe disk itself through)")
	// ErrNotRoot means that the log may not be read by this user.
	ErrNotRoot = errors.New("reading the NVMe log needs root (run as root, or with CAP_SYS_ADMIN)")
	// ErrNoTool means that a tool is not installed.
	ErrNoTool = errors.New("tool not found")
)

// Snapshot is what a disk and the kernel had counted at one moment. Its JSON is
// smart-pre.json and smart-post.json of an arm.
type Snapshot struct {
	Asked  string `json:"asked"`            // the device as it was named
	Device string `json:"device,omitempty"` // the disk at the bottom of it, whose counters these are
	// Source is one of the sources above; "" where nothing could be read, and
	// Absent says why.
	Source string `json:"source,omitempty"`
	Absent string `json:"absent,omitempty"`
	// Tried says why the sources before Source did not do.
	Tried []Attempt `json:"tried,omitempty"`
	// At is when the reading began and Took how long it lasted; instants count
	// from the run's epoch.
	At   time.Duration `json:"at_ns"`
	Took time.Duration `json:"took_ns"`

	Model    string `json:"model,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	// SerialHash tells disks apart without naming them: the first 12 hex digits of
	// the serial number's SHA-256.
	SerialHash string `json:"serial_sha256_12,omitempty"`

	Log  *Log            `json:"log,omitempty"`      // nil with the stand-in
	Page []byte          `json:"log_page,omitempty"` // raw, where the source is the ioctl
	Raw  json.RawMessage `json:"raw,omitempty"`      // a tool's output, without what identifies the disk

	Block  *Block `json:"block,omitempty"` // of Device, right after the log
	Paged  *Paged `json:"paged,omitempty"` // of all disks
	Limits Limits `json:"limits"`
}

// Attempt is a source that did not do.
type Attempt struct {
	Source string `json:"source"`
	Reason string `json:"reason"` // with its remedy
}

// Why says why s is no log: the first source's reason, "" where it is one.
func (s Snapshot) Why() string {
	switch {
	case s.Absent != "":
		return s.Absent
	case s.Log != nil || len(s.Tried) == 0:
		return ""
	}
	return s.Tried[0].Reason
}
