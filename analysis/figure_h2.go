package analysis

import (
	"cmp"
	"math"
	"slices"
	"strconv"
)

// H2Figure is what the hockey-stick figure, its table and its benchmark lines
// show: tail TTFT over KV demand, and the disk and the CPU beneath.
type H2Figure struct {
	Caption   FigureCaption
	Width     FigureWidth
	Quantile  string // of the TTFT, such as "p99"; "" means p99
	Verdict   string // outcome and reasons, printed under the title; "" for none
	Mechanism string // QUEUE, RECOMPUTE, REFAULT, SWAP, KV_TIER, …; "" for none
	// Sweep is the swept quantity: "context" (the default) or "users".
	Sweep string
	Arms  []H2Arm
	// Knee and PoolFull are on the figure's horizontal axis: demand over pool
	// where every arm has its Demand, else the swept quantity. Nil for none.
	Knee     *Estimate
	PoolFull *Estimate
	Fit      func(x float64) (ttftMillis float64) // over the same axis; nil for none
}

// H2Arm is one level of the sweep.
type H2Arm struct {
	Users         int
	ContextTokens int     // per user
	Demand        float64 // measured KV demand over pool size; NaN or 0 when unknown
	Repeats       []H2Repeat
	// TTFT is the level's estimate in ms. Where its Value is not positive the
	// median over repeats is drawn; without Lo and Hi there is no error bar.
	TTFT Estimate
}

// H2Repeat is one run of an arm. NaN is absent; so is a TTFT or latency of 0,
// but 0 is a legal rate, and a legal r_await only if reads took no time: with
// no reads r_await is NaN. MB are 10^6 bytes.
type H2Repeat struct {
	Requests         int     // good ones, in the measured phase
	TTFTMillis       float64 // the named quantile
	LatencyMillis    float64 // the same quantile end to end
	DeviceReadMBps   float64 // by the block device's counters
	ServerPageInMBps float64 // by the server's own count
	ReadAwaitMillis  float64 // r_await
	IOWaitPct        float64 // of all CPUs
}

// FigureH2 lays the hockey stick out: TTFT over KV demand, log-log, with the
// pool-full point and the knee; beneath it reads, r_await and iowait. Tick
// labels give the swept quantity and, in the second row, demand over pool.
func FigureH2(h H2Figure) Figure {
	arms := h.sorted()
	panel := func(label string, of func(H2Repeat) float64) FigurePanel {
		p := FigurePanel{Y: FigureAxis{Label: label}, HeightIn: 0.72}
		p.Layers = runsAndMedian(len(arms), func(i int) (float64, []float64, Estimate) {
			return arms[i].x, arms[i].column(of), Estimate{}
		})
		return p
	}
	q := orP99(h.Quantile)
	ttft := FigurePanel{Y: FigureAxis{Label: q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.6}
	ttft.Layers = runsAndMedian(len(arms), func(i int) (float64, []float64, Estimate) {
		return arms[i].x, arms[i].column(H2Repeat.ttft), arms[i].TTFT
	})
	ttft.Layers = withFit(ttft.Layers, h.Fit, arms.span())

	reads := panel("reads (MB/s)", H2Repeat.deviceRead)
	reads.Layers[0].Name, reads.Layers[1].Name = "", "device"
	pageIn := panel("", H2Repeat.pageIn).Layers[1]
	pageIn.Name, pageIn.Color, pageIn.Glyph, pageIn.Line = "by the server", FigureVermillion, FigureRing, FigureDashed
	reads.Layers = append(reads.Layers, pageIn)

	await, iowait := panel("r_await (ms)", H2Repeat.readAwait), panel("iowait (% of CPU)", H2Repeat.ioWait)
	unnamed(&await)
	unnamed(&iowait)
	return Figure{
		Title:    "H2 UMA pressure hockey stick",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        FigureAxis{Label: h.axisLabel(), Scale: FigureLog2, Ticks: arms.ticks()},
		Panels:   []FigurePanel{ttft, reads, await, iowait},
		Markers:  h.markers(),
		Caption:  h.Caption,
	}
}

// byUsers tells the two sweeps apart.
func (h H2Figure) byUsers() bool { return h.Sweep == "users" }

// byDemand reports whether every arm knows its demand.
func (h H2Figure) byDemand() bool {
	for _, a := range h.Arms {
		if !FigureLog2.drawable(a.Demand) {
			return false
		}
	}
	return true
}

func (h H2Figure) axisLabel() string {
	label := "context per user (tokens)"
	if h.byUsers() {
		label = "concurrent users"
	}
	if h.byDemand() {
		label += "; KV demand ÷ pool"
	}
	return label
}

func (h H2Figure) markers() []FigureMarker {
	unit := ""
	if h.byDemand() {
		unit = "×"
	}
	var ms []FigureMarker
	if estimated(h.PoolFull) {
		ms = append(ms, FigureMarker{Label: "pool full " + numberLabel(round3(h.PoolFull.Value)) + unit, At: *h.PoolFull, Color: FigureGreen, Line: FigureDashed})
	}
	if estimated(h.Knee) {
		ms = append(ms, FigureMarker{Label: "knee " + numberLabel(round3(h.Knee.Value)) + unit, At: *h.Knee, Color: FigureVermillion})
	}
	return ms
}

func (h H2Figure) subtitle() string {
	s := visible(h.Verdict)
	if h.Mechanism != "" {
		s = joined(s, "mechanism "+visible(h.Mechanism))
	}
	switch {
	case !estimated(h.Knee):
		return joined(s, "no knee found")
	case h.byDemand():
		return joined(s, "knee at "+interval(*h.Knee)+" × pool")
	case h.byUsers():
		return joined(s, "knee at "+interval(*h.Knee)+" users")
	}
	return joined(s, "knee at "+interval(*h.Knee)+" tokens")
}

// h2Level is an arm with its place on the horizontal axis.
type h2Level struct {
	H2Arm
	x     float64
	label string
	sub   string
	power bool // the swept value is a power of two
}

type h2Levels []h2Level

func (h H2Figure) sorted() h2Levels {
	byDemand := h.byDemand()
	var levels h2Levels
	for _, a := range h.Arms {
		swept := a.ContextTokens
		if h.byUsers() {
			swept = a.Users
		}
		l := h2Level{H2Arm: a, x: float64(swept), label: tokenLabel(float64(swept)), power: powerOfTwo(swept)}
		if byDemand {
			l.x, l.sub = a.Demand, demandLabel(a.Demand)
		}
		levels = append(levels, l)
	}
	slices.SortStableFunc(levels, func(a, b h2Level) int { return cmp.Compare(a.x, b.x) })
	return levels
}

func demandLabel(v float64) string {
	if v >= 99.5 {
		return numberLabel(math.Round(v)) + "×"
	}
	return strconv.FormatFloat(v, 'g', 2, 64) + "×"
}

// ticks stand at the arms; powers of two keep their labels where space is short.
func (levels h2Levels) ticks() []FigureTick {
	ticks := []FigureTick{}
	for _, power := range []bool{true, false} {
		for _, l := range levels {
			if l.power == power {
				ticks = append(ticks, FigureTick{At: l.x, Label: l.label, Sub: l.sub})
			}
		}
	}
	return ticks
}

func (levels h2Levels) span() extent {
	e := noExtent()
	for _, l := range levels {
		if l.x > 0 && !math.IsInf(l.x, 0) {
			e.add(l.x)
		}
	}
	return e
}

func (a H2Arm) column(of func(H2Repeat) float64) []float64 {
	values := make([]float64, len(a.Repeats))
	for i, r := range a.Repeats {
		values[i] = of(r)
	}
	return values
}

func (r H2Repeat) ttft() float64       { return positive(r.TTFTMillis) }
func (r H2Repeat) latency() float64    { return positive(r.LatencyMillis) }
func (r H2Repeat) deviceRead() float64 { return r.DeviceReadMBps }
func (r H2Repeat) pageIn() float64     { return r.ServerPageInMBps }
func (r H2Repeat) readAwait() float64  { return r.ReadAwaitMillis }
func (r H2Repeat) ioWait() float64     { return r.IOWaitPct }
