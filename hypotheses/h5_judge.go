package hypotheses

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

const (
	stormRatio = 1.2  // of the tail, lower bound
	bytesOff   = 0.25 // between bytes per request and what misses explain
)

// h5Data is a run of H5 by condition.
type h5Data struct {
	setup  analysis.LoRASetup
	q      float64
	seed   uint64
	base   []*analysis.Measured
	sticky []analysis.Level // X is the number of adapters, ascending
	storm  []analysis.Level
}

func h5DataOf(e *analysis.Experiment) (h5Data, error) {
	adapters := func(a *analysis.Measured) float64 { return float64(a.LoRA.Adapters) }
	d := h5Data{
		setup: setupOf(e), q: e.Plan.Profile.Quantile, seed: e.Plan.Seed,
		base:   conditionArms(e, analysis.ConditionBase, -1),
		sticky: analysis.Levels(conditionArms(e, analysis.ConditionSticky, -1), adapters),
		storm:  analysis.Levels(conditionArms(e, analysis.ConditionStorm, -1), adapters),
	}
	switch {
	case d.setup.AdapterBytes <= 0:
		return d, errNoSize
	case len(d.base) == 0 || len(d.storm) < 2:
		return d, errors.New("the run lacks the base model, or storms over sets of two sizes")
	case !slices.EqualFunc(d.sticky, d.storm, func(a, b analysis.Level) bool { return a.X == b.X }):
		return d, errors.New("the sets of the storms and of the sticky users are not the same")
	}
	return d, nil
}

// judgeH5 applies the rule of H5; see docs/plan.md.
func (h Hypothesis) judgeH5(e *analysis.Experiment) Judgement {
	v := h.verdict(e, e.Plan.Profile.Repeats)
	g := gatesOf(e)
	g.add("ADAPTERS_IGNORED", adaptersApplied(e))
	g.add("NOT_COLD", adaptersCold(e, analysis.ConditionSticky, analysis.ConditionStorm))
	d, err := h5DataOf(e)
	if err != nil {
		return g.unfit(v, err)
	}
	small, large := d.storm[0], d.storm[len(d.storm)-1]
	ratio := effectOf(fmt.Sprintf("TTFT under a storm over %g adapters over that over %g", large.X, small.X), small, large, d.q)
	if ratio.err != nil {
		return g.unfit(v, ratio.err)
	}
	v.P = d.slopesP()
	slope, interaction := d.slopes()
	v.Claims = []analysis.Claim{
		analysis.NewClaim("slope of ln TTFT on log2 of adapters under a storm, block-centred, Theil–Sen (lower bound)", slope, 0, "", slope.Lo > 0),
		analysis.NewClaim("that slope less the one with sticky users (lower bound)", interaction, 0, "", interaction.Lo > 0),
		ratio.claim(stormRatio),
	}
	explained := d.explained()
	v.Claims = append(v.Claims, explained...)
	reads := d.readPerRequest(large)
	reasons := stormReasons(d.setup, float64(d.setup.Slots) >= large.X, reads, ratio)
	// Nothing is shown about reads unless the largest set made those it must.
	refuted := len(reasons) == 0 && ratio.same && explained[len(explained)-1].Holds
	if refuted {
		reasons = []string{"FLAT"}
	}
	if reads >= readNothing*float64(d.setup.AdapterBytes) {
		v.Mechanism = "ADAPTER_READ"
	}
	v = g.decide(v, ratio.needed(stormRatio), refuted, reasons)
	return h.reportH5(e, v, d, slope, interaction, ratio)
}

// slopes are the storm's and its difference from the sticky one's.
func (d h5Data) slopes() (storm, difference analysis.Estimate) {
	r := analysis.Resampling{Seed: d.seed}
	storm, difference = absent(), absent()
	stormy, sticky := d.points(d.storm), d.points(d.sticky)
	if fit, err := analysis.TheilSen(stormy, r); err == nil {
		storm = fit
	}
	if fit, err := analysis.SlopeDifference(stormy, sticky, r); err == nil {
		difference = fit
	}
	return storm, difference
}

func (d h5Data) points(levels []analysis.Level) []analysis.Point {
	var points []analysis.Point
	for _, a := range allArms(levels) {
		if y, ok := a.QuantileMs(d.q); ok {
			points = append(points, analysis.Point{X: math.Log2(float64(a.LoRA.Adapters)), Y: math.Log(y), Block: a.Block})
		}
	}
	return points
}

// readPerRequest is what a request of the level reads, beyond what one without
// adapter does.
func (d h5Data) readPerRequest(l analysis.Level) float64 {
	return bytesPerRequest(l.Arms) - bytesPerRequest(d.base)
}

// explained compares, set by set, what a storm reads with what its misses
// explain: a set that fits reads nothing, a larger one a file for every miss.
func (d h5Data) explained() []analysis.Claim {
	size := float64(d.setup.AdapterBytes)
	var claims []analysis.Claim
	for _, l := range d.storm {
		got := d.readPerRequest(l) / size
		text := fmt.Sprintf("bytes per request under a storm over %g adapters, in adapters", l.X)
		if !slotsKnown(d.setup) {
			claims = append(claims, analysis.NewClaim(text+"; nobody told how many fit (SPARK_LORA_SLOTS)", analysis.Estimate{Value: got, Lo: math.NaN(), Hi: math.NaN()}, math.NaN(), "", false))
			continue
		}
		want := uniformMiss(d.setup.Slots, int(l.X))
		holds := math.Abs(got-want) <= bytesOff*want
		text += " (the misses' share, within 25 %)"
		if want == 0 {
			holds = got <= readNothing
			text += ": all fit"
		}
		claims = append(claims, analysis.NewClaim(text, analysis.Estimate{Value: got, Lo: math.NaN(), Hi: math.NaN()}, want, "", holds))
	}
	return claims
}
