package smart

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// UnitBytes is one Data Unit: 1000 blocks of 512 B, whatever the disk's own
// block size.
const UnitBytes = 1000 * 512

// PageBytes is the size of the SMART / Health Information log.
const PageBytes = 512

// ErrShape means that what a source gave is not a SMART log.
var ErrShape = errors.New("not a SMART / Health Information log")

// Log is the SMART / Health Information log. A nil field is one that the source
// does not give.
type Log struct {
	HostReads     *Counter `json:"host_reads,omitempty"`  // read commands completed
	HostWrites    *Counter `json:"host_writes,omitempty"` // write commands completed
	UnitsRead     *Counter `json:"data_units_read,omitempty"`
	UnitsWritten  *Counter `json:"data_units_written,omitempty"`
	BusyMinutes   *Counter `json:"controller_busy_time_min,omitempty"`
	PowerCycles   *Counter `json:"power_cycles,omitempty"`
	PowerOnHours  *Counter `json:"power_on_hours,omitempty"`
	UnsafeOffs    *Counter `json:"unsafe_shutdowns,omitempty"`
	MediaErrors   *Counter `json:"media_errors,omitempty"`
	Warnings      *int64   `json:"critical_warning_bits,omitempty"`
	PercentUsed   *int64   `json:"percentage_used,omitempty"` // of the rated life; may exceed 100
	SpareLeft     *int64   `json:"available_spare_pct,omitempty"`
	TempCelsius   *int64   `json:"temperature_celsius,omitempty"` // composite
	WarmMinutes   *int64   `json:"warning_temp_time_min,omitempty"`
	HotMinutes    *int64   `json:"critical_temp_time_min,omitempty"`
	Throttles1    *int64   `json:"thermal_throttle_1_count,omitempty"`
	Throttles2    *int64   `json:"thermal_throttle_2_count,omitempty"`
	ThrottledSec1 *int64   `json:"thermal_throttle_1_sec,omitempty"`
	ThrottledSec2 *int64   `json:"thermal_throttle_2_sec,omitempty"`
}

const kelvinAtZero = 273

// ParsePage reads the log page as the controller gives it (NVM Express Base
// Specification 2.0, figure 207). ErrShape unless b has PageBytes, or where the
// page is all zero, as of a controller that has none.
func ParsePage(b []byte) (Log, error) {
	if len(b) != PageBytes {
		return Log{}, fmt.Errorf("smart: read log page: %w: %d bytes (want %d)", ErrShape, len(b), PageBytes)
	}
	if allZero(b) {
		return Log{}, fmt.Errorf("smart: read log page: %w: it is empty", ErrShape)
	}
	wide := func(at int) *Counter { return new(counterOf(b[at : at+16])) }
	word := func(at int) *int64 { return new(int64(binary.LittleEndian.Uint32(b[at:]))) }
	l := Log{
		Warnings: new(int64(b[0])), SpareLeft: new(int64(b[3])), PercentUsed: new(int64(b[5])),
		UnitsRead: wide(32), UnitsWritten: wide(48), HostReads: wide(64), HostWrites: wide(80),
		BusyMinutes: wide(96), PowerCycles: wide(112), PowerOnHours: wide(128), UnsafeOffs: wide(144), MediaErrors: wide(160),
		WarmMinutes: word(192), HotMinutes: word(196),
		Throttles1: word(216), Throttles2: word(220), ThrottledSec1: word(224), ThrottledSec2: word(228),
	}
	if kelvin := int64(binary.LittleEndian.Uint16(b[1:])); kelvin > 0 {
		l.TempCelsius = new(kelvin - kelvinAtZero)
	}
	return l, nil
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
