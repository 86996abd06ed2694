package main

import (
	"cmp"
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
	URL       string        `default:"http://127.0.0.1:8000" help:"Server."`
	APIMode   string        `name:"api-mode" default:"auto" help:"How to talk to it: openai, triton, or more finely a dialect or flavour, such as openai-chat, triton-vllm or llamacpp; auto is triton with adapters, else openai."`
	Model     string        `help:"Model id; default: the first that the server lists."`
	Users     int           `short:"U" default:"8" help:"Closed loop of so many users."`
	Turns     int           `help:"End each user after so many requests, and the load with the last of them; default: never."`
	Rate      float64       `help:"Open loop instead: Poisson arrivals per second."`
	Duration  time.Duration `default:"10s" help:"Measured window."`
	Warmup    time.Duration `default:"1s" help:"Load before the window."`
	Prompt    int           `default:"256" help:"Prompt length in tokens, calibrated against the server."`
	MaxTokens int           `default:"64" help:"Output tokens."`
	Seed      uint64        `default:"1" help:"Seed of arrivals, prompts and adapters."`
	LoRA      loraFlags     `embed:"" prefix:"lora-"`
	Records   string        `type:"path" help:"Write every request's record to this file (.jsonl.zst)."`
	JSON      bool          `help:"Print the summary as JSON."`
	KeyEnv    string        `default:"SPARK_API_KEY" help:"Environment variable that holds the API key."`
	CAFile    string        `type:"path" help:"PEM file of a private CA."`
}

// Run loads the server and prints the summary.
func (c loadCmd) Run(ctx context.Context, s streams) (err error) {
	adapters, err := c.LoRA.adapters()
	if err != nil {
		return err
	}
	p := c.plan(adapters)
	if err := p.Validate(); err != nil {
		return err
	}
	t, err := c.attach(ctx, s, len(adapters.List) > 0)
	if err != nil {
		return err
	}
	if t.Calibration, err = c.calibrate(ctx, s, t); err != nil {
		return err
	}
	if err := c.LoRA.check(ctx, s, t, adapters.List); err != nil {
		return err
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

func (c loadCmd) plan(adapters loadgen.Adapters) loadgen.Plan {
	p := loadgen.Plan{
		Arrivals: loadgen.Users(c.Users),
		Workload: loadgen.Workload{
			PromptTokens: c.Prompt, OutputTokens: c.MaxTokens, Adapters: adapters,
			Nonce: loadgen.Nonce{Position: loadgen.NonceStart},
		},
		Warmup: c.Warmup, Measure: c.Duration, Drain: 10 * time.Minute, Seed: c.Seed,
	}
	if c.Rate > 0 {
		p.Arrivals = loadgen.Poisson(c.Rate)
	}
	p.Arrivals.Turns = c.Turns
	return p
}

// attach finds out how to talk to the server.
func (c loadCmd) attach(ctx context.Context, s streams, adapters bool) (loadgen.Target, error) {
	mode, err := loadgen.ParseMode(c.APIMode, adapters)
	if err != nil {
		return loadgen.Target{}, err
	}
	server, err := spark.Attach(ctx, spark.Endpoint{
		URL: c.URL, Model: c.Model, APIKey: os.Getenv(c.KeyEnv), CAFile: c.CAFile, API: spark.APIOf(mode),
	})
	switch {
	case err != nil && c.APIMode == "auto" && mode.Triton:
		return loadgen.Target{}, fmt.Errorf("%w (with adapters --api-mode auto is triton: name openai, or what the server is, if it has no Triton API)", err)
	case err != nil:
		return loadgen.Target{}, err
	}
	t := loadgen.Target{
		BaseURL: server.Endpoint.URL, Model: server.Endpoint.Model, Dialect: loadgen.Dialect(server.Dialect),
		APIKey: server.Endpoint.APIKey, CAFile: c.CAFile, LoRASeparator: c.LoRA.Separator,
	}
	if !t.Dialect.Triton() {
		t.Flavor = cmp.Or(mode.Flavor, server.Flavor.Requests())
	}
	fmt.Fprintf(s.err, "%s: %s, %s, %s\n", c.URL, server.Endpoint.Model, server.Flavor, t.Dialect)
	return t, nil
}

// calibrate makes prompts of exact length, where the server counts tokens.
func (c loadCmd) calibrate(ctx context.Context, s streams, t loadgen.Target) (loadgen.Calibration, error) {
	calib, err := loadgen.CalibrateTarget(ctx, t, []int{c.Prompt})
	if t.Dialect.Triton() && errors.Is(err, loadgen.ErrNoTokenCount) {
		fmt.Fprintf(s.err, "the server does not count prompts: one of %d words is taken for %d tokens\n", c.Prompt, c.Prompt)
		return loadgen.Calibration{}, nil
	}
	return calib, err
}

func (c loadCmd) print(s streams, sum loadgen.Summary) error {
	warnOfAdapters(s, sum.Requests)
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
	if len(sum.Adapters) > 0 {
		if text, err = adapterTable(sum.Adapters).Text(); err != nil {
			return err
		}
		fmt.Fprint(s.out, "\n"+text+"\n")
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
