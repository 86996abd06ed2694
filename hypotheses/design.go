package hypotheses

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// Design is everything that a hypothesis is going to measure: plan.json.
type Design struct {
	Hypothesis string  `json:"hypothesis"`
	Profile    Profile `json:"profile"`
	Seed       uint64  `json:"seed"`
	// Notes say where borrowed values came from, such as U_work.
	Notes []string `json:"notes,omitempty"`
	Pilot *Pilot   `json:"pilot,omitempty"`
	// LoRA is what is known of the adapters; nil without any.
	LoRA *analysis.LoRASetup `json:"lora,omitempty"`
	Arms []Arm               `json:"arms"` // in the order of measuring
}

// Arm is one run of the design: a level of one block.
type Arm struct {
	Name          string `json:"name"`
	Block         int    `json:"block"` // repeat
	Users         int    `json:"users"`
	ContextTokens int    `json:"context_tokens"` // prompt length asked for

	// Prime sends each user's first request once, outside the measured window,
	// so that the arm starts with every user's context known to the server.
	Prime bool `json:"prime,omitempty"`
	// FlushTokens, where positive, is the length of the prompts with which the
	// server's memory is filled before priming.
	FlushTokens int          `json:"flush_tokens,omitempty"`
	Load        loadgen.Plan `json:"load"`
	// Storage is what is done to the disk while the arm is loaded; nil for nothing.
	Storage *analysis.Storage `json:"storage,omitempty"`
	// LoRA is what the arm asks of adapters; nil for nothing.
	LoRA *analysis.LoRA `json:"lora,omitempty"`
	// Restart makes server and page cache forget the adapters before the arm.
	Restart bool `json:"restart,omitempty"`
	// TouchBase and TouchAdapters are how many requests for the base model, and then
	// for adapters, one each in the order of the list or each user's own, go before
	// the measured load.
	TouchBase     int `json:"touch_base,omitempty"`
	TouchAdapters int `json:"touch_adapters,omitempty"`

	Estimate time.Duration `json:"estimate_ns"` // expected length, for progress and deadlines
}

// Pilot is a short look at the server before the design is fixed, from which
// warm-up and progress are planned. Nothing is judged from it.
type Pilot struct {
	Alone     PilotLevel `json:"alone"`
	Saturated PilotLevel `json:"saturated"`
}

// PilotLevel is one load of a pilot.
type PilotLevel struct {
	Users          int           `json:"users"`
	CycleMean      time.Duration `json:"cycle_mean_ns"`  // due to close
	DecodeMean     time.Duration `json:"decode_mean_ns"` // first token to last
	RequestsPerSec float64       `json:"requests_per_sec"`
}

// Cycle estimates how long one request takes with so many users: as alone
// until the server saturates, then users over its capacity.
func (p Pilot) Cycle(users int) time.Duration {
	if p.Saturated.RequestsPerSec <= 0 {
		return p.Alone.CycleMean
	}
	queued := time.Duration(float64(users) / p.Saturated.RequestsPerSec * float64(time.Second))
	return max(p.Alone.CycleMean, queued)
}

// Estimate is the expected length of all arms together.
func (d Design) Estimate() time.Duration {
	var sum time.Duration
	for _, a := range d.Arms {
		sum += a.Estimate
	}
	return sum
}

// shuffle orders the levels of every block anew from the seed: order must not
// be confounded with warmth or time. Blocks stay in order.
func shuffle(blocks [][]Arm, seed uint64) []Arm {
	rng := rand.New(rand.NewPCG(seed, 0x5348554646)) // the second word names the use
	var arms []Arm
	for _, b := range blocks {
		rng.Shuffle(len(b), func(i, j int) { b[i], b[j] = b[j], b[i] })
		arms = append(arms, b...)
	}
	number(arms)
	return arms
}

// blocksOfEight is how many blocks a paired design takes: 8 pairs are the least
// that a test over nine primaries can decide on.
func blocksOfEight(p Profile) int {
	if p.Thin {
		return p.Repeats
	}
	return max(8, p.Repeats)
}

// number puts the arms' place in the run before their names.
func number(arms []Arm) {
	for i := range arms {
		arms[i].Name = fmt.Sprintf("%03d-%s", i, arms[i].Name)
	}
}

// armSeed gives each arm prompts of its own, so that no arm finds in the
// server's caches what another one left there.
func armSeed(seed uint64, block, level int) uint64 {
	return rand.New(rand.NewPCG(seed, uint64(block)<<32|uint64(level))).Uint64()
}
