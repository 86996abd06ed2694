package hypotheses

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// reportH1 draws and tabulates H1.
func (h Hypothesis) reportH1(e *analysis.Experiment, v analysis.Verdict, d h1Data, ratio, excess analysis.Estimate) Judgement {
	f := analysis.H1Figure{Caption: caption(e), Width: analysis.FigureColumn, Verdict: verdictLine(v), Ratio: ratio, Excess: excess, ReadMs: d.readMs()}
	f.Caption.Samples = fmt.Sprintf("%d restarts, %d cold loads, each with its next touch", len(d.cycles), d.loads())
	f.Caption.Interval = "shade in (b): 95 % interval of the median of all, restarts resampled whole"
	byName := map[string]analysis.H1Adapter{}
	for i, c := range d.cycles {
		f.Cycles = append(f.Cycles, c.figure())
		for _, p := range c.pairs {
			a, known := byName[p.adapter]
			if !known {
				a = analysis.H1Adapter{Name: p.adapter, Cold: absents(len(d.cycles)), Warm: absents(len(d.cycles)), LoadMs: absents(len(d.cycles))}
				byName[p.adapter] = a
			}
			a.Cold[i], a.Warm[i], a.LoadMs[i] = p.cold, p.warm, p.load
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		f.Adapters = append(f.Adapters, byName[name])
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH1(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

func absents(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

func (c h1Cycle) figure() analysis.H1Cycle {
	out := analysis.H1Cycle{
		Cycle: c.cold.Block, ColdBytes: c.cold.Telemetry.ReadBytes, WarmBytes: c.warm.Telemetry.ReadBytes,
		AdapterBytes: c.adapterBytes(), ResidentBefore: math.NaN(), ResidentAfter: math.NaN(),
	}
	if p := c.cold.LoRA.Cold; p != nil && p.Before != nil {
		out.ResidentBefore = p.Before.Share()
	}
	if p := c.cold.LoRA.Cold; p != nil && p.After != nil {
		out.ResidentAfter = p.After.Share()
	}
	return out
}

// reportH5 draws and tabulates H5.
func (h Hypothesis) reportH5(e *analysis.Experiment, v analysis.Verdict, d h5Data, slope, interaction analysis.Estimate, ratio effect) Judgement {
	f := analysis.H5Figure{
		Caption: caption(e), Width: analysis.FigureColumn, Quantile: v.Quantile, Verdict: verdictLine(v),
		StormSlope: slope, Interaction: interaction, Ratio: ratio.ratio,
	}
	if slotsKnown(d.setup) {
		f.PredictedBytes = func(n int) float64 { return uniformMiss(d.setup.Slots, n) * float64(d.setup.AdapterBytes) }
	}
	f.Sets = append(f.Sets, d.figureCell(analysis.ConditionBase, analysis.Level{Arms: d.base}))
	for _, l := range d.sticky {
		f.Sets = append(f.Sets, d.figureCell(analysis.ConditionSticky, l))
	}
	for _, l := range d.storm {
		f.Sets = append(f.Sets, d.figureCell(analysis.ConditionStorm, l))
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH5(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

func (d h5Data) figureCell(condition string, l analysis.Level) analysis.H5Cell {
	cell := analysis.H5Cell{Adapters: l.Arms[0].LoRA.Adapters, Condition: condition, TTFT: levelEstimate(l, d.q, d.seed)}
	for _, a := range l.Arms {
		cell.Repeats = append(cell.Repeats, analysis.H5Repeat{Block: a.Block, LoRARun: figureArm(a, d.q)})
	}
	return cell
}

// figureArm is one arm with adapters in the figures' terms.
func figureArm(a *analysis.Measured, q float64) analysis.LoRARun {
	t := a.Telemetry
	return analysis.LoRARun{
		Requests: len(a.TTFT), TTFTMillis: endpointMs(a, q), LatencyMillis: e2eMs(a, q),
		ReadMBps: t.ReadMBPerSec, BytesPerRequest: bytesPerRequest([]*analysis.Measured{a}), LoadsPerRequest: loadsPerRequest(a),
		ReadAwaitMillis: t.ReadAwaitMs, AquSz: t.AquSz, IOWaitPct: t.IOWaitPct, CPUBusyCores: t.CPUBusyCores,
	}
}

// loadsPerRequest is the part of the window's requests that waited for their
// adapter, by the server's own account; NaN where it does not tell.
func loadsPerRequest(a *analysis.Measured) float64 {
	told, loaded := 0, 0
	for _, t := range a.Touches {
		switch {
		case t.LoadMs > 0:
			told, loaded = told+1, loaded+1
		case t.LoadMs == 0:
			told++
		}
	}
	if told == 0 {
		return math.NaN()
	}
	return float64(loaded) / float64(told)
}

// reportH6 draws and tabulates H6.
func (h Hypothesis) reportH6(e *analysis.Experiment, v analysis.Verdict, d h6Data, ratio, compute effect) Judgement {
	f := analysis.H6Figure{
		Caption: caption(e), Width: analysis.FigureColumn, Quantile: v.Quantile, Verdict: verdictLine(v),
		Ratio: ratio.ratio, LoRACompute: compute.ratio,
		BaseTTFT: levelEstimate(d.base, d.q, d.seed), HotTTFT: levelEstimate(d.hot, d.q, d.seed), StormTTFT: levelEstimate(d.storm, d.q, d.seed),
	}
	of := func(l analysis.Level, block int) analysis.LoRARun {
		for _, a := range l.Arms {
			if a.Block == block {
				return figureArm(a, d.q)
			}
		}
		return analysis.LoRARun{}
	}
	for _, block := range blocksOf([]analysis.Level{d.hot}) {
		f.Pairs = append(f.Pairs, analysis.H6Pair{
			Block: block, StormFirst: d.first[block],
			Base: of(d.base, block), Hot: of(d.hot, block), Storm: of(d.storm, block),
		})
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH6(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}
