package hypotheses

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

const (
	h1Ratio      = 1.10 // cold over warm, lower bound
	h1LoadsLeast = 64
	h1CycleLeast = 8
	h1ExcessPart = 0.5 // of the time that reading takes
)

// h1ColdBytes is what a cold window may read, over the adapters' bytes.
var h1ColdBytes = [2]float64{0.9, 1.5}

// h1Cycle is one restart: the first touches and the next ones.
type h1Cycle struct {
	cold, warm *analysis.Measured
	pairs      []h1Pair
}

// h1Pair is one adapter's two touches.
type h1Pair struct {
	adapter          string
	cold, warm, load float64 // ms
}

// h1Data is a run of H1.
type h1Data struct {
	setup  analysis.LoRASetup
	seed   uint64
	cycles []h1Cycle
}

func h1DataOf(e *analysis.Experiment) (h1Data, error) {
	d := h1Data{setup: setupOf(e), seed: e.Plan.Seed}
	warm := conditionArms(e, analysis.ConditionWarm, -1)
	for _, cold := range conditionArms(e, analysis.ConditionCold, -1) {
		if cold.LoRA.AdapterBytes <= 0 || cold.LoRA.Adapters <= 0 {
			return d, errNoSize
		}
		i := slices.IndexFunc(warm, func(a *analysis.Measured) bool { return a.Block == cold.Block })
		if i < 0 {
			return d, fmt.Errorf("cycle %d has no warm window", cold.Block)
		}
		d.cycles = append(d.cycles, h1Cycle{cold, warm[i], pairsOf(cold, warm[i])})
	}
	if d.loads() == 0 {
		return d, errors.New("the run has no adapter that was touched cold and warm")
	}
	return d, nil
}

// pairsOf joins each adapter's first touch with its next. Only the first touch
// of an adapter in the cold window is one.
func pairsOf(cold, warm *analysis.Measured) []h1Pair {
	var pairs []h1Pair
	known := map[string]bool{"": true} // the base model is no adapter
	for _, first := range cold.Touches {
		if known[first.Adapter] {
			continue
		}
		known[first.Adapter] = true
		for _, next := range warm.Touches {
			if next.Adapter == first.Adapter {
				pairs = append(pairs, h1Pair{first.Adapter, first.TTFTMs, next.TTFTMs, first.LoadMs})
				break
			}
		}
	}
	return pairs
}

func (d h1Data) loads() (n int) {
	for _, c := range d.cycles {
		n += len(c.pairs)
	}
	return n
}

// clustered is the median of a quantity of the pairs, with an interval from
// resampling whole cycles. The error is for a pair without that quantity.
func (d h1Data) clustered(of func(h1Pair) float64) (analysis.Estimate, error) {
	var clusters [][]float64
	for _, c := range d.cycles {
		var values []float64
		for _, p := range c.pairs {
			values = append(values, of(p))
		}
		if len(values) > 0 {
			clusters = append(clusters, values)
		}
	}
	return analysis.ClusteredMedian(clusters, 0.95, analysis.Resampling{Seed: d.seed})
}

// judgeH1 applies the rule of H1; see docs/plan.md.
func (h Hypothesis) judgeH1(e *analysis.Experiment) Judgement {
	v := h.verdict(e, e.Plan.Profile.Repeats)
	v.Quantile = Profile{Quantile: 0.5}.QuantileName()
	g := gatesOf(e, "TOO_FEW_REQUESTS") // touches are counted, and as many as planned
	g.add("ADAPTERS_IGNORED", adaptersApplied(e))
	d, err := h1DataOf(e)
	if err != nil {
		return g.unfit(v, err)
	}
	device := func(a *analysis.Measured) float64 { return a.Telemetry.ReadBytes }
	read, rest := d.bytes(false, device), d.bytes(true, device)
	g.add("NOT_COLD", d.cold(e, read))
	ln, lnErr := d.clustered(func(p h1Pair) float64 { return math.Log(p.cold / p.warm) })
	excess, err := d.clustered(func(p h1Pair) float64 { return p.cold - p.warm })
	if err := errors.Join(lnErr, err); err != nil {
		return g.unfit(v, err)
	}
	v.P = d.cyclesP()
	ratio, limit := expOf(ln), h1ExcessPart*d.readMs()
	colds := analysis.NewClaim(fmt.Sprintf("device reads in a cold window over the adapters' bytes, median and range over cycles, all within %.1f and %.1f", h1ColdBytes[0], h1ColdBytes[1]),
		read, h1ColdBytes[0], "ratio", read.Lo >= h1ColdBytes[0] && read.Hi <= h1ColdBytes[1])
	rests := analysis.NewClaim("device reads in a warm window over the adapters' bytes, median and range over cycles (highest)", rest, readNothing, "ratio", rest.Hi < readNothing)
	stays := d.staysWarm()
	v.Claims = []analysis.Claim{
		analysis.NewClaim("TTFT of an adapter's first touch over that of its next, median, clustered by restart (lower bound)", ratio, h1Ratio, "ratio", ratio.Lo > h1Ratio),
		colds, rests, stays,
		analysis.NewClaim(fmt.Sprintf("excess of the first touch, against half of the %.3g ms that reading its bytes takes at the rate measured beside it (lower bound)", d.readMs()), excess, limit, "ms", excess.Lo >= limit),
	}
	reasons, refuted := d.special(ratio, colds.Holds, rests.Holds && stays.Holds)
	if !refuted && read.Value >= readNothing {
		v.Mechanism = "ADAPTER_READ"
	}
	v = g.decide(v, d.needed(ratio), refuted, reasons)
	return h.reportH1(e, v, d, ratio, excess)
}

// cold: the first touches were, and read something: by the device's count, and
// by the server's own where it has one, since others read too.
func (d h1Data) cold(e *analysis.Experiment, read analysis.Estimate) analysis.Claim {
	c := adaptersCold(e, analysis.ConditionCold)
	own := d.bytes(false, (*analysis.Measured).AdapterInBytes)
	if !(read.Value >= readNothing) || own.Value < readNothing {
		c.Holds = false
		c.Text += fmt.Sprintf("; of the adapters' bytes the first touches read %.3g by the device's count, %.3g by the server's", read.Value, own.Value)
	}
	return c
}

// special are the outcomes in which the design could not show what it is about,
// and the one in which it showed that there is nothing: both touches are what
// they should be, and alike.
func (d h1Data) special(ratio analysis.Estimate, coldReads, warmRests bool) (reasons []string, refuted bool) {
	if d.loads() < h1LoadsLeast || len(d.cycles) < h1CycleLeast {
		reasons = append(reasons, "TOO_FEW_LOADS")
	}
	if !warmRests {
		reasons = append(reasons, "NOT_WARM")
	}
	if len(reasons) == 0 && coldReads && ratio.Hi < h1Ratio && ratio.Lo > 1/h1Ratio {
		return []string{"FLAT"}, true
	}
	return reasons, false
}

// bytes is what was read in the cold or the warm windows, by somebody's count,
// over the bytes of the adapters touched: the median over cycles, with the least
// and the most. It is absent where one window has no count.
func (d h1Data) bytes(warm bool, of func(*analysis.Measured) float64) analysis.Estimate {
	return d.overCycles(func(c h1Cycle) float64 {
		arm := c.cold
		if warm {
			arm = c.warm
		}
		return of(arm) / c.adapterBytes()
	})
}

// overCycles is the median of a quantity over the cycles, with the least and the
// most as its range; absent where one cycle lacks it.
func (d h1Data) overCycles(of func(h1Cycle) float64) analysis.Estimate {
	var values []float64
	for _, c := range d.cycles {
		values = append(values, of(c))
	}
	if slices.ContainsFunc(values, math.IsNaN) {
		return absent()
	}
	return analysis.Estimate{Value: analysis.Median(values), Lo: slices.Min(values), Hi: slices.Max(values)}
}

// adapterBytes is the size of all files that a cycle touches.
func (c h1Cycle) adapterBytes() float64 {
	return float64(c.cold.LoRA.AdapterBytes) * float64(c.cold.LoRA.Adapters)
}

// staysWarm: at the second touch the files were in the page cache, in most
// cycles: a kernel that reclaims ahead of need takes some pages back now and
// then, which the server, having read them, does not miss.
func (d h1Data) staysWarm() analysis.Claim {
	share := d.overCycles(func(c h1Cycle) float64 { return cachedBefore(c.warm) })
	return analysis.NewClaim("the adapters' files in the page cache before a warm window, median and range over cycles", share, warmShare, "share", share.Value > warmShare)
}

// readMs is how long reading one adapter takes by itself.
func (d h1Data) readMs() float64 {
	var ms []float64
	for _, c := range d.cycles {
		if p := c.cold.LoRA.Cold; p != nil && p.ReadBytesPerSec > 0 {
			ms = append(ms, float64(c.cold.LoRA.AdapterBytes)/p.ReadBytesPerSec*1e3)
		}
	}
	return analysis.Median(ms)
}

// needed is how many cycles have the loads that the rule asks for and would
// bring the lower bound over the limit; 0 where more cycles would not help, or
// nobody can tell.
func (d h1Data) needed(ratio analysis.Estimate) int {
	perCycle := max(1, d.loads()/max(1, len(d.cycles)))
	least := max(h1CycleLeast, (h1LoadsLeast+perCycle-1)/perCycle)
	if len(d.cycles) >= least {
		least = 0
	}
	if ratio.Lo > h1Ratio || !(ratio.Value > h1Ratio) {
		return least
	}
	room := 2 * math.Log(ratio.Value/h1Ratio)
	return max(least, analysis.BlocksForWidth(len(d.cycles), math.Log(ratio.Hi/ratio.Lo), room))
}
