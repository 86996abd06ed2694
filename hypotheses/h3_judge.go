package hypotheses

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

const (
	h3Above = 2.0  // times the latency at the lowest level: the state to be told of
	h3AUC   = 0.8  // of telling it in a repeat that was held out
	h3P     = 0.05 // of the sign test, Holm over the counters
)

// What a counter turned out to be.
const (
	counterLeads   = "leads"     // its knee is at or before latency's in all repeats
	counterFollows = "follows"   // it is shown to come after
	counterSame    = "coincides" // never after latency's, and not shown to be before
	counterEarly   = "earlier"   // before in every repeat, of which there are too few
	counterMixed   = "mixed"     // after latency's in some repeats, and not shown to follow
	counterAlone   = "alone"     // it has a knee, and latency has none
	counterSmooth  = "no knee"   // it moves, and no curve with a knee is shown
	counterSilent  = "silent"    // absent, or the same at every level
)

// h3Data is every repeat of H2's sweep in all runs.
type h3Data struct {
	q       float64
	seed    uint64
	known   bool // X is demand over pool, else tokens
	repeats []h3Repeat
	latency []analysis.Point // ln ms over X; blocks are places in repeats
	fit     *analysis.KneeFit
	curve   string
	knees   []float64 // of latency, by repeat
	base    float64   // ms, at the lowest level
}

// h3Repeat is one block of one run.
type h3Repeat struct {
	run, block int
	arms       []h3Arm // ascending in X
}

type h3Arm struct {
	*analysis.Measured
	x float64
}

func h3DataOf(e *analysis.Experiment) (h3Data, error) {
	d := h3Data{q: e.Plan.Profile.Quantile, seed: e.Plan.Seed, known: true}
	for i, run := range e.Runs() {
		levels, _, known := demandLevels(run)
		d.known = d.known && known
		for _, block := range blocksOf(levels) {
			r := h3Repeat{run: i, block: block}
			for _, l := range levels {
				for _, a := range l.Arms {
					if a.Block == block {
						r.arms = append(r.arms, h3Arm{a, l.X})
					}
				}
			}
			d.repeats = append(d.repeats, r)
		}
	}
	var lowest []float64
	for i, r := range d.repeats {
		for k, a := range r.arms {
			ms, ok := a.QuantileMs(d.q)
			if !ok || !(ms > 0) {
				continue
			}
			d.latency = append(d.latency, analysis.Point{X: a.x, Y: math.Log(ms), Block: i})
			if k == 0 {
				lowest = append(lowest, ms)
			}
		}
	}
	d.base = analysis.Median(lowest)
	var err error
	// The interval is for the figure: the rule looks at each repeat's own knee.
	if d.fit, err = analysis.FitKnee(d.latency, analysis.Resampling{Seed: d.seed, B: 500}); err != nil {
		return d, err
	}
	_, d.curve = d.fit.Location()
	d.knees, err = analysis.BlockKnees(d.latency, d.curve)
	if err == nil && len(d.knees) != len(d.repeats) {
		err = errors.New("a repeat has no endpoint at any level")
	}
	return d, err
}

// h3Counter is what one counter told.
type h3Counter struct {
	counter  analysis.Counter
	status   string
	why      string    // of a silent one
	knees    []float64 // by repeat
	lead     analysis.Estimate
	before   int     // repeats with its knee levels before latency's
	ties     int     // with both between the same two levels
	of       int     // with both
	p        float64 // sign test, one-sided
	adjusted float64 // Holm over all counters of the plan
	auc      float64
	lag      analysis.Lag
	step     float64 // seconds of one sample of lag
}

// counters holds every counter of the plan against latency.
func (d h3Data) counters(e *analysis.Experiment) []h3Counter {
	var all []h3Counter
	var ps []float64
	for c := range analysis.Counter(analysis.CounterSignals) {
		k := d.counter(c)
		if k.status != counterSilent {
			k.lag, k.step = lagBehind(e, c, d.seed)
		}
		all, ps = append(all, k), append(ps, k.p)
	}
	for i, p := range analysis.Holm(ps) {
		k := &all[i]
		k.adjusted = p
		if (k.status == counterEarly || k.status == counterSame) && p <= h3P {
			k.status = counterLeads
		}
	}
	return all
}

func (d h3Data) counter(c analysis.Counter) h3Counter {
	k := h3Counter{counter: c, status: counterSilent, lead: absent(), p: math.NaN(), auc: math.NaN(), lag: analysis.Lag{R: math.NaN(), P: math.NaN()}}
	var raw []analysis.Point
	groups := make([]analysis.Scored, len(d.repeats))
	for i, r := range d.repeats {
		for _, a := range r.arms {
			y := a.Counters[c]
			raw = append(raw, analysis.Point{X: a.x, Y: y, Block: i})
			if ms, ok := a.QuantileMs(d.q); ok && !math.IsNaN(y) {
				groups[i].Score, groups[i].Positive = append(groups[i].Score, y), append(groups[i].Positive, ms > h3Above*d.base)
			}
		}
	}
	points, err := analysis.OnsetPoints(raw, c.Info().Falls)
	switch {
	case errors.Is(err, analysis.ErrDegenerate):
		k.why = "constant"
		return k
	case err != nil || 2*len(points) < len(raw):
		k.why = "absent"
		return k
	}
	k.status = counterSmooth
	if auc, err := analysis.LeaveOneOutAUC(groups); err == nil {
		k.auc = auc.AUC
	}
	points = analysis.OnsetFoot(points)
	fit, err := analysis.FitKnee(points, analysis.Resampling{B: 1, Seed: d.seed})
	if err != nil || !fit.HasKnee() {
		return k
	}
	curve, latency := d.sameCurve(fit)
	if k.knees, err = analysis.BlockKnees(points, curve); err != nil || len(k.knees) != len(d.knees) {
		return k
	}
	k.status = counterAlone
	if d.fit.HasKnee() {
		k.compare(d.repeats, latency)
	}
	return k
}

// sameCurve is the curve by which a counter's knees are located, and latency's
// knees by the same one: on the same data a hinge lies left of a queue curve, so
// that knees of different curves do not compare. It is latency's curve where the
// counter has a knee by it, else the counter's where latency has one by that;
// where neither is so, each keeps its own.
func (d h3Data) sameCurve(counter *analysis.KneeFit) (curve string, latency []float64) {
	if counter.KneeBy(d.curve) {
		return d.curve, d.knees
	}
	_, curve = counter.Location()
	if d.fit.KneeBy(curve) {
		if knees, err := analysis.BlockKnees(d.latency, curve); err == nil && len(knees) == len(d.knees) {
			return curve, knees
		}
	}
	return curve, d.knees
}

// compare holds the counter's knees against latency's, repeat by repeat. Knees
// between the same two levels are as near as a sweep can place them: such a
// repeat is a tie, which speaks neither for nor against, and the test is over
// the others.
func (k *h3Counter) compare(repeats []h3Repeat, latency []float64) {
	var ln []float64
	for i, own := range k.knees {
		ratio := math.Log(own / latency[i])
		if math.IsNaN(ratio) {
			continue
		}
		ln = append(ln, ratio)
		switch mine, its := repeats[i].gap(own), repeats[i].gap(latency[i]); {
		case mine == its:
			k.ties++
		case mine < its:
			k.before++
		}
	}
	k.of, k.status = len(ln), counterMixed
	switch k.of {
	case k.before:
		k.status = counterEarly
	case k.before + k.ties:
		k.status = counterSame
	}
	if hl, err := analysis.HodgesLehmann(ln, 0.95); err == nil {
		k.lead = expOf(hl)
	}
	if p, err := analysis.SignTest(k.before, k.of-k.ties); err == nil {
		k.p = p
	}
	if p, err := analysis.SignTest(k.of-k.ties-k.before, k.of-k.ties); err == nil && p <= h3P {
		k.status = counterFollows
	}
}

// gap is between which of the repeat's levels x lies: how many are not beyond it.
// A knee that the fit puts on a level is on it but for rounding.
func (r h3Repeat) gap(x float64) int {
	n := 0
	for _, a := range r.arms {
		if a.x <= x*(1+1e-6) {
			n++
		}
	}
	return n
}

// best is the counter that the verdict is about: of those that lead the one that
// tells best, else the one nearest to leading; nil where none has a knee.
func best(all []h3Counter) *h3Counter {
	var found *h3Counter
	better := func(a, b *h3Counter) bool {
		if l := a.status == counterLeads; l != (b.status == counterLeads) {
			return l
		}
		if a.status != counterLeads && a.p != b.p {
			return a.p < b.p
		}
		return a.auc > b.auc
	}
	for i := range all {
		k := &all[i]
		if k.of > 0 && (found == nil || better(k, found)) {
			found = k
		}
	}
	return found
}

// judgeH3 applies the rule of H3; see docs/plan.md.
func (h Hypothesis) judgeH3(e *analysis.Experiment) Judgement {
	d, err := h3DataOf(e)
	all := pooled(e, len(d.repeats))
	v := h.verdict(e, len(d.repeats))
	g := gatesOf(all)
	if err != nil {
		return g.unfit(v, err)
	}
	counters := d.counters(e)
	winner := best(counters)
	v.Claims = append([]analysis.Claim{kneeClaim(d.fit, d.curve), h3RepeatsClaim(len(d.repeats))}, winner.claims(v.Quantile)...)
	if winner != nil {
		v.P = analysis.Num(winner.adjusted)
	}
	reasons, refuted := h3Reasons(d, counters)
	needed := 0
	if len(d.repeats) < h3Least {
		needed = h3Least
	}
	v = g.decide(v, needed, refuted, reasons)
	v.Claims = append(v.Claims, h3Beside(counters, winner, v.Quantile)...)
	return h.reportH3(all, v, d, counters)
}

func h3RepeatsClaim(n int) analysis.Claim {
	return analysis.NewClaim("repeats of the sweep", analysis.Estimate{Value: float64(n), Lo: math.NaN(), Hi: math.NaN()}, h3Least, "repeats", n >= h3Least)
}

// claims are what must hold of the counter that the verdict is about.
func (k *h3Counter) claims(quantile string) []analysis.Claim {
	if k == nil {
		return []analysis.Claim{{Text: "a counter has a knee that can be held against latency's", Holds: false}}
	}
	name := k.counter.Info().Name
	share := analysis.Estimate{Value: float64(k.before+k.ties) / float64(k.of), Lo: math.NaN(), Hi: math.NaN()}
	auc := analysis.Estimate{Value: k.auc, Lo: math.NaN(), Hi: math.NaN()}
	return []analysis.Claim{
		analysis.NewClaim(fmt.Sprintf("%s: its knee is at or before latency's in all repeats (before in %d, between the same two levels in %d of %d; knee over latency's knee %.3g)", name, k.before, k.ties, k.of, k.lead.Value), share, 1, "share", k.before+k.ties == k.of),
		upTo(fmt.Sprintf("%s: sign test of that without the ties, Holm over %d counters", name, analysis.CounterSignals), "p", k.adjusted, h3P),
		analysis.NewClaim(fmt.Sprintf("%s: AUC of telling \"%s above %g × base\" in a repeat that was held out", name, quantile, h3Above), auc, h3AUC, "", k.auc >= h3AUC),
	}
}

// h3Beside tells of every other counter, and of the lags; nothing of it decides.
func h3Beside(all []h3Counter, winner *h3Counter, quantile string) []analysis.Claim {
	var claims []analysis.Claim
	var silent []string
	for i := range all {
		k := &all[i]
		info := k.counter.Info()
		switch {
		case k.status == counterSilent:
			silent = append(silent, info.Name+" ("+k.why+")")
			continue
		case k.of == 0:
			moves := "moves without a knee of its own"
			if k.status == counterAlone {
				moves = "has a knee, and latency has none"
			}
			text := fmt.Sprintf("%s %s; AUC of telling \"%s above %g × base\" in a repeat that was held out", info.Name, moves, quantile, h3Above)
			claims = append(claims, besideClaim(analysis.NewClaim(text, analysis.Estimate{Value: k.auc, Lo: math.NaN(), Hi: math.NaN()}, h3AUC, "", false)))
		case k.counter != winner.counter:
			text := fmt.Sprintf("%s: %s (before in %d, tied in %d of %d repeats%s): its knee over latency's", info.Name, k.status, k.before, k.ties, k.of, k.aucText())
			claims = append(claims, besideClaim(analysis.NewClaim(text, k.lead, 1, "ratio", k.status == counterLeads)))
		}
		if k.of > 0 && !math.IsNaN(k.lag.P) {
			text := fmt.Sprintf("TTFT follows %s within the windows by (cross-correlation %.2f, circular-shift p = %.2g)", info.Name, k.lag.R, k.lag.P)
			lag := analysis.Estimate{Value: k.step * float64(k.lag.Samples), Lo: math.NaN(), Hi: math.NaN()}
			claims = append(claims, besideClaim(analysis.NewClaim(text, lag, math.NaN(), "s", k.lag.P <= h3P && k.lag.Samples >= 0)))
		}
	}
	if len(silent) > 0 {
		claims = append(claims, besideClaim(analysis.Claim{Text: "silent: " + strings.Join(silent, ", ")}))
	}
	return claims
}

// aucText is the AUC in words, "" where there is none.
func (k *h3Counter) aucText() string {
	if math.IsNaN(k.auc) {
		return ""
	}
	return fmt.Sprintf(", AUC %.2f", k.auc)
}

// h3Reasons names what stands against the hypothesis, and whether the data show
// that counters only follow.
func h3Reasons(d h3Data, all []h3Counter) (reasons []string, refuted bool) {
	if len(d.repeats) < h3Least {
		reasons = append(reasons, "TOO_FEW_REPEATS")
	}
	if !d.fit.HasKnee() {
		return append(reasons, "NO_KNEE"), false
	}
	n := map[string]int{}
	for _, k := range all {
		n[k.status]++
	}
	switch {
	case n[counterLeads]+n[counterEarly] > 0:
		return reasons, false
	case n[counterSilent] == len(all):
		return append(reasons, "SILENT"), false
	case n[counterSame] > 0:
		return append(reasons, "COINCIDES"), false
	case n[counterMixed] > 0:
		return append(reasons, "NOT_BEFORE"), false
	case n[counterFollows] > 0:
		return append(reasons, "LAGGING"), len(reasons) == 0
	}
	return append(reasons, "NO_SIGNAL"), false
}
