package hypotheses

import (
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// Limits that every run must keep to be judged at all; see docs/plan.md.
const (
	maxErrorRate     = 0.01 // of an arm's requests
	maxErrorSpread   = 0.01 // between arms
	minTelemetry     = 0.99 // of an arm's ticks
	maxTokensOff     = 0.02 // between asked and counted
	maxLagOfEndpoint = 0.05 // client's own lag over the endpoint, at the same quantile
	lagFloorMs       = 1.0  // a lag below this is never the client's fault
)

// gates is what every run must satisfy to be judged: one claim per gate, so
// that a reader sees by how much each was kept, and the reason codes of those
// that were not.
type gates struct {
	claims  []analysis.Claim
	reasons []string
}

// gatesOf is the gates of every run, but for those that a design has no use for.
func gatesOf(e *analysis.Experiment, but ...string) gates {
	var out gates
	for _, g := range []struct {
		code  string
		check func(*analysis.Experiment) analysis.Claim
	}{
		{"ERRORS", errorsFew},
		{"TOO_FEW_REQUESTS", requestsEnough},
		{"TELEMETRY_HOLES", telemetryWhole},
		{"TOKENS_DIFFER", tokensAsAsked},
		{"CLIENT_BOUND", clientFree},
		{"NOT_QUIET", machineQuiet},
	} {
		if !slices.Contains(but, g.code) {
			out.add(g.code, g.check(e))
		}
	}
	return out
}

// add is one more gate, with the reason code of its failure.
func (g *gates) add(code string, c analysis.Claim) {
	g.claims = append(g.claims, c)
	if !c.Holds {
		g.reasons = append(g.reasons, code)
	}
}

func (g gates) passed() bool { return len(g.reasons) == 0 }

// unfit closes a verdict on a run that the rule cannot be applied to: no curve
// can be fitted, or its design is not whole.
func (g gates) unfit(v analysis.Verdict, err error) Judgement {
	v.Outcome, v.Reasons, v.P = analysis.Invalid, append(g.reasons, "NO_FIT"), nil
	v.Claims = append(g.claims, analysis.NewClaim("the rule can be applied: "+err.Error(), absent(), math.NaN(), "", false))
	return Judgement{Verdict: v}
}

// decide closes a verdict: INVALID when a gate fails, SUPPORTED when every
// claim holds, REFUTED when the judge showed the effect to be too small, else
// INCONCLUSIVE with the judge's reasons and the blocks needed to decide.
func (g gates) decide(v analysis.Verdict, needed int, refuted bool, reasons []string) analysis.Verdict {
	holds := !slices.ContainsFunc(v.Claims, func(c analysis.Claim) bool { return !c.Holds && !c.Beside })
	v.Claims = append(v.Claims, g.claims...)
	switch {
	case !g.passed():
		v.Outcome, v.Reasons = analysis.Invalid, append(g.reasons, reasons...)
		v.P = nil // of data that must not be used
	case holds && len(reasons) == 0:
		v.Outcome = analysis.Supported
	case refuted:
		v.Outcome, v.Reasons = analysis.Refuted, reasons
	default:
		v.Outcome, v.Reasons = analysis.Inconclusive, reasons
		v.Power.Needed = needed
		if len(reasons) == 0 {
			v.Reasons = []string{"CLAIM_NOT_SHOWN"}
		}
	}
	return v
}

// besideClaim marks a claim that stands beside the verdict and decides nothing.
func besideClaim(c analysis.Claim) analysis.Claim {
	c.Beside = true
	return c
}

// worst is the largest of a quantity over arms; NaN counts as the worst.
func worst(arms []*analysis.Measured, of func(*analysis.Measured) float64) float64 {
	w := math.Inf(-1)
	for _, a := range arms {
		v := of(a)
		if math.IsNaN(v) {
			return v
		}
		w = max(w, v)
	}
	return w
}

func upTo(text, unit string, value, limit float64) analysis.Claim {
	return analysis.NewClaim(text, analysis.Estimate{Value: value, Lo: math.NaN(), Hi: math.NaN()}, limit, unit, value <= limit)
}

func errorRate(a *analysis.Measured) float64 {
	if a.Summary.Requests.ErrorRate == nil {
		return math.NaN()
	}
	return *a.Summary.Requests.ErrorRate
}

func errorsFew(e *analysis.Experiment) analysis.Claim {
	w := worst(e.Arms, errorRate)
	least := math.Inf(1)
	for _, a := range e.Arms {
		least = min(least, errorRate(a))
	}
	c := upTo("validity: failed requests of the worst arm", "share", w, maxErrorRate)
	c.Holds = c.Holds && w-least <= maxErrorSpread
	return c
}

func requestsEnough(e *analysis.Experiment) analysis.Claim {
	need := max(analysis.MinN(e.Plan.Profile.Quantile, 0.95), e.Plan.Profile.MinRequests)
	least := math.Inf(1)
	for _, a := range e.Arms {
		least = min(least, float64(len(a.TTFT)))
	}
	return analysis.NewClaim(fmt.Sprintf("validity: good requests of the shortest arm, as %s needs", quantileName(e)),
		analysis.Estimate{Value: least, Lo: math.NaN(), Hi: math.NaN()}, float64(need), "requests", least >= float64(need))
}

// telemetryWhole lets one tick be late, which of a short window is more than
// 1 %: counters are cumulative, so that what it would have said is in the next.
// Ticks that do not even tell of the processors, which never stand still, are
// none: the columns are empty, constant or run backwards.
func telemetryWhole(e *analysis.Experiment) analysis.Claim {
	missing := worst(e.Arms, func(a *analysis.Measured) float64 {
		if math.IsNaN(a.Telemetry.CPUBusyCores) {
			return 1
		}
		if a.Telemetry.MissingTicks == 1 {
			return 0
		}
		return 1 - a.Telemetry.Completeness
	})
	return upTo("validity: telemetry ticks missing in the worst arm, beyond one", "share", missing, 1-minTelemetry)
}

// tokensAsAsked compares the server's own counts with what was asked for. A
// server that counts nothing cannot be checked and fails: its arms may have
// been sent anything.
func tokensAsAsked(e *analysis.Experiment) analysis.Claim {
	off := worst(e.Arms, func(a *analysis.Measured) float64 {
		in := math.Abs(a.PromptTokensMean/float64(a.ContextTokens) - 1)
		out := math.Abs(a.OutputTokensMean/float64(a.OutputTokens) - 1)
		return math.Max(in, out) // NaN stays NaN
	})
	return upTo("validity: tokens counted against tokens asked, worst arm", "share", off, maxTokensOff)
}

func clientFree(e *analysis.Experiment) analysis.Claim {
	w := worst(e.Arms, func(a *analysis.Measured) float64 {
		endpoint, ok := analysis.Quantile(a.TTFT, e.Plan.Profile.Quantile)
		lag := a.Summary.Client.Lag
		switch {
		case a.Summary.Client.Dropped > 0:
			return math.Inf(1)
		case !ok || lag == nil:
			return math.NaN()
		}
		ms := lagAt(lag, e.Plan.Profile.Quantile)
		if ms < lagFloorMs {
			return 0
		}
		return ms / endpoint
	})
	return upTo("validity: the client's own lag over the endpoint, both at "+quantileName(e)+", worst arm", "share", w, maxLagOfEndpoint)
}

// lagAt is the lag's quantile that goes with the endpoint's.
func lagAt(lag *loadgen.Latency, q float64) float64 {
	switch {
	case q > 0.95:
		return float64(lag.P99)
	case q > 0.9:
		return float64(lag.P95)
	}
	return float64(lag.P50)
}

func machineQuiet(e *analysis.Experiment) analysis.Claim {
	n := 0
	for _, a := range e.Arms {
		if !a.Quiet.OK {
			n++
		}
	}
	return upTo("validity: arms that began on a busy machine", "arms", float64(n), 0)
}
