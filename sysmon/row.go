package sysmon

import (
	"maps"
	"slices"
	"time"
)

// Row is one tick. Values belongs to the sampler and is overwritten by the next
// tick: keep a copy with Clone.
type Row struct {
	T      time.Duration // middle of the reads, since the epoch
	Values []float64     // one per column of Meta.Columns; NaN = absent
	Faults []Fault       // sources that began or ceased to fail at this tick; usually nil
}

// Clone is a copy that outlives the callback.
func (r Row) Clone() Row {
	return Row{r.T, slices.Clone(r.Values), slices.Clone(r.Faults)}
}

// Fault is a source that stopped delivering during a run, such as a disk that
// was removed. Its columns are NaN from T on, until a Fault with Over set.
type Fault struct {
	T      time.Duration `json:"t_ns"`           // since the epoch
	Group  string        `json:"group"`          // Column.Group of the source
	Column string        `json:"column"`         // its first raw column
	Reason string        `json:"reason"`         // the error's text; "" when over
	Over   bool          `json:"over,omitempty"` // true: the source delivers again
}

// Meta is what a record says about itself.
type Meta struct {
	Schema    int               `json:"schema"`               // SchemaVersion
	Epoch     time.Duration     `json:"epoch_ns"`             // CLOCK_MONOTONIC instant that times count from
	Interval  time.Duration     `json:"interval_ns"`          // intended tick length
	Device    string            `json:"device,omitempty"`     // kernel name of the watched disk; "" = none
	MajMin    string            `json:"maj_min,omitempty"`    // its device number
	PageBytes int               `json:"page_size_bytes"`      // bytes per page
	CPUs      int               `json:"cpus"`                 // CPUs the shares are of
	Cgroup    string            `json:"cgroup,omitempty"`     // the server's cgroup; "" = none
	PID       int               `json:"server_pid,omitempty"` // the server's process; 0 = none
	Columns   []Column          `json:"-"`                    // in the order of Row.Values
	Missing   map[string]string `json:"-"`                    // column -> why it is not here
}

// SchemaVersion is the version of the record that this package writes.
const SchemaVersion = 1

// Clone is a deep copy.
func (m Meta) Clone() Meta {
	m.Columns = slices.Clone(m.Columns)
	m.Missing = maps.Clone(m.Missing)
	return m
}
