package sysmon

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/spark-harness/harness/internal/blockdev"
)

// Kernel files: /proc/PID/io and /proc/PID/stat.
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
//
//	read_bytes: 1459200
//	write_bytes: 314773504
//
// read_bytes counts what the process itself caused to be fetched from storage;
// in some containers it stays 0, and the cgroup's counters should be used.

func pidIOColumns() []Column {
	return []Column{
		{"raw_pid_rd_bytes", "B", KindCounter, "pid", "/proc/PID/io read_bytes"},
		{"raw_pid_wr_bytes", "B", KindCounter, "pid", "/proc/PID/io write_bytes"},
	}
}

// Slots of /proc/PID/stat.
const (
	pidMajflt = iota
	pidUtime
	pidStime
	pidThreads
	pidRSS
	pidBlkio
	pidSlots
)

func pidStatColumns() []Column {
	c := func(name, unit string, kind Kind, doc string) Column {
		return Column{name, unit, kind, "pid", "/proc/PID/stat " + doc}
	}
	return []Column{
		c("raw_pid_majflt", "faults", KindCounter, "field 12: major faults"),
		c("raw_pid_utime", "ticks of 10 ms", KindCounter, "field 14: user time"),
		c("raw_pid_stime", "ticks of 10 ms", KindCounter, "field 15: system time"),
		c("pid_threads", "threads", KindGauge, "field 20: threads"),
		c("pid_rss_pages", "pages", KindGauge, "field 24: resident pages"),
		c("raw_pid_blkio", "ticks of 10 ms", KindCounter, "field 42: block I/O delay; 0 unless kernel.task_delayacct is on"),
	}
}

func pidFormulas() []formula {
	const g = "pid"
	return []formula{
		rate(g, "pid_read_Bps", "B/s", 1, "D(raw_pid_rd_bytes)/dt; pidstat -d", "raw_pid_rd_bytes"),
		rate(g, "pid_write_Bps", "B/s", 1, "D(raw_pid_wr_bytes)/dt; pidstat -d", "raw_pid_wr_bytes"),
		rate(g, "pid_majflt_s", "1/s", 1, "D(raw_pid_majflt)/dt; pidstat -r", "raw_pid_majflt"),
		rate(g, "pid_cpu_pct", "% of one CPU", 1, "D(raw_pid_utime+raw_pid_stime)/dt; pidstat -u", "raw_pid_utime", "raw_pid_stime"),
		rate(g, "pid_delayacct_blkio_ms_s", "ms/s", 10, "D(raw_pid_blkio)·10/dt", "raw_pid_blkio"),
	}
}

// parsePidStat reads after the last parenthesis: a command name may hold
// blanks and parentheses of its own.
func parsePidStat(b []byte, dst []float64) error {
	fillNaN(dst)
	i := bytes.LastIndexByte(b, ')')
	if i < 0 {
		return errShape
	}
	b = bytes.TrimRight(b[i+1:], "\n")
	found := 0
	for field := 3; !blank(b); field++ {
		var w []byte
		w, b = word(b)
		slot := -1
		switch field {
		case 12:
			slot = pidMajflt
		case 14:
			slot = pidUtime
		case 15:
			slot = pidStime
		case 20:
			slot = pidThreads
		case 24:
			slot = pidRSS
		case 42:
			slot = pidBlkio
		default:
			continue
		}
		v, _, err := number(w)
		if err != nil {
			return err
		}
		dst[slot] = v
		found++
	}
	if found < pidSlots-1 { // field 42 came with Linux 2.6.18
		return errFields
	}
	return nil
}

// pidSources lists what the server's process offers.
func pidSources(c Config) []probe {
	pid := strconv.Itoa(c.ServerPID)
	io := newKeyed(map[string]int{"read_bytes": 0, "write_bytes": 1})
	return []probe{
		{pidIOColumns(), parsedProbe(c.proc(pid, "io"), io.parse)},
		{pidStatColumns(), func() (source, error) {
			s, err := newParsed(c.proc(pid, "stat"), parsePidStat)
			if err != nil {
				return nil, err
			}
			if blockdev.Attr(c.proc("sys/kernel/task_delayacct")) != "0" {
				return s, nil
			}
			return &hidden{s, pidBlkio, fmt.Errorf("sysmon: read block delay of pid %s: accounting is off (sysctl kernel.task_delayacct=1)", pid)}, nil
		}},
	}
}

// hidden is a source with one slot whose number the kernel prints but does not
// keep: it stays NaN.
type hidden struct {
	source
	slot int
	why  error
}

func (h *hidden) read(dst []float64) error {
	err := h.source.read(dst)
	fillNaN(dst[h.slot : h.slot+1])
	return err
}
