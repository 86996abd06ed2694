package fioctl

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ErrName means that a path cannot be written into a job file.
var ErrName = errors.New("path cannot stand in a job file")

// File is the job file that fio reads: the same bytes for the same arguments.
// The target must be an absolute path of a file of at least size bytes, at
// least one block. The error is [ErrJob], [ErrName] or [ErrNoEngine].
func (j Job) File(f Fio, target string, size int64) ([]byte, error) {
	text, err := j.file(f, target, size)
	if err != nil {
		return nil, fmt.Errorf("fioctl: make job file: %w", err)
	}
	return text, nil
}

func (j Job) file(f Fio, target string, size int64) ([]byte, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	if f.Engine != EngineURing && f.Engine != EngineLibaio && f.Engine != EnginePsync {
		return nil, fmt.Errorf("%w: %q", ErrNoEngine, f.Engine)
	}
	name, err := escapeName(target)
	if err != nil {
		return nil, err
	}
	if size < j.BlockBytes {
		return nil, fmt.Errorf("%w: block_bytes %d is more than the target's %d", ErrJob, j.BlockBytes, size)
	}
	var b bytes.Buffer
	set := func(key string, value any) { fmt.Fprintf(&b, "%s=%v\n", key, value) }
	parts := j.parts(f.Engine)
	b.WriteString("[global]\n")
	// The clock that all of a run shares. It also spares fio's start a test of
	// the processor's counter.
	set("clocksource", "clock_gettime")
	set("ioengine", f.Engine)
	set("direct", flag(!j.Buffered))
	set("rw", j.pattern())
	if j.pattern() == RandRW {
		set("rwmixread", j.ReadPct)
	}
	set("bs", j.BlockBytes)
	set("iodepth", parts[0].depth)
	set("filename", name)
	set("size", size/j.BlockBytes*j.BlockBytes)
	for _, line := range fixed {
		b.WriteString(line + "\n")
	}
	set("randseed", seedOf(j.Seed))
	set("runtime", fmt.Sprintf("%dms", j.Backstop/time.Millisecond))
	if j.CPUs != "" {
		set("cpus_allowed", j.CPUs)
	}
	for i, p := range parts {
		fmt.Fprintf(&b, "[%s", j.Name)
		if i > 0 {
			fmt.Fprintf(&b, ".%d", i)
		}
		b.WriteString("]\n")
		set("numjobs", p.threads)
		if p.rate > 0 {
			set("rate_iops", j.rateOf(p.rate))
			set("rate_process", "poisson")
		}
	}
	return b.Bytes(), nil
}

// fixed is what every job file says.
var fixed = []string{
	"thread=1", // a killed fio leaves no worker processes
	"group_reporting=1",
	"allow_file_create=0", "fallocate=none", "unlink=0",
	"invalidate=0", // direct I/O does not meet the cache; the server's pages are its own
	// With randrepeat fio ignores randseed for the offsets, and starts them
	// over each time that it has read as much as the file holds.
	"randrepeat=0", "norandommap=1", "random_generator=tausworthe64",
	"time_based=1",
	"clat_percentiles=1", "lat_percentiles=1", "percentile_list=50:90:95:99:99.9",
	"disk_util=0", // the walk through sysfs delays the start; the harness watches the device itself
	"nice=19",     // never at the expense of server or client
	"exitall_on_error=1",
}

// part is a set of like threads.
type part struct {
	threads, depth int
	rate           int // I/Os per second of each thread, 0 for no bound
}

// parts shares depth and rate out over threads. fio's rate is a whole number
// for each thread, and 0 would mean no bound: so some threads may have a rate
// higher by one, and there are no more threads than I/Os a second. Of threads
// with depth 1 there are so few that none rests for long: fio's status and its end
// wait for all of them.
func (j Job) parts(e Engine) []part {
	threads, depth := max(j.Threads, 1), 1
	if e == EnginePsync {
		threads = j.Depth
	} else {
		depth = j.Depth / threads
	}
	if j.RateIOPS == 0 {
		return []part{{threads: threads, depth: depth}}
	}
	rate := int(math.Round(j.RateIOPS))
	if e == EnginePsync {
		threads = min(threads, max(1, rate/leastPsyncRate))
	}
	threads = min(threads, rate)
	each, more := rate/threads, rate%threads
	if more == 0 {
		return []part{{threads, depth, each}}
	}
	return []part{{more, depth, each + 1}, {threads - more, depth, each}}
}

// rateOf writes a thread's rate. fio holds each direction to a rate of its own:
// a mix gets two, neither 0.
func (j Job) rateOf(rate int) string {
	if j.pattern() != RandRW {
		return strconv.Itoa(rate)
	}
	reads := max(1, int(math.Round(float64(rate)*float64(j.ReadPct)/100)))
	return fmt.Sprintf("%d,%d", reads, max(1, rate-reads))
}

// leastPsyncRate is a thread's, so that reads of up to 50 ms keep the rate.
const leastPsyncRate = 20

// seedOf brings a seed into what fio takes: a positive 63-bit number. From 0
// all threads would read the same offsets.
func seedOf(seed uint64) uint64 {
	if s := seed & math.MaxInt64; s != 0 {
		return s
	}
	return 1 << 62
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

// maxName is below the kernel's limit of a path.
const maxName = 3 << 10

// escapeName writes a path as fio's filename wants it: a colon separates names,
// unless it stands behind a backslash. What fio reads as a comment, a variable
// or an escape has no way to be written.
func escapeName(path string) (string, error) {
	fail := func(why string) (string, error) {
		return "", fmt.Errorf("%w: %q: %s (choose another directory)", ErrName, path, why)
	}
	switch {
	case !filepath.IsAbs(path):
		return fail("it is not absolute")
	case filepath.Clean(path) != path:
		return fail("it is not clean")
	case len(path) > maxName:
		return fail("it is too long")
	}
	for _, c := range []byte(path) {
		if c < ' ' || c == 0x7f || strings.IndexByte(";#$\\\"'`", c) >= 0 {
			return fail(fmt.Sprintf("fio cannot read the character %q", c))
		}
	}
	if strings.HasSuffix(path, " ") {
		return fail("fio cuts the blank at its end")
	}
	return strings.ReplaceAll(path, ":", `\:`), nil
}
