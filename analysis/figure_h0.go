package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// H0Figure is what the queue-knee figure, its table and its benchmark lines
// show: tail TTFT and throughput over concurrent users.
type H0Figure struct {
	Caption    FigureCaption
	Width      FigureWidth
	Quantile   string // of the TTFT, such as "p99"; "" means p99
	Verdict    string // outcome and reasons, printed under the title; "" for none
	Arms       []H0Arm
	Knee       *Estimate // users; nil when none was found
	UWork      int       // users handed on; 0 when none
	BatchLimit int       // the server's batch limit in sequences; 0 when unknown
	// Fitted curves over users; nil for none.
	Fit func(users float64) (ttftMillis float64)
	USL func(users float64) (requestsPerSec float64)
}

// H0Arm is one concurrency level.
type H0Arm struct {
	Users   int
	Repeats []H0Repeat
	// TTFT is the level's estimate in ms. Where its Value is not positive the
	// median over repeats is drawn; without Lo and Hi there is no error bar.
	TTFT Estimate
}

// H0Repeat is one run of an arm. NaN is absent; so is a time of 0.
type H0Repeat struct {
	Requests       int     // good ones, in the measured phase
	TTFTMillis     float64 // the named quantile
	LatencyMillis  float64 // the same quantile end to end
	RequestsPerSec float64
	TokensPerSec   float64 // output tokens
}

// FigureH0 lays the queue-knee figure out: TTFT, requests and tokens per second
// over users, with the knee, U_work and the batch limit marked.
func FigureH0(h H0Figure) Figure {
	arms := h.sorted()
	q := orP99(h.Quantile)
	ttft := FigurePanel{Y: FigureAxis{Label: q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.5}
	ttft.Layers = runsAndMedian(len(arms), func(i int) (float64, []float64, Estimate) {
		return float64(arms[i].Users), arms[i].column(H0Repeat.ttft), arms[i].TTFT
	})
	ttft.Layers = withFit(ttft.Layers, h.Fit, arms.span())

	requests := FigurePanel{Y: FigureAxis{Label: "requests/s"}}
	requests.Layers = runsAndMedian(len(arms), func(i int) (float64, []float64, Estimate) {
		return float64(arms[i].Users), arms[i].column(H0Repeat.requestsPerSec), Estimate{}
	})
	unnamed(&requests)
	if h.USL != nil {
		usl := fitLayer(h.USL, arms.span())
		usl.Name = "USL"
		requests.Layers = append(requests.Layers, usl)
	}
	tokens := FigurePanel{Y: FigureAxis{Label: "output tokens/s"}}
	tokens.Layers = runsAndMedian(len(arms), func(i int) (float64, []float64, Estimate) {
		return float64(arms[i].Users), arms[i].column(H0Repeat.tokensPerSec), Estimate{}
	})
	unnamed(&tokens)
	return Figure{
		Title:    "H0 Queue knee: usable concurrency",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        FigureAxis{Label: "concurrent users", Scale: FigureLog2, Ticks: arms.ticks()},
		Panels:   []FigurePanel{ttft, requests, tokens},
		Markers:  h.markers(),
		Caption:  h.Caption,
	}
}

func (h H0Figure) markers() []FigureMarker {
	var ms []FigureMarker
	if estimated(h.Knee) {
		ms = append(ms, FigureMarker{Label: "knee " + numberLabel(round3(h.Knee.Value)), At: *h.Knee, Color: FigureVermillion})
	}
	if h.UWork > 0 {
		ms = append(ms, FigureMarker{Label: fmt.Sprintf("U_work %d", h.UWork), At: exactly(float64(h.UWork)), Color: FigureGreen, Line: FigureDashed})
	}
	if h.BatchLimit > 0 {
		ms = append(ms, FigureMarker{Label: fmt.Sprintf("batch limit %d", h.BatchLimit), At: exactly(float64(h.BatchLimit)), Color: FigureGrey, Line: FigureDashed})
	}
	return ms
}

func (h H0Figure) subtitle() string {
	s := visible(h.Verdict)
	if estimated(h.Knee) {
		s = joined(s, "knee at "+interval(*h.Knee)+" users")
	} else {
		s = joined(s, "no knee found")
	}
	if h.UWork > 0 {
		s = joined(s, fmt.Sprintf("U_work = %d users", h.UWork))
	}
	return s
}

// h0Arms are arms in ascending order of users.
type h0Arms []H0Arm

func (h H0Figure) sorted() h0Arms {
	return slices.SortedStableFunc(slices.Values(h.Arms), func(a, b H0Arm) int { return cmp.Compare(a.Users, b.Users) })
}

func (arms h0Arms) span() extent {
	e := noExtent()
	for _, a := range arms {
		if a.Users > 0 {
			e.add(float64(a.Users))
		}
	}
	return e
}

// ticks stand at the arms. Powers of two are labelled, and the rest only where
// those are few.
func (arms h0Arms) ticks() []FigureTick {
	var powers, rest []FigureTick
	for _, a := range arms {
		t := FigureTick{At: float64(a.Users), Label: tokenLabel(float64(a.Users))}
		if powerOfTwo(a.Users) {
			powers = append(powers, t)
		} else {
			rest = append(rest, t)
		}
	}
	if few := 5; len(powers) >= few {
		for i := range rest {
			rest[i].Label = ""
		}
	}
	return append(powers, rest...)
}

func powerOfTwo(n int) bool { return n > 0 && n&(n-1) == 0 }

func (a H0Arm) column(of func(H0Repeat) float64) []float64 {
	values := make([]float64, len(a.Repeats))
	for i, r := range a.Repeats {
		values[i] = of(r)
	}
	return values
}

func (r H0Repeat) ttft() float64           { return positive(r.TTFTMillis) }
func (r H0Repeat) latency() float64        { return positive(r.LatencyMillis) }
func (r H0Repeat) requestsPerSec() float64 { return r.RequestsPerSec }
func (r H0Repeat) tokensPerSec() float64   { return r.TokensPerSec }

// runsAndMedian are the layers of a sweep: every run as a dot, and the level's
// estimate as a joined line with its interval.
func runsAndMedian(n int, level func(i int) (x float64, runs []float64, e Estimate)) []FigureLayer {
	runs := FigureLayer{Name: "runs (shifted)", Color: FigureOrange, Glyph: FigureDot, Dodge: 4}
	median := FigureLayer{Name: "median", Color: FigureBlue, Glyph: FigureDisc, Line: FigureSolid}
	for i := range n {
		x, values, e := level(i)
		for _, v := range values {
			runs.Points = append(runs.Points, FigurePoint{x, only(v)})
		}
		e = orMedian(e, values)
		if e.Lo < e.Hi {
			median.Bars = true
			median.Name = "median, interval"
		}
		median.Points = append(median.Points, FigurePoint{x, e})
	}
	return []FigureLayer{runs, median}
}

// fitLayer samples a fitted curve over the range of the sweep.
func fitLayer(f func(float64) float64, over extent) FigureLayer {
	l := FigureLayer{Name: "fit", Color: FigureBlack, Line: FigureDashed}
	if !(over.lo < over.hi) {
		return l
	}
	const samples = 60
	for i := range samples + 1 {
		x := over.lo * math.Pow(over.hi/over.lo, float64(i)/samples)
		l.Points = append(l.Points, FigurePoint{x, only(f(x))})
	}
	return l
}

// withFit adds a fitted curve to the layers of runsAndMedian. The estimates are
// then not joined as well: the curve is the line.
func withFit(layers []FigureLayer, f func(float64) float64, over extent) []FigureLayer {
	if f == nil {
		return layers
	}
	layers[1].Line = FigureNoLine
	return append(layers, fitLayer(f, over))
}

// unnamed takes a panel's legend away where the panel above has the same.
func unnamed(p *FigurePanel) {
	for i := range p.Layers {
		p.Layers[i].Name = ""
	}
}

// medianOfPresent is the median of what is not NaN, by the mean of the middle
// two; NaN of nothing.
func medianOfPresent(values []float64) float64 {
	present := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(present) == 0 {
		return math.NaN()
	}
	slices.Sort(present)
	mid := len(present) / 2
	if len(present)%2 == 1 {
		return present[mid]
	}
	return present[mid-1]/2 + present[mid]/2
}

// estimated reports whether there is an estimate at all.
func estimated(e *Estimate) bool {
	return e != nil && !math.IsNaN(e.Value) && !math.IsInf(e.Value, 0)
}

func only(v float64) Estimate    { return Estimate{v, math.NaN(), math.NaN()} }
func exactly(v float64) Estimate { return Estimate{v, v, v} }

// positive makes a time that was not measured absent.
func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return math.NaN()
}

// orMedian is e, or the median of values without an interval where e is absent.
func orMedian(e Estimate, values []float64) Estimate {
	if !(e.Value > 0) {
		return only(medianOfPresent(values))
	}
	if !(e.Lo < e.Hi) {
		return only(e.Value)
	}
	return e
}

func orP99(q string) string {
	if q = visible(q); q != "" {
		return q
	}
	return "p99"
}

func joined(a, b string) string {
	if a == "" {
		return b
	}
	return a + " · " + b
}

// interval writes an estimate as "18 (16–21)".
func interval(e Estimate) string {
	s := numberLabel(round3(e.Value))
	if e.Lo < e.Hi && !math.IsInf(e.Lo, 0) && !math.IsInf(e.Hi, 0) {
		s += " (" + numberLabel(round3(e.Lo)) + "–" + numberLabel(round3(e.Hi)) + ")"
	}
	return s
}

// round3 keeps three significant digits: more would claim too much.
func round3(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return v
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/unit) * unit
}
