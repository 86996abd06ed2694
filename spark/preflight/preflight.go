// Package preflight asks, before anything is measured, whether this machine can
// carry a measurement: a list of small checks, each of which looks at one thing
// and says PASS, WARN or FAIL with what it saw and what to do. It only reads, but
// for scratch files of fio's trial, which it removes; it takes about two seconds.
// Sizes are bytes, rates bytes per second. It keeps no state; a Host is for one
// goroutine. It decides nothing about results: a WARN may be what is wanted.
package preflight

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/smart"
)

// Status is how a check ended.
type Status string

// The three endings.
const (
	Pass Status = "PASS"
	Warn Status = "WARN" // measuring works, with what the remedy says lost or doubtful
	Fail Status = "FAIL" // a measurement would be refused or worthless
)

// Finding is one line of the answer.
type Finding struct {
	Check    string `json:"check"`
	Status   Status `json:"status"`
	Evidence string `json:"evidence"`         // what was seen
	Remedy   string `json:"remedy,omitempty"` // what to do; "" with PASS
}

// Config says what is going to be measured, and where to look. The zero value
// looks at this machine, at the working directory's disk, without naming a server.
type Config struct {
	ProcRoot, SysRoot string         // "" for /proc and /sys
	Dir               string         // on the disk under test; need not be there yet; "" is "."
	Device            string         // watched disk; "" derives it from Dir
	Results           string         // directory of run bundles; "" is Dir
	Lock              string         // "" is the machine's
	Server            spark.Endpoint // URL "" looks at URLs
	URLs              []string       // where to look for a server; nil is spark.LocalURLs
	Fio               string         // executable; "" looks in PATH
	Sample            time.Duration  // how long to watch the machine; 0 is 1 s
}

// Check is one thing to look at.
type Check struct {
	Name string
	look func(ctx context.Context, h *host) Finding
}

// Checks are all of them, in the order in which people read: the machine, its
// disk, what it lets us do, the server.
func Checks() []Check {
	return []Check{
		{"platform", platform},
		{"build", build},
		{"privileges", privileges},
		{"other measurement", lock},
		{"quiet", quiet},
		{"memory", memory},
		{"swap", swap},
		{"clock source", clockSource},
		{"timer", timer},
		{"governor", governor},
		{"pressure (PSI)", pressure},
		{"telemetry", telemetry},
		{"open files", openFiles},
		{"disk", disk},
		{"disk link", link},
		{"free space", space},
		{"disk log", diskLog},
		{"fio", fio},
		{"page cache", pageCache},
		{"cgroup", controlGroup},
		{"server", server},
	}
}

// Run looks at everything and tells each finding as it is there; tell may be nil.
// When ctx ends it returns what it has.
func Run(ctx context.Context, c Config, tell func(Finding)) []Finding {
	h := newHost(c)
	var all []Finding
	for _, check := range Checks() {
		if ctx.Err() != nil {
			break
		}
		f := check.look(ctx, h)
		f.Check = check.Name
		all = append(all, f)
		if tell != nil {
			tell(f)
		}
	}
	return all
}

// Worst is the worst status of a list, Pass of an empty one.
func Worst(all []Finding) Status {
	worst := Pass
	for _, f := range all {
		if f.Status == Fail || f.Status == Warn && worst == Pass {
			worst = f.Status
		}
	}
	return worst
}

func passed(evidence string) Finding         { return Finding{Status: Pass, Evidence: evidence} }
func warned(evidence, remedy string) Finding { return Finding{"", Warn, evidence, remedy} }
func failed(evidence, remedy string) Finding { return Finding{"", Fail, evidence, remedy} }

// host is what several checks look at, read once.
type host struct {
	Config
	root    bool
	machine spark.Machine
	place   spark.Place // of Dir, or of the nearest directory above it that is there
	results spark.Place
	watched *sample // nil until it was asked for
	smart   func(ctx context.Context, device string) (smart.Snapshot, error)
}

func newHost(c Config) *host {
	if c.ProcRoot == "" {
		c.ProcRoot = "/proc"
	}
	if c.SysRoot == "" {
		c.SysRoot = "/sys"
	}
	if c.Dir == "" {
		c.Dir = "."
	}
	if c.Results == "" {
		c.Results = c.Dir
	}
	if c.Lock == "" {
		c.Lock = spark.DefaultLock()
	}
	if c.URLs == nil {
		c.URLs = spark.LocalURLs()
	}
	if c.Sample == 0 {
		c.Sample = time.Second
	}
	h := &host{Config: c, root: os.Geteuid() == 0, smart: smart.Read}
	h.machine = spark.Probe(spark.ProbeConfig{ProcRoot: c.ProcRoot, SysRoot: c.SysRoot, Places: []spark.PlaceOf{
		{Role: "disk under test", Dir: nearest(c.Dir)}, {Role: "results", Dir: nearest(c.Results)},
	}})
	h.place, h.results = h.machine.Places[0], h.machine.Places[1]
	if h.Device == "" && h.place.Disk != nil {
		h.Device = h.place.Disk.Name
	}
	return h
}

// nearest is dir, or the nearest directory above it that is there: what is to be
// made in it will lie on the same disk.
func nearest(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	for at := abs; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return at
		}
	}
}
