package analysis

import (
	"time"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// ArmSchema is the version of arm.json.
const ArmSchema = 1

// Arm is arm.json: one arm of a run as it was measured. Instants count from the
// run's epoch.
type Arm struct {
	Schema        int    `json:"schema"`
	Name          string `json:"name"` // directory under raw/
	Block         int    `json:"block"`
	Users         int    `json:"users"`
	ContextTokens int    `json:"context_tokens"` // prompt length asked for
	OutputTokens  int    `json:"output_tokens"`  // output length asked for

	Load    loadgen.Plan    `json:"load"`
	Summary loadgen.Summary `json:"summary"`
	// Idle spans the arm from before its first request to after its last, with
	// the server idle at both edges; Server is how its counters grew over it.
	Idle   loadgen.Window `json:"idle"`
	Server spark.Counters `json:"server"`
	Quiet  Quiet          `json:"quiet"`
	// Storage is what was done to the disk on purpose; nil for nothing.
	Storage *Storage `json:"storage,omitempty"`
	// LoRA is what the arm asked of adapters; nil for nothing.
	LoRA *LoRA `json:"lora,omitempty"`
}

// Quiet is what the machine did just before an arm, without load.
type Quiet struct {
	OK               bool          `json:"ok"`
	Waited           time.Duration `json:"waited_ns"`
	DiskBytesPerSec  float64       `json:"disk_bytes_per_sec"` // reads and writes of the watched device
	CPUBusyCores     float64       `json:"cpu_busy_cores"`
	DiskLimit        float64       `json:"disk_limit_bytes_per_sec"`
	CPULimitCores    float64       `json:"cpu_limit_cores"`
	DeviceUnobserved bool          `json:"device_unobserved,omitempty"` // no disk columns: only the CPU was checked
}
