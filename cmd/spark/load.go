package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

type loadCmd struct {
	URL         string   `placeholder:"URL" help:"Server; default: the first healthy one on ports 8355 and 8000 of this host (Triton: port 8000)."`
	APIMode     string   `name:"api-mode" default:"auto" placeholder:"MODE" choices:"auto,openai,openai-chat,openai-completions,triton,triton-trtllm,triton-llmapi,triton-vllm,vllm,trtllm,sglang,llamacpp,ollama,triton-openai,generic" help:"How to talk to it: auto (triton with adapters, else openai), openai, triton, or more finely a dialect or flavour, such as openai-chat, triton-vllm or llamacpp."`
	Model       string   `placeholder:"ID" help:"Model id; default: the first that the server lists."`
	Users       int      `short:"U" default:"8" help:"Closed loop of so many users."`
	Turns       int      `help:"End each user after so many requests, and the load with the last of them; default: never."`
	Rate        float64  `placeholder:"PER-SECOND" help:"Open loop instead: Poisson arrivals per second."`
	Duration    *seconds `placeholder:"TIME" help:"Measured window, such as 90s or 5m; a plain number is seconds. Default: 10s."`
	Warmup      seconds  `default:"1s" help:"Load before the window."`
	Prompt      int      `placeholder:"TOKENS" help:"Length of the prompts that are made, calibrated against the server; default: 256."`
	PromptFile  []string `short:"P" sep:"none" placeholder:"FILE" help:"Ask this file's text instead, as it is; may be given again, and users take the files in turn. What is not found here is looked for in $$INPUTS_DIR."`
	Nonce       string   `placeholder:"PLACE" choices:"start,end,off" help:"Where each prompt is made unlike all others: start (no prefix cache serves it), end or off. Default: start."`
	UseNonce    bool     `help:"The same as --nonce start."`
	MaxTokens   *int     `placeholder:"TOKENS" help:"Output tokens; default: 64."`
	Temperature float64  `help:"Of sampling; 0 is greedy."`
	TopP        float64  `placeholder:"P" help:"Of sampling, 0 to 1; default: not sent."`
	Seed        *uint64  `placeholder:"N" help:"Seed of arrivals, prompts, adapters and sampling; default: 1."`
	Timeout     seconds  `placeholder:"TIME" help:"End a request that waits so long for its first or next token; default: never."`

	LoRA loraFlags `embed:"" prefix:"lora-"`

	RunID   string `placeholder:"NAME" help:"Take the defaults of the earlier Python load generator and keep the load as NAME_summary.json and so on, in --out or $$RESULTS_DIR or results."`
	Out     string `type:"path" placeholder:"DIR" help:"Keep summary.json, latency.hlog and requests.jsonl.zst in this directory."`
	Records string `type:"path" placeholder:"FILE" help:"Write every request's record to this file (.jsonl.zst)."`
	Format  string `default:"serve" enum:"serve,table,markdown,json" help:"serve (as vllm bench serve prints), table (all quantiles), markdown (one line, as llama-bench prints) or json."`
	JSON    bool   `help:"The same as --format json."`
	KeyEnv  string `default:"SPARK_API_KEY" help:"Environment variable that holds the API key."`
	CAFile  string `type:"path" placeholder:"FILE" help:"PEM file of a private CA."`
}

// Help teaches by examples.
func (loadCmd) Help() string {
	return `Without a server at hand, spark serve emulator starts one.

Examples:

    spark load -U 16 --duration 30s
    spark load --rate 5 --prompt 2048 --max-tokens 128 --format markdown
    spark load --url http://10.0.0.7:8000 -P chat.txt -P code.txt --out results/load/first
    spark load --lora-list lora_list.txt --lora-session random --json | jq .ttft_ms.p99
    spark load --run-id H0_U16 -U 16 -P short.txt --duration 300 --use-nonce

The last is how scripts of the earlier Python load generator call it: with --run-id their defaults hold, and one line says what differs.

TTFT counts from the moment a request was due, so that a load generator or a server that falls behind shows. Latencies are of successes alone. A p99 of fewer than 1000 requests is marked.`
}

// Run loads the server and prints the summary.
func (c loadCmd) Run(ctx context.Context, s streams) (err error) {
	c = c.settled(s)
	mode, err := loadgen.ParseMode(c.APIMode, c.LoRA.List != "")
	if err != nil {
		return exitError{2, err}
	}
	p, err := c.plan()
	if err != nil {
		return err
	}
	t, server, err := c.attach(ctx, s, mode)
	if err != nil {
		return err
	}
	if t.Calibration, err = c.calibrate(ctx, s, t); err != nil {
		return err
	}
	if err := c.LoRA.check(ctx, s, t, p.Workload.Adapters.List); err != nil {
		return err
	}
	sum, err := c.load(ctx, s, t, p)
	if err != nil && sum.Requests.Due == 0 {
		return err
	}
	l := analysis.Load{Model: t.Model, Server: string(server.Flavor), Plan: p, Summary: sum}
	return errors.Join(err, c.print(s, l))
}

// load sends the load, shows it while it goes on, and keeps what is to be kept.
func (c loadCmd) load(ctx context.Context, s streams, t loadgen.Target, p loadgen.Plan) (sum loadgen.Summary, err error) {
	live := newLiveLoad(terminal(), p)
	sinks := []func(*loadgen.Record) error{live.add}
	if c.Records != "" {
		w, err := loadgen.NewRecordWriter(c.Records)
		if err != nil {
			return sum, err
		}
		defer func() { err = errors.Join(err, w.Close()) }()
		sinks = append(sinks, w.Write)
	}
	out, err := c.output()
	if err != nil {
		return sum, err
	}
	if out != nil {
		sinks = append(sinks, out.Write)
	}
	sum, err = loadgen.Run(ctx, t, p, func(r *loadgen.Record) error {
		for _, sink := range sinks {
			if err := sink(r); err != nil {
				return err
			}
		}
		return nil
	})
	live.clear()
	if out != nil {
		if keepErr := out.Close(t, p, sum, err); keepErr != nil {
			return sum, errors.Join(err, keepErr)
		}
		fmt.Fprintf(s.err, "kept in %s\n", out.SummaryPath())
	}
	return sum, err
}

// output keeps the load, nil where nothing is to be kept.
func (c loadCmd) output() (*loadgen.Output, error) {
	if c.Out == "" {
		return nil, nil
	}
	return loadgen.NewOutput(c.Out, c.RunID, time.Now())
}

// plan is the load that the flags ask for.
func (c loadCmd) plan() (loadgen.Plan, error) {
	adapters, err := c.LoRA.adapters()
	if err != nil {
		return loadgen.Plan{}, err
	}
	p := loadgen.Plan{
		Arrivals: loadgen.Users(c.Users),
		Workload: loadgen.Workload{
			OutputTokens: *c.MaxTokens, Adapters: adapters, Nonce: loadgen.Nonce{Position: loadgen.NoncePosition(c.Nonce)},
			Temperature: c.Temperature, TopP: c.TopP, SamplingSeed: int64(*c.Seed),
		},
		Warmup: time.Duration(c.Warmup), Measure: time.Duration(*c.Duration), Drain: 10 * time.Minute, Seed: *c.Seed,
	}
	for _, file := range c.PromptFile {
		text, err := loadgen.ReadPrompt(input(file))
		if err != nil {
			return p, err
		}
		p.Workload.Prompts = append(p.Workload.Prompts, text)
	}
	switch {
	case len(p.Workload.Prompts) == 0:
		p.Workload.PromptTokens = cmp.Or(c.Prompt, 256)
	case c.Prompt != 0:
		return p, exitError{2, errors.New("--prompt and --prompt-file: a file is asked as it is (leave one of them out)")}
	}
	if c.Rate > 0 {
		p.Arrivals = loadgen.Poisson(c.Rate)
	}
	p.Arrivals.Turns = c.Turns
	if err := p.Validate(); err != nil {
		return p, exitError{2, err}
	}
	return p, nil
}

// attach finds out how to talk to the server.
func (c loadCmd) attach(ctx context.Context, s streams, mode loadgen.Mode) (loadgen.Target, *spark.Server, error) {
	e := spark.Endpoint{URL: c.URL, Model: c.Model, APIKey: os.Getenv(c.KeyEnv), CAFile: c.CAFile, API: spark.APIOf(mode)}
	attach := spark.Attach
	if c.URL == "" {
		urls := spark.LocalURLs()
		if mode.Triton {
			urls = spark.LoRAURLs()[:1]
		}
		e.ReadyTimeout = 10 * time.Second
		attach = func(ctx context.Context, e spark.Endpoint) (*spark.Server, error) { return spark.Find(ctx, e, urls) }
	}
	server, err := attach(ctx, e)
	switch {
	case err != nil && c.APIMode == "auto" && mode.Triton:
		return loadgen.Target{}, nil, fmt.Errorf("%w (with adapters --api-mode auto is triton: name openai, or what the server is, if it has no Triton API)", err)
	case errors.Is(err, spark.ErrNoServer):
		return loadgen.Target{}, nil, fmt.Errorf("%w (name a server with --url, or start one: spark serve emulator)", err)
	case err != nil:
		return loadgen.Target{}, nil, err
	}
	t := loadgen.Target{
		BaseURL: server.Endpoint.URL, Model: server.Endpoint.Model, Dialect: loadgen.Dialect(server.Dialect),
		APIKey: server.Endpoint.APIKey, CAFile: c.CAFile, LoRASeparator: c.LoRA.Separator,
		HeaderTimeout: time.Duration(c.Timeout), IdleTimeout: time.Duration(c.Timeout),
	}
	if !t.Dialect.Triton() {
		t.Flavor = cmp.Or(mode.Flavor, server.Flavor.Requests())
	}
	fmt.Fprintf(s.err, "%s: %s, %s, %s\n", t.BaseURL, server.Endpoint.Model, server.Flavor, t.Dialect)
	return t, server, nil
}

// calibrate makes prompts of exact length, where the server counts tokens.
func (c loadCmd) calibrate(ctx context.Context, s streams, t loadgen.Target) (loadgen.Calibration, error) {
	if len(c.PromptFile) > 0 {
		return loadgen.Calibration{}, nil
	}
	tokens := cmp.Or(c.Prompt, 256)
	calib, err := loadgen.CalibrateTarget(ctx, t, []int{tokens})
	if t.Dialect.Triton() && errors.Is(err, loadgen.ErrNoTokenCount) {
		fmt.Fprintf(s.err, "the server does not count prompts: one of %d words is taken for %d tokens\n", tokens, tokens)
		return loadgen.Calibration{}, nil
	}
	return calib, err
}
