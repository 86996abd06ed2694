package analysis

import (
	"math"
	"math/rand/v2"
)

// h4Setting is a synthetic level: what the device does and what the server
// makes of it.
type h4Setting struct {
	name             string
	share            float64
	ttft, await, fio float64
}

func syntheticH4Level(rng *rand.Rand, s h4Setting, pageIn float64) H4Level {
	l := H4Level{Name: s.name, Share: s.share}
	noise := func(sd float64) float64 { return math.Exp(rng.NormFloat64() * sd) }
	for block := range 8 {
		slow := noise(0.1)
		l.Repeats = append(l.Repeats, H4Repeat{
			Block: block, Requests: 400, TTFTMillis: s.ttft * slow * noise(0.04), LatencyMillis: (s.ttft + 90) * slow,
			ReadAwaitMillis: s.await * slow, ProbeMillis: 0.6 * s.await * noise(0.05), AquSz: 3 * s.await, DeviceReadMBps: pageIn + s.fio,
			ServerPageInMBps: pageIn, FioMBps: s.fio, FioIOPS: s.fio * 7.6, ServerReadMillis: 1.1 * s.await * slow, IOWaitPct: 12 * slow,
			CPUBusyCores: 1.2, Verified: true,
		})
	}
	m := l.median(H4Repeat.ttft)
	l.TTFT = Estimate{m, m * 0.93, m * 1.08}
	return l
}

// syntheticH4 is modelled on a server that waits for each of its reads: its
// TTFT follows r_await while it pages, and nothing moves it below the knee.
func syntheticH4() H4Figure {
	rng := rand.New(rand.NewPCG(4, 4))
	h := H4Figure{
		Caption: FigureCaption{
			Target: "embedded emulator (OpenAI API)", Model: "L70B", Machine: "2 vCPU VM, 8 GiB, virtio disk, Linux 6.1, amd64",
			Samples: "8 blocks, 400 requests or more per run", Interval: "bars: 95 % two-stage bootstrap over repeats", Emulated: true,
		},
		Quantile: "p95", Verdict: "SUPPORTED", Slope: Estimate{0.98, 0.87, 1.09}, Ratio: Estimate{3.24, 2.96, 3.55},
		SlopeAt: func(await float64) float64 { return 31.5 * math.Pow(await, 0.98) },
	}
	for _, s := range []h4Setting{{"BASELINE", 0, 40, 1.3, 0}, {"MODERATE", 0.4, 50, 1.6, 900}, {"HEAVY", 1, 130, 4, 1700}} {
		h.Levels = append(h.Levels, syntheticH4Level(rng, s, 300))
	}
	for _, s := range []h4Setting{{"BASELINE", 0, 8, 0.2, 0}, {"MODERATE", 0.4, 8.1, 0.6, 1000}, {"HEAVY", 1, 8.05, 3, 2100}} {
		h.Comfy = append(h.Comfy, syntheticH4Level(rng, s, 0))
	}
	h.Null = append(h.Null, syntheticH4Level(rng, h4Setting{"HEAVY", 1, 40, 1.3, 2100}, 300))
	return h
}

// syntheticH4Full has five levels, the second lever and one run whose load
// failed.
func syntheticH4Full() H4Figure {
	rng := rand.New(rand.NewPCG(5, 5))
	h := syntheticH4()
	more := func(s h4Setting) H4Level { return syntheticH4Level(rng, s, 300) }
	h.Levels = []H4Level{
		h.Levels[0], more(h4Setting{"LIGHT", 0.25, 44, 1.4, 400}), h.Levels[1],
		more(h4Setting{"STRONG", 0.75, 80, 2.5, 1300}), h.Levels[2],
	}
	h.Throttled = []H4Level{more(h4Setting{"200 MB/s", math.NaN(), 44, 1.45, 0}), more(h4Setting{"100 MB/s", math.NaN(), 200, 7, 0})}
	h.Levels[2].Repeats[2].Verified, h.Levels[2].Repeats[2].TTFTMillis = false, 70
	return h
}
