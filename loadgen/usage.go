package loadgen

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// Usage is what this process used over a span of time.
type Usage struct {
	CPU time.Duration `json:"cpu_ns"` // user and system time
	GC  int64         `json:"gc"`     // garbage collections
	// GCPause is their total pause.
	GCPause time.Duration `json:"gc_pause_ns"`
	// PeakRSSBytes is the largest resident set since the process began.
	PeakRSSBytes int64 `json:"peak_rss_bytes"`
}

// ReadUsage reads what this process has used since it began; subtract two
// readings with Since.
func ReadUsage() (Usage, error) {
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &ru); err != nil {
		return Usage{}, fmt.Errorf("loadgen: read process usage: %w", err)
	}
	// The peak of getrusage outlives exec: it would be that of the shell which
	// became this program. The status file's is our own.
	self, err := procfs.Self()
	if err != nil {
		return Usage{}, fmt.Errorf("loadgen: read process usage: %w", err)
	}
	status, err := self.NewStatus()
	if err != nil {
		return Usage{}, fmt.Errorf("loadgen: read process usage: %w", err)
	}
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	return Usage{
		CPU:          time.Duration(ru.Utime.Nano() + ru.Stime.Nano()),
		GC:           gc.NumGC,
		GCPause:      gc.PauseTotal,
		PeakRSSBytes: int64(status.VmHWM),
	}, nil
}

// Since is what was used after an earlier reading.
func (u Usage) Since(earlier Usage) Usage {
	u.CPU -= earlier.CPU
	u.GC -= earlier.GC
	u.GCPause -= earlier.GCPause
	return u
}
