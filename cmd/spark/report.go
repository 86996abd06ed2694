package main

import (
	"fmt"
	"os"

	"github.com/spark-harness/harness/analysis/report"
	"github.com/spark-harness/harness/analysis/v25"
	"github.com/spark-harness/harness/hypotheses"
)

type reportCmd struct {
	Dir string `arg:"" optional:"" type:"path" help:"Results directory; default: SPARK_RESULTS, else results."`
	Out string `type:"path" placeholder:"DIR" help:"Directory to write to; default: the results directory. Needed for results of the earlier harness, which are left as they are."`
}

// Help teaches by examples.
func (reportCmd) Help() string {
	return `It gathers the newest run of each hypothesis, machine, server and profile, and writes report.html (one file that needs nothing else), report.md and bench.txt, which benchstat reads. Runs that an older build judged are judged again. spark run does this by itself after every run.

A directory of the earlier Python and bash harness is recognised, and converted into --out: tables and figures, with every column named that is not what it says.

Examples:

    spark report
    spark report results --out /tmp/for-the-paper
    spark report /harness/results --out converted`
}

// Run writes the report and says where.
func (c reportCmd) Run(s streams) error {
	cfg, err := (runCmd{Results: c.Dir}).config(os.Environ())
	if err != nil {
		return exitError{2, err}
	}
	dir, _, err := cfg.Places()
	if err != nil {
		return err
	}
	r, err := hypotheses.CollectReport(dir)
	switch {
	case err != nil:
		return fmt.Errorf("%w (name a results directory)", err)
	case len(r.Sections)+len(r.Unjudged) == 0 && v25.Recognise(dir):
		return c.convert(s, dir)
	case len(r.Sections)+len(r.Unjudged) == 0:
		return fmt.Errorf("%s holds no runs (spark run leaves some)", dir)
	}
	out := dir
	if c.Out != "" {
		out = c.Out
		if err := os.MkdirAll(out, 0o755); err != nil {
			return err
		}
	}
	paths, err := report.Write(out, r)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "%d runs, %d more that could not be judged\n", len(r.Sections), len(r.Unjudged))
	fmt.Fprintf(s.out, "%s\n%s\n%s\n", paths.HTML, paths.Markdown, paths.Bench)
	return nil
}

// convert writes the tables and figures of results of the earlier harness.
func (c reportCmd) convert(s streams, dir string) error {
	if c.Out == "" {
		return exitError{2, fmt.Errorf("%s is of the earlier harness, and is left as it is: name a directory to write to with --out", dir)}
	}
	return importV25Cmd{Dir: dir, Out: c.Out}.Run(s)
}
