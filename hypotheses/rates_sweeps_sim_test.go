//go:build sim

package hypotheses

import (
	"math"

	"github.com/spark-harness/harness/analysis"
)

// rateH0 are the worlds of H0.
func rateH0() simRule {
	sweep := func(of func(float64) truth) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment { return plantedH0(seed, of) }
	}
	line := func(users float64) truth {
		ttft := firstMs * (1 + 0.05*users)
		return truth{ttftMs: ttft, cycleMs: 1000 * users / 200, perSec: 200}
	}
	// growing is a server that saturates at 16 users and whose latency then rises
	// with a power of the users.
	growing := func(power float64) func(float64) truth {
		return func(users float64) truth {
			of := queue(users)
			of.ttftMs = firstMs * math.Pow(math.Max(1, users/saturatedAt), power)
			return of
		}
	}
	at := func(run float64) machine { return machine{run: run, block: 0.05} }
	return simRule{
		h: H0(),
		nulls: []world{
			in(at(0.15), "users cost nothing, throughput is capped", sweep(capped(free))),
			in(at(0.30), "users cost nothing, throughput is capped", sweep(capped(free))),
			in(at(0.15), "latency is linear in users (+5 % each), throughput is capped", sweep(line)),
			in(at(0.15), "latency is a power of users (0.4), throughput is capped", sweep(capped(power))),
			in(at(0.30), "latency is a power of users (0.4), throughput is capped", sweep(capped(power))),
			in(machine{run: 0.15, block: 0.05, drift: 0.5}, "users cost nothing, throughput is capped", sweep(capped(free))),
			in(machine{run: 0.15, heavy: true}, "latency is a power of users (0.4), throughput is capped", sweep(capped(power))),
			in(at(0.05), "latency has a knee at 16, throughput grows on: not saturated", sweep(elastic)),
			in(at(0.05), "a knee at 16 where the batch is full: a setting", func(seed uint64) *analysis.Experiment {
				return limited(plantedH0(seed, queue), 16)
			}),
			in(at(0.05), "a knee at 16, and the disk is at its plateau", func(seed uint64) *analysis.Experiment {
				return each(plantedH0(seed, queue), func(a *analysis.Measured) { a.Telemetry.ReadMBPerSec = 900 })
			}),
		},
		effects: []world{
			in(at(0.05), "a queue behind 16 users", sweep(queue)),
			in(at(0.15), "a queue behind 16 users", sweep(queue)),
			in(at(0.30), "a queue behind 16 users", sweep(queue)),
			in(at(0.05), "past 16 users latency grows with their root", sweep(growing(0.5))),
			in(at(0.15), "past 16 users latency grows with their root", sweep(growing(0.5))),
			in(at(0.15), "past 16 users latency grows as they do", sweep(growing(1))),
		},
	}
}

// rateH2 are the worlds of H2.
func rateH2() simRule {
	sweep := func(of func(float64) truth) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment { return each(plantedH2(seed, of), tiered(1)) }
	}
	// rising is a stick with its bend at a full pool, whose latency at 1.5 pools is
	// so many times that before.
	rising := func(times float64) func(float64) truth {
		return func(demand float64) truth {
			ttft := firstMs * (1 + 2*(times-1)*math.Max(0, demand-1))
			return truth{ttftMs: ttft, cycleMs: ttft + aloneMs, perSec: 1000 * plantedUsers / (ttft + aloneMs)}
		}
	}
	at := func(run float64) machine { return machine{run: run, block: 0.05} }
	return simRule{
		h: H2(),
		nulls: []world{
			in(at(0.15), "the pool overflows, latency does not move", sweep(stick(1e6))),
			in(at(0.30), "the pool overflows, latency does not move", sweep(stick(1e6))),
			in(at(0.15), "latency is a power of the demand (0.8)", sweep(slope)),
			in(at(0.30), "latency is a power of the demand (0.8)", sweep(slope)),
			in(machine{run: 0.15, heavy: true, drift: 0.5}, "latency is a power of the demand (0.8)", sweep(slope)),
			in(at(0.05), "at the limit: TTFT at 1.5 pools is 1.5 times that before", sweep(rising(1.5))),
			in(at(0.05), "a knee at a full pool, dropped KV is computed again", func(seed uint64) *analysis.Experiment {
				return each(plantedH2(seed, stick(1)), recomputed)
			}),
			in(at(0.05), "a knee at a full pool, nothing is moved", func(seed uint64) *analysis.Experiment { return plantedH2(seed, stick(1)) }),
			in(at(0.05), "a knee at half a pool", sweep(stick(0.5))),
			in(at(0.05), "a knee at 2.2 pools", sweep(stick(2.2))),
			in(at(0.05), "a knee at a full pool, the device reads 5 % more than the server says", func(seed uint64) *analysis.Experiment {
				return each(plantedH2(seed, stick(1)), tiered(1.05))
			}),
		},
		effects: []world{
			in(at(0.05), "TTFT at 1.5 pools is 2 times that before", sweep(rising(2))),
			in(at(0.15), "TTFT at 1.5 pools is 2 times that before", sweep(rising(2))),
			in(at(0.05), "TTFT at 1.5 pools is 3 times that before", sweep(rising(3))),
			in(at(0.15), "TTFT at 1.5 pools is 3 times that before", sweep(rising(3))),
			in(at(0.15), "TTFT at 1.5 pools is 5 times that before", sweep(stick(1))),
			in(at(0.30), "TTFT at 1.5 pools is 5 times that before", sweep(stick(1))),
		},
	}
}
