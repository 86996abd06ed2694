package analysis

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// axis maps [lo,hi] in data to [from,to] on the page.
type axis struct {
	scale    FigureScale
	lo, hi   float64
	from, to vg.Length
}

// at is the place of v.
func (a axis) at(v float64) vg.Length {
	var n plot.Normalizer = plot.LinearScale{}
	if a.scale.log() {
		n = plot.LogScale{}
	}
	return a.from + vg.Length(n.Normalize(a.lo, a.hi, v))*(a.to-a.from)
}

func (a axis) holds(v float64) bool { return v >= a.lo && v <= a.hi }

// clamp brings v, which may be infinite but not NaN, into the range.
func (a axis) clamp(v float64) float64 { return max(a.lo, min(a.hi, v)) }

// extent collects the range of what is drawn.
type extent struct{ lo, hi float64 }

func noExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

func (e *extent) add(v float64) { e.lo, e.hi = min(e.lo, v), max(e.hi, v) }

// horizontal widens the data's extent by a margin that keeps glyphs clear of
// the frame. One value alone gets a range around it.
func (e extent) horizontal(s FigureScale) (lo, hi float64) {
	const margin = 0.035
	if s == FigureCategory {
		return e.lo - 0.5, e.hi + 0.5
	}
	if s.log() {
		if e.hi/e.lo < 1.1 {
			return e.lo / 2, e.hi * 2
		}
		grow := math.Pow(e.hi/e.lo, margin)
		return e.lo / grow, e.hi * grow
	}
	if e.hi-e.lo < 1e-9*max(math.Abs(e.hi), math.Abs(e.lo), 1e-9) {
		return e.lo - 1, e.hi + 1
	}
	grow := (e.hi - e.lo) * margin
	return e.lo - grow, e.hi + grow
}

// vertical is the range of a panel. A logarithmic one spans a factor of 4 at
// least, so that noise of a few per cent looks like it; a linear one starts at
// 0, so that heights compare.
func (e extent) vertical(s FigureScale) (lo, hi float64) {
	const margin = 0.07
	switch {
	case s.log():
		if wide := e.hi / e.lo; wide < 4 {
			grow := math.Sqrt(4 / wide)
			e.lo, e.hi = e.lo/grow, e.hi*grow
		}
		grow := math.Pow(e.hi/e.lo, margin)
		return e.lo / grow, e.hi * grow
	case s == FigureTight, s == FigureCategory:
		return e.horizontal(s)
	}
	e.add(0)
	if e.hi-e.lo < 1e-12 {
		return 0, 1
	}
	lo, hi = e.lo, e.hi
	if lo < 0 {
		lo -= margin * (e.hi - e.lo)
	}
	if hi > 0 {
		hi += margin * (e.hi - e.lo)
	}
	return lo, hi
}

// ticks are the scale's own ticks in [lo,hi], most important first. n is about
// how many labels there is room for.
func (a axis) ticks(n int) []FigureTick {
	switch {
	case a.scale == FigureLog2 && a.hi/a.lo >= 4:
		return a.powersOfTwo()
	case a.scale.log():
		return a.decades(n)
	}
	return a.steps(n)
}

func (a axis) powersOfTwo() []FigureTick {
	var ticks []FigureTick
	for e := math.Ceil(math.Log2(a.lo)); e <= math.Floor(math.Log2(a.hi)); e++ {
		v := math.Exp2(e)
		ticks = append(ticks, FigureTick{At: v, Label: tokenLabel(v)})
	}
	if stride := (len(ticks) + 13) / 14; stride > 1 {
		ticks = thin(ticks, stride)
	}
	return ticks
}

// thin keeps every stride-th tick.
func thin(ticks []FigureTick, stride int) []FigureTick {
	var kept []FigureTick
	for i := 0; i < len(ticks); i += stride {
		kept = append(kept, ticks[i])
	}
	return kept
}

// decades gives powers of ten first, then 2 and 5 in between, which get no
// label where the decades alone fill the axis, then the other digits, which get
// one where the axis is shorter than a decade: without them it would read like
// a linear one.
func (a axis) decades(n int) []FigureTick {
	first, last := math.Floor(math.Log10(a.lo)), math.Ceil(math.Log10(a.hi))
	stride := math.Max(1, math.Ceil((last-first)/float64(max(n, 2))))
	var ticks []FigureTick
	add := func(v float64, label string) {
		if a.holds(v) {
			ticks = append(ticks, FigureTick{At: v, Label: label})
		}
	}
	for e := first; e <= last; e += stride {
		v := math.Pow(10, e)
		add(v, numberLabel(v))
	}
	if stride > 1 {
		return ticks
	}
	between := func(named bool, digits ...float64) {
		for _, digit := range digits {
			for e := first; e <= last; e++ {
				v, label := digit*math.Pow(10, e), ""
				if named {
					label = numberLabel(v)
				}
				add(v, label)
			}
		}
	}
	span := math.Log10(a.hi / a.lo)
	between(3*span <= float64(n)+2, 2, 5)
	if span <= 3 {
		between(span < 1, 3, 4, 7, 6, 8, 9)
	}
	return ticks
}

// steps are multiples of 1, 2 or 5 times a power of ten.
func (a axis) steps(n int) []FigureTick {
	raw := (a.hi - a.lo) / float64(max(n, 2))
	step := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{5, 2, 1} {
		if step*m <= raw*1.0001 {
			step *= m
			break
		}
	}
	if (a.hi-a.lo)/step > float64(n)+1 { // round up once rather than crowd
		if lead := step / math.Pow(10, math.Floor(math.Log10(step*1.0001))); lead > 1.5 && lead < 2.5 {
			step *= 2.5
		} else {
			step *= 2
		}
	}
	var ticks []FigureTick
	for i := math.Ceil(a.lo / step); i <= math.Floor(a.hi/step); i++ {
		ticks = append(ticks, FigureTick{At: i * step, Label: numberLabel(i * step)})
	}
	return ticks
}

// tokenLabel writes counts that come in powers of two: 256, 1k, 1.5k, 64k, 1M.
func tokenLabel(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1 << 40, "T"}, {1 << 30, "G"}, {1 << 20, "M"}, {1 << 10, "k"}} {
		if half := v / unit.size * 2; half >= 2 && half == math.Trunc(half) {
			return numberLabel(half/2) + unit.name
		}
	}
	return numberLabel(v)
}

// numberLabel writes v shortly, to four significant digits: 0.05, 250, 1500,
// 20k, 3M, 1e+12.
func numberLabel(v float64) string {
	if v == 0 {
		return "0"
	}
	sign, v := map[bool]string{true: "−"}[v < 0], math.Abs(v)
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
	switch {
	case v >= 999950000 || v < 0.0009995:
		return sign + text(v)
	case v >= 999950:
		return sign + text(v/1e6) + "M"
	case v >= 9999.5:
		return sign + text(v/1e3) + "k"
	}
	return sign + strings.TrimSuffix(text(v), ".")
}

// labelled drops the text of labels that would overlap an earlier one, and
// whole ticks that are out of range. size is a label's extent along the axis.
func (a axis) labelled(ticks []FigureTick, gap vg.Length, size func(FigureTick) vg.Length, least, most vg.Length) []FigureTick {
	type span struct{ from, to vg.Length }
	var taken []span
	var kept []FigureTick
	for _, t := range ticks {
		if !a.scale.drawable(t.At) || !a.holds(t.At) {
			continue
		}
		half := size(t) / 2
		s := span{a.at(t.At) - half, a.at(t.At) + half}
		free := s.from >= least && s.to <= most
		for _, other := range taken {
			free = free && (s.from >= other.to+gap || s.to <= other.from-gap)
		}
		if t.Label == "" || !free {
			t.Label, t.Sub = "", ""
		} else {
			taken = append(taken, s)
		}
		kept = append(kept, t)
	}
	return kept
}

// tickWidth is a tick label's width, both rows considered.
func tickWidth(face *font.Face) func(FigureTick) vg.Length {
	return func(t FigureTick) vg.Length { return max(face.Width(t.Label), face.Width(t.Sub)) }
}
