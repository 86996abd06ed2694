package fioctl

import (
	"sort"
	"time"

	"github.com/spark-harness/harness/internal/cgroup"
)

// Cgroup is the control group of one fio, by which the kernel counts its I/O
// apart from everybody else's.
type Cgroup = cgroup.Group

// Run is the record of one fio process from start to end: fio.json of an arm.
// Instants count from the epoch it was started with.
type Run struct {
	Fio       Fio    `json:"fio"`
	Job       Job    `json:"job"`
	File      string `json:"file"` // the target's path
	JobSHA256 string `json:"job_sha256"`

	Started  time.Duration `json:"started_ns"`  // fork
	Flowing  time.Duration `json:"flowing_ns"`  // first status with an I/O done
	Stopping time.Duration `json:"stopping_ns"` // our first signal; 0: it ended by itself
	Ended    time.Duration `json:"ended_ns"`    // reaped

	ExitCode int    `json:"exit_code"` // −1: a signal ended it
	Signals  int    `json:"signals"`   // sent by us until it ended
	Fault    string `json:"fault,omitempty"`
	Cgroup   Cgroup `json:"cgroup"` // where it ran
	// Status is the live account, cumulative, in order, ending with Result's.
	Status  []Status      `json:"status"`
	Result  Result        `json:"result"`
	UserCPU time.Duration `json:"user_cpu_ns"` // of the process, by the kernel
	SysCPU  time.Duration `json:"sys_cpu_ns"`
}

// ReadBetween is how much was read in [from, to), bytes and I/Os, interpolated
// linearly between the statuses. ok is false where they do not cover it.
func (r Run) ReadBetween(from, to time.Duration) (bytes, ios float64, ok bool) {
	b0, n0, ok0 := r.readBy(from)
	b1, n1, ok1 := r.readBy(to)
	if !ok0 || !ok1 || to < from {
		return 0, 0, false
	}
	return b1 - b0, n1 - n0, true
}

// readBy is how much had been read by an instant.
func (r Run) readBy(t time.Duration) (bytes, ios float64, ok bool) {
	s := r.Status
	i := sort.Search(len(s), func(i int) bool { return s[i].T >= t })
	switch {
	case i == len(s):
		return 0, 0, false
	case s[i].T == t:
		return float64(s[i].ReadBytes), float64(s[i].ReadIOs), true
	case i == 0:
		return 0, 0, false
	}
	a, b := s[i-1], s[i]
	part := float64(t-a.T) / float64(b.T-a.T)
	between := func(x, y int64) float64 { return float64(x) + part*float64(y-x) }
	return between(a.ReadBytes, b.ReadBytes), between(a.ReadIOs, b.ReadIOs), true
}

// Status is what the job had done by an instant, cumulative.
type Status struct {
	T          time.Duration `json:"t_ns"`
	ReadBytes  int64         `json:"read_bytes"`
	ReadIOs    int64         `json:"read_ios"`
	WriteBytes int64         `json:"write_bytes"`
	WriteIOs   int64         `json:"write_ios"`
}

// Fio is a fio executable that has been tried on the target's file system.
type Fio struct {
	Path    string `json:"path"`
	Version string `json:"version"` // "3.33"
	// Engine is the best one that works here: EngineURing, EngineLibaio or
	// EnginePsync (threads of depth 1). EngineWhy says why not a better one.
	Engine    Engine `json:"engine"`
	EngineWhy string `json:"engine_why,omitempty"`
}

// Engine is one of fio's ioengines.
type Engine string

// Engines in order of preference.
const (
	EngineURing  Engine = "io_uring"
	EngineLibaio Engine = "libaio"
	EnginePsync  Engine = "psync" // one I/O per thread: depth is threads
)
