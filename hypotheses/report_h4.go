package hypotheses

import (
	"cmp"
	"math"

	"github.com/spark-harness/harness/analysis"
)

// reportH4 draws and tabulates H4.
func (h Hypothesis) reportH4(e *analysis.Experiment, v analysis.Verdict, d h4Data, slope h4Slope, effect effect) Judgement {
	f := analysis.H4Figure{
		Caption: caption(e), Width: analysis.FigureColumn, Quantile: v.Quantile, Verdict: verdictLine(v),
		Levels: d.figureLevels(d.paging), Comfy: d.figureLevels(d.comfy), Null: d.figureLevels(d.null), ComfyNull: d.figureLevels(d.comfyNull),
		Throttled: d.figureLevels(d.throttled),
		Slope:     slope.slope, SlopeAt: slope.at(), Ratio: effect.ratio,
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH4(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

// at is the fitted line in ms, with half of the points above it; nil without a
// slope.
func (s h4Slope) at() func(readMs float64) float64 {
	if math.IsNaN(s.slope.Value) {
		return nil
	}
	var above []float64
	for _, p := range s.points {
		above = append(above, p.Y-s.slope.Value*p.X)
	}
	middle := analysis.Median(above)
	return func(readMs float64) float64 { return math.Exp(middle + s.slope.Value*math.Log(readMs)) }
}

func (d h4Data) figureLevels(levels []analysis.Level) []analysis.H4Level {
	var out []analysis.H4Level
	for _, l := range levels {
		share := shareOf(l.Arms[0])
		if l.Arms[0].Storage.Limits != nil {
			share = math.NaN()
		}
		level := analysis.H4Level{Name: nameOf(l), Share: share, TTFT: levelEstimate(l, d.q, d.seed)}
		for _, a := range l.Arms {
			level.Repeats = append(level.Repeats, d.figureRepeat(a))
		}
		out = append(out, level)
	}
	return out
}

func (d h4Data) figureRepeat(a *analysis.Measured) analysis.H4Repeat {
	c, t := cmp.Or(a.Contention, &analysis.Contention{}), a.Telemetry // none: the run is void
	return analysis.H4Repeat{
		Block: a.Block, Requests: len(a.TTFT), TTFTMillis: endpointMs(a, d.q), LatencyMillis: e2eMs(a, d.q),
		ReadAwaitMillis: t.ReadAwaitMs, ProbeMillis: c.Seen.P50.Seconds() * 1e3, AquSz: t.AquSz,
		DeviceReadMBps: t.ReadMBPerSec, ServerPageInMBps: t.ServerMBPerSec, FioMBps: c.FioMBPerSec, FioIOPS: c.FioIOPS,
		ServerReadMillis: c.ServerReadMs, IOWaitPct: t.IOWaitPct, CPUBusyCores: t.CPUBusyCores, Verified: c.Fault() == "",
	}
}
