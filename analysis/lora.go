package analysis

import (
	"github.com/spark-harness/harness/internal/pagecache"
	"github.com/spark-harness/harness/loadgen"
)

// Conditions of an arm with adapters.
const (
	ConditionCold   = "cold"   // H1: each adapter's first touch
	ConditionWarm   = "warm"   // H1: its next touch
	ConditionBase   = "base"   // the base model, no adapter
	ConditionHot    = "hot"    // H6: one adapter for all
	ConditionSticky = "sticky" // H5: users dealt evenly to adapters
	ConditionStorm  = "storm"  // H5, H6: any adapter in any request
)

// LoRA is what an arm asks of adapters, and what is known of their coldness:
// part of plan.json and arm.json.
type LoRA struct {
	Condition string `json:"condition"`
	// Adapters is how many the arm's requests are dealt to, 0 for the base model.
	Adapters int `json:"adapters"`
	// AdapterBytes is the mean size of one adapter's file, 0 where nobody knows.
	AdapterBytes int64 `json:"adapter_bytes"`
	// Slots is how many adapters the server's memory holds, 0 where nobody knows.
	Slots int `json:"slots"`
	// Cold is the proof that what the arm touches was not in memory, nil where the
	// design asks for none.
	Cold *ColdProof `json:"cold,omitempty"`
}

// ColdProof says how a server was made cold and what was seen of it.
type ColdProof struct {
	// Means restarted the server or unloaded its adapters (spark.Means…).
	Means string `json:"means"`
	// Dropped is how the page cache was emptied: "drop_caches" or "fadvise"; "" where
	// the files are out of reach.
	Dropped string `json:"dropped,omitempty"`
	// Before is the page cache's hold on the arm's adapter files just before the
	// load, After just after it; nil where the files are out of reach.
	Before *pagecache.Residency `json:"before,omitempty"`
	After  *pagecache.Residency `json:"after,omitempty"`
	// ReadBytesPerSec is the rate at which such files are read cold on this
	// machine, measured beside the run; 0 where unknown.
	ReadBytesPerSec float64 `json:"read_bytes_per_sec,omitempty"`
}

// LoRASetup is what a run knows of the adapters before its first arm: part of
// plan.json.
type LoRASetup struct {
	Adapters     []string `json:"adapters"`      // names, in the order of the list
	AdapterBytes int64    `json:"adapter_bytes"` // mean size of their files
	// Slots is how many adapters the server's memory holds, 0 where nobody knows;
	// SlotsFrom says who told.
	Slots     int    `json:"slots"`
	SlotsFrom string `json:"slots_from,omitempty"`
	// ReadBytesPerSec is the rate at which such a file is read cold.
	ReadBytesPerSec float64 `json:"read_bytes_per_sec"`
	// Check compares what the server answers under different adapters.
	Check loadgen.AdapterCheck `json:"check"`
}
