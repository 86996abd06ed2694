package analysis

import "math"

// Table is the figure's numbers, one row per counter of the plan: where its knee
// is, repeat by repeat before latency's or not, and how well it tells.
func (h H3Figure) Table() Table {
	unit := "tokens"
	if h.Demand {
		unit = "demand/pool"
	}
	t := Table{Title: "H3 Paging counters and the knee", Columns: []TableColumn{
		{"counter", ""},
		{"unit", ""},
		{"status", ""},
		{"at the lowest level", ""},
		{"at the highest level", ""},
		{"knee", unit},
		{"knee low", unit},
		{"knee high", unit},
		{"latency knee", unit},
		{"knee/latency knee", ""},
		{"ratio low", ""},
		{"ratio high", ""},
		{"before", "repeats"},
		{"tied", "repeats"},
		{"repeats", ""},
		{"sign test p", ""},
		{"p by Holm", ""},
		{"AUC held out", ""},
		{"TTFT follows by", "s"},
		{"lag p", ""},
	}}
	levels := h.levels()
	latency := math.NaN()
	if estimated(h.Knee) {
		latency = h.Knee.Value
	}
	for _, k := range h.Counters {
		info, status := k.Counter.Info(), k.Status
		if k.Why != "" {
			status += ": " + k.Why
		}
		first, last := math.NaN(), math.NaN()
		if n := len(levels); n > 0 {
			of := func(a H3Arm) float64 { return a.Counters[k.Counter] }
			first = medianOfPresent(h.column(levels[0].ContextTokens, of))
			last = medianOfPresent(h.column(levels[n-1].ContextTokens, of))
		}
		knee := medianInterval(k.Knees)
		ratio, p, adjusted := Estimate{math.NaN(), math.NaN(), math.NaN()}, math.NaN(), math.NaN()
		if k.Of > 0 {
			ratio, p, adjusted = k.Ratio, k.P, k.Adjusted
		}
		t.Rows = append(t.Rows, []any{
			info.Name, info.Unit, status, first, last, knee.Value, knee.Lo, knee.Hi, latency,
			ratio.Value, ratio.Lo, ratio.Hi, k.Before, k.Ties, k.Of, p, adjusted, k.AUC, k.LagSec, k.LagP,
		})
	}
	return t
}

// Bench is every repeat's knees as benchmark lines, of latency and of each counter
// that has one: repeats share a name, which is how benchstat knows them.
func (h H3Figure) Bench(config []BenchConfig) Bench {
	unit := "knee-tokens"
	if h.Demand {
		unit = "knee-pools"
	}
	b := Bench{Config: config}
	add := func(name string, knees []float64) {
		for _, x := range knees {
			b.Lines = append(b.Lines, BenchLine{
				Name: "H3", Runs: 1, Params: []BenchParam{{"counter", name}},
				Values: []BenchValue{{x, unit, ""}},
			})
		}
	}
	if estimated(h.Knee) {
		add("TTFT", h.Knees)
	}
	for _, k := range h.Counters {
		add(k.Counter.Info().Name, k.Knees)
	}
	return b
}
