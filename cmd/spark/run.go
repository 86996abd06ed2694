package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/hypotheses"
)

type runCmd struct {
	IDs     []string `arg:"" name:"hypothesis" help:"Hypotheses to measure, in this order; there are ${hypotheses}."`
	Profile string   `help:"smoke, quick or full; every other setting is taken from the SPARK_ environment variables."`
}

// Run measures each hypothesis and prints its verdict; the worst decides the
// exit status.
func (c runCmd) Run(ctx context.Context, s streams) error {
	environ := os.Environ()
	if c.Profile != "" {
		environ = append(environ, "SPARK_PROFILE="+c.Profile)
	}
	cfg, err := hypotheses.ParseConfig(environ)
	if err != nil {
		return exitError{2, err}
	}
	plan, err := c.plan()
	if err != nil {
		return exitError{2, err}
	}
	live := terminal()
	defer live.Clear()
	p := hypotheses.Progress{Live: live.Show, Log: func(line string) { live.Clear(); fmt.Fprintln(s.err, line) }}
	var verdicts []analysis.Verdict
	for _, h := range plan {
		j, dir, err := hypotheses.Execute(ctx, cfg, h, time.Time{}, p)
		live.Clear()
		if errors.Is(err, hypotheses.ErrLacking) {
			fmt.Fprintf(s.err, "%s skipped: %v\n", h.ID, err)
			verdicts = append(verdicts, analysis.Verdict{Outcome: analysis.Inconclusive})
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s\n%s\n", j.Verdict, dir)
		verdicts = append(verdicts, j.Verdict)
	}
	return exitOf(verdicts)
}

// plan finds every hypothesis before the first is measured, which takes long.
func (c runCmd) plan() ([]hypotheses.Hypothesis, error) {
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

type judgeCmd struct {
	Dirs []string `arg:"" name:"dir" help:"Run directories, such as results/H2/20261123T101502Z-3f9c1a."`
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
			return fmt.Errorf("%s: a run of %q, which this build does not know", dir, e.Plan.Hypothesis)
		}
		j, err := hypotheses.Rejudge(h, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s\n%s\n", j.Verdict, dir)
		verdicts = append(verdicts, j.Verdict)
	}
	return exitOf(verdicts)
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
