package analysis

// Table is the figure's numbers, one row per level: estimates with their
// intervals, and medians over the repeats of everything else.
func (h H0Figure) Table() Table {
	q := orP99(h.Quantile)
	t := Table{Title: "H0 Queue knee", Columns: []TableColumn{
		{"users", ""},
		{"repeats", ""},
		{"requests", ""},
		{q + " TTFT", "ms"},
		{q + " TTFT low", "ms"},
		{q + " TTFT high", "ms"},
		{q + " latency", "ms"},
		{"requests", "1/s"},
		{"output tokens", "1/s"},
	}}
	for _, a := range h.sorted() {
		e := orMedian(a.TTFT, a.column(H0Repeat.ttft))
		requests := 0
		for _, r := range a.Repeats {
			requests += r.Requests
		}
		t.Rows = append(t.Rows, []any{
			a.Users, len(a.Repeats), requests, e.Value, e.Lo, e.Hi, medianOfPresent(a.column(H0Repeat.latency)),
			medianOfPresent(a.column(H0Repeat.requestsPerSec)), medianOfPresent(a.column(H0Repeat.tokensPerSec)),
		})
	}
	return t
}

// Table is the figure's numbers, one row per level: estimates with their
// intervals, and medians over the repeats of everything else.
func (h H2Figure) Table() Table {
	q := orP99(h.Quantile)
	t := Table{Title: "H2 UMA pressure hockey stick", Columns: []TableColumn{
		{"users", ""},
		{"context", "tokens"},
		{"demand/pool", ""},
		{"repeats", ""},
		{"requests", ""},
		{q + " TTFT", "ms"},
		{q + " TTFT low", "ms"},
		{q + " TTFT high", "ms"},
		{q + " latency", "ms"},
		{"device read", "MB/s"},
		{"server page-in", "MB/s"},
		{"r_await", "ms"},
		{"iowait", "%"},
	}}
	for _, a := range h.sorted() {
		e := orMedian(a.TTFT, a.column(H2Repeat.ttft))
		requests := 0
		for _, r := range a.Repeats {
			requests += r.Requests
		}
		t.Rows = append(t.Rows, []any{
			a.Users, a.ContextTokens, positive(a.Demand), len(a.Repeats), requests,
			e.Value, e.Lo, e.Hi, medianOfPresent(a.column(H2Repeat.latency)),
			medianOfPresent(a.column(H2Repeat.deviceRead)), medianOfPresent(a.column(H2Repeat.pageIn)),
			medianOfPresent(a.column(H2Repeat.readAwait)), medianOfPresent(a.column(H2Repeat.ioWait)),
		})
	}
	return t
}
