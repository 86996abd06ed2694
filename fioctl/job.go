package fioctl

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Pattern is what a job does, in fio's words (rw=).
type Pattern string

// Patterns. Measured jobs read; writes wear the disk and are asked for by name.
const (
	RandRead  Pattern = "randread"
	Read      Pattern = "read"
	RandRW    Pattern = "randrw" // with ReadPercent
	RandWrite Pattern = "randwrite"
)

// Job is one load. It lands in the run's record, and together with [Fio] it
// determines the job file byte for byte. The zero value is not usable.
type Job struct {
	Name       string  `json:"name"`        // letters, digits, dash, underscore
	Pattern    Pattern `json:"pattern"`     // "" is RandRead
	ReadPct    int     `json:"read_pct"`    // of RandRW, 1 to 99
	BlockBytes int64   `json:"block_bytes"` // of one I/O: a multiple of 512, 512 B to 16 MiB
	// Depth is how many I/Os are in flight over all threads, 1 to 1,024. An
	// engine that cannot queue gets as many threads of depth 1.
	Depth int `json:"depth"`
	// Threads share Depth, which must be a multiple; 1 (or 0, the same) unless
	// one submitting thread is too slow.
	Threads int `json:"threads"`
	// RateIOPS bounds the I/Os per second over all threads, as a whole number;
	// 0 does not. Arrivals are a Poisson process, the same for the same seed:
	// over n I/Os the rate is off by 1/√n or so, by chance alone.
	//
	// fio rounds a Poisson gap down to whole microseconds, so above some
	// thousand a second and thread the load comes out higher than asked: by the
	// source of 3.33, 1 % at 14,000 and 5 % at 100,000. Whoever needs it exact measures and corrects.
	RateIOPS float64 `json:"rate_iops,omitempty"`
	// Backstop ends the job even if nobody stops it: longer than any window,
	// 100 ms to a day.
	Backstop time.Duration `json:"backstop_ns"`
	// StatusEvery is the pace of live status, 100 ms to a minute; 0 means 250 ms.
	StatusEvery time.Duration `json:"status_every_ns,omitempty"`
	// CPUs pins fio's threads, as "0-3,8"; "" leaves them free.
	CPUs string `json:"cpus,omitempty"`
	Seed uint64 `json:"seed"` // of the offsets
	// Buffered goes through the page cache: only for a target in memory, whose
	// file system may know no direct I/O.
	Buffered bool `json:"buffered,omitempty"`
}

// Bounds of a job.
const (
	maxJobBlock    = 16 << 20
	maxDepth       = 1024
	maxRateIOPS    = 10_000_000
	minBackstop    = 100 * time.Millisecond
	maxBackstop    = 24 * time.Hour
	minStatusEvery = 100 * time.Millisecond
	maxStatusEvery = time.Minute
	defStatusEvery = 250 * time.Millisecond
)

// ErrJob means that a job is not usable; the text names each wrong field.
var ErrJob = errors.New("job not usable")

// Validate checks each field against the range in its comment and returns all
// that is wrong, wrapped in [ErrJob].
func (j Job) Validate() error {
	if err := j.check(); err != nil {
		return fmt.Errorf("fioctl: %w", err)
	}
	return nil
}

func (j Job) check() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrJob}, args...)...))
		}
	}
	check(plainName(j.Name), "name %q must be 1 to 64 letters, digits, dashes or underscores and not \"global\"", j.Name)
	p := j.pattern()
	check(p == RandRead || p == Read || p == RandRW || p == RandWrite, "pattern %q is none of randread, read, randrw, randwrite", j.Pattern)
	if p == RandRW {
		check(j.ReadPct >= 1 && j.ReadPct <= 99, "read_pct %d of randrw must be 1 to 99", j.ReadPct)
	} else {
		check(j.ReadPct == 0, "read_pct %d is for randrw only", j.ReadPct)
	}
	check(j.BlockBytes >= 512 && j.BlockBytes <= maxJobBlock && j.BlockBytes%512 == 0,
		"block_bytes %d must be a multiple of 512, 512 to %d", j.BlockBytes, maxJobBlock)
	check(j.Depth >= 1 && j.Depth <= maxDepth, "depth %d must be 1 to %d", j.Depth, maxDepth)
	check(j.Threads >= 0 && j.Threads <= max(j.Depth, 1), "threads %d must be 1 to depth", j.Threads)
	check(j.Threads <= 1 || j.Depth%j.Threads == 0, "depth %d must be a multiple of threads %d", j.Depth, j.Threads)
	// NaN fails both comparisons, as it should.
	check(j.RateIOPS == 0 || j.RateIOPS >= 1 && j.RateIOPS <= maxRateIOPS, "rate_iops %v must be 0 or 1 to %d", j.RateIOPS, maxRateIOPS)
	check(j.Backstop >= minBackstop && j.Backstop <= maxBackstop, "backstop %v must be %v to %v", j.Backstop, minBackstop, maxBackstop)
	check(j.StatusEvery == 0 || j.StatusEvery >= minStatusEvery && j.StatusEvery <= maxStatusEvery,
		"status_every %v must be 0 or %v to %v", j.StatusEvery, minStatusEvery, maxStatusEvery)
	if _, err := parseCPUs(j.CPUs); err != nil {
		check(false, "cpus %q: %v", j.CPUs, err)
	}
	return errors.Join(errs...)
}

func (j Job) pattern() Pattern { return cmp.Or(j.Pattern, RandRead) }

func (j Job) statusEvery() time.Duration { return cmp.Or(j.StatusEvery, defStatusEvery) }

// readsOnly reports whether fio can be held to reading.
func (j Job) readsOnly() bool { return j.pattern() == RandRead || j.pattern() == Read }

func plainName(s string) bool {
	if s == "" || len(s) > 64 || s == "global" { // fio's own section
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// maxCPU bounds processor numbers: what the kernel's set type here holds.
const maxCPU = 1023

// parseCPUs reads a list such as "0-3,8"; "" is none.
func parseCPUs(list string) ([]int, error) {
	if list == "" {
		return nil, nil
	}
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(from, 10, 16)
		b := a
		if err == nil && isRange {
			b, err = strconv.ParseUint(to, 10, 16)
		}
		if err != nil || a > b || b > maxCPU {
			return nil, fmt.Errorf("%q is no processor up to %d or range of them, as in \"0-3,8\"", part, maxCPU)
		}
		for c := a; c <= b; c++ {
			cpus = append(cpus, int(c))
		}
	}
	return cpus, nil
}
