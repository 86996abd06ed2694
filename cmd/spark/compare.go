package main

import (
	"encoding/json"
	"fmt"

	"github.com/spark-harness/harness/hypotheses"
)

type compareCmd struct {
	A    string `arg:"" help:"Results directory (or one run) to compare from, such as one machine's or one disk's."`
	B    string `arg:"" help:"The other."`
	JSON bool   `help:"Print the comparison as JSON."`
}

// Help teaches by examples.
func (compareCmd) Help() string {
	return `The newest run of every hypothesis in A is held against that in B: endpoint by
endpoint with the ratio's interval over runs, and the verdicts' numbers beside
each other. What else differs (machine, disk, kernel, server) is named.

Examples:

    spark compare results-samsung results-phison
    spark compare results/H4/20261123T101502Z-3f9c1a other/H4/20261201T090000Z-77aa01 --json

benchstat reads the bench.txt beside each report, for those who prefer it.`
}

// Run prints one comparison for each hypothesis that both sides have.
func (c compareCmd) Run(s streams) error {
	live := terminal()
	all, err := hypotheses.Compare(c.A, c.B, hypotheses.Progress{Live: live.Show})
	live.Clear()
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	fmt.Fprintf(s.out, "A  %s\nB  %s\n\n", c.A, c.B)
	for _, x := range all.Each {
		fmt.Fprintln(s.out, x)
	}
	for _, why := range all.Left {
		fmt.Fprintln(s.out, "not compared:", why)
	}
	return nil
}
