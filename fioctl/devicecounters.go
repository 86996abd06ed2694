package fioctl

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// Kernel file: /proc/diskstats, a line per device: major, minor, name, and then
// 11 fields, 15 since 4.18 (discards), 17 since 5.5 (flushes).
// https://docs.kernel.org/admin-guide/iostats.html
//
//	254       0 vda 117992 211608 158402626 76316 25646 56325 34324640 20660 0 58440 98573 5871 0 11400960 1518 1617 78
//
// Sectors are 512 bytes whatever the device's own are. Ticks are whole
// milliseconds in 32 bits and wrap.

// DeviceCounters are a device's own totals at an instant.
type DeviceCounters struct {
	T            time.Duration `json:"t_ns"` // CLOCK_MONOTONIC
	ReadIOs      uint64        `json:"read_ios"`
	ReadSectors  uint64        `json:"read_sectors"` // of 512 bytes
	ReadTicksMs  uint32        `json:"read_ticks_ms"`
	WriteIOs     uint64        `json:"write_ios"`
	WriteSectors uint64        `json:"write_sectors"`
	IOTicksMs    uint32        `json:"io_ticks_ms"`
	WeightedMs   uint32        `json:"weighted_ms"`
}

// DeviceActivity is what a device did between two readings of its counters.
type DeviceActivity struct {
	Elapsed    time.Duration `json:"elapsed_ns"`
	ReadBytes  float64       `json:"read_bytes"`
	ReadIOs    float64       `json:"read_ios"`
	WriteBytes float64       `json:"write_bytes"`
	WriteIOs   float64       `json:"write_ios"`
	// RAwait is the mean wait of a read, Δread_ticks/Δreads, in the block layer
	// and the device; 0 without reads.
	RAwait  time.Duration `json:"r_await_ns"`
	AquSz   float64       `json:"aqu_sz"`   // mean I/Os in flight: Δweighted/Δt
	UtilPct float64       `json:"util_pct"` // Δio_ticks/Δt; reported, never steered by
}

const sectorBytes = 512

// ReadDeviceCounters reads the counters of a whole disk by its kernel name. The
// root is "" for /proc. A device without a line is ErrNoCounters.
func ReadDeviceCounters(procRoot, device string) (DeviceCounters, error) {
	path := filepath.Join(cmp.Or(procRoot, "/proc"), "diskstats")
	text, err := os.ReadFile(path)
	if err != nil {
		return DeviceCounters{}, fmt.Errorf("fioctl: read device counters: %w: %w", ErrNoCounters, err)
	}
	now := clock.New().Now()
	c, err := parseDiskstats(text, device)
	if err != nil {
		return DeviceCounters{}, fmt.Errorf("fioctl: read %s: %w", path, err)
	}
	c.T = now
	return c, nil
}

func parseDiskstats(text []byte, device string) (DeviceCounters, error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		f := bytes.Fields(lines.Bytes())
		if len(f) < 3 || string(f[2]) != device {
			continue
		}
		if f = f[3:]; len(f) < 11 {
			return DeviceCounters{}, fmt.Errorf("%w: line of %q has %d counters, at least 11 expected", ErrNoCounters, device, len(f))
		}
		var v [11]uint64
		for i := range v {
			n, err := strconv.ParseUint(string(f[i]), 10, 64)
			if err != nil {
				return DeviceCounters{}, fmt.Errorf("%w: field %d of %q: %w", ErrNoCounters, i+1, device, err)
			}
			v[i] = n
		}
		return DeviceCounters{
			ReadIOs: v[0], ReadSectors: v[2], ReadTicksMs: uint32(v[3]),
			WriteIOs: v[4], WriteSectors: v[6], IOTicksMs: uint32(v[9]), WeightedMs: uint32(v[10]),
		}, nil
	}
	if err := lines.Err(); err != nil {
		return DeviceCounters{}, fmt.Errorf("%w: %w", ErrNoCounters, err)
	}
	return DeviceCounters{}, fmt.Errorf("%w: no line for %q (use the kernel name of a whole disk, as blockdev finds it)", ErrNoCounters, device)
}

// Since is the activity from an earlier reading to this one. Without time
// between them, or after counters that went back (the device was removed and
// came again), it is the zero DeviceActivity.
func (c DeviceCounters) Since(earlier DeviceCounters) DeviceActivity {
	dt := c.T - earlier.T
	if dt <= 0 || c.ReadIOs < earlier.ReadIOs || c.ReadSectors < earlier.ReadSectors ||
		c.WriteIOs < earlier.WriteIOs || c.WriteSectors < earlier.WriteSectors {
		return DeviceActivity{}
	}
	a := DeviceActivity{
		Elapsed:    dt,
		ReadBytes:  float64(c.ReadSectors-earlier.ReadSectors) * sectorBytes,
		ReadIOs:    float64(c.ReadIOs - earlier.ReadIOs),
		WriteBytes: float64(c.WriteSectors-earlier.WriteSectors) * sectorBytes,
		WriteIOs:   float64(c.WriteIOs - earlier.WriteIOs),
	}
	ms := float64(dt) / float64(time.Millisecond)
	// Unsigned differences of 32 bits are right across one wrap.
	a.AquSz = float64(c.WeightedMs-earlier.WeightedMs) / ms
	a.UtilPct = min(100, 100*float64(c.IOTicksMs-earlier.IOTicksMs)/ms)
	if a.ReadIOs > 0 {
		ticks := float64(c.ReadTicksMs-earlier.ReadTicksMs) * float64(time.Millisecond)
		a.RAwait = time.Duration(math.Round(ticks / a.ReadIOs))
	}
	return a
}
