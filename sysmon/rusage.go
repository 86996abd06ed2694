package sysmon

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// selfUsage is what sampling costs: getrusage(2) for the process, which may be
// a load generator too, and for the sampler's own locked thread.
type selfUsage struct {
	proc, thread unix.Rusage
}

func selfColumns() []Column {
	return []Column{
		{"raw_self_cpu_us", "µs", KindCounter, "self", "getrusage(RUSAGE_SELF): user + system time of this process"},
		{"raw_sampler_cpu_us", "µs", KindCounter, "self", "getrusage(RUSAGE_THREAD): user + system time of the sampling thread, writing included"},
		{"self_maxrss_kB", "KiB", KindGauge, "self", "getrusage(RUSAGE_SELF): peak resident size of this process"},
	}
}

func selfFormulas() []formula {
	return []formula{
		rate("self", "self_cpu_pct", "% of one CPU", 1e-4, "D(raw_self_cpu_us)/dt in µs·100; pidstat -p", "raw_self_cpu_us"),
		rate("self", "sampler_cpu_pct", "% of one CPU", 1e-4, "D(raw_sampler_cpu_us)/dt in µs·100", "raw_sampler_cpu_us"),
	}
}

func (s *selfUsage) read(dst []float64) error {
	fillNaN(dst)
	if err := unix.Getrusage(unix.RUSAGE_SELF, &s.proc); err != nil {
		return fmt.Errorf("sysmon: read getrusage: %w", err)
	}
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &s.thread); err != nil {
		return fmt.Errorf("sysmon: read getrusage: %w", err)
	}
	dst[0], dst[1], dst[2] = cpuMicros(&s.proc), cpuMicros(&s.thread), float64(s.proc.Maxrss)
	return nil
}

func (s *selfUsage) close() error { return nil }

func cpuMicros(r *unix.Rusage) float64 {
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1000
}
