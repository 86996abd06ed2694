package hypotheses

import (
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// caption says on every figure what was measured, on what, and how often.
func caption(e *analysis.Experiment, notes ...string) analysis.FigureCaption {
	t := e.Target()
	least, most := 1<<62, 0
	for _, a := range e.Arms {
		least, most = min(least, len(a.TTFT)), max(most, len(a.TTFT))
	}
	kind := t.Kind
	if e.Manifest.Control != "" {
		kind += ", control " + e.Manifest.Control
	}
	return analysis.FigureCaption{
		Target: kind, Model: t.Model, Machine: e.Manifest.Platform(), Emulated: t.Emulated,
		Samples:  fmt.Sprintf("%d repeats, %d to %d requests per arm", e.Plan.Profile.Repeats, least, most),
		Interval: "bars: 95 % two-stage bootstrap over repeats", Notes: append(notes, forCaption(e.Plan.Notes)...),
	}
}

// runInNote is where a note names the run that a value came from: the manifest
// keeps it, a caption has no room for it.
var runInNote = regexp.MustCompile(` \(H[0-9]/[^)]*\)`)

func forCaption(notes []string) []string {
	var out []string
	for _, n := range notes {
		out = append(out, runInNote.ReplaceAllString(n, ""))
	}
	return out
}

// verdictLine is the verdict as a figure's subtitle carries it.
func verdictLine(v analysis.Verdict) string {
	if len(v.Reasons) == 0 {
		return string(v.Outcome)
	}
	return string(v.Outcome) + ": " + strings.Join(v.Reasons, ", ")
}

func benchConfig(e *analysis.Experiment) []analysis.BenchConfig {
	t := e.Target()
	return []analysis.BenchConfig{
		{Key: "goos", Value: runtime.GOOS},
		{Key: "goarch", Value: e.Manifest.GOARCH()},
		{Key: "machine", Value: e.Manifest.Platform()},
		{Key: "target", Value: t.Kind},
		{Key: "model", Value: t.Model},
		{Key: "profile", Value: e.Plan.Profile.Name},
		{Key: "quantile", Value: quantileName(e)},
	}
}

// endpointMs is the arm's endpoint, NaN where it is withheld.
func endpointMs(a *analysis.Measured, q float64) float64 {
	ms, _ := a.QuantileMs(q)
	return ms
}

func e2eMs(a *analysis.Measured, q float64) float64 {
	ms, _ := analysis.Quantile(a.E2E, q)
	return ms
}

func tokensPerSec(a *analysis.Measured) float64 {
	if a.Summary.Rates == nil {
		return 0
	}
	return a.Summary.Rates.OutputTokensPerSec
}

// reportH0 draws and tabulates H0.
func (h Hypothesis) reportH0(e *analysis.Experiment, v analysis.Verdict, levels []analysis.Level, fit *analysis.KneeFit, knee *analysis.Estimate, work int) Judgement {
	q := e.Plan.Profile.Quantile
	f := analysis.H0Figure{
		Caption: caption(e), Width: analysis.FigureColumn, Quantile: v.Quantile, Verdict: verdictLine(v),
		Knee: knee, UWork: work, Fit: fittedMs(fit),
	}
	if n := e.Manifest.Facts.MaxNumSeqs; n != nil {
		f.BatchLimit = int(*n)
	}
	var throughput []analysis.Point
	for _, l := range levels {
		arm := analysis.H0Arm{Users: int(l.X), TTFT: levelEstimate(l, q, e.Plan.Seed)}
		for _, a := range l.Arms {
			arm.Repeats = append(arm.Repeats, analysis.H0Repeat{
				Requests: len(a.TTFT), TTFTMillis: endpointMs(a, q), LatencyMillis: e2eMs(a, q),
				RequestsPerSec: a.ThroughputPerSec(), TokensPerSec: tokensPerSec(a),
			})
			throughput = append(throughput, analysis.Point{X: l.X, Y: a.ThroughputPerSec(), Block: a.Block})
		}
		f.Arms = append(f.Arms, arm)
	}
	if usl, err := analysis.FitUSL(throughput); err == nil { // a second opinion: its absence is no fault
		f.USL = usl.At
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH0(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

// reportH2 draws and tabulates H2.
func (h Hypothesis) reportH2(e *analysis.Experiment, v analysis.Verdict, levels []analysis.Level, fit *analysis.KneeFit, known bool) Judgement {
	q := e.Plan.Profile.Quantile
	f := analysis.H2Figure{
		Caption: caption(e), Width: analysis.FigureColumn, Quantile: v.Quantile, Verdict: verdictLine(v),
		Mechanism: v.Mechanism, Sweep: "context", Fit: fittedMs(fit),
	}
	if fit.HasKnee() {
		knee, _ := fit.Location()
		f.Knee = &knee
	}
	if known {
		full := poolFull(levels)
		f.PoolFull = &full
	}
	for _, l := range levels {
		first := l.Arms[0]
		arm := analysis.H2Arm{Users: first.Users, ContextTokens: first.ContextTokens, TTFT: levelEstimate(l, q, e.Plan.Seed)}
		if known {
			arm.Demand = l.X
		}
		for _, a := range l.Arms {
			arm.Repeats = append(arm.Repeats, analysis.H2Repeat{
				Requests: len(a.TTFT), TTFTMillis: endpointMs(a, q), LatencyMillis: e2eMs(a, q),
				DeviceReadMBps:   a.Telemetry.ReadMBPerSec,
				ServerPageInMBps: a.Telemetry.ServerMBPerSec,
				ReadAwaitMillis:  a.Telemetry.ReadAwaitMs, IOWaitPct: a.Telemetry.IOWaitPct,
			})
		}
		f.Arms = append(f.Arms, arm)
	}
	return Judgement{Verdict: v, Figure: analysis.FigureH2(f), Table: f.Table(), Bench: f.Bench(benchConfig(e))}
}

// fittedMs is the fitted curve in ms: the queue curve where it locates the
// knee, else the hinge.
func fittedMs(fit *analysis.KneeFit) func(float64) float64 {
	if !fit.HasKnee() {
		return nil
	}
	if _, curve := fit.Location(); curve == "queue" {
		return func(x float64) float64 { return math.Exp(fit.Queue.At(x)) }
	}
	return func(x float64) float64 { return math.Exp(fit.At(x).Value) }
}
