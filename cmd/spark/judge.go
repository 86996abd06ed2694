package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/hypotheses"
)

type judgeCmd struct {
	Dirs []string `arg:"" name:"dir" help:"Run directories, such as results/H2/20261123T101502Z-3f9c1a."`
	JSON bool     `help:"Print the verdicts as JSON, one a line."`
}

// Help teaches by examples.
func (judgeCmd) Help() string {
	return `A verdict is a function of the files that a run left, so that it can be had again anywhere: on a laptop, with a newer version of the rules, by somebody who doubts it. The run's raw files are held against their checksums first. What is in derived/ is written anew: verdict, figure, tables, benchmark lines.

Examples:

    spark judge results/H4/20261123T101502Z-3f9c1a
    spark judge results/H?/* --json | jq -r '[.hypothesis, .outcome] | @tsv'

The exit status is that of the worst verdict, as for spark run.`
}

// Run rebuilds everything derived from each run and prints its verdict.
func (c judgeCmd) Run(s streams) error {
	var verdicts []analysis.Verdict
	for _, dir := range c.Dirs {
		e, err := analysis.OpenExperiment(dir)
		if err != nil {
			return err
		}
		h, ok := hypotheses.ByID(e.Plan.Hypothesis)
		if !ok {
			return fmt.Errorf("%s: a run of %q, which this build does not know (there are %s)", dir, e.Plan.Hypothesis, known())
		}
		j, err := hypotheses.Rejudge(h, dir)
		if err != nil {
			return err
		}
		if err := printVerdict(s, c.JSON, hypotheses.Result{Hypothesis: h, Judgement: j, Dir: dir}); err != nil {
			return err
		}
		verdicts = append(verdicts, j.Verdict)
	}
	return exitOf(verdicts)
}

// printVerdict is the verdict for people, or a line for programs.
func printVerdict(s streams, asJSON bool, r hypotheses.Result) error {
	if asJSON {
		return json.NewEncoder(s.out).Encode(r)
	}
	_, err := fmt.Fprintf(s.out, "%s\n%s\n", r.Judgement.Verdict, r.Dir)
	return err
}

// exitOf turns the worst verdict into the exit status.
func exitOf(verdicts []analysis.Verdict) error {
	worst := 0
	for _, v := range verdicts {
		switch v.Outcome {
		case analysis.Supported:
		case analysis.Inconclusive:
			worst = max(worst, 3)
		default:
			worst = max(worst, 4)
		}
	}
	if worst == 0 {
		return nil
	}
	return exitError{worst, errors.New("not every hypothesis is SUPPORTED")}
}
