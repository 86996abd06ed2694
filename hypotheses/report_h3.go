package hypotheses

import (
	"math"

	"github.com/spark-harness/harness/analysis"
)

// reportH3 draws and tabulates H3; e has the arms of all runs.
func (h Hypothesis) reportH3(e *analysis.Experiment, v analysis.Verdict, d h3Data, counters []h3Counter) Judgement {
	c := caption(e)
	c.Interval = "shade: 95 % interval, bootstrap over repeats"
	f := analysis.H3Figure{
		Caption: c, Width: analysis.FigureColumn, Quantile: v.Quantile, Verdict: verdictLine(v),
		Demand: d.known, Knees: d.knees, Series: d.series(),
	}
	if d.fit.HasKnee() {
		knee, _ := d.fit.Location()
		f.Knee = &knee
	}
	for i, r := range d.repeats {
		for _, a := range r.arms {
			f.Arms = append(f.Arms, analysis.H3Arm{
				Repeat: i, X: a.x, ContextTokens: a.ContextTokens, Requests: len(a.TTFT),
				TTFTMillis: endpointMs(a.Measured, d.q), Counters: a.Counters,
			})
		}
	}
	for _, k := range counters {
		lag := k.step * float64(k.lag.Samples)
		if math.IsNaN(k.lag.P) {
			lag = math.NaN()
		}
		f.Counters = append(f.Counters, analysis.H3Counter{
			Counter: k.counter, Status: k.status, Why: k.why, Knees: k.knees, Before: k.before, Ties: k.ties, Of: k.of,
			Ratio: k.lead, P: k.p, Adjusted: k.adjusted, AUC: k.auc, LagSec: lag, LagP: k.lag.P,
		})
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH3(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

// series is the newest repeat in the order of time.
func (d h3Data) series() []analysis.H3Step {
	last := d.repeats[len(d.repeats)-1]
	x := map[*analysis.Measured]float64{}
	var arms []*analysis.Measured
	for _, a := range last.arms {
		x[a.Measured] = a.x
		arms = append(arms, a.Measured)
	}
	var steps []analysis.H3Step
	for _, a := range inTime(arms) {
		for _, s := range a.Slices {
			start := inTime(arms)[0].Summary.Window.Start
			steps = append(steps, analysis.H3Step{
				FromSec: (s.From - start).Seconds(), ToSec: (s.To - start).Seconds(), X: x[a],
				TTFTMillis: s.TTFTMs, Counters: s.Counters,
			})
		}
	}
	return steps
}
