//go:build sim

package hypotheses

import (
	"github.com/spark-harness/harness/analysis"
)

// rateH4 are the worlds of H4.
func rateH4() simRule {
	// disks are those of a run in which HEAVY lifts the tail of each condition by
	// so much; the load off the disk lifts null and comfyNull.
	disks := func(paging, comfy, null, comfyNull float64) func(uint64) *analysis.Experiment {
		times := func(base, by float64) func(float64) float64 {
			return func(share float64) float64 { return base * (1 + (by-1)*share) }
		}
		return func(seed uint64) *analysis.Experiment {
			d := plantedDisks()
			for c, ms := range map[string]func(float64) float64{
				analysis.ConditionPaging: times(40, paging), analysis.ConditionComfy: times(8, comfy),
				analysis.ConditionNull: times(40, null), analysis.ConditionComfyNull: times(8, comfyNull),
			} {
				of := d[c]
				of.ttftMs = ms
				d[c] = of
			}
			return plantedH4(seed, d)
		}
	}
	quiet, fairly, loud := machine{run: 0.02, block: 0.05}, fair(), machine{run: 0.15, block: 0.05}
	return simRule{
		h: H4(),
		nulls: []world{
			in(fairly, "no effect", disks(1, 1, 1, 1)),
			in(loud, "no effect", disks(1, 1, 1, 1)),
			in(machine{run: 0.05, block: 0.05, drift: 0.5}, "no effect", disks(1, 1, 1, 1)),
			in(machine{run: 0.05, block: 0.05, heavy: true}, "no effect", disks(1, 1, 1, 1)),
			in(fairly, "10 % under HEAVY, the smallest effect of interest", disks(1.1, 1, 1, 1)),
			in(quiet, "20 % under HEAVY: at the limit", disks(1.2, 1, 1, 1)),
			in(fairly, "20 % under HEAVY: at the limit", disks(1.2, 1, 1, 1)),
			in(machine{run: 0.05, block: 0.05, heavy: true}, "20 % under HEAVY: at the limit", disks(1.2, 1, 1, 1)),
			in(fairly, "twice under HEAVY and twice under the load off the disk: not the disk", disks(2, 1, 2, 1)),
			in(fairly, "half as much again everywhere: the CPU", disks(1.5, 1.5, 1.5, 1.5)),
			in(fairly, "twice under HEAVY, 15 % more below the knee: the CPU", disks(2, 1.15, 1, 1.15)),
			in(fairly, "twice under HEAVY, the server reads nothing", func(seed uint64) *analysis.Experiment {
				return each(disks(2, 1, 1, 1)(seed), func(a *analysis.Measured) { a.Server.DiskInBytes = new(0.0) })
			}),
		},
		effects: []world{
			in(fairly, "1.3 under HEAVY", disks(1.3, 1, 1, 1)),
			in(fairly, "1.5 under HEAVY", disks(1.5, 1, 1, 1)),
			in(loud, "1.5 under HEAVY", disks(1.5, 1, 1, 1)),
			in(quiet, "2 under HEAVY", disks(2, 1, 1, 1)),
			in(fairly, "2 under HEAVY", disks(2, 1, 1, 1)),
			in(loud, "2 under HEAVY", disks(2, 1, 1, 1)),
			in(machine{run: 0.05, block: 0.05, drift: 0.5}, "2 under HEAVY", disks(2, 1, 1, 1)),
		},
		note: "Where noise is 0.15 the controls below the knee cannot be shown to stay within 10 % in 8 blocks, and the verdict is INCONCLUSIVE with the blocks that would do: that is the price of not calling a CPU confound a finding.",
	}
}
