package hypotheses

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/spark-harness/harness/analysis"
)

// curve is the truth of one counter over demand, without noise.
type curve func(demand float64) float64

// onset rests at a level and grows by so much per pool beyond a demand.
func onset(rest, at, growth float64) curve {
	return func(demand float64) float64 { return rest + growth*math.Max(0, demand-at) }
}

// saturating is an onset that approaches a ceiling, as a disk's rate does.
func saturating(at, ceiling float64) curve {
	return func(demand float64) float64 { return ceiling * (1 - math.Exp(-math.Max(0, demand-at))) }
}

const (
	signalNoise = 0.05 // sd of ln between runs
	floorNoise  = 0.3  // sd of what is there without any cause, in the counter's unit
)

// plantedH3 rests on two runs of H2 with repeats together; counters that are not
// planted are 0 throughout, as in a machine without swap.
func plantedH3(seed uint64, repeats int, latency func(float64) truth, counters map[analysis.Counter]curve) *analysis.Experiment {
	e := planted("H3", seed)
	e.Manifest.Facts.KVPoolTokens, e.Manifest.Facts.KVBytesPerToken = new(int64(plantedPool)), new(int64(plantedPerToken))
	rng := rand.New(rand.NewPCG(seed, 2))
	for i := 0; repeats > 0; i++ {
		run := plantedH2(seed+uint64(100*i), latency)
		n := min(repeats, run.Plan.Profile.Repeats)
		repeats -= n
		var kept []*analysis.Measured
		for _, a := range run.Arms {
			if a.Block < n {
				kept = append(kept, a)
			}
		}
		run.Arms = kept
		for k, a := range run.Arms {
			plantCounters(rng, a, counters)
			inOrder(a, k)
		}
		e.Sources = append(e.Sources, run)
	}
	return e
}

// plantCounters gives an arm its counters and three slices of its window. What
// falls is a level, such as memory, and steadier than a rate.
func plantCounters(rng *rand.Rand, a *analysis.Measured, counters map[analysis.Counter]curve) {
	demand := demandTokens(a) / plantedPool
	plant := func(to *analysis.Counters, noise float64) {
		for c := range analysis.Counter(len(to)) { // in one order: the same seed, the same numbers
			of, planted := counters[c]
			if !planted {
				continue
			}
			sd := noise
			if c.Info().Falls {
				sd /= 10
			}
			to[c] = of(demand)*math.Exp(sd*rng.NormFloat64()) + floorNoise*math.Abs(rng.NormFloat64())
		}
	}
	plant(&a.Counters, signalNoise)
	third := a.Summary.Window.Length() / 3
	for i := range 3 {
		s := analysis.Slice{Requests: 33, TTFTMs: a.TTFT[len(a.TTFT)*9/10] * math.Exp(0.1*rng.NormFloat64())}
		s.From = a.Summary.Window.Start + third*timeOf(i)
		s.To = s.From + third
		plant(&s.Counters, 2*signalNoise)
		a.Slices = append(a.Slices, s)
	}
}

func timeOf(i int) time.Duration { return time.Duration(i) }

// inOrder puts the k-th arm of a run at its time.
func inOrder(a *analysis.Measured, k int) {
	shift := timeOf(k) * 8 * time.Second
	a.Summary.Window.Start += shift
	a.Summary.Window.End += shift
	for i := range a.Slices {
		a.Slices[i].From += shift
		a.Slices[i].To += shift
	}
}
