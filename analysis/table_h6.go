package analysis

import "strconv"

// Table is the figure's numbers, one row per run and then, as block "median",
// one per condition over the pairs, with the estimate of its TTFT. A storm's
// ratio is over the hot adapter of its pair, the hot adapter's over the base
// model; those of the median rows are the estimates.
func (h H6Figure) Table() Table {
	q := orP99(h.Quantile)
	t := Table{Title: "H6 Adapter storm", Columns: []TableColumn{
		{"block", ""},
		{"order", ""},
		{"condition", ""},
		{"requests", ""},
		{q + " TTFT", "ms"},
		{q + " TTFT low", "ms"},
		{q + " TTFT high", "ms"},
		{"ratio", ""},
		{"ratio low", ""},
		{"ratio high", ""},
		{q + " latency", "ms"},
		{"read per request", "B"},
		{"loads per request", ""},
		{"device read", "MB/s"},
		{"r_await", "ms"},
		{"aqu-sz", ""},
		{"iowait", "%"},
		{"CPU busy", "cores"},
	}}
	for _, p := range h.Pairs {
		for _, c := range h.conditions() {
			a := c.arm(p)
			if !a.run() {
				continue
			}
			t.Rows = append(t.Rows, []any{
				strconv.Itoa(p.Block), p.order(), c.name, a.Requests, a.ttft(), nil, nil, p.ratio(c.name), nil, nil,
				a.latency(), a.BytesPerRequest, a.LoadsPerRequest, a.ReadMBps, a.readAwait(), a.AquSz, a.IOWaitPct, a.CPUBusyCores,
			})
		}
	}
	for _, c := range h.conditions() {
		t.Rows = append(t.Rows, h.medians(c))
	}
	return t
}

// medians is a condition's row over the pairs.
func (h H6Figure) medians(c h6Condition) []any {
	e, ratio, requests := h.ttft(c).Estimate, Estimate{}, 0
	switch c.name {
	case ConditionStorm:
		ratio = h.Ratio
	case ConditionHot:
		ratio = h.LoRACompute
	}
	ratio = orAbsentEstimate(ratio)
	for _, p := range h.Pairs {
		requests += c.arm(p).Requests
	}
	median := func(of func(LoRARun) float64) float64 { return medianOfPresent(h.column(c, of)) }
	return []any{
		"median", "", c.name, requests, e.Value, e.Lo, e.Hi, ratio.Value, ratio.Lo, ratio.Hi,
		median(LoRARun.latency), median(LoRARun.bytes), median(LoRARun.loads), median(LoRARun.readMBps),
		median(LoRARun.readAwait), median(LoRARun.aquSz), median(LoRARun.ioWait), median(LoRARun.cpuBusy),
	}
}

// order is which of the two that are compared ran first.
func (p H6Pair) order() string {
	if p.StormFirst {
		return "storm first"
	}
	return "hot first"
}

// ratio is a condition's TTFT over what it is compared with, NaN for none.
func (p H6Pair) ratio(condition string) float64 {
	switch condition {
	case ConditionStorm:
		return p.Storm.ttft() / p.Hot.ttft()
	case ConditionHot:
		return p.Hot.ttft() / p.Base.ttft()
	}
	return positive(0)
}

// Bench is every run of the figure as a benchmark line, named by its condition:
// the pairs share a name, which is how benchstat knows them.
func (h H6Figure) Bench(config []BenchConfig) Bench {
	q := orP99(h.Quantile)
	b := Bench{Config: config}
	for _, c := range h.conditions() {
		for _, p := range h.Pairs {
			a := c.arm(p)
			if !a.run() {
				continue
			}
			b.Lines = append(b.Lines, BenchLine{
				Name: "H6", Runs: max(a.Requests, 1),
				Params: []BenchParam{{"condition", c.name}},
				Values: a.bench(q),
			})
		}
	}
	return b
}
