package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/analysis/report"
	"github.com/spark-harness/harness/hypotheses"
)

type runCmd struct {
	IDs     []string  `arg:"" optional:"" name:"hypothesis" help:"Hypotheses to measure, in this order; there are ${hypotheses}. Without any: all, those that rest on runs of others last."`
	Profile string    `placeholder:"NAME" choices:"smoke,quick,full" help:"smoke (seconds; decides nothing), quick (minutes; for the emulator) or full (hours; for a real server)."`
	Results string    `type:"path" placeholder:"DIR" help:"Directory of the run bundles; default: results."`
	Dir     string    `type:"path" placeholder:"DIR" help:"Directory on the disk under test; default: .spark."`
	Watch   watchAddr `placeholder:"ADDR" help:"Serve a page with live curves and a Prometheus endpoint while it runs, at 127.0.0.1:8080 or the address after the equals sign."`
	JSON    bool      `help:"Print the verdicts as JSON, one a line, as they come; progress goes to stderr."`
}

// Help teaches by examples.
func (runCmd) Help() string {
	var b strings.Builder
	b.WriteString(`It measures the server at SPARK_BASELINE_URL (adapters: SPARK_LORA_URL), else one that listens on this host, else the embedded emulator, whose disk reads are real. Every run is kept in a directory of its own. A hypothesis that cannot be measured does not hold up the others; what was wrong is told at the end. Ctrl-C ends at once, undoes what was done to the machine and leaves what was measured.

Examples:

    spark run --profile quick              # everything, on the emulator if there is no server
    spark run H4                           # is the tail the disk's?
    spark run H0 H2 --watch                # with live curves at http://127.0.0.1:8080
    SPARK_BASELINE_URL=http://127.0.0.1:8355 spark run H0 H2 H4
    spark run H0 --profile smoke --json | jq .outcome

All other settings are environment variables, the same as under go test:

`)
	for _, s := range hypotheses.Settings() {
		b.WriteString(hanging(s.Env, s.Help))
	}
	b.WriteString("\n" + exitHelp)
	return b.String()
}

// hanging is a name and what it means in lines of 80, which kong leaves alone
// because they are indented.
func hanging(name, text string) string {
	const margin, width = 31, 80
	var b strings.Builder
	line := fmt.Sprintf("    %-*s", margin-5, name)
	for _, word := range strings.Fields(text) {
		if len(line) >= margin && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line = strings.Repeat(" ", margin-1)
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// Run measures each hypothesis and prints its verdict; the worst decides the
// exit status.
func (c runCmd) Run(ctx context.Context, s streams) error {
	cfg, err := c.config(os.Environ())
	if err != nil {
		return exitError{2, err}
	}
	plan, err := c.plan()
	if err != nil {
		return exitError{2, err}
	}
	live := terminal()
	defer live.Clear()
	log := func(line string) { live.Clear(); fmt.Fprintln(s.err, line) }
	progress, end, err := show(cfg.HTTP, hypotheses.Progress{Live: live.Show, Log: log})
	if err != nil {
		return err
	}
	defer end()
	var printing error
	suite := hypotheses.Suite{
		Config: cfg, Plan: plan, Progress: progress,
		Done: func(r hypotheses.Result) {
			live.Clear()
			printing = errors.Join(printing, c.print(s, r))
		},
	}
	log(suite.Describe())
	results := suite.Run(ctx)
	live.Clear()
	if path, ok := reportOf(cfg); ok {
		fmt.Fprintf(s.err, "report: %s\n", path)
	}
	return errors.Join(printing, c.end(s, results))
}

// reportOf is where the report of all runs lies.
func reportOf(cfg hypotheses.Config) (string, bool) {
	results, _, err := cfg.Places()
	path := filepath.Join(results, report.HTMLFile)
	return path, err == nil && exists(path)
}

// config is the environment with the flags laid over it.
func (c runCmd) config(environ []string) (hypotheses.Config, error) {
	for _, f := range []struct{ name, value string }{
		{"SPARK_PROFILE", c.Profile}, {"SPARK_RESULTS", c.Results}, {"SPARK_DIR", c.Dir}, {"SPARK_HTTP", string(c.Watch)},
	} {
		if f.value != "" {
			environ = append(environ, f.name+"="+f.value)
		}
	}
	return hypotheses.ParseConfig(environ)
}

// plan finds every hypothesis before the first is measured, which takes long.
func (c runCmd) plan() ([]hypotheses.Hypothesis, error) {
	if len(c.IDs) == 0 {
		return hypotheses.InOrder(hypotheses.All()), nil
	}
	var plan []hypotheses.Hypothesis
	for _, id := range c.IDs {
		h, ok := hypotheses.ByID(id)
		if !ok {
			return nil, fmt.Errorf("no hypothesis %q (there are %s)", id, known())
		}
		plan = append(plan, h)
	}
	return plan, nil
}

// print tells how one hypothesis ended.
func (c runCmd) print(s streams, r hypotheses.Result) error {
	switch {
	case c.JSON:
		return json.NewEncoder(s.out).Encode(r)
	case r.Skipped():
		_, err := fmt.Fprintf(s.err, "%s skipped: %v\n", r.Hypothesis.ID, r.Err)
		return err
	case r.Err != nil:
		_, err := fmt.Fprintf(s.err, "%s could not be measured; the end tells why\n", r.Hypothesis.ID)
		return err
	}
	return printVerdict(s, false, r)
}

// end sums up several, and turns what happened into the exit status.
func (c runCmd) end(s streams, results []hypotheses.Result) error {
	if len(results) > 1 && !c.JSON {
		text, err := hypotheses.VerdictTable(results).Text()
		if err != nil {
			return err
		}
		fmt.Fprint(s.out, "\n"+text)
	}
	var errs []error
	var verdicts []analysis.Verdict
	for _, r := range results {
		switch {
		case r.Skipped():
			verdicts = append(verdicts, analysis.Verdict{Outcome: analysis.Inconclusive})
		case r.Err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", r.Hypothesis.ID, r.Err))
		default:
			verdicts = append(verdicts, r.Judgement.Verdict)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	return exitOf(verdicts)
}

// known lists the hypotheses of this build, as "H0, H2 and H4".
func known() string {
	var ids []string
	for _, h := range hypotheses.All() {
		ids = append(ids, h.ID)
	}
	last := len(ids) - 1
	return strings.Join(ids[:last], ", ") + " and " + ids[last]
}

// terminal is the live line of the terminal that stderr is attached to; without
// one it draws nothing.
func terminal() hypotheses.LiveLine {
	ws, err := unix.IoctlGetWinsize(int(os.Stderr.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return hypotheses.LiveLine{}
	}
	return hypotheses.LiveLine{W: os.Stderr, Width: int(ws.Col)}
}
