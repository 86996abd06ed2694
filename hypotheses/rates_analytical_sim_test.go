//go:build sim

package hypotheses

import (
	"math"
	"math/rand/v2"

	"github.com/spark-harness/harness/analysis"
)

// rateH3 are the worlds of H3, on two runs of H2 with 8 repeats together.
func rateH3() simRule {
	counters := func(bend float64, set map[analysis.Counter]curve) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment { return plantedH3(seed, 8, stick(bend), set) }
	}
	// from are a counter that begins at a demand, and one that never moves.
	from := func(at float64) map[analysis.Counter]curve {
		return map[analysis.Counter]curve{
			analysis.CounterKVTier:  onset(0, at, 320),
			analysis.CounterPageOut: func(float64) float64 { return 3 },
		}
	}
	noise := map[analysis.Counter]curve{}
	for c := range analysis.Counter(analysis.CounterSignals) {
		noise[c] = func(float64) float64 { return 3 }
	}
	at := func(run float64) machine { return machine{run: run, block: 0.05} }
	return simRule{
		h: H3(),
		nulls: []world{
			in(at(0.05), "a counter begins just where latency does", counters(1, from(1))),
			in(at(0.15), "a counter begins just where latency does", counters(1, from(1))),
			in(at(0.05), "a counter begins with latency and approaches a ceiling", counters(1, map[analysis.Counter]curve{analysis.CounterKVTier: saturating(1, 300)})),
			in(at(0.05), "a counter begins after latency, at 1.15 pools", counters(0.75, from(1.15))),
			in(at(0.15), "all eleven counters are noise", counters(1, noise)),
			in(at(0.15), "a counter grows without a knee", counters(1, map[analysis.Counter]curve{
				analysis.CounterPageIn: func(demand float64) float64 { return 50 * math.Pow(demand, 0.3) },
			})),
			in(at(0.15), "a counter has a knee, latency has none", counters(1e6, from(0.7))),
		},
		effects: []world{
			in(at(0.05), "a counter begins at 0.7 pools, latency at 1", counters(1, from(0.7))),
			in(at(0.15), "a counter begins at 0.7 pools, latency at 1", counters(1, from(0.7))),
			in(at(0.05), "a counter begins at 0.85 pools, latency at 1", counters(1, from(0.85))),
		},
	}
}

// rateH7 are the worlds of H7, on runs of H1, H5 and H6.
func rateH7() simRule {
	reads := func(of func(rng *rand.Rand, loads float64) float64) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment {
			truth := claimedH7()
			truth.reads = of
			return plantedH7(seed, truth)
		}
	}
	scattered := func(sd float64) func(uint64) *analysis.Experiment {
		return reads(func(rng *rand.Rand, loads float64) float64 {
			return (loads + 2) * plantedSize * math.Exp(sd*rng.NormFloat64())
		})
	}
	still := machine{run: 0.05, block: 0.05}
	return simRule{
		h: H7(),
		nulls: []world{
			in(still, "at the limit: reads follow predicted loads with a rank correlation of 0.8", scattered(h7AtLimit)),
			in(still, "the disk reads as much, whatever is loaded", reads(func(rng *rand.Rand, _ float64) float64 { return rng.Float64() * 40 * plantedSize })),
			in(still, "one more reader past the block layer, 5 MB in one arm", func(seed uint64) *analysis.Experiment {
				truth := claimedH7()
				truth.edit = func(i int, d *analysis.SmartDelta) {
					if i == 0 {
						d.ReadBytes, d.Reads = d.ReadBytes+5e6, d.Reads+40
					}
				}
				return plantedH7(seed, truth)
			}),
			in(still, "the page cache gives what is loaded", reads(func(_ *rand.Rand, loads float64) float64 { return loads * plantedSize / 100 })),
		},
		effects: []world{
			in(still, "the disk reads what is loaded", func(seed uint64) *analysis.Experiment { return plantedH7(seed, claimedH7()) }),
			in(still, "it reads that within a tenth", scattered(0.1)),
			in(still, "it reads that within half", scattered(0.5)),
			in(still, "no NVMe log, diskstats stands in", func(seed uint64) *analysis.Experiment {
				truth := claimedH7()
				truth.log = false
				return plantedH7(seed, truth)
			}),
		},
	}
}

// rateH8 are the worlds of H8, on a run of H2 and one of H4.
func rateH8() simRule {
	stalled := func(edit func(*stalls)) func(uint64) *analysis.Experiment {
		return func(seed uint64) *analysis.Experiment {
			s := plantedStalls()
			edit(&s)
			return plantedH8(seed, s)
		}
	}
	// apart has the TTFT of another machine of the same kind: both series with
	// their memory, and nothing between them.
	apart := func(seed uint64) *analysis.Experiment {
		edit := func(s *stalls) { s.memory = 0.9 }
		e := stalled(edit)(seed)
		for i, run := range stalled(edit)(seed + 1<<40).Sources {
			for k, a := range run.Arms {
				for n := range a.Slices {
					e.Sources[i].Arms[k].Slices[n].TTFTMs = a.Slices[n].TTFTMs
				}
			}
		}
		return e
	}
	steep := func(k float64) func(*stalls) {
		return func(s *stalls) { s.ttftMs = func(wait float64) float64 { return 20 * math.Exp(k*wait) } }
	}
	still, loud := machine{}, machine{run: 0.15, block: 0.05}
	return simRule{
		h: H8(),
		nulls: []world{
			in(still, "the tail does not follow stalls", stalled(steep(0))),
			in(loud, "the tail does not follow stalls", stalled(steep(0))),
			in(still, "both wander on their own", apart),
			in(still, "the CPU moves both", cpuBound),
			in(still, "tasks wait and no CPU counts it", stalled(func(s *stalls) { s.iowait = func(wait float64) float64 { return 0.001 * (1 + wait) } })),
		},
		effects: []world{
			in(still, "TTFT grows by 0.3 in ln over the stalls' range", stalled(steep(0.3))),
			in(still, "TTFT grows by 1 in ln over the stalls' range", stalled(steep(1))),
			in(loud, "TTFT grows by 1 in ln over the stalls' range", stalled(steep(1))),
			in(loud, "TTFT grows by 2 in ln over the stalls' range", stalled(steep(2))),
		},
	}
}
