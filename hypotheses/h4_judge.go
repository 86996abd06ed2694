package hypotheses

import (
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

const (
	h4Ratio  = 1.2  // HEAVY over BASELINE, lower bound
	h4TrendP = 0.05 // of Page's test
)

// h4Data is a run of H4 by condition.
type h4Data struct {
	q         float64
	seed      uint64
	paging    []analysis.Level // rising contention: BASELINE first
	comfy     []analysis.Level
	null      []analysis.Level
	comfyNull []analysis.Level
	throttled []analysis.Level // ever tighter limits
}

func h4DataOf(e *analysis.Experiment) h4Data {
	d := h4Data{q: e.Plan.Profile.Quantile, seed: e.Plan.Seed}
	for _, c := range []struct {
		condition string
		to        *[]analysis.Level
		rank      func(*analysis.Measured) float64
	}{
		{analysis.ConditionPaging, &d.paging, shareOf},
		{analysis.ConditionComfy, &d.comfy, shareOf},
		{analysis.ConditionNull, &d.null, shareOf},
		{analysis.ConditionComfyNull, &d.comfyNull, shareOf},
		{analysis.ConditionThrottled, &d.throttled, func(a *analysis.Measured) float64 {
			if a.Storage.Limits == nil { // not throttled after all: no level of it
				return math.NaN()
			}
			return -float64(a.Storage.Limits.ReadBytesPerSec)
		}},
	} {
		var arms []*analysis.Measured
		for _, a := range e.Arms {
			if a.Storage != nil && a.Storage.Condition == c.condition {
				arms = append(arms, a)
			}
		}
		*c.to = analysis.Levels(arms, c.rank)
	}
	return d
}

// shareOf is a level's share of the device's maximum, 0 without load.
func shareOf(a *analysis.Measured) float64 { return a.Storage.Level.Aim.Share }

// judgeH4 applies the rule of H4; see docs/plan.md.
func (h Hypothesis) judgeH4(e *analysis.Experiment) Judgement {
	d := h4DataOf(e)
	v := h.verdict(e, e.Plan.Profile.Repeats)
	g := gatesOf(e)
	g.add("CONTENTION_LOST", windowsVerified(e))
	if len(d.paging) == 0 || len(d.comfy) == 0 {
		return g.unfit(v, fmt.Errorf("the run has no paging or no comfy arms"))
	}
	treated := d.paging
	if len(treated) < 2 { // the second lever alone
		treated = append(slices.Clone(d.paging), d.throttled...)
	}
	if len(treated) < 2 {
		return g.unfit(v, fmt.Errorf("the run has no level beyond BASELINE"))
	}
	base, heavy := treated[0], treated[len(treated)-1]
	effect := d.effect(base, heavy)
	if effect.err != nil {
		return g.unfit(v, effect.err)
	}
	v.P = risesP(effect.d, d.seed)
	trend, slope := d.trend(treated), d.slope(treated)
	v.Claims = []analysis.Claim{trend, slope.claim, effect.claim(h4Ratio), d.pages()}
	controls, reasons := d.controls(base, heavy)
	for _, c := range controls {
		v.Claims = append(v.Claims, c.claim)
	}
	paging := d.pages().Holds
	refuted := false
	switch {
	case !paging:
		reasons = append([]string{"NOT_PAGING"}, reasons...)
	case len(d.paging) < 2:
		reasons = append(reasons, "SECOND_LEVER_ONLY")
	case effect.same:
		reasons, refuted = append(reasons, "FLAT"), true
	}
	if paging && len(d.paging) > 1 {
		v.Mechanism = "STORAGE_QUEUE"
	}
	v = g.decide(v, d.needed(effect, controls), refuted, reasons)
	v.Claims = append(v.Claims, d.secondLever()...)
	return h.reportH4(e, v, d, slope, effect)
}

// effect is the effect of moving from one level to another.
func (d h4Data) effect(from, to analysis.Level) effect {
	return effectOf(fmt.Sprintf("TTFT at %s over that at %s", nameOf(to), nameOf(from)), from, to, d.q)
}

func nameOf(l analysis.Level) string { return l.Arms[0].Storage.Level.Name }

// trend is Page's test over the levels, within blocks.
func (d h4Data) trend(levels []analysis.Level) analysis.Claim {
	p := math.NaN()
	if rows := d.rows(levels); len(rows) > 0 {
		if _, prob, err := analysis.Page(rows, analysis.Resampling{Seed: d.seed}); err == nil {
			p = prob
		}
	}
	return upTo("TTFT rises from level to level (permutation p of Page's trend within blocks)", "p", p, h4TrendP)
}

// rows are the blocks with an endpoint at every level.
func (d h4Data) rows(levels []analysis.Level) [][]float64 {
	var rows [][]float64
	for _, block := range blocksOf(levels) {
		var row []float64
		for _, l := range levels {
			for _, a := range l.Arms {
				if v, ok := a.QuantileMs(d.q); ok && a.Block == block {
					row = append(row, v)
				}
			}
		}
		if len(row) == len(levels) {
			rows = append(rows, row)
		}
	}
	return rows
}

// h4Slope is the elasticity of the endpoint in read latency.
type h4Slope struct {
	claim  analysis.Claim
	slope  analysis.Estimate
	points []analysis.Point // ln ms of read latency and of the endpoint
}

// slope fits ln endpoint over ln r_await, both centred on their block. The
// second lever holds reads before the device counts them, so that there the
// server's own wait stands for r_await.
func (d h4Data) slope(levels []analysis.Level) h4Slope {
	what, of := "the device's r_await", func(a *analysis.Measured) float64 { return a.Telemetry.ReadAwaitMs }
	if levels[len(levels)-1].Arms[0].Storage.Limits != nil {
		what, of = "the server's own wait of a read", func(a *analysis.Measured) float64 { return a.Contention.ServerReadMs }
	}
	s := h4Slope{slope: absent()}
	for _, a := range allArms(levels) {
		x := of(a)
		if y, ok := a.QuantileMs(d.q); ok && x > 0 {
			s.points = append(s.points, analysis.Point{X: math.Log(x), Y: math.Log(y), Block: a.Block})
		}
	}
	text := fmt.Sprintf("slope of ln TTFT over ln of %s, block-centred, Theil–Sen (lower bound)", what)
	if fit, err := analysis.TheilSen(s.points, analysis.Resampling{Seed: d.seed}); err == nil {
		s.slope = fit
	}
	if both, err := analysis.Deming(s.points, 1, analysis.Resampling{Seed: d.seed}); err == nil {
		text += fmt.Sprintf("; Deming %.3g [%.3g, %.3g]", both.Value, both.Lo, both.Hi)
	}
	s.claim = analysis.NewClaim(text, s.slope, 0, "", s.slope.Lo > 0)
	return s
}

// pages: the server read from its disk in the paging arms, by its own count or,
// where it does not count, by what the device read for nobody else.
func (d h4Data) pages() analysis.Claim {
	mb := d.paging[0].Median(func(a *analysis.Measured) float64 {
		if own := a.DiskInBytes(); !math.IsNaN(own) {
			return own / 1e6
		}
		probe := a.Contention.ProbeMBPerSec * a.Idle.Length().Seconds()
		return max(0, a.Telemetry.ReadBytes/1e6-1.02*probe-1) // beyond what the probe may explain
	})
	return analysis.NewClaim("the server reads from its disk in an arm at Ck without load", analysis.Estimate{Value: mb, Lo: math.NaN(), Hi: math.NaN()}, 0, "MB", mb > 0)
}

// h4Control is a comparison that must show nothing.
type h4Control struct {
	effect
	claim analysis.Claim
}

// controls are the arms in which fio must not move the tail, and what stands
// against the hypothesis by them: a control that moves means that fio takes
// something else than the disk. Below the knee, where the tail is steady, both
// the load on the disk and the one off it are shown to stay within 10 %. At Ck
// the tail of a paging server is too restless for that proof in a short run:
// there the load off the disk is the placebo that HEAVY is compared with, and
// must not be shown to move the tail either.
func (d h4Data) controls(base, heavy analysis.Level) (controls []h4Control, reasons []string) {
	confounded := false
	add := func(e effect, c analysis.Claim, undecided string) {
		controls = append(controls, h4Control{e, c})
		switch {
		case e.moved():
			confounded = true
		case !c.Holds:
			reasons = append(reasons, undecided)
		}
	}
	still := func(text, undecided string, e effect) {
		add(e, analysis.NewClaim(text+" stays within ±10 % (two one-sided tests, 90 % interval)", e.tight, 1.1, "ratio", e.same), undecided)
	}
	if n := len(d.comfy); n > 1 {
		still("comfy: TTFT below the knee under "+nameOf(d.comfy[n-1]), "COMFY_UNDECIDED", d.effect(d.comfy[0], d.comfy[n-1]))
	}
	if len(d.comfyNull) > 0 {
		still("null: TTFT below the knee under the same load off the disk", "NULL_UNDECIDED", d.effect(d.comfy[0], d.comfyNull[0]))
	}
	if len(d.null) > 0 {
		moved := d.effect(base, d.null[0])
		add(moved, analysis.NewClaim("null: TTFT at Ck under the same load off the disk is not shown to move by more than 10 % (90 % interval)", moved.tight, 1.1, "ratio", !moved.moved()), "")
		placebo := d.effect(d.null[0], heavy)
		placebo.what = "TTFT at " + nameOf(heavy) + " over that under the same load off the disk"
		add(effect{d: placebo.d, tight: absent()}, placebo.claim(h4Ratio), "PLACEBO_UNDECIDED")
	}
	if confounded {
		reasons = append([]string{"CPU_CONFOUND"}, reasons...)
	}
	return controls, reasons
}

// needed is how many blocks would decide: those that find the effect, and those
// that bring the controls' intervals inside their bounds.
func (d h4Data) needed(effect effect, controls []h4Control) int {
	most := effect.needed(h4Ratio)
	for _, c := range controls {
		room := 2 * (analysis.SESOI(0) - math.Abs(math.Log(c.tight.Value)))
		if !c.claim.Holds {
			most = max(most, analysis.BlocksForWidth(len(c.d), math.Log(c.tight.Hi)-math.Log(c.tight.Lo), room))
		}
	}
	return most
}

// secondLever tells what limits on the server's own reads did, beside the
// verdict: its claims decide nothing.
func (d h4Data) secondLever() []analysis.Claim {
	if len(d.throttled) == 0 || len(d.paging) < 2 {
		return nil
	}
	e := d.effect(d.paging[0], d.throttled[len(d.throttled)-1])
	e.what = "second lever, beside the verdict: " + e.what
	slope := d.slope(append(d.paging[:1:1], d.throttled...))
	slope.claim.Text = "second lever, beside the verdict: " + slope.claim.Text
	return []analysis.Claim{besideClaim(e.claim(h4Ratio)), besideClaim(slope.claim)}
}

// windowsVerified counts the arms whose storage was not what it was meant to
// be.
func windowsVerified(e *analysis.Experiment) analysis.Claim {
	lost := 0
	text := "validity: windows whose contention is not proven"
	for _, a := range e.Arms {
		fault := a.Contention.Fault()
		if fault == "" {
			continue
		}
		if lost++; lost == 1 {
			text += " (the first: " + a.Name + ": " + fault + ")"
		}
	}
	return upTo(text, "arms", float64(lost), 0)
}
