package v25

import (
	"math"
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// armColumns are what tells the arms of a hypothesis apart.
func (g *Group) armColumns() []analysis.TableColumn {
	switch g.Hypothesis {
	case "H0":
		return []analysis.TableColumn{{Name: "users"}}
	case "H2", "H3":
		return []analysis.TableColumn{{Name: "prompt file"}, {Name: "prompt", Unit: "tokens"}, {Name: "output budget", Unit: "tokens"}, {Name: "users"}}
	case "H4":
		return []analysis.TableColumn{{Name: "phase"}, {Name: "fio in the window"}, {Name: "users"}}
	case "H5":
		return []analysis.TableColumn{{Name: "adapters"}, {Name: "session"}, {Name: "users"}}
	case "H1", "H6":
		return []analysis.TableColumn{{Name: "phase"}, {Name: "users"}}
	}
	return []analysis.TableColumn{{Name: "runs of"}}
}

// measure is a number of a run under a name of its own, scaled to a unit.
type measure struct {
	name, unit string
	number     string
	scale      float64
}

// measures are the columns of every table.
func (g *Group) measures() []measure {
	q := g.Quantile
	return []measure{
		{q + " latency", "ms", latency + q, 1},
		{q + " first byte", "ms", firstByte + q, 1},
		{"requests", "1/s", numThroughput, 1},
		{"iowait", "%", numIOWait, 1},
		{"r_await", "ms", numReadAwait, 1},
		{"device reads", "1/s", numStorageRPS, 1},
		{"device read by SMART", "GB", numReadBytes, 1e-9},
		{"read commands by SMART", "million", numHostReads, 1e-6},
		{"least MemAvailable", "GiB", numFreeLeast, 1.0 / (1 << 20)},
	}
}

func (m measure) of(r *Run) float64 { return r.Number(m.number).Value * m.scale }

func (m measure) over(runs []*Run) []float64 {
	out := make([]float64, len(runs))
	for i, r := range runs {
		out[i] = m.of(r)
	}
	return out
}

// Table is the group's arms, a row each: medians over the runs, with least and
// most beside the latency. There are no intervals: repeats are too few.
func (g *Group) Table() analysis.Table {
	t := analysis.Table{Title: g.title() + ", earlier harness (v2.5)", Columns: slices.Concat(g.armColumns(),
		[]analysis.TableColumn{{Name: "runs"}, {Name: "requests"}, {Name: "failed"}})}
	for i, m := range g.measures() {
		t.Columns = append(t.Columns, analysis.TableColumn{Name: m.name, Unit: m.unit})
		if i == 0 {
			t.Columns = append(t.Columns, analysis.TableColumn{Name: m.name + " least", Unit: m.unit}, analysis.TableColumn{Name: m.name + " most", Unit: m.unit})
		}
	}
	for _, a := range g.Arms {
		requests, failed := 0, 0.0
		for _, r := range a.Runs {
			requests += r.Good()
			if f := r.Failed(); f >= 0 {
				failed += f
			}
		}
		row := slices.Concat(a.Cells, []any{len(a.Runs), requests, failed})
		for i, m := range g.measures() {
			values := m.over(a.Runs)
			row = append(row, median(values))
			if i == 0 {
				row = append(row, least(values), most(values))
			}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func least(values []float64) float64 {
	if v := present(values); len(v) > 0 {
		return slices.Min(v)
	}
	return absent()
}

func most(values []float64) float64 {
	if v := present(values); len(v) > 0 {
		return slices.Max(v)
	}
	return absent()
}

// numbersTable is every number of every run, and what became of it.
func numbersTable(runs []*Run) analysis.Table {
	t := analysis.Table{Title: "Numbers", Columns: []analysis.TableColumn{{Name: "run"}, {Name: "field"}, {Name: "value"}, {Name: "trust"}, {Name: "how or why"}}}
	for _, r := range runs {
		for _, name := range numberNames() {
			n := r.Number(name)
			t.Rows = append(t.Rows, []any{oneLine(r.ID), name, n.Value, string(n.Trust), n.How})
		}
	}
	return t
}

// runsTable lists the runs and what is wrong with their files.
func runsTable(runs []*Run) analysis.Table {
	t := analysis.Table{Title: "Runs", Columns: []analysis.TableColumn{
		{Name: "run"},
		{Name: "hypothesis"},
		{Name: "requests"},
		{Name: "failed"},
		{Name: "telemetry rows"},
		{Name: "pace", Unit: "s"},
		{Name: "broken rows"},
		{Name: "iostat columns"},
		{Name: "missing files"},
	}}
	for _, r := range runs {
		requests, rows, pace, broken, layout := any(nil), any(nil), any(nil), any(nil), "no telemetry"
		if r.Summary != nil && !math.IsNaN(r.Summary.Requests) {
			requests = r.Summary.Requests
		}
		if tel := r.Telemetry; tel != nil {
			rows, broken = tel.Rows, tel.broken()
			layout = r.Layout.String() + " (" + r.Evidence + ")"
			if tel.Pace > 0 {
				pace = tel.Pace.Seconds()
			}
		}
		h := r.Hypothesis
		if h == "" {
			h = "unknown"
		}
		t.Rows = append(t.Rows, []any{oneLine(r.ID), h, requests, r.Failed(), rows, pace, broken, layout, strings.Join(r.Missing, ", ")})
	}
	return t
}
