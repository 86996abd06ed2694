package hypotheses

import (
	"math"
	"math/rand/v2"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark/smart"
)

// h7Truth is what the disk of planted runs does.
type h7Truth struct {
	log     bool                                                         // the disk has an NVMe log
	counts  bool                                                         // the server counts its loads
	reads   func(rng *rand.Rand, loads float64) (bytes float64)          // what loads make the device read
	edit    func(i int, d *analysis.SmartDelta)                          // of the i-th arm's record, last
	measure func(h1, h5, h6 *analysis.Experiment) []*analysis.Experiment // which runs there are
}

// claimedH7: every load reads its file, and a little more; the disk says so too.
func claimedH7() h7Truth {
	return h7Truth{
		log: true, counts: true,
		reads: func(rng *rand.Rand, loads float64) float64 {
			return loads*plantedSize*1.003 + float64(rng.IntN(40))*4096
		},
		measure: func(h1, h5, h6 *analysis.Experiment) []*analysis.Experiment {
			return []*analysis.Experiment{h1, h5, h6}
		},
	}
}

const (
	plantedBlock   = 512
	plantedRequest = 128 << 10
)

// plantedLoads is what an arm of the planted design has to load.
func plantedLoads(rng *rand.Rand, a *analysis.Measured) float64 {
	n := a.LoRA.Adapters
	requests := float64(plantedN + 2*plantedUsers + rng.IntN(20))
	switch a.LoRA.Condition {
	case analysis.ConditionCold:
		return float64(n)
	case analysis.ConditionSticky:
		return float64(min(n, plantedUsers))
	case analysis.ConditionHot:
		return float64(rng.IntN(2))
	case analysis.ConditionStorm:
		return math.Round(float64(min(n, plantedSlots)) + requests*missed(n))
	}
	return 0
}

// plantedH7 rests on planted runs of H1, H5 and H6.
func plantedH7(seed uint64, of h7Truth) *analysis.Experiment {
	e := planted("H7", seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	e.Sources = of.measure(plantedH1(seed, claimedH1()), plantedH5(seed, claimedH5), plantedH6(seed, claimedH6()))
	i := 0
	for _, run := range e.Sources {
		run.Dir = "/results/" + run.Plan.Hypothesis + "/20261123T000000Z-planted"
		for _, a := range run.Arms {
			loads := plantedLoads(rng, a)
			if of.counts {
				a.Server.AdapterLoads, a.Server.AdapterInBytes = new(loads), new(loads*plantedSize)
			}
			a.Smart = plantedDelta(rng, of.reads(rng, loads), of.log)
			if of.edit != nil {
				of.edit(i, a.Smart)
			}
			i++
		}
	}
	return e
}

// plantedDelta is what a disk and the kernel count of so many bytes: files in
// whole requests, and small reads.
func plantedDelta(rng *rand.Rand, bytes float64, log bool) *analysis.SmartDelta {
	nan := math.NaN()
	d := &analysis.SmartDelta{
		Source: smart.SourceDiskstats, Device: "nvme0n1", Why: "planted",
		Reads: nan, ReadBytes: nan, Writes: nan, WriteBytes: nan,
		BlockReadBytes: math.Round(bytes/plantedBlock) * plantedBlock, BlockWrites: 0, BlockWriteBytes: 0,
		LogicalBlock: plantedBlock, MaxRequest: plantedRequest, MaxCommand: nan,
		MediaErrors: nan, UnsafeShutdowns: nan, HotMinutes: nan,
	}
	small := math.Mod(d.BlockReadBytes, plantedRequest)
	d.BlockReads = math.Floor(d.BlockReadBytes/plantedRequest) + math.Ceil(small/4096)
	d.PagedInBytes = d.BlockReadBytes
	if log {
		d.Source, d.Why = smart.SourceIoctl, ""
		d.Reads, d.ReadBytes = d.BlockReads, plantedUnits(rng, d.BlockReadBytes)
	}
	return d
}

// plantedUnits is how the log counts bytes: whole units, rounded up at both
// edges.
func plantedUnits(rng *rand.Rand, bytes float64) float64 {
	before := rng.Float64() * smart.UnitBytes
	up := func(v float64) float64 { return math.Ceil(v/smart.UnitBytes) * smart.UnitBytes }
	return up(before+bytes) - up(before)
}
