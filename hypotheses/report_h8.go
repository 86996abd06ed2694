package hypotheses

import (
	"github.com/spark-harness/harness/analysis"
)

// reportH8 draws and tabulates H8; e has the arms of all runs.
func (h Hypothesis) reportH8(e *analysis.Experiment, v analysis.Verdict, d h8Data, wait, partial, await, psi relation) Judgement {
	if !d.drawable() {
		return Judgement{Verdict: v}
	}
	c := caption(e, "partial: users, fio's level and CPU busy allowed for")
	c.Interval = "bars: 95 % interval of the mean over repeats"
	f := analysis.H8Figure{
		Caption: c, Width: analysis.FigureColumn, Verdict: verdictLine(v),
		Relations: []analysis.H8Relation{
			{Name: "iowait", Rhos: wait.rhos, Mean: wait.mean},
			{Name: "iowait", Given: "partial", Rhos: partial.rhos, Mean: partial.mean},
			{Name: "r_await", Rhos: await.rhos, Mean: await.mean},
			{Name: "io PSI", Rhos: psi.rhos, Mean: psi.mean},
		},
		Limit: h8Rho,
	}
	for _, b := range d.blocks {
		block := analysis.H8Block{Run: b.id, Block: b.block}
		for _, s := range b.steps {
			block.Steps = append(block.Steps, analysis.H8Step{
				TTFTMillis: s.TTFTMs, IOWaitCores: s.Counters[analysis.CounterIOWaitCores],
				ReadAwaitMillis: s.Counters[analysis.CounterReadAwait], IOPressurePct: s.Counters[analysis.CounterPSIIO],
				BusyCores: s.Counters[analysis.CounterBusyCores], Share: s.share,
			})
		}
		f.Blocks = append(f.Blocks, block)
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH8(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

// drawable says that some slice has a place in the figure.
func (d h8Data) drawable() bool {
	for _, b := range d.blocks {
		for _, c := range []analysis.Counter{analysis.CounterIOWaitCores, analysis.CounterReadAwait, analysis.CounterPSIIO} {
			if len(b.series(c, false).X) > 0 {
				return true
			}
		}
	}
	return false
}
