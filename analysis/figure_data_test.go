package analysis

import (
	"math"
	"math/rand/v2"
)

// syntheticH0 is modelled on a queue that saturates at knee users: 50 ms before
// it, linear growth after, ten per cent of run-to-run spread.
func syntheticH0(knee float64) H0Figure {
	rng := rand.New(rand.NewPCG(7, 7))
	h := H0Figure{
		Caption: FigureCaption{
			Target: "embedded emulator (OpenAI API)", Model: "L8B", Machine: "2 vCPU VM, 8 GiB, virtio disk, Linux 6.1, amd64",
			Samples: "5 repeats of 1,000 requests or more per arm", Interval: "bars and shade: 95 % bootstrap over repeats", Emulated: true,
		},
		Verdict: "SUPPORTED", Knee: &Estimate{16.4, 15.2, 18.1}, UWork: 10, BatchLimit: 64,
		USL: func(n float64) float64 { return 14 * n / (1 + 0.08*(n-1)) },
		Fit: func(u float64) float64 { return 52 * max(1, u/16.4) },
	}
	for _, users := range []int{1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256} {
		arm := H0Arm{Users: users}
		u := float64(users)
		for range 5 {
			noise := math.Exp(rng.NormFloat64() * 0.08)
			ttft := 52 * max(1, u/knee) * noise
			rate := min(u, knee) / 0.095 * math.Exp(rng.NormFloat64()*0.02)
			arm.Repeats = append(arm.Repeats, H0Repeat{
				Requests: 1000 + users, TTFTMillis: ttft, LatencyMillis: ttft + 45*noise, RequestsPerSec: rate, TokensPerSec: 32 * rate,
			})
		}
		m := medianOfPresent(arm.column(H0Repeat.ttft))
		arm.TTFT = Estimate{m, m * 0.91, m * 1.1}
		h.Arms = append(h.Arms, arm)
	}
	return h
}

// syntheticH2 is modelled on a pool of 10,350 tokens filled by nine users: past
// it each turn reads what was spilled, at a few hundred MB/s.
func syntheticH2() H2Figure {
	rng := rand.New(rand.NewPCG(9, 9))
	h := H2Figure{
		Caption: FigureCaption{
			Target: "embedded emulator (OpenAI API)", Model: "L70B", Machine: "2 vCPU VM, 8 GiB, virtio disk, Linux 6.1, amd64",
			Samples: "9 users, 5 repeats of 400 requests or more per arm", Interval: "bars and shade: 95 % bootstrap over repeats", Emulated: true,
		},
		Verdict: "SUPPORTED", Mechanism: "KV_TIER",
		Knee: &Estimate{1.04, 0.93, 1.18}, PoolFull: &Estimate{1, 1, 1},
	}
	for _, context := range []int{256, 512, 1024, 1536, 2048, 3072, 4096, 8192} {
		demand := float64(9*(context+32)) / 10350
		arm := H2Arm{Users: 9, ContextTokens: context, Demand: demand}
		for range 5 {
			noise := math.Exp(rng.NormFloat64() * 0.07)
			over := max(0, demand-1)
			run := H2Repeat{
				Requests: 400, TTFTMillis: (48 + 5*demand + 320*over) * noise, LatencyMillis: (130 + 320*over) * noise,
				DeviceReadMBps: 0.2 * noise, ServerPageInMBps: 0, ReadAwaitMillis: math.NaN(), IOWaitPct: 0.4 * noise,
			}
			if over > 0 {
				run.ServerPageInMBps = 620 * (1 - math.Exp(-over*1.4)) * noise
				run.DeviceReadMBps = run.ServerPageInMBps * 1.01
				run.ReadAwaitMillis = (0.25 + 0.9*(1-math.Exp(-over))) * noise
				run.IOWaitPct = 34 * (1 - math.Exp(-over*1.2)) * noise
			}
			arm.Repeats = append(arm.Repeats, run)
		}
		m := medianOfPresent(arm.column(H2Repeat.ttft))
		arm.TTFT = Estimate{m, m * 0.93, m * 1.08}
		h.Arms = append(h.Arms, arm)
	}
	return h
}
