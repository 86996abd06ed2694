package hypotheses

import (
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// reportH7 draws and tabulates H7; without a disk that anybody saw there is
// nothing to draw.
func (h Hypothesis) reportH7(e *analysis.Experiment, v analysis.Verdict, d h7Data, rho analysis.Estimate) Judgement {
	f := analysis.H7Figure{
		Caption: caption(e), Width: analysis.FigureColumn, Verdict: verdictLine(v),
		Source: d.source(), Logged: d.logged, Correlation: rho, LogicalBlock: math.NaN(), MaxRequest: math.NaN(),
	}
	f.Caption.Samples = fmt.Sprintf("%d arms in %d blocks, runs: %d", len(d.arms), d.clusters, len(e.Runs()))
	f.Caption.Interval = ""
	for _, a := range d.arms {
		f.Arms = append(f.Arms, d.figureArm(a))
		if s := a.Smart; s != nil {
			f.LogicalBlock, f.MaxRequest = s.LogicalBlock, s.MaxRequest
		}
	}
	if !slices.ContainsFunc(f.Arms, func(a analysis.H7Arm) bool { return a.Bytes >= 0 }) {
		return Judgement{Verdict: v}
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH7(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

func (d h7Data) figureArm(a h7Arm) analysis.H7Arm {
	nan := math.NaN()
	out := analysis.H7Arm{
		Hypothesis: a.hypothesis, Run: a.run, Name: a.Name, Block: a.Block, Condition: a.LoRA.Condition, Adapters: a.LoRA.Adapters,
		Requests: len(a.TTFT), PredictedBytes: a.predicted.bytes, ByServer: a.predicted.server,
		Source: "", LogReads: nan, LogBytes: nan, BlockReads: nan, BlockBytes: nan, PagedBytes: nan, Residual: nan, Tolerance: nan,
	}
	out.Reads, out.Bytes = d.host(a)
	if s := a.Smart; s != nil {
		out.Source, out.Device = s.Source, s.Device
		out.LogReads, out.LogBytes, out.BlockReads, out.BlockBytes, out.PagedBytes = s.Reads, s.ReadBytes, s.BlockReads, s.BlockReadBytes, s.PagedInBytes
		out.Residual, out.Tolerance = d.residual(a)
	}
	return out
}
