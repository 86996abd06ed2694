package hypotheses

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// sound are runs that are SUPPORTED until something is broken in them.
func sound(id string) *analysis.Experiment {
	switch id {
	case "H0":
		return plantedH0(1, queue)
	case "H1":
		return plantedH1(1, claimedH1())
	case "H4":
		return plantedH4(1, plantedDisks())
	case "H5":
		return plantedH5(1, claimedH5)
	case "H6":
		return plantedH6(1, claimedH6())
	case "H3":
		return own(plantedH3(1, 8, stick(1), early()))
	case "H8":
		return own(plantedH8(1, plantedStalls()))
	case "H7": // an H6 is enough for it
		return plantedH7(1, claimedH7()).Sources[2]
	}
	return each(plantedH2(1, stick(1)), tiered(1))
}

// own is e with the arms of the runs that it rests on as its own.
func own(e *analysis.Experiment) *analysis.Experiment {
	blocks := 0
	for _, run := range e.Sources {
		most := 0
		for _, a := range run.Arms {
			most = max(most, a.Block+1)
			a.Block += blocks
			e.Arms = append(e.Arms, a)
		}
		blocks += most
	}
	e.Sources, e.Plan.Profile.Repeats = nil, blocks
	return e
}

// Data that must not be used are INVALID under every hypothesis, whatever they
// would have shown, and nothing is handed on from them.
func TestGates(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	one := func(edit func(*analysis.Measured)) func(*analysis.Experiment) {
		return func(e *analysis.Experiment) { edit(e.Arms[len(e.Arms)/2]) }
	}
	all := func(edit func(*analysis.Measured)) func(*analysis.Experiment) {
		return func(e *analysis.Experiment) { each(e, edit) }
	}
	rate := func(v float64) func(*analysis.Measured) {
		return func(a *analysis.Measured) { a.Summary.Requests.ErrorRate = &v }
	}
	for _, c := range []struct {
		why    string
		code   string
		breaks func(*analysis.Experiment)
	}{
		{"2 % of one arm failed", "ERRORS", one(rate(0.02))},
		{"2 % of every arm failed", "ERRORS", all(rate(0.02))},
		{"nobody knows how many failed", "ERRORS", one(func(a *analysis.Measured) { a.Summary.Requests.ErrorRate = nil })},
		{"everything of one arm failed", "ERRORS", one(allFailed)},
		{"one arm is shorter than its profile asks", "TOO_FEW_REQUESTS", one(func(a *analysis.Measured) { a.TTFT = a.TTFT[:75] })},
		{"one arm has no interval for its quantile", "TOO_FEW_REQUESTS", one(func(a *analysis.Measured) { a.TTFT = a.TTFT[:50] })},
		{"one telemetry tick in 50 is missing", "TELEMETRY_HOLES", one(func(a *analysis.Measured) { a.Telemetry.Completeness = 0.98 })},
		{"nobody knows how whole telemetry is", "TELEMETRY_HOLES", one(func(a *analysis.Measured) { a.Telemetry.Completeness = math.NaN() })},
		{"prompts came out 3 % long", "TOKENS_DIFFER", one(func(a *analysis.Measured) { a.PromptTokensMean *= 1.03 })},
		{"outputs ended early", "TOKENS_DIFFER", one(func(a *analysis.Measured) { a.OutputTokensMean *= 0.9 })},
		{"the server counts no prompt tokens", "TOKENS_DIFFER", all(func(a *analysis.Measured) { a.PromptTokensMean = math.NaN() })},
		{"the server counts no output tokens", "TOKENS_DIFFER", all(func(a *analysis.Measured) { a.OutputTokensMean = math.NaN() })},
		{"the client sent late by a fifth of the endpoint", "CLIENT_BOUND", one(func(a *analysis.Measured) {
			late := loadgen.Millis(a.TTFT[len(a.TTFT)-5] / 5)
			a.Summary.Client.Lag = &loadgen.Latency{N: plantedN, P50: late, P90: late, P95: late, P99: late, P999: late, Max: late}
		})},
		{"the client dropped an arrival", "CLIENT_BOUND", one(func(a *analysis.Measured) { a.Summary.Client.Dropped = 1 })},
		{"nobody knows how late the client sent", "CLIENT_BOUND", one(func(a *analysis.Measured) { a.Summary.Client.Lag = nil })},
		{"one arm began on a busy machine", "NOT_QUIET", one(func(a *analysis.Measured) { a.Quiet.OK = false })},
	} {
		for _, h := range All() {
			if c.code == "TOO_FEW_REQUESTS" && h.ID == "H1" {
				continue // a window has as many touches as adapters; see TOO_FEW_LOADS
			}
			t.Run(c.code+"/"+c.why+"/"+h.ID, func(t *testing.T) {
				e := sound(h.ID)
				c.breaks(e)
				j := judged(t, h, e)
				require.Equal(t, analysis.Invalid, j.Verdict.Outcome, j.Verdict.String())
				require.Contains(t, j.Verdict.Reasons, c.code)
				require.Zero(t, j.Handover, "nothing is learned from data that must not be used")
			})
		}
	}
}

// What is within the limits must not void a run: without this the rows above
// would pass for a gate that voids everything.
func TestGatesLetGoodRunsThrough(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	for _, c := range []struct {
		why  string
		edit func(*analysis.Measured)
	}{
		{"nothing", func(*analysis.Measured) {}},
		{"half a percent of the requests failed", func(a *analysis.Measured) { a.Summary.Requests.ErrorRate = new(0.005) }},
		{"as many requests as the profile asks for", func(a *analysis.Measured) { a.TTFT = a.TTFT[len(a.TTFT)/20 : len(a.TTFT)*19/20] }},
		{"one tick in 200 missing", func(a *analysis.Measured) { a.Telemetry.Completeness = 0.995 }},
		{"prompts 1 % long", func(a *analysis.Measured) { a.PromptTokensMean *= 1.01 }},
		{"a lag that only looks large beside a short endpoint", func(a *analysis.Measured) { a.Summary.Client.Lag.P95 = 0.9 }},
	} {
		for _, h := range All() {
			v := judged(t, h, each(sound(h.ID), c.edit)).Verdict
			require.Equal(t, analysis.Supported, v.Outcome, "%s: %s", c.why, v)
		}
	}
}

// Errors that differ between arms void a run although each arm has few.
func TestErrorsMustNotDifferBetweenArms(t *testing.T) {
	e := sound("H0")
	rates := []float64{0, 0.0099}
	for i, a := range e.Arms {
		a.Summary.Requests.ErrorRate = &rates[i%2]
	}
	require.True(t, errorsFew(e).Holds, "just under both limits")
	for i, a := range e.Arms {
		a.Summary.Requests.ErrorRate = new([]float64{0, 0.0101}[i%2])
	}
	require.False(t, errorsFew(e).Holds)
}

// Worlds in which there is next to nothing to judge: never a panic, never a
// finding, always a reason.
func TestJudgesSurviveEmptyWorlds(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	nan := math.NaN()
	for _, c := range []struct {
		why  string
		edit func(*analysis.Experiment)
		want analysis.Outcome // "" where any but SUPPORTED will do
	}{
		{"every request failed", func(e *analysis.Experiment) { each(e, allFailed) }, analysis.Invalid},
		{"the first level failed altogether", func(e *analysis.Experiment) {
			each(e, func(a *analysis.Measured) {
				if a.Users == 1 || a.ContextTokens == e.Arms[0].ContextTokens && e.Plan.Hypothesis != "H0" {
					allFailed(a)
				}
			})
		}, analysis.Invalid},
		{"the last level failed altogether", func(e *analysis.Experiment) {
			last := e.Arms[len(e.Arms)-1]
			each(e, func(a *analysis.Measured) {
				if a.Users == last.Users && a.ContextTokens == last.ContextTokens {
					allFailed(a)
				}
			})
		}, analysis.Invalid},
		{"no column of the telemetry has a value", func(e *analysis.Experiment) {
			each(e, func(a *analysis.Measured) {
				a.Telemetry = analysis.Telemetry{
					Completeness: 1, ReadMBPerSec: nan, WriteMBPerSec: nan, ReadAwaitMs: nan, AquSz: nan, IOWaitPct: nan,
					CPUBusyCores: nan, ReadBytes: nan, RefaultBytes: nan, SwapInBytes: nan,
				}
			})
		}, ""},
		{"one repeat: no interval at all", func(e *analysis.Experiment) {
			e.Arms, e.Plan.Profile.Repeats = e.Arms[:len(e.Arms)/e.Plan.Profile.Repeats], 1
		}, analysis.Inconclusive},
		{"one arm", func(e *analysis.Experiment) { e.Arms = e.Arms[:1] }, analysis.Invalid},
		{"every TTFT is 0", func(e *analysis.Experiment) {
			each(e, func(a *analysis.Measured) {
				clear(a.TTFT)
				for i := range a.Touches {
					a.Touches[i].TTFTMs = 0
				}
				for i := range a.Slices {
					a.Slices[i].TTFTMs = 0
				}
			})
		}, analysis.Invalid},
	} {
		for _, h := range All() {
			t.Run(c.why+"/"+h.ID, func(t *testing.T) {
				e := sound(h.ID)
				c.edit(e)
				v := judged(t, h, e).Verdict
				require.NotEqual(t, analysis.Supported, v.Outcome, v.String())
				if c.want != "" && h.Gather == nil { // what rests on runs of others may lack more than they
					require.Equal(t, c.want, v.Outcome, v.String())
				}
				require.NotEmpty(t, v.Reasons)
			})
		}
	}
}

// allFailed leaves an arm in which no request succeeded, as reading its files
// would.
func allFailed(a *analysis.Measured) {
	a.TTFT, a.E2E, a.Touches, a.Cycle, a.Completed = nil, nil, nil, math.NaN(), 0
	a.PromptTokensMean, a.OutputTokensMean, a.CachedTokensMean = math.NaN(), math.NaN(), math.NaN()
	a.Summary.Requests.OK, a.Summary.Requests.ErrorRate = 0, new(1.0)
	a.Summary.Requests.Outcomes = map[loadgen.Outcome]int64{loadgen.OutcomeRefused: plantedN}
}
