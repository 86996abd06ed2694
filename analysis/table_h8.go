package analysis

import "math"

// Table is the figure's numbers, one row per block: its correlations, and medians
// over its slices; then the means with their interval.
func (h H8Figure) Table() Table {
	t := Table{Title: "H8 iowait and tail latency", Columns: []TableColumn{
		{"run", ""},
		{"repeat", ""},
		{"slices", ""},
		{"p95 TTFT", "ms"},
		{"iowait", "cores"},
		{"r_await", "ms"},
		{"io PSI some", "%"},
		{"CPU busy", "cores"},
	}}
	for _, r := range h.Relations {
		name := "rho " + r.Name
		if r.Given != "" {
			name += " " + r.Given
		}
		t.Columns = append(t.Columns, TableColumn{name, ""})
	}
	for i, b := range h.Blocks {
		row := []any{
			b.Run, b.Block, len(b.Steps), b.median(H8Step.ttft), b.median(H8Step.ioWait), b.median(H8Step.readAwait),
			b.median(H8Step.pressure), b.median(func(s H8Step) float64 { return s.BusyCores }),
		}
		for _, r := range h.Relations {
			row = append(row, r.at(i))
		}
		t.Rows = append(t.Rows, row)
	}
	for _, part := range []struct {
		name string
		of   func(Estimate) float64
	}{
		{"mean", func(e Estimate) float64 { return e.Value }},
		{"mean, low", func(e Estimate) float64 { return e.Lo }},
		{"mean, high", func(e Estimate) float64 { return e.Hi }},
	} {
		row := []any{part.name, nil, nil, nil, nil, nil, nil, nil}
		for _, r := range h.Relations {
			row = append(row, part.of(r.Mean))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// at is the relation in the i-th block.
func (r H8Relation) at(i int) float64 {
	if i < len(r.Rhos) {
		return r.Rhos[i]
	}
	return math.NaN()
}

func (b H8Block) median(of func(H8Step) float64) float64 {
	var values []float64
	for _, s := range b.Steps {
		values = append(values, of(s))
	}
	return medianOfPresent(values)
}

// Bench is every block's correlations as a benchmark line, named by its run: the
// blocks of a run share a name, which is how benchstat knows them.
func (h H8Figure) Bench(config []BenchConfig) Bench {
	b := Bench{Config: config}
	for i, block := range h.Blocks {
		line := BenchLine{Name: "H8", Runs: max(len(block.Steps), 1), Params: []BenchParam{{"run", block.Run}}}
		for _, r := range h.Relations {
			unit := "rho-" + r.Name
			if r.Given != "" {
				unit += "-" + r.Given
			}
			line.Values = append(line.Values, BenchValue{r.at(i), unit, ""})
		}
		line.Values = append(
			line.Values,
			BenchValue{block.median(H8Step.ttft) * nanosPerMilli, "slice-p95-TTFT-ns", "lower"},
			BenchValue{block.median(H8Step.ioWait), "iowait-cores", ""},
		)
		b.Lines = append(b.Lines, line)
	}
	return b
}
