package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

type loadCmd struct {
	URL       string        `default:"http://127.0.0.1:8000" help:"OpenAI-compatible server."`
	Model     string        `help:"Model id; default: the first that the server lists."`
	Users     int           `short:"U" default:"8" help:"Closed loop of so many users."`
	Rate      float64       `help:"Open loop instead: Poisson arrivals per second."`
	Duration  time.Duration `default:"10s" help:"Measured window."`
	Warmup    time.Duration `default:"1s" help:"Load before the window."`
	Prompt    int           `default:"256" help:"Prompt length in tokens, calibrated against the server."`
	MaxTokens int           `default:"64" help:"Output tokens."`
	Seed      uint64        `default:"1" help:"Seed of arrivals and prompts."`
	Records   string        `type:"path" help:"Write every request's record to this file (.jsonl.zst)."`
	JSON      bool          `help:"Print the summary as JSON."`
	KeyEnv    string        `default:"SPARK_API_KEY" help:"Environment variable that holds the API key."`
	CAFile    string        `type:"path" help:"PEM file of a private CA."`
}

// Run loads the server and prints the summary.
func (c loadCmd) Run(ctx context.Context, s streams) (err error) {
	server, err := spark.Attach(ctx, spark.Endpoint{URL: c.URL, Model: c.Model, APIKey: os.Getenv(c.KeyEnv), CAFile: c.CAFile})
	if err != nil {
		return err
	}
	t := loadgen.Target{
		BaseURL: server.Endpoint.URL, Model: server.Endpoint.Model, Dialect: loadgen.Dialect(server.Dialect),
		Flavor: server.Flavor.Requests(), APIKey: server.Endpoint.APIKey, CAFile: c.CAFile,
	}
	fmt.Fprintf(s.err, "%s: %s, %s\n", c.URL, server.Endpoint.Model, server.Flavor)
	if t.Calibration, err = loadgen.CalibrateTarget(ctx, t, []int{c.Prompt}); err != nil {
		return err
	}
	p := loadgen.Plan{
		Arrivals: loadgen.Users(c.Users),
		Workload: loadgen.Workload{PromptTokens: c.Prompt, OutputTokens: c.MaxTokens, Nonce: loadgen.Nonce{Position: loadgen.NonceStart}},
		Warmup:   c.Warmup, Measure: c.Duration, Drain: 10 * time.Minute, Seed: c.Seed,
	}
	if c.Rate > 0 {
		p.Arrivals = loadgen.Poisson(c.Rate)
	}
	sink := func(*loadgen.Record) error { return nil }
	if c.Records != "" {
		w, err := loadgen.NewRecordWriter(c.Records)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		sink = w.Write
	}
	sum, err := loadgen.Run(ctx, t, p, sink)
	return errors.Join(err, c.print(s, sum))
}

func (c loadCmd) print(s streams, sum loadgen.Summary) error {
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(sum)
	}
	text, err := latencyTable(sum).Text()
	if err != nil {
		return err
	}
	fmt.Fprint(s.out, text)
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
