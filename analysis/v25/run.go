package v25

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Run is one run of the earlier harness: what its files say of it, and the
// numbers that may be taken from it.
type Run struct {
	ID         string
	Hypothesis string // "H0" … "H6"; "" if neither manifest nor name tell
	Repeat     int    // 0 if its name does not tell
	Manifest   Manifest
	Summary    *Summary   // nil without one that can be read
	Telemetry  *Telemetry // nil without one that can be read
	Mpstat     *Mpstat    // nil without one that can be read
	Pre, Post  *Smart     // nil without one that can be read
	Delta      SmartDelta
	Layout     Layout
	Evidence   string // what decided Layout
	Tokens     int    // of the prompt, measured; 0 if unknown
	Missing    []string
	Problems   []error
	numbers    map[string]Number
}

// Names of the numbers of a run: the earlier harness's own where it has one.
const (
	numReadAwait   = "avg.r_await_ms"
	numIOWait      = "avg.io_wait_pct"
	numGPU         = "avg.gpu_util_pct"
	numStorageRPS  = "avg.rps_storage"
	numQueue       = "avg.qu_sz"
	numThroughput  = "throughput_rps"
	numCPUBusy     = "cpu.busy_pct"
	numReadBytes   = "smart.read_bytes"
	numWritten     = "smart.written_bytes"
	numHostReads   = "smart.host_reads"
	numReadMBps    = "smart.read_MBps"
	numFreeLeast   = "mem.available_min_kB"
	firstByte      = "ttft_ms."
	latency        = "latency_ms."
	leastForP99    = 368
	leastForP95    = 72
	leastForP50    = 6
	mostFailedPart = 0.01
)

// numberNames are all numbers, in the order of tables.
func numberNames() []string {
	return []string{
		firstByte + "p50", firstByte + "p95", firstByte + "p99",
		latency + "p50", latency + "p90", latency + "p95", latency + "p99", latency + "p99_ci_low", latency + "p99_ci_high",
		numThroughput, numIOWait, numReadAwait, numStorageRPS, numQueue, numGPU, numCPUBusy,
		numReadBytes, numWritten, numHostReads, numReadMBps, numFreeLeast,
	}
}

// Number is a number by its name; one that is not known is withheld.
func (r *Run) Number(name string) Number {
	if n, ok := r.numbers[name]; ok {
		return n
	}
	return Number{absent(), Withheld, "not recorded"}
}

// readRun reads the files of one run. What is missing or malformed is a problem
// of the run, not an error: the others may still tell something.
func readRun(id string, files [kinds]string) *Run {
	r := &Run{ID: id, Missing: missing(files), Delta: noDelta(), numbers: map[string]Number{}}
	note := func(err error) {
		if err != nil {
			r.Problems = append(r.Problems, err)
		}
	}
	m, ok, err := readWith(files[manifestFile], manifestFile, ReadManifest)
	note(err)
	if ok {
		r.Manifest = m
	}
	r.identify()
	if s, ok, err := readWith(files[summaryFile], summaryFile, ReadSummary); err != nil {
		note(err)
	} else if ok {
		r.Summary = &s
	}
	if t, ok, err := readWith(files[telemetryFile], telemetryFile, ReadTelemetry); err != nil {
		note(err)
	} else if ok {
		r.Telemetry = t
		r.Layout, r.Evidence = DetectLayout(t)
	}
	if s, ok, err := readWith(files[mpstatFile], mpstatFile, ReadMpstat); err != nil {
		note(err)
	} else if ok {
		r.Mpstat = &s
	}
	var errPre, errPost error
	r.Pre, errPre = readSmart(files[smartPreFile], smartPreFile)
	r.Post, errPost = readSmart(files[smartPostFile], smartPostFile)
	note(errPre)
	note(errPost)
	if r.Pre != nil && r.Post != nil {
		d, err := r.Pre.Delta(*r.Post)
		if err != nil {
			note(fmt.Errorf("v25: compare SMART of %s: %w", oneLine(id), err))
		}
		r.Delta = d
	}
	if len(r.Manifest.Prompts) == 1 {
		r.Tokens = promptTokens(r.Manifest.Prompts[0], r.Manifest.ModelHandle)
	}
	r.take()
	return r
}

func readSmart(path string, k kind) (*Smart, error) {
	s, ok, err := readWith(path, k, func(r io.Reader) (Smart, error) { return ReadSmart(r) })
	if !ok {
		return nil, err
	}
	return &s, nil
}

// identify fills in from the run's name (20251113_2246_H0_L8B_U64_r1) what the
// manifest does not say.
func (r *Run) identify() {
	parts := strings.Split(r.ID, "_")
	for i, p := range parts {
		switch {
		case measured(p) && r.Hypothesis == "":
			r.Hypothesis = p
			if i+1 < len(parts) && r.Manifest.ModelTag == "" {
				r.Manifest.ModelTag = oneLine(parts[i+1])
			}
		case i == len(parts)-1 && strings.HasPrefix(p, "r"):
			r.Repeat = small(p[1:])
		case strings.HasPrefix(p, "U") && r.Manifest.Users == 0:
			r.Manifest.Users = small(p[1:])
		}
		for _, phase := range []string{"COLD", "WARM", "BASELINE", "MODERATE", "HEAVY", "LORA"} {
			if p == phase && r.Manifest.Phase == "" {
				r.Manifest.Phase = p
			}
		}
	}
	if measured(r.Manifest.Hypothesis) {
		r.Hypothesis = r.Manifest.Hypothesis
	}
}

// measured reports whether h is a hypothesis with runs of its own; H3, H7 and
// H8 only looked at those of others.
func measured(h string) bool {
	return slices.Contains([]string{"H0", "H1", "H2", "H4", "H5", "H6"}, h)
}

// small is a number from 1 to 10^6, 0 for anything else.
func small(s string) int {
	if n, err := strconv.Atoi(s); err == nil && n > 0 && n <= 1e6 {
		return n
	}
	return 0
}

// Duration is the nominal length of the load, 0 if it is not recorded.
func (r *Run) Duration() time.Duration { return time.Duration(r.Manifest.DurationSec) * time.Second }

// Good is how many requests succeeded, 0 without a summary.
func (r *Run) Good() int {
	if r.Summary != nil {
		if g := r.Summary.Good(); g > 0 && g < 1e12 {
			return int(g)
		}
	}
	return 0
}

// Failed is how many requests did not succeed, NaN without a summary.
func (r *Run) Failed() float64 {
	if r.Summary == nil {
		return absent()
	}
	return r.Summary.Requests - r.Summary.Good()
}

// machine says which machine a run was on, as far as its files tell: the disk,
// its serial number as a hash, and the kernel.
func (r *Run) machine() string {
	disk, serial, kernel := r.Manifest.DiskModel, "", r.Manifest.Kernel
	for _, s := range []*Smart{r.Pre, r.Post} {
		if s == nil {
			continue
		}
		if s.Model != "" {
			disk = s.Model
		}
		if s.Serial != "" {
			serial = " #" + short(s.Serial)
		}
		if kernel == "" {
			kernel = s.Kernel
		}
	}
	switch {
	case disk == "" && kernel == "":
		return "machine not recorded"
	case kernel == "":
		return disk + serial + ", kernel not recorded"
	case disk == "":
		return "disk not recorded, Linux " + kernel
	}
	return disk + serial + ", Linux " + kernel
}

// leastFor is how many successes a quantile needs to be shown.
func leastFor(q string) int {
	switch q {
	case "p99":
		return leastForP99
	case "p95", "p90":
		return leastForP95
	}
	return leastForP50
}

// finite is a positive time, else absent.
func finite(v float64) float64 {
	if v > 0 && !math.IsInf(v, 0) {
		return v
	}
	return absent()
}
