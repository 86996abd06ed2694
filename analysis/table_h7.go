package analysis

// Table is the figure's numbers, one row per arm. Bytes are between the arm's
// idle edges.
func (h H7Figure) Table() Table {
	t := Table{Title: "H7 NVMe telemetry closure", Columns: []TableColumn{
		{"run", ""},
		{"arm", ""},
		{"block", ""},
		{"condition", ""},
		{"adapters", ""},
		{"requests", ""},
		{"predicted", "B"},
		{"predicted by", ""},
		{"source", ""},
		{"host read commands", ""},
		{"Data Units Read", "B"},
		{"diskstats reads", ""},
		{"diskstats read", "B"},
		{"pgpgin", "B"},
		{"residual", "B"},
		{"tolerance", "B"},
		{"per read", "B"},
	}}
	for _, a := range h.Arms {
		by := "design"
		if a.ByServer {
			by = "server"
		}
		t.Rows = append(t.Rows, []any{
			a.Run, a.Name, a.Block, a.Condition, a.Adapters, a.Requests, a.PredictedBytes, by, a.Source,
			a.LogReads, a.LogBytes, a.BlockReads, a.BlockBytes, a.PagedBytes, a.Residual, a.Tolerance, a.kibPerRead() * 1024,
		})
	}
	return t
}

// Bench is every arm of the figure as a benchmark line, named by its hypothesis
// and condition: the blocks share a name, which is how benchstat knows them.
func (h H7Figure) Bench(config []BenchConfig) Bench {
	b := Bench{Config: config}
	for _, a := range h.Arms {
		b.Lines = append(b.Lines, BenchLine{
			Name: "H7", Runs: max(a.Requests, 1),
			Params: []BenchParam{{"of", a.Hypothesis}, {"condition", a.Condition}},
			Values: []BenchValue{
				{a.PredictedBytes, "predicted-B", ""},
				{a.Bytes, "read-B", ""},
				{a.Reads, "reads", ""},
				{a.kibPerRead() * 1024, "B/read", ""},
			},
		})
	}
	return b
}
