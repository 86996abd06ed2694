package sysmon

import (
	"errors"
	"fmt"
	"math/bits"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what to sample and how often. The zero Config samples this
// machine at 10 Hz without any disk. It is a plain value for the manifest.
type Config struct {
	Interval     time.Duration `json:"interval_ns"`             // tick length; 0 = 100 ms; 1 ms to 1 h
	ProcRoot     string        `json:"proc_root,omitempty"`     // "" = /proc
	SysRoot      string        `json:"sys_root,omitempty"`      // "" = /sys
	Device       string        `json:"device,omitempty"`        // kernel name under /sys/block, from DeviceOf; "" = no disk columns
	Epoch        time.Duration `json:"epoch_ns"`                // CLOCK_MONOTONIC instant that rows count from
	ServerCgroup string        `json:"server_cgroup,omitempty"` // cgroup as in /proc/PID/cgroup, e.g. /system.slice/llm.scope; "" = none
	ServerPID    int           `json:"server_pid,omitempty"`    // process to watch; 0 = none
	PageSize     int           `json:"page_size_bytes"`         // bytes per page; 0 = this kernel's (4096 or 65536 on Arm)
}

// ErrConfig marks a Config that cannot work.
var ErrConfig = errors.New("invalid configuration")

// Validate reports every field out of its range, wrapped in ErrConfig.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("sysmon: %w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if c.Interval != 0 && (c.Interval < time.Millisecond || c.Interval > time.Hour) {
		bad("interval %v is outside 1ms to 1h", c.Interval)
	}
	if strings.ContainsAny(c.Device, "/ ") || c.Device == "." || c.Device == ".." {
		bad("device %q is not a kernel name such as nvme0n1 (use DeviceOf to find it from a path)", c.Device)
	}
	if c.ServerPID < 0 {
		bad("server pid %d is negative", c.ServerPID)
	}
	if c.PageSize < 0 || (c.PageSize > 0 && bits.OnesCount(uint(c.PageSize)) != 1) {
		bad("page size %d bytes is not a power of two", c.PageSize)
	}
	if c.ServerCgroup != "" && (!strings.HasPrefix(c.ServerCgroup, "/") || strings.Contains(c.ServerCgroup, "..")) {
		bad("server cgroup %q is not a path as in /proc/PID/cgroup", c.ServerCgroup)
	}
	return errors.Join(errs...)
}

// withDefaults fills the zero fields.
func (c Config) withDefaults() Config {
	if c.Interval == 0 {
		c.Interval = 100 * time.Millisecond
	}
	if c.ProcRoot == "" {
		c.ProcRoot = "/proc"
	}
	if c.SysRoot == "" {
		c.SysRoot = "/sys"
	}
	if c.PageSize == 0 {
		c.PageSize = unix.Getpagesize()
	}
	return c
}

func (c Config) proc(elem ...string) string {
	return filepath.Join(append([]string{c.ProcRoot}, elem...)...)
}

func (c Config) sys(elem ...string) string {
	return filepath.Join(append([]string{c.SysRoot}, elem...)...)
}
