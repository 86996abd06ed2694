package fioctl

import "time"

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

	ExitCode int    `json:"exit_code"`
	Signals  int    `json:"signals"` // sent by us until it ended
	Fault    string `json:"fault,omitempty"`
	// Status is the live account, cumulative, in order, ending with Result's.
	Status  []Status      `json:"status"`
	Result  Result        `json:"result"`
	UserCPU time.Duration `json:"user_cpu_ns"` // of the process, by the kernel
	SysCPU  time.Duration `json:"sys_cpu_ns"`
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
