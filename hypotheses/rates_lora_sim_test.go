//go:build sim

package hypotheses

import (
	"math"

	"github.com/spark-harness/harness/analysis"
)

// rateH1 are the worlds of H1; a cycle's cold window comes before its warm one.
func rateH1() simRule {
	touches := func(cold, warm float64) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment {
			of := claimedH1()
			of.coldMs, of.warmMs = cold, warm
			return plantedH1(seed, of)
		}
	}
	at := func(run float64) machine { return machine{run: run, block: 0.05, asListed: true} }
	return simRule{
		h: H1(),
		nulls: []world{
			in(at(0.05), "both touches alike", touches(100, 100)),
			in(at(0.15), "both touches alike", touches(100, 100)),
			in(machine{run: 0.05, block: 0.05, drift: -0.5, asListed: true}, "both touches alike, the run grows faster", touches(100, 100)),
			in(machine{run: 0.05, heavy: true, asListed: true}, "both touches alike", touches(100, 100)),
			in(at(0.02), "at the limit: 10 % longer", touches(110, 100)),
			in(at(0.05), "at the limit: 10 % longer", touches(110, 100)),
			in(at(0.15), "at the limit: 10 % longer", touches(110, 100)),
			in(machine{run: 0.05, heavy: true, asListed: true}, "at the limit: 10 % longer", touches(110, 100)),
			in(at(0.05), "at the limit: longer by half of the time that reading takes", touches(22+plantedReadMs/2, 22)),
			in(at(0.05), "twice as long, nothing was read", func(seed uint64) *analysis.Experiment {
				of := claimedH1()
				of.coldBytes = 0.01
				return plantedH1(seed, of)
			}),
		},
		effects: []world{
			in(at(0.05), "25 % longer", touches(125, 100)),
			in(at(0.15), "25 % longer", touches(125, 100)),
			in(at(0.05), "50 % longer", touches(150, 100)),
			in(at(0.15), "50 % longer", touches(150, 100)),
			in(at(0.15), "longer by the time that reading takes, 22 ms to 38", touches(38, 22)),
		},
	}
}

// rateH5 are the worlds of H5.
func rateH5() simRule {
	// cells: the tail over the largest set is so many times that over the
	// smallest, under a storm and with sticky users.
	cells := func(storm, sticky float64) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment {
			return plantedH5(seed, func(condition string, n int) cell {
				c := claimedH5(condition, n)
				if condition == analysis.ConditionBase {
					return c
				}
				by := map[string]float64{analysis.ConditionStorm: storm, analysis.ConditionSticky: sticky}[condition]
				c.ms = 12 * math.Pow(by, math.Log2(float64(n)/4)/4)
				return c
			})
		}
	}
	return simRule{
		h: H5(),
		nulls: []world{
			in(fair(), "no effect", cells(1, 1)),
			in(machine{run: 0.15, block: 0.05}, "no effect", cells(1, 1)),
			in(machine{run: 0.05, block: 0.05, drift: 0.5}, "no effect", cells(1, 1)),
			in(machine{run: 0.05, heavy: true}, "no effect", cells(1, 1)),
			in(machine{run: 0.02, block: 0.05}, "at the limit: 1.2 under a storm over 64", cells(1.2, 1)),
			in(fair(), "at the limit: 1.2 under a storm over 64", cells(1.2, 1)),
			in(machine{run: 0.05, heavy: true}, "at the limit: 1.2 under a storm over 64", cells(1.2, 1)),
			in(fair(), "twice, with sticky users just so: no interaction", cells(2, 2)),
			in(machine{run: 0.15, block: 0.05}, "twice, with sticky users just so: no interaction", cells(2, 2)),
			in(fair(), "twice, and reads half of what its misses explain", func(seed uint64) *analysis.Experiment {
				return each(cells(2, 1)(seed), func(a *analysis.Measured) { a.Telemetry.ReadBytes /= 2; a.Telemetry.ReadMBPerSec /= 2 })
			}),
		},
		effects: []world{
			in(fair(), "1.35 under a storm over 64", cells(1.35, 1)),
			in(fair(), "1.5", cells(1.5, 1)),
			in(machine{run: 0.15, block: 0.05}, "1.5", cells(1.5, 1)),
			in(fair(), "2", cells(2, 1)),
			in(machine{run: 0.15, block: 0.05}, "2", cells(2, 1)),
		},
		note: "At the limit with no interaction the rule's other claims hold, so that all of the error is that one claim's: an interval over 8 blocks (see SlopeDifference below).",
	}
}

// rateH6 are the worlds of H6, whose arms ran in the order they are listed in.
func rateH6() simRule {
	pairs := func(storm, carry, last float64) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment {
			of := claimedH6()
			of.storm.ms, of.carry, of.last = of.hot.ms*storm, carry, last
			return plantedH6(seed, of)
		}
	}
	at := func(run float64) machine { return machine{run: run, block: 0.05, asListed: true} }
	return simRule{
		h: H6(),
		nulls: []world{
			in(at(0.05), "no effect", pairs(1, 1, 1)),
			in(at(0.15), "no effect", pairs(1, 1, 1)),
			in(machine{run: 0.05, block: 0.05, drift: 0.5, asListed: true}, "no effect", pairs(1, 1, 1)),
			in(machine{run: 0.05, heavy: true, asListed: true}, "no effect", pairs(1, 1, 1)),
			in(at(0.02), "at the limit: 1.2", pairs(1.2, 1, 1)),
			in(at(0.05), "at the limit: 1.2", pairs(1.2, 1, 1)),
			in(at(0.15), "at the limit: 1.2", pairs(1.2, 1, 1)),
			in(machine{run: 0.05, heavy: true, asListed: true}, "at the limit: 1.2", pairs(1.2, 1, 1)),
			in(at(0.05), "no effect, whatever comes last takes 30 % longer", pairs(1, 1, 1.3)),
			in(at(0.05), "1.2, whatever comes last takes 30 % longer", pairs(1.2, 1, 1.3)),
			in(at(0.05), "twice, and a request of the storm reads no more than one of the hot adapter", func(seed uint64) *analysis.Experiment {
				return each(pairs(2, 1, 1)(seed), func(a *analysis.Measured) { a.Telemetry.ReadBytes, a.Telemetry.ReadMBPerSec = 1e6, 0.2 })
			}),
		},
		effects: []world{
			in(at(0.05), "1.35", pairs(1.35, 1, 1)),
			in(at(0.15), "1.35", pairs(1.35, 1, 1)),
			in(at(0.05), "1.5", pairs(1.5, 1, 1)),
			in(at(0.15), "1.5", pairs(1.5, 1, 1)),
			in(at(0.15), "2", pairs(2, 1, 1)),
		},
	}
}
