package analysis

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// medianInterval is the median of what is not NaN with the distribution-free 95
// % interval of the median, two of the values themselves; without one where
// there are fewer than six.
func medianInterval(values []float64) Estimate {
	present := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	e := only(medianOfPresent(present))
	slices.Sort(present)
	if lo, hi, ok := QuantileRanks(len(present), 0.5, 0.95); ok {
		e.Lo, e.Hi = present[lo-1], present[hi-1]
	}
	return e
}

// differences are a[i] - b[i], NaN where either is.
func differences(a, b []float64) []float64 {
	return pairwise(a, b, func(a, b float64) float64 { return a - b })
}

// ratios are a[i]/b[i] of positive values, else NaN.
func ratios(a, b []float64) []float64 {
	return pairwise(a, b, func(a, b float64) float64 { return positive(a) / positive(b) })
}

func pairwise(a, b []float64, of func(a, b float64) float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = of(a[i], b[i])
	}
	return out
}

// level is a horizontal line at an estimate over the range of an axis, with
// its interval as a band; one without an end would shade all there is and has
// none.
func level(name string, c FigureColor, line FigureLine, over extent, e Estimate) FigureLayer {
	if math.IsInf(e.Lo, 0) || math.IsInf(e.Hi, 0) {
		e = only(e.Value)
	}
	return FigureLayer{
		Name: name, Color: c, Line: line, Band: e.Lo < e.Hi, Behind: true,
		Points: []FigurePoint{{over.lo, e}, {over.hi, e}},
	}
}

// drawableOn reports whether any point of the layer has a place.
func (l FigureLayer) drawableOn(y FigureScale) bool {
	return slices.ContainsFunc(l.Points, func(p FigurePoint) bool { return y.drawable(p.Value) })
}

// withoutEmpty leaves out layers that were not measured at all: they are no gap
// in what was.
func withoutEmpty(y FigureScale, layers []FigureLayer) []FigureLayer {
	return slices.DeleteFunc(layers, func(l FigureLayer) bool { return !l.drawableOn(y) })
}

// barred gives a layer error bars if any of its points has an interval.
func (l FigureLayer) barred() FigureLayer {
	l.Bars = slices.ContainsFunc(l.Points, FigurePoint.bounded)
	return l
}

// counted is "1 pair" or "8 pairs".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// mostNames is how many names an axis of a column's width has room for.
const mostNames = 16

// namedAxis is an axis for a list: its names where they have room, else the
// places in the list. What all names share up to a mark stands in the label
// once.
func namedAxis(label string, names []string) FigureAxis {
	if len(names) > mostNames {
		return FigureAxis{Label: label + " (n-th)", Scale: FigureTight}
	}
	shared := sharedStart(names)
	switch {
	case strings.HasPrefix(shared, label):
		label = shared + "…"
	case shared != "":
		label += " " + shared + "…"
	}
	ticks := []FigureTick{}
	for i, n := range names {
		ticks = append(ticks, FigureTick{At: float64(i + 1), Label: strings.TrimPrefix(visible(n), shared)})
	}
	return FigureAxis{Label: label, Scale: FigureCategory, Ticks: ticks}
}

// sharedStart is what all of several names begin with, up to the last mark in
// it that parts words.
func sharedStart(names []string) string {
	if len(names) < 2 {
		return ""
	}
	shared := visible(names[0])
	for _, n := range names[1:] {
		n = visible(n)
		for !strings.HasPrefix(n, shared) {
			shared = shared[:len(shared)-1]
		}
	}
	return shared[:strings.LastIndexAny(shared, "-_./ ")+1]
}

// numbered are the names of a list of numbers.
func numbered[T any](list []T, of func(T) int) []string {
	names := make([]string, len(list))
	for i, v := range list {
		names[i] = strconv.Itoa(of(v))
	}
	return names
}

// reported reports whether an estimate is more than the zero value.
func reported(e Estimate) bool { return e != Estimate{} && estimated(&e) }

// LoRARun is one run with adapters, as figures show it. NaN is absent; so is a
// time of 0, and a run without requests; 0 is a legal rate. MB are 10^6 bytes.
type LoRARun struct {
	Requests        int     // good ones, in the measured phase
	TTFTMillis      float64 // the named quantile
	LatencyMillis   float64 // the same quantile end to end
	ReadMBps        float64 // by the block device's counters
	BytesPerRequest float64 // that the device read
	LoadsPerRequest float64 // by the server's own count
	ReadAwaitMillis float64 // r_await
	AquSz           float64 // reads and writes under way on the device
	IOWaitPct       float64 // of all CPUs
	CPUBusyCores    float64
}

// run says that there was one.
func (r LoRARun) run() bool { return r.Requests > 0 || r.TTFTMillis > 0 }

func (r LoRARun) ttft() float64      { return positive(r.TTFTMillis) }
func (r LoRARun) latency() float64   { return positive(r.LatencyMillis) }
func (r LoRARun) megabytes() float64 { return r.BytesPerRequest / bytesPerMB }
func (r LoRARun) bytes() float64     { return r.BytesPerRequest }
func (r LoRARun) readMBps() float64  { return r.ReadMBps }
func (r LoRARun) loads() float64     { return r.LoadsPerRequest }
func (r LoRARun) readAwait() float64 { return positive(r.ReadAwaitMillis) }
func (r LoRARun) aquSz() float64     { return r.AquSz }
func (r LoRARun) ioWait() float64    { return r.IOWaitPct }
func (r LoRARun) cpuBusy() float64   { return r.CPUBusyCores }

// bench is the run as a benchmark line has it, its times at the quantile q.
func (r LoRARun) bench(q string) []BenchValue {
	return []BenchValue{
		{r.ttft() * nanosPerMilli, q + "-TTFT-ns", "lower"},
		{r.latency() * nanosPerMilli, q + "-latency-ns", "lower"},
		{r.BytesPerRequest, "read-B/request", "lower"},
		{r.LoadsPerRequest, "loads/request", "lower"},
		{r.ReadMBps * bytesPerMB, "device-read-B/s", ""},
		{r.readAwait() * nanosPerMilli, "r_await-ns", "lower"},
		{r.AquSz, "aqu-sz", ""},
		{r.IOWaitPct, "iowait-%", ""},
		{r.CPUBusyCores, "CPU-busy-cores", ""},
	}
}
