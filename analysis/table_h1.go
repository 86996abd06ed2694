package analysis

import (
	"math"
	"strconv"
)

// Table is the figure's numbers: a row per adapter with medians over cycles and
// their intervals, a row per cycle with medians over adapters and what the
// device read and the page cache held, and one for all, whose ratio and excess
// are the figure's estimates.
func (h H1Figure) Table() Table {
	t := Table{Title: "H1 Cold and warm adapters", Columns: []TableColumn{
		{"by", ""},
		{"name", ""},
		{"pairs", ""},
		{"cold TTFT", "ms"},
		{"cold TTFT low", "ms"},
		{"cold TTFT high", "ms"},
		{"warm TTFT", "ms"},
		{"warm TTFT low", "ms"},
		{"warm TTFT high", "ms"},
		{"cold/warm", ""},
		{"cold/warm low", ""},
		{"cold/warm high", ""},
		{"cold - warm", "ms"},
		{"cold - warm low", "ms"},
		{"cold - warm high", "ms"},
		{"server's load", "ms"},
		{"bytes/rate", "ms"},
		{"adapters", "B"},
		{"read cold", "B"},
		{"read warm", "B"},
		{"resident before", "%"},
		{"resident after", "%"},
	}}
	for _, a := range h.Adapters {
		ratio, excess := medianInterval(a.ratio()), medianInterval(a.excess())
		row := a.row("adapter", a.Name, medianInterval(a.cold()), medianInterval(a.warm()), ratio, excess)
		t.Rows = append(t.Rows, append(row, positive(h.ReadMs), nil, nil, nil, nil, nil))
	}
	// Touches of one cycle are not independent: their medians get no interval.
	plain := func(values []float64) Estimate { return only(medianOfPresent(values)) }
	for i, c := range h.Cycles {
		a := h.inCycle(i)
		row := a.row("cycle", strconv.Itoa(c.Cycle), plain(a.cold()), plain(a.warm()), plain(a.ratio()), plain(a.excess()))
		t.Rows = append(t.Rows, append(row, positive(h.ReadMs), positive(c.AdapterBytes), c.ColdBytes, c.WarmBytes, 100*c.ResidentBefore, 100*c.ResidentAfter))
	}
	if len(h.Adapters) > 0 {
		a := h.all()
		row := a.row("all", "", plain(a.cold()), plain(a.warm()), orAbsentEstimate(h.Ratio), orAbsentEstimate(h.Excess))
		median := func(of func(H1Cycle) float64) float64 {
			values := make([]float64, len(h.Cycles))
			for i, c := range h.Cycles {
				values[i] = of(c)
			}
			return medianOfPresent(values)
		}
		t.Rows = append(t.Rows, append(row, positive(h.ReadMs),
			median(func(c H1Cycle) float64 { return positive(c.AdapterBytes) }),
			median(func(c H1Cycle) float64 { return c.ColdBytes }), median(func(c H1Cycle) float64 { return c.WarmBytes }),
			100*median(func(c H1Cycle) float64 { return c.ResidentBefore }), 100*median(func(c H1Cycle) float64 { return c.ResidentAfter })))
	}
	return t
}

// row is the part of a row that touches fill.
func (a H1Adapter) row(by, name string, cold, warm, ratio, excess Estimate) []any {
	pairs := 0
	for _, v := range a.ratio() {
		if v > 0 {
			pairs++
		}
	}
	return []any{
		by, name, pairs, cold.Value, cold.Lo, cold.Hi, warm.Value, warm.Lo, warm.Hi,
		ratio.Value, ratio.Lo, ratio.Hi, excess.Value, excess.Lo, excess.Hi, medianOfPresent(a.LoadMs),
	}
}

// inCycle are the touches of all adapters in the i-th cycle, as if of one.
func (h H1Figure) inCycle(i int) H1Adapter {
	var out H1Adapter
	for _, a := range h.Adapters {
		out.Cold = append(out.Cold, nth(a.Cold, i))
		out.Warm = append(out.Warm, nth(a.Warm, i))
		out.LoadMs = append(out.LoadMs, nth(a.LoadMs, i))
	}
	return out
}

// all are the touches of all adapters in all cycles, as if of one.
func (h H1Figure) all() H1Adapter {
	var out H1Adapter
	for _, a := range h.Adapters {
		for i := range max(len(a.Cold), len(a.Warm), len(a.LoadMs)) {
			out.Cold = append(out.Cold, nth(a.Cold, i))
			out.Warm = append(out.Warm, nth(a.Warm, i))
			out.LoadMs = append(out.LoadMs, nth(a.LoadMs, i))
		}
	}
	return out
}

// nth is NaN beyond the list.
func nth(values []float64, i int) float64 {
	if i >= len(values) {
		return math.NaN()
	}
	return values[i]
}

// orAbsentEstimate makes the zero value absent.
func orAbsentEstimate(e Estimate) Estimate {
	if !reported(e) {
		return only(math.NaN())
	}
	return e
}

// Bench is every touch of the figure as a benchmark line, named by its adapter
// and whether it was cold: the cycles share a name, which is how benchstat
// knows them.
func (h H1Figure) Bench(config []BenchConfig) Bench {
	b := Bench{Config: config}
	for _, a := range h.Adapters {
		add := func(touch string, ttft, load []float64) {
			for i, v := range ttft {
				line := BenchLine{
					Name: "H1", Runs: 1, Params: []BenchParam{{"adapter", a.Name}, {"touch", touch}},
					Values: []BenchValue{{positive(v) * nanosPerMilli, "TTFT-ns", "lower"}},
				}
				if i < len(load) {
					line.Values = append(line.Values, BenchValue{load[i] * nanosPerMilli, "load-ns", "lower"})
				}
				b.Lines = append(b.Lines, line)
			}
		}
		add(ConditionCold, a.Cold, a.LoadMs)
		add(ConditionWarm, a.Warm, nil)
	}
	return b
}
