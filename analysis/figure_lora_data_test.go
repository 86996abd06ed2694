package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
)

func loraCaption(samples, interval string) FigureCaption {
	return FigureCaption{
		Target: "embedded emulator (Triton API)", Model: "L8B", Machine: "2 vCPU VM, 8 GiB, virtio disk, Linux 6.1, amd64",
		Samples: samples, Interval: interval, Emulated: true,
	}
}

// syntheticH1 is modelled on files of 33 MB that a disk reads at 1 GB/s, each
// waited for whole: 33 ms beside the 18 ms of any first token.
func syntheticH1(adapters, cycles int) H1Figure {
	rng := rand.New(rand.NewPCG(1, 1))
	const bytes, rate, base = 33e6, 1e9, 18.0
	noise := func(sd float64) float64 { return math.Exp(rng.NormFloat64() * sd) }
	h := H1Figure{
		Caption: loraCaption(fmt.Sprintf("%d restart cycles", cycles), "ratio and excess: 95 % bootstrap over cycles"),
		Verdict: "SUPPORTED", Ratio: Estimate{2.92, 2.71, 3.11}, Excess: Estimate{34.8, 32.9, 36.4}, ReadMs: 1e3 * bytes / rate,
	}
	slow := make([]float64, cycles)
	for c := range slow {
		slow[c] = noise(0.08)
		h.Cycles = append(h.Cycles, H1Cycle{
			Cycle: c + 1, AdapterBytes: bytes * float64(adapters), ColdBytes: bytes * float64(adapters) * 1.03 * noise(0.02),
			WarmBytes: 0.01 * bytes * noise(0.5), ResidentBefore: 0, ResidentAfter: 1,
		})
	}
	for i := range adapters {
		a := H1Adapter{Name: fmt.Sprintf("adapter-%03d", i+1)}
		for c := range cycles {
			load := 1e3 * bytes / rate * slow[c] * noise(0.05)
			a.LoadMs = append(a.LoadMs, load)
			a.Cold = append(a.Cold, base*noise(0.06)+load+1.5)
			a.Warm = append(a.Warm, base*noise(0.06))
		}
		h.Adapters = append(h.Adapters, a)
	}
	return h
}

// syntheticH5 is modelled on a cache of 8 adapters of 33 MB: a storm over n
// misses with chance 1 - 8/n, and sticky users miss seldom.
func syntheticH5(sets ...int) H5Figure {
	rng := rand.New(rand.NewPCG(5, 1))
	const bytes, slots = 33e6, 8.0
	noise := func(sd float64) float64 { return math.Exp(rng.NormFloat64() * sd) }
	h := H5Figure{
		Caption:  loraCaption("8 blocks of 7 runs, 400 requests or more per run", "bars and shade: 95 % two-stage bootstrap over repeats"),
		Quantile: "p95", Verdict: "SUPPORTED", StormSlope: Estimate{0.31, 0.27, 0.36}, Interaction: Estimate{0.27, 0.22, 0.32}, Ratio: Estimate{3.4, 2.98, 3.87},
		PredictedBytes: func(n int) float64 { return bytes * max(0, 1-slots/float64(n)) },
	}
	cell := func(condition string, n int, miss float64) {
		c := H5Cell{Adapters: n, Condition: condition}
		for block := range 8 {
			ttft := (18 + 90*miss) * noise(0.08)
			c.Repeats = append(c.Repeats, H5Repeat{Block: block, LoRARun: LoRARun{
				Requests: 400, TTFTMillis: ttft, LatencyMillis: ttft + 90, BytesPerRequest: bytes * miss * noise(0.05), LoadsPerRequest: miss,
				ReadMBps: 40 * 33 * miss * noise(0.05), ReadAwaitMillis: 0.4 + miss, AquSz: 2 * miss, IOWaitPct: 10 * miss, CPUBusyCores: 0.8,
			}})
		}
		m := c.median(H5Repeat.ttft)
		c.TTFT = Estimate{m, m * 0.93, m * 1.08}
		h.Sets = append(h.Sets, c)
	}
	cell(ConditionBase, 0, 0)
	for _, n := range sets {
		cell(ConditionSticky, n, 0.1*max(0, 1-slots/float64(n)))
		cell(ConditionStorm, n, max(0, 1-slots/float64(n))*1.04)
	}
	return h
}

// syntheticH6 is modelled on a storm that misses three times in four.
func syntheticH6(pairs int) H6Figure {
	rng := rand.New(rand.NewPCG(6, 1))
	noise := func(sd float64) float64 { return math.Exp(rng.NormFloat64() * sd) }
	h := H6Figure{
		Caption:  loraCaption(fmt.Sprintf("%d blocks, 400 requests or more per run", pairs), "bars: 95 % two-stage bootstrap over repeats"),
		Quantile: "p95", Verdict: "SUPPORTED", Ratio: Estimate{3.72, 3.4, 4.02}, LoRACompute: Estimate{1.06, 1.02, 1.11},
	}
	for block := range pairs {
		slow := noise(0.07)
		arm := func(ttft, miss float64) LoRARun {
			ttft *= slow * noise(0.04)
			return LoRARun{
				Requests: 400, TTFTMillis: ttft, LatencyMillis: ttft + 90, ReadMBps: 1300 * miss, BytesPerRequest: 33e6 * miss * noise(0.04),
				LoadsPerRequest: miss, ReadAwaitMillis: 0.4 + miss, AquSz: 2 * miss, IOWaitPct: 10 * miss, CPUBusyCores: 0.9,
			}
		}
		h.Pairs = append(h.Pairs, H6Pair{
			Block: block, StormFirst: block%4 == 1 || block%4 == 2, Base: arm(17, 0), Hot: arm(18, 0), Storm: arm(67, 0.75),
		})
	}
	return h
}
