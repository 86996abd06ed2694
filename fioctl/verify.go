package fioctl

import "time"

// Window is what was seen of one measured window, from its own evidence and
// from others'. NaN is absent.
type Window struct {
	Level Level
	Idle  Victim // the probe's calibration without load
	Start time.Duration
	End   time.Duration
	Run   *Run   // nil without load
	Seen  Victim // the probe in [Start, End)
	// Bytes read over the whole load, from before fio's start to after its end:
	// by the device, and by everybody else who counts (server, probe).
	DeviceBytes float64
	OtherBytes  float64
	AquSz       float64 // of the device in the window
	// Null is a load whose target is off the watched device: the device must
	// not have seen it.
	Null bool
}

// Verification says whether the window had the contention it was meant to have.
type Verification struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// Check is one condition of a verification.
type Check struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value,omitempty"` // nil: absent
	Limit float64  `json:"limit"`
	OK    bool     `json:"ok"`
}
