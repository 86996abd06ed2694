package analysis

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// H4Figure is what the storage figure, its table and its benchmark lines show:
// tail TTFT over the device's read latency, and both by level of contention.
type H4Figure struct {
	Caption  FigureCaption
	Width    FigureWidth
	Quantile string // of the TTFT, such as "p99"; "" means p99
	Verdict  string // outcome and reasons, printed under the title; "" for none
	// Levels are the paging arm in order of contention, from none to the most.
	Levels []H4Level
	// Comfy is the arm below the knee; Null and ComfyNull are the arms whose load
	// is on another device, at Ck and below the knee. A level of theirs stands
	// beside the one of Levels of its name.
	Comfy, Null, ComfyNull []H4Level
	// Throttled is the paging arm with the server's own reads limited.
	Throttled []H4Level
	// Slope is the block-centred slope of ln TTFT on ln r_await, Ratio the TTFT
	// of the last of Levels over that of the first; zero or NaN for none.
	Slope, Ratio Estimate
	// SlopeAt is the fitted line in ms over r_await in ms; nil for none.
	SlopeAt func(readAwaitMillis float64) (ttftMillis float64)
}

// H4Level is one level of contention in one arm.
type H4Level struct {
	Name    string  // distinct within the arm
	Share   float64 // of the device's measured maximum, 0 to 1; NaN for none
	Repeats []H4Repeat
	// TTFT is the level's estimate in ms. Where its Value is not positive the
	// median over repeats is drawn; without Lo and Hi there is no error bar.
	TTFT Estimate
}

// H4Repeat is one run of a level. NaN is absent; so are a time and a queue of
// 0, but 0 is a legal rate. MB are 10^6 bytes.
type H4Repeat struct {
	Block            int
	Requests         int     // good ones, in the measured phase
	TTFTMillis       float64 // the named quantile
	LatencyMillis    float64 // the same quantile end to end
	ReadAwaitMillis  float64 // r_await of the device that the server reads
	ProbeMillis      float64 // median read of the probe, which stands for a victim
	AquSz            float64 // reads and writes under way on the device
	DeviceReadMBps   float64 // by the block device's counters
	ServerPageInMBps float64 // by the server's own count
	FioMBps, FioIOPS float64 // by fio's own report
	ServerReadMillis float64 // mean wait of a read by the server's own count
	IOWaitPct        float64 // of all CPUs
	CPUBusyCores     float64
	// Verified says that the level was there all through the run. A run without
	// it is drawn as a cross and kept out of every median, unless its level has
	// no other runs.
	Verified bool
}

// h4Arm is one condition and how it is drawn.
type h4Arm struct {
	condition string // in legends, the table and the benchmark lines
	levels    []H4Level
	color     FigureColor
	glyph     FigureGlyph
	shift     float64 // from its level's place, in steps
}

const h4Paging = "paging"

// arms are the conditions; those without levels are empty.
func (h H4Figure) arms() []h4Arm {
	return []h4Arm{
		{h4Paging, h.Levels, FigureBlack, FigureDisc, 0},
		{"comfy", h.Comfy, FigureGrey, FigureRing, 0.16},
		{"null", h.Null, FigureGrey, FigureOpenSquare, 0.32},
		{"throttled", h.Throttled, FigurePurple, FigureOpenTriangle, 0.24},
		{"comfy null", h.ComfyNull, FigureGrey, FigureOpenTriangle, 0.44},
	}
}

// h4Look is a level's colour and mark: neither alone has to tell levels apart.
// Whatever their number, the first and the last look the same.
func h4Look(i, n int) (FigureColor, FigureGlyph) {
	colors := []FigureColor{FigureBlue, FigureSky, FigureGreen, FigureOrange, FigureVermillion}
	glyphs := []FigureGlyph{FigureDisc, FigureDiamond, FigureTriangle, FigureSquare, FigureDiamond}
	if n == 3 {
		return []FigureColor{FigureBlue, FigureOrange, FigureVermillion}[i], []FigureGlyph{FigureDisc, FigureTriangle, FigureDiamond}[i]
	}
	if i == n-1 && i > 0 {
		i = len(colors) - 1
	} else {
		i %= len(colors) - 1
	}
	return colors[i], glyphs[i]
}

// FigureH4 lays the storage figure out: TTFT over r_await, log-log, with the
// fitted line; and by level the TTFT, the r_await and the probe's latency.
func FigureH4(h H4Figure) Figure {
	h.Caption.Notes = slices.Concat(h.notes(), h.Caption.Notes)
	q := orP99(h.Quantile)
	scatter := FigurePanel{Y: FigureAxis{Label: "(a) " + q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.75, Layers: h.scatter()}
	ttft := FigurePanel{Y: FigureAxis{Label: "(b) " + q + " TTFT (ms)", Scale: FigureLog10}, HeightIn: 1.25, Layers: h.byLevel()}
	reads := FigurePanel{Y: FigureAxis{Label: "(c) read latency (ms)", Scale: FigureLog10}, HeightIn: 1, Layers: h.readLatency()}
	return Figure{
		Title:    "H4 Storage QoS sensitivity",
		Subtitle: h.subtitle(),
		Width:    h.Width,
		X:        FigureAxis{Label: "r_await (ms)", Scale: FigureLog10},
		Panels:   []FigurePanel{scatter},
		Sections: []FigureSection{{
			X:      FigureAxis{Label: h.levelsLabel(), Scale: FigureCategory, Ticks: h.ticks()},
			Panels: []FigurePanel{ttft, reads},
			Beside: true,
		}},
		Caption: h.Caption,
	}
}

func (h H4Figure) subtitle() string {
	s := visible(h.Verdict)
	if n := len(h.Levels); n > 1 && h.Ratio.Value > 0 && estimated(&h.Ratio) {
		s = joined(s, visible(h.Levels[n-1].Name)+" ÷ "+visible(h.Levels[0].Name)+" = "+bracketed(h.Ratio))
	}
	if h.SlopeAt == nil && h.sloped() {
		s = joined(s, h.slopeText())
	}
	return s
}

func (h H4Figure) sloped() bool { return h.Slope != Estimate{} && estimated(&h.Slope) }

func (h H4Figure) slopeText() string {
	if !h.sloped() {
		return "fit"
	}
	return "slope " + bracketed(h.Slope)
}

// notes are what the caption must say of the runs themselves.
func (h H4Figure) notes() []string {
	var notes []string
	runs, verified := 0, 0
	for _, a := range h.arms() {
		for _, l := range a.levels {
			runs += len(l.Repeats)
			verified += l.verified()
		}
	}
	if verified < runs {
		notes = append(notes, fmt.Sprintf("load verified in %d of %d runs", verified, runs))
	}
	if h.SlopeAt != nil && h.sloped() && h.Slope.Lo < h.Slope.Hi {
		notes = append(notes, "shade: the slope's interval")
	}
	return notes
}

// slot is a level's place on the axis of levels, from 1.
func (h H4Figure) slot(name string) int {
	return 1 + slices.IndexFunc(h.slots(), func(l H4Level) bool { return l.Name == name })
}

// slots are the levels of the paging arm and behind them those that it lacks.
func (h H4Figure) slots() []H4Level {
	slots := slices.Clone(h.Levels)
	for _, a := range h.arms()[1:] {
		for _, l := range a.levels {
			if !slices.ContainsFunc(slots, func(s H4Level) bool { return s.Name == l.Name }) {
				slots = append(slots, l)
			}
		}
	}
	return slots
}

// ticks name the levels, with their share beneath. Names of many levels would
// be cut: then those that have a share go by it, and the others' second word
// stands beneath the first.
func (h H4Figure) ticks() []FigureTick {
	const roomy = 4
	ticks, slots := []FigureTick{}, h.slots()
	for i, l := range slots {
		t := FigureTick{At: float64(i + 1), Label: visible(l.Name), Sub: l.share()}
		switch {
		case len(slots) <= roomy:
		case t.Sub != "":
			t.Label, t.Sub = t.Sub, ""
		default:
			t.Label, t.Sub, _ = strings.Cut(t.Label, " ")
		}
		ticks = append(ticks, t)
	}
	return ticks
}

func (h H4Figure) levelsLabel() string {
	const label = "storage level"
	if slices.ContainsFunc(h.slots(), func(l H4Level) bool { return l.share() != "" }) {
		return label + ", of the device's maximum"
	}
	return label
}

func (l H4Level) share() string {
	if !(l.Share >= 0 && l.Share < 1e6) {
		return ""
	}
	return numberLabel(round3(100*l.Share)) + " %"
}

func (l H4Level) verified() int {
	n := 0
	for _, r := range l.Repeats {
		if r.Verified {
			n++
		}
	}
	return n
}

// counted are the verified runs, or all where none is.
func (l H4Level) counted() []H4Repeat {
	if l.verified() == 0 {
		return l.Repeats
	}
	return slices.DeleteFunc(slices.Clone(l.Repeats), func(r H4Repeat) bool { return !r.Verified })
}

func (l H4Level) counts(r H4Repeat) bool { return r.Verified || l.verified() == 0 }

func (l H4Level) column(of func(H4Repeat) float64) []float64 {
	var values []float64
	for _, r := range l.counted() {
		values = append(values, of(r))
	}
	return values
}

func (l H4Level) median(of func(H4Repeat) float64) float64 { return medianOfPresent(l.column(of)) }

func (l H4Level) ttft() Estimate { return orMedian(l.TTFT, l.column(H4Repeat.ttft)) }

func (r H4Repeat) ttft() float64       { return positive(r.TTFTMillis) }
func (r H4Repeat) latency() float64    { return positive(r.LatencyMillis) }
func (r H4Repeat) readAwait() float64  { return positive(r.ReadAwaitMillis) }
func (r H4Repeat) probe() float64      { return positive(r.ProbeMillis) }
func (r H4Repeat) aquSz() float64      { return r.AquSz }
func (r H4Repeat) deviceRead() float64 { return r.DeviceReadMBps }
func (r H4Repeat) pageIn() float64     { return r.ServerPageInMBps }
func (r H4Repeat) fioRead() float64    { return r.FioMBps }
func (r H4Repeat) fioIOPS() float64    { return r.FioIOPS }
func (r H4Repeat) serverRead() float64 { return positive(r.ServerReadMillis) }
func (r H4Repeat) ioWait() float64     { return r.IOWaitPct }
func (r H4Repeat) cpuBusy() float64    { return r.CPUBusyCores }

// bracketed writes an estimate as "0.95 [0.82, 1.08]", which a negative end
// does not blur.
func bracketed(e Estimate) string {
	s := numberLabel(round3(e.Value))
	if e.Lo < e.Hi && !math.IsInf(e.Lo, 0) && !math.IsInf(e.Hi, 0) {
		s += " [" + numberLabel(round3(e.Lo)) + ", " + numberLabel(round3(e.Hi)) + "]"
	}
	return s
}
