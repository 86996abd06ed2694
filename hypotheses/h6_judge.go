package hypotheses

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/combin"

	"github.com/spark-harness/harness/analysis"
)

const (
	h6Bytes   = 5    // the storm's reads over those of the hot adapter, at least
	h6SilentP = 0.05 // of the tests for order and carry-over
)

// h6Data is a run of H6 by condition; a level has one arm per block.
type h6Data struct {
	setup            analysis.LoRASetup
	q                float64
	seed             uint64
	base, hot, storm analysis.Level
	first            map[int]bool // by block: the storm came before the hot adapter
}

func h6DataOf(e *analysis.Experiment) (h6Data, error) {
	d := h6Data{
		setup: setupOf(e), q: e.Plan.Profile.Quantile, seed: e.Plan.Seed, first: map[int]bool{},
		base:  analysis.Level{X: 0, Arms: conditionArms(e, analysis.ConditionBase, -1)},
		hot:   analysis.Level{X: 1, Arms: conditionArms(e, analysis.ConditionHot, -1)},
		storm: analysis.Level{X: 2, Arms: conditionArms(e, analysis.ConditionStorm, -1)},
	}
	if d.setup.AdapterBytes <= 0 {
		return d, errNoSize
	}
	if len(d.base.Arms) == 0 || len(d.hot.Arms) == 0 || len(d.storm.Arms) == 0 {
		return d, errors.New("the run lacks arms of the base model, of one hot adapter or of the storm")
	}
	for _, h := range d.hot.Arms {
		for _, s := range d.storm.Arms {
			if h.Block == s.Block {
				d.first[h.Block] = s.Summary.Window.Start < h.Summary.Window.Start
			}
		}
	}
	return d, nil
}

// judgeH6 applies the rule of H6; see docs/plan.md.
func (h Hypothesis) judgeH6(e *analysis.Experiment) Judgement {
	v := h.verdict(e, e.Plan.Profile.Repeats)
	g := gatesOf(e)
	g.add("ADAPTERS_IGNORED", adaptersApplied(e))
	d, err := h6DataOf(e)
	if err != nil {
		return g.unfit(v, err)
	}
	ratio := effectOf("TTFT under a storm over that with one hot adapter, in pairs", d.hot, d.storm, d.q)
	if ratio.err != nil {
		return g.unfit(v, ratio.err)
	}
	v.P = risesP(ratio.d, d.seed)
	silent, loud := d.orders()
	v.Claims = append([]analysis.Claim{ratio.claim(stormRatio), d.reads()}, silent...)
	few := d.storm.Arms[0].LoRA.Adapters < h6StormOverSlots*d.setup.Slots
	reasons := stormReasons(d.setup, few, d.stormBytes(), ratio)
	if loud {
		reasons = append(reasons, "ORDER_EFFECT")
	}
	refuted := len(reasons) == 0 && ratio.same && d.reads().Holds
	if refuted {
		reasons = []string{"FLAT"}
	}
	if d.reads().Holds {
		v.Mechanism = "ADAPTER_READ"
	}
	v = g.decide(v, ratio.needed(stormRatio), refuted, reasons)
	compute := effectOf("LoRA compute, beside the verdict: TTFT with one hot adapter over that of the base model", d.base, d.hot, d.q)
	if compute.err == nil { // it decides nothing
		v.Claims = append(v.Claims, besideClaim(analysis.NewClaim(compute.what, compute.ratio, math.NaN(), "ratio", true)))
	}
	return h.reportH6(e, v, d, ratio, compute)
}

// stormBytes and hotBytes are what a request reads, in bytes.
func (d h6Data) stormBytes() float64 { return bytesPerRequest(d.storm.Arms) }
func (d h6Data) hotBytes() float64   { return bytesPerRequest(d.hot.Arms) }

// reads: the storm reads several times what the hot adapter does, of which next
// to nothing counts as a hundredth of an adapter.
func (d h6Data) reads() analysis.Claim {
	least := max(d.hotBytes(), float64(d.setup.AdapterBytes)/100)
	times := d.stormBytes() / least
	return analysis.NewClaim("bytes read per request under a storm over those with one hot adapter",
		analysis.Estimate{Value: times, Lo: math.NaN(), Hi: math.NaN()}, h6Bytes, "ratio", times >= h6Bytes)
}

// orders are the tests for what the order of a pair does: silent unless an
// effect is shown and exceeds the smallest of interest. loud names that case.
// Too few pairs to show any effect are not silent either.
func (d h6Data) orders() (claims []analysis.Claim, loud bool) {
	var pairs []analysis.CrossoverPair
	for _, a := range d.hot.Arms {
		for _, b := range d.storm.Arms {
			x, okX := a.QuantileMs(d.q)
			y, okY := b.QuantileMs(d.q)
			if a.Block == b.Block && okX && okY {
				pairs = append(pairs, analysis.CrossoverPair{A: math.Log(x), B: math.Log(y), BFirst: d.first[a.Block]})
			}
		}
	}
	c, err := analysis.CrossoverOf(pairs, analysis.Resampling{Seed: d.seed})
	for _, t := range []struct {
		what   string
		effect analysis.Effect
	}{
		{"order: the second arm of a pair over the first, whatever it is", c.Order},
		{"carry-over: pairs that begin with the storm over those that end with it", c.CarryOver},
	} {
		value, silent, p := absent(), false, math.NaN()
		if err == nil {
			value.Value, p = math.Exp(t.effect.Value), t.effect.P
			quiet := p >= h6SilentP || math.Abs(t.effect.Value) <= analysis.SESOI(0)
			silent = quiet && leastOrderP(pairs) < h6SilentP
			loud = loud || !quiet
		}
		claims = append(claims, analysis.NewClaim(fmt.Sprintf("%s; silent unless beyond 10 %% with p < %.2g (p = %.2g, exact)", t.what, h6SilentP, p), value, 1+0.1, "ratio", silent))
	}
	return claims, loud
}

// leastOrderP is the least p that a test for the order of so many pairs can
// have: 2/70 for 4 and 4, more than 0.05 for fewer than 8.
func leastOrderP(pairs []analysis.CrossoverPair) float64 {
	first := 0
	for _, p := range pairs {
		if p.BFirst {
			first++
		}
	}
	return 2 / combin.GeneralizedBinomial(float64(len(pairs)), float64(first))
}
