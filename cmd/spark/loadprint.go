package main

import (
	"encoding/json"
	"fmt"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// print shows the load in the form asked for.
func (c loadCmd) print(s streams, l analysis.Load) error {
	sum := l.Summary
	warnOfAdapters(s, sum.Requests)
	switch c.Format {
	case "json":
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(sum)
	case "markdown":
		text, err := l.Row().Markdown()
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(s.out, text)
		return err
	case "table":
		text, err := latencyTable(sum).Text()
		if err != nil {
			return err
		}
		fmt.Fprint(s.out, text)
	default:
		fmt.Fprint(s.out, l.ServeText())
	}
	if len(sum.Adapters) > 0 {
		text, err := adapterTable(sum.Adapters).Text()
		if err != nil {
			return err
		}
		fmt.Fprint(s.out, "\n"+text+"\n")
	}
	if c.Format == "serve" && sum.Requests.OK == sum.Requests.Due {
		return nil
	}
	fmt.Fprintf(s.out, "requests: %d due, %d ok %v\n", sum.Requests.Due, sum.Requests.OK, sum.Requests.Outcomes)
	if r := sum.Rates; r != nil {
		fmt.Fprintf(s.out, "rates: %.1f requests/s, %.0f output tokens/s, %.1f in flight\n", r.RequestsPerSec, r.OutputTokensPerSec, r.InFlight)
	}
	return nil
}

func latencyTable(sum loadgen.Summary) analysis.Table {
	t := analysis.Table{Title: "Latency"}
	for _, name := range []string{"metric", "n", "mean", "p50", "p95", "p99", "max"} {
		unit := "ms"
		if name == "metric" || name == "n" {
			unit = ""
		}
		t.Columns = append(t.Columns, analysis.TableColumn{Name: name, Unit: unit})
	}
	for _, row := range []struct {
		name string
		l    *loadgen.Latency
	}{
		{"TTFT", sum.TTFT},
		{"TTFT (service)", sum.TTFTService},
		{"TPOT", sum.TPOT},
		{"ICL", sum.ICL},
		{"max gap", sum.MaxGap},
		{"E2E", sum.E2E},
		{"client lag", sum.Client.Lag},
	} {
		if l := row.l; l != nil {
			t.Rows = append(t.Rows, []any{row.name, l.N, float64(l.Mean), float64(l.P50), float64(l.P95), float64(l.P99), float64(l.Max)})
		}
	}
	return t
}
