package hypotheses

import (
	"math"
	"math/rand/v2"

	"github.com/spark-harness/harness/analysis"
)

// stalls is the truth of one slice: how long tasks wait for the disk, given how
// much there is to wait for in its arm (0 to 1) and chance, and what TTFT and
// the machine make of it.
type stalls struct {
	memory  float64 // of what is there by chance from slice to slice, 0 to 1
	ttftMs  func(wait float64) float64
	iowait  func(wait float64) float64 // cores
	psi     func(wait float64) float64 // % of time
	busy    func(share, wait float64) float64
	byShare bool // waits come from fio's share alone, not from the arm
}

func plantedStalls() stalls {
	return stalls{
		memory: 0.5,
		ttftMs: func(wait float64) float64 { return 20 * math.Exp(2*wait) },
		iowait: func(wait float64) float64 { return 0.1 + wait },
		psi:    func(wait float64) float64 { return math.Min(100, 5+70*wait) },
		busy:   func(float64, float64) float64 { return 0.6 },
	}
}

// plantedH8 rests on a run of H2 and one of H4, at their quick designs.
func plantedH8(seed uint64, s stalls) *analysis.Experiment {
	e := planted("H8", seed)
	rng := rand.New(rand.NewPCG(seed, 8))
	for _, run := range []*analysis.Experiment{plantedH2(seed, stick(1)), plantedH4(seed+1, plantedDisks())} {
		for k, a := range run.Arms {
			plantSlices(rng, a, s)
			inOrder(a, k)
		}
		e.Sources = append(e.Sources, run)
	}
	return e
}

func plantSlices(rng *rand.Rand, a *analysis.Measured, s stalls) {
	share := 0.0
	if a.Storage != nil {
		share = shareOf(a)
	}
	level := rng.Float64()
	if s.byShare {
		level = share
	}
	chance := rng.NormFloat64()
	third := a.Summary.Window.Length() / 3
	for i := range 3 {
		chance = s.memory*chance + math.Sqrt(1-s.memory*s.memory)*rng.NormFloat64()
		wait := math.Max(0, level+0.1*chance)
		jitter := func(sd float64) float64 { return math.Exp(sd * rng.NormFloat64()) }
		slice := analysis.Slice{From: a.Summary.Window.Start + third*timeOf(i), Requests: 30}
		slice.To = slice.From + third
		slice.TTFTMs = s.ttftMs(wait) * jitter(0.15)
		for c := range slice.Counters {
			slice.Counters[c] = math.NaN()
		}
		slice.Counters[analysis.CounterIOWaitCores] = s.iowait(wait) * jitter(0.1)
		slice.Counters[analysis.CounterPSIIO] = s.psi(wait) * jitter(0.05)
		slice.Counters[analysis.CounterReadAwait] = (0.2 + wait) * jitter(0.1)
		slice.Counters[analysis.CounterBusyCores] = s.busy(share, wait) * jitter(0.05)
		a.Slices = append(a.Slices, slice)
	}
}
