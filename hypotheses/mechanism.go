package hypotheses

import (
	"math"

	"github.com/spark-harness/harness/analysis"
)

// Mechanisms of a memory knee, as verdicts name them.
const (
	mechanismTier      = "KV_TIER"   // KV blocks came back from a disk tier
	mechanismSwap      = "SWAP"      // anonymous pages came back from swap
	mechanismRefault   = "REFAULT"   // evicted pages were faulted in again
	mechanismRecompute = "RECOMPUTE" // dropped KV was computed again
	mechanismQueue     = "QUEUE"     // requests waited; nothing was moved or recomputed
	mechanismUnknown   = "UNKNOWN"   // the counters that would tell are not there
)

// minExplained is the share of the demand growth past the knee that paged
// bytes must explain to be its cause.
const minExplained = 0.10

// maxCountGap is how far the device's reads may be from the server's own count.
const maxCountGap = 0.02

// paging is what happened to KV beyond the pool, from counters, over the arms
// past the knee against those before it. NaN is absent.
type paging struct {
	growthBytes float64 // demand beyond the pool in the largest arm, all users
	// Bytes per cycle of all users that came back in that arm, by cause.
	tier, swap, refault, recompute float64
	device                         float64 // the same at the device
	tierCounted                    bool    // the server told, else tier is what the device read unexplained

	awaitBefore, awaitAfter float64 // ms
	aquBefore, aquAfter     float64

	// Totals over all arms, idle edge to idle edge, for the cross-check.
	serverBytes, deviceBytes float64
}

func pagingOf(levels []analysis.Level, pool, knee, perToken float64, known bool) paging {
	top := levels[len(levels)-1]
	p := paging{growthBytes: math.NaN()}
	if known {
		p.growthBytes = (top.Median(demandTokens) - pool) * perToken
	}
	cycle := func(of func(*analysis.Measured) float64) float64 {
		return top.Median(func(a *analysis.Measured) float64 { return of(a) / turns(a) * float64(a.Users) })
	}
	p.device = cycle(func(a *analysis.Measured) float64 { return a.Telemetry.ReadBytes })
	p.swap = cycle(func(a *analysis.Measured) float64 { return a.Telemetry.SwapInBytes })
	p.refault = cycle(func(a *analysis.Measured) float64 { return a.Telemetry.RefaultBytes })
	p.recompute = perToken * top.Median(func(a *analysis.Measured) float64 {
		return missedTokens(a) * float64(a.Users)
	})
	p.tier = cycle((*analysis.Measured).DiskInBytes)
	p.tierCounted = !math.IsNaN(p.tier)
	if !p.tierCounted {
		p.tier = p.device - nanZero(p.swap) - nanZero(p.refault)
	}
	p.loadOf(levels, knee)
	for _, a := range allArms(levels) {
		p.serverBytes += a.DiskInBytes()
		p.deviceBytes += a.Telemetry.ReadBytes
	}
	return p
}

// loadOf compares the device before and after the knee.
func (p *paging) loadOf(levels []analysis.Level, knee float64) {
	var aqu, await [2][]float64
	for _, l := range levels {
		side := 0
		if l.X > knee {
			side = 1
		}
		for _, a := range l.Arms {
			aqu[side] = append(aqu[side], a.Telemetry.AquSz)
			if !math.IsNaN(a.Telemetry.ReadAwaitMs) {
				await[side] = append(await[side], a.Telemetry.ReadAwaitMs)
			}
		}
	}
	p.aquBefore, p.aquAfter = analysis.Median(aqu[0]), analysis.Median(aqu[1])
	p.awaitBefore, p.awaitAfter = analysis.Median(await[0]), analysis.Median(await[1])
}

// explained is the share of the demand growth that bytes per cycle make up.
func (p paging) explained(bytes float64) float64 {
	if !(p.growthBytes > 0) {
		return math.NaN()
	}
	return bytes / p.growthBytes
}

// mechanism names the first cause, of those that move bytes, that explains
// enough; then recomputation. A queue is what is left when all of them are
// known not to.
func (p paging) mechanism() string {
	for _, m := range []struct {
		name  string
		bytes float64
	}{{mechanismTier, p.tier}, {mechanismSwap, p.swap}, {mechanismRefault, p.refault}, {mechanismRecompute, p.recompute}} {
		if p.explained(m.bytes) >= minExplained {
			return m.name
		}
	}
	if math.IsNaN(p.growthBytes) || math.IsNaN(p.tier) || math.IsNaN(p.recompute) {
		return mechanismUnknown
	}
	return mechanismQueue
}

// busier says that the device was waited for more past the knee than before.
func (p paging) busier() bool {
	return p.aquAfter > 1.2*p.aquBefore && p.aquAfter > 0.05 || p.awaitAfter > 1.2*p.awaitBefore
}

// real says whether the knee is a paging knee at all.
func (p paging) real() bool {
	switch p.mechanism() {
	case mechanismTier, mechanismSwap, mechanismRefault:
		return p.busier()
	}
	return false
}

func (p paging) claims() []analysis.Claim {
	paged := math.Max(nanZero(p.tier), math.Max(nanZero(p.swap), nanZero(p.refault)))
	explained := p.explained(paged)
	claims := []analysis.Claim{
		{Text: "paged bytes explain this share of the growth in demand beyond the pool", Value: analysis.Num(explained), Limit: analysis.Num(minExplained), Unit: "share", Holds: explained >= minExplained},
		{Text: "aqu-sz rises past the knee (or r_await does)", Value: analysis.Num(p.aquAfter), Limit: analysis.Num(1.2 * p.aquBefore), Unit: "requests", Holds: p.busier()},
	}
	if p.tierCounted && p.serverBytes > 0 {
		gap := math.Abs(p.deviceBytes/p.serverBytes - 1)
		claims = append(claims, upTo("the device's reads against the server's own count", "share", gap, maxCountGap))
	}
	return claims
}

// missedTokens is what a turn computed again of a context that it had had
// before: by the answer's own count, else by the server's prefix counters.
func missedTokens(a *analysis.Measured) float64 {
	question := float64(a.Load.Workload.SuffixTokens)
	if !math.IsNaN(a.CachedTokensMean) {
		return a.PromptTokensMean - a.CachedTokensMean - question
	}
	if q, h := a.Server.PrefixQueries, a.Server.PrefixHits; q != nil && h != nil && *q > 0 {
		return a.PromptTokensMean*(1 - *h / *q) - question
	}
	return math.NaN()
}

// turns is how many requests the arm served between its idle edges, priming
// and warm-up included.
func turns(a *analysis.Measured) float64 {
	r := a.Summary.Requests
	return float64(primeRounds*a.Users) + float64(r.Warmup+r.Due+r.Drain)
}

func allArms(levels []analysis.Level) []*analysis.Measured {
	var arms []*analysis.Measured
	for _, l := range levels {
		arms = append(arms, l.Arms...)
	}
	return arms
}

func nanZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
