package analysis

import "strconv"

// Table is the figure's numbers, one row per cell: estimates with their
// intervals, and medians over the repeats of everything else. Base rows have no
// adapters.
func (h H5Figure) Table() Table {
	q := orP99(h.Quantile)
	t := Table{Title: "H5 Adapter working set", Columns: []TableColumn{
		{"condition", ""},
		{"adapters", ""},
		{"repeats", ""},
		{"requests", ""},
		{q + " TTFT", "ms"},
		{q + " TTFT low", "ms"},
		{q + " TTFT high", "ms"},
		{q + " latency", "ms"},
		{"read per request", "B"},
		{"predicted per request", "B"},
		{"loads per request", ""},
		{"device read", "MB/s"},
		{"r_await", "ms"},
		{"aqu-sz", ""},
		{"iowait", "%"},
		{"CPU busy", "cores"},
	}}
	for _, condition := range h5Conditions() {
		for _, c := range h.of(condition) {
			e, requests := orMedian(c.TTFT, c.column(H5Repeat.ttft)), 0
			for _, r := range c.Repeats {
				requests += r.Requests
			}
			var predicted any
			if condition == ConditionStorm && h.PredictedBytes != nil {
				predicted = h.PredictedBytes(c.Adapters)
			}
			t.Rows = append(t.Rows, []any{
				c.Condition, c.Adapters, len(c.Repeats), requests, e.Value, e.Lo, e.Hi, c.median(H5Repeat.latency),
				c.median(H5Repeat.bytes), predicted, c.median(H5Repeat.loads), c.median(H5Repeat.readMBps),
				c.median(H5Repeat.readAwait), c.median(H5Repeat.aquSz), c.median(H5Repeat.ioWait), c.median(H5Repeat.cpuBusy),
			})
		}
	}
	return t
}

func h5Conditions() []string { return []string{ConditionBase, ConditionSticky, ConditionStorm} }

// Bench is every run of the figure as a benchmark line, named by its condition
// and number of adapters: the repeats of a cell share a name, which is how
// benchstat knows them.
func (h H5Figure) Bench(config []BenchConfig) Bench {
	q := orP99(h.Quantile)
	b := Bench{Config: config}
	for _, condition := range h5Conditions() {
		for _, c := range h.of(condition) {
			for _, r := range c.Repeats {
				b.Lines = append(b.Lines, BenchLine{
					Name: "H5", Runs: max(r.Requests, 1),
					Params: []BenchParam{{"condition", condition}, {"adapters", strconv.Itoa(c.Adapters)}},
					Values: r.bench(q),
				})
			}
		}
	}
	return b
}
