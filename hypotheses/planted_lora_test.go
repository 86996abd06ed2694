package hypotheses

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/pagecache"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// Runs with adapters whose truth is planted, at the quick profile's full design.

const (
	plantedAdapters = 64
	plantedSize     = 16_000_000 // bytes of an adapter's file
	plantedSlots    = 12
	plantedRate     = 1e9 // bytes per second: a file takes 16 ms
	plantedReadMs   = 16.0
)

// plantedLoRA is an experiment about adapters without arms.
func plantedLoRA(id string, seed uint64, repeats int) *analysis.Experiment {
	e := planted(id, seed)
	e.Plan.Profile.Repeats = repeats
	e.Plan.LoRA = &analysis.LoRASetup{
		AdapterBytes: plantedSize, Slots: plantedSlots, SlotsFrom: "planted", ReadBytesPerSec: plantedRate,
		Check: loadgen.AdapterCheck{Compared: 4},
	}
	for i := range plantedAdapters {
		e.Plan.LoRA.Adapters = append(e.Plan.LoRA.Adapters, "a"+strconv.Itoa(i))
	}
	return e
}

// plantedUse is what an arm asks of adapters, with a proof that says so much of
// the page cache before it.
func plantedUse(condition string, n int, means string, cached float64) *analysis.LoRA {
	const pages = 1 << 20
	return &analysis.LoRA{
		Condition: condition, Adapters: n, AdapterBytes: plantedSize, Slots: plantedSlots,
		Cold: &analysis.ColdProof{
			Means: means, ReadBytesPerSec: plantedRate,
			Before: &pagecache.Residency{Pages: pages, Resident: int64(cached * pages)},
			After:  &pagecache.Residency{Pages: pages, Resident: pages},
		},
	}
}

// h1Truth is what a planted run of H1 does: first tokens in ms, bytes over those
// of the adapters touched.
type h1Truth struct {
	cycles, adapters     int
	coldMs, warmMs       float64
	coldBytes, warmBytes float64
}

// claimedH1: the first touch waits for its file.
func claimedH1() h1Truth {
	return h1Truth{cycles: 10, adapters: 8, coldMs: 40, warmMs: 22, coldBytes: 1.01, warmBytes: 0.001}
}

func plantedH1(seed uint64, of h1Truth) *analysis.Experiment {
	e := plantedLoRA("H1", seed, of.cycles)
	rng := rand.New(rand.NewPCG(seed, 0))
	for cycle := range of.cycles {
		order := rng.Perm(of.adapters)
		cold := touched(rng, cycle, order, of.coldMs, of.coldBytes)
		cold.LoRA = plantedUse(analysis.ConditionCold, of.adapters, spark.MeansProcess, 0)
		warm := touched(rng, cycle, order, of.warmMs, of.warmBytes)
		warm.LoRA = plantedUse(analysis.ConditionWarm, of.adapters, "", 1)
		e.Arms = append(e.Arms, cold, warm)
	}
	return e
}

// touched is a window in which one user asks for each adapter once.
func touched(rng *rand.Rand, cycle int, order []int, ms, bytes float64) *analysis.Measured {
	a := plantedArm(rng, cycle, 1, loraPrompt, truth{ttftMs: ms, cycleMs: ms + 40, perSec: 10})
	a.TTFT, a.E2E = nil, nil
	shared := rng.NormFloat64() * plantedRuns // by all touches of the window
	for turn, i := range order {
		v := ms * math.Exp(shared+plantedRequests*rng.NormFloat64())
		a.TTFT, a.E2E = append(a.TTFT, v), append(a.E2E, v+40)
		a.Touches = append(a.Touches, analysis.Touch{
			Adapter: "a" + strconv.Itoa(i), TTFTMs: v, LoadMs: math.NaN(), Turn: turn, Due: time.Duration(turn) * 100 * time.Millisecond,
		})
	}
	slices.Sort(a.TTFT)
	slices.Sort(a.E2E)
	n := int64(len(order))
	a.Summary.Requests.Due, a.Summary.Requests.OK = n, n
	a.Telemetry.ReadBytes = bytes * float64(len(order)) * plantedSize
	return a
}

// cell is what one condition of a planted run does: the median first token in ms,
// and the adapters that a request reads.
type cell struct{ ms, reads float64 }

// plantedCell is an arm of a condition.
func plantedCell(rng *rand.Rand, block int, condition string, n int, of cell) *analysis.Measured {
	a := plantedArm(rng, block, plantedUsers, loraPrompt, truth{ttftMs: of.ms, cycleMs: 250, perSec: 33})
	bytes := of.reads * plantedSize * plantedN
	a.Telemetry.ReadMBPerSec = bytes / 1e6 / a.Summary.Window.Length().Seconds()
	a.Telemetry.ReadBytes = bytes
	a.LoRA = plantedUse(condition, n, "", 1)
	for i := range plantedN {
		a.Touches = append(a.Touches, analysis.Touch{Adapter: "a" + strconv.Itoa(i%max(1, n)), TTFTMs: of.ms, LoadMs: math.NaN(), Turn: i})
	}
	return a
}

// missed is the part of a storm's requests that find their adapter gone.
func missed(n int) float64 { return max(0, 1-float64(plantedSlots)/float64(n)) }

// claimedH5: a storm waits for what it misses, sticky users for nothing.
func claimedH5(condition string, n int) cell {
	switch condition {
	case analysis.ConditionBase:
		return cell{10, 0.002}
	case analysis.ConditionSticky:
		return cell{12, 0.004}
	}
	return cell{12 * math.Pow(float64(n)/4, 0.25), 1.02*missed(n) + 0.002}
}

func plantedH5(seed uint64, of func(condition string, n int) cell) *analysis.Experiment {
	const blocks = 8
	e := plantedLoRA("H5", seed, blocks)
	p, _ := ProfileByName("quick")
	rng := rand.New(rand.NewPCG(seed, 0))
	add := func(block int, condition string, n int) {
		a := plantedCell(rng, block, condition, n, of(condition, n))
		a.LoRA.Cold.Means, a.LoRA.Cold.Before.Resident = spark.MeansProcess, 0
		e.Arms = append(e.Arms, a)
	}
	for block := range blocks {
		add(block, analysis.ConditionBase, 0)
		for _, n := range h5Sets(p, plantedAdapters) {
			add(block, analysis.ConditionSticky, n)
			add(block, analysis.ConditionStorm, n)
		}
	}
	return e
}

// h6Truth is what a planted run of H6 does, and what the order of arms adds, as
// factors on the first token: to the arm after the storm, and to whatever comes
// last of hot and storm.
type h6Truth struct {
	base, hot, storm cell
	carry, last      float64
}

// claimedH6: the storm waits for what it misses; LoRA itself costs a little.
func claimedH6() h6Truth {
	return h6Truth{
		base: cell{10, 0.002}, hot: cell{11, 0.003}, storm: cell{22, 1.02 * missed(plantedAdapters)},
		carry: 1, last: 1,
	}
}

func plantedH6(seed uint64, of h6Truth) *analysis.Experiment {
	const pairs = 10
	e := plantedLoRA("H6", seed, pairs)
	rng := rand.New(rand.NewPCG(seed, 0))
	now := time.Duration(0)
	for block := range pairs {
		hot, storm := of.hot, of.storm
		stormFirst := block%2 == 1
		if stormFirst {
			hot.ms *= of.carry * of.last
		} else {
			storm.ms *= of.last
		}
		arms := []*analysis.Measured{
			plantedCell(rng, block, analysis.ConditionBase, 0, of.base),
			plantedCell(rng, block, analysis.ConditionHot, 1, hot),
			plantedCell(rng, block, analysis.ConditionStorm, plantedAdapters, storm),
		}
		if stormFirst {
			slices.Reverse(arms)
		}
		for _, a := range arms {
			a.Summary.Window.Start, a.Summary.Window.End = now, now+3*time.Second
			now += 10 * time.Second
		}
		e.Arms = append(e.Arms, arms...)
	}
	return e
}

// under applies an edit to the arms of a condition.
func under(e *analysis.Experiment, condition string, edit func(*analysis.Measured)) {
	for _, a := range conditionArms(e, condition, -1) {
		edit(a)
	}
}

// without takes arms out of a run.
func without(e *analysis.Experiment, which func(*analysis.Measured) bool) {
	e.Arms = slices.DeleteFunc(e.Arms, which)
}

// unseen leaves an arm without the device's counters.
func unseen(a *analysis.Measured) {
	a.Telemetry.ReadBytes, a.Telemetry.ReadMBPerSec = math.NaN(), math.NaN()
}
