package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spark-harness/harness/analysis/v25"
)

type importV25Cmd struct {
	Dir  string `arg:"" help:"Results directory of the earlier harness, or the folder above it."`
	Out  string `required:"" help:"Directory to write to; it must not exist or be empty, and lie outside DIR."`
	JSON bool   `help:"Print what was found as JSON."`
}

// Help teaches by examples.
func (importV25Cmd) Help() string {
	return `It reads the *_manifest.json, *_summary.json, *_telemetry.csv, *_mpstat.log and *_smartctl_{pre,post}.txt that the Python and bash harness (v2.5) left, and writes report.md, a table, a figure and benchmark lines for each hypothesis, and summaries whose avg block is filled in rightly. DIR is left as it is. Columns that are not what their name says are named everywhere, converted where that can be done and withheld where not: docs/earlier-harness.md has the list. Files that cannot be read are named, and the rest is imported.

Examples:

    spark import-v25 /harness/results --out imported
    spark import-v25 /harness --out imported --json
    benchstat imported/bench.txt

It exits with 0 when everything is written, although no verdict of such results is anything but INVALID, and with 1 otherwise.`
}

// Run converts a directory and says what became of it.
func (c importV25Cmd) Run(s streams) error {
	r, err := v25.Convert(c.Dir, c.Out)
	if err != nil {
		return err
	}
	for _, p := range r.Problems() {
		fmt.Fprintf(s.err, "spark: left out: %q\n", p) // its text may come from a file
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(r.Outline())
	}
	fmt.Fprintf(s.out, "%d runs of the earlier harness in %d groups\n\n", len(r.Runs), len(r.Groups))
	for _, g := range r.Groups {
		fmt.Fprintf(s.out, "%s: %d runs, %d arms\n    %s: %s\n", g.Name(), len(g.Runs), len(g.Arms), g.Verdict.Outcome, strings.Join(g.Verdict.Reasons, ", "))
	}
	fmt.Fprintf(s.out, "\n%s\n", filepath.Join(r.Out, "report.md"))
	return nil
}
