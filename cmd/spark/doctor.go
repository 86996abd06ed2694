package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/preflight"
)

type doctorCmd struct {
	Dir     string `type:"path" placeholder:"DIR" help:"Directory on the disk under test; default: SPARK_DIR, else .spark."`
	Results string `type:"path" placeholder:"DIR" help:"Directory of the run bundles; default: SPARK_RESULTS, else results."`
	JSON    bool   `help:"Print the findings as JSON."`
}

// Help teaches by examples.
func (doctorCmd) Help() string {
	return `It looks at everything that a measurement rests on, and changes nothing: the machine and what else runs on it, the disk, what this user may do, the server. Each line says PASS, WARN or FAIL with what was seen, and below it what to do. With WARN measuring works, and the line says what is lost. The settings of spark run hold here too.

Examples:

    spark doctor
    spark doctor --dir /mnt/nvme/kv
    SPARK_BASELINE_URL=http://127.0.0.1:8355 spark doctor
    spark doctor --json | jq -r '.[] | select(.status != "PASS") | .check + ": " + .remedy'

It exits with 1 if a line says FAIL, and with 0 otherwise.`
}

// Run looks and tells.
func (c doctorCmd) Run(ctx context.Context, s streams) error {
	cfg, err := (runCmd{Dir: c.Dir, Results: c.Results}).config(os.Environ())
	if err != nil {
		return exitError{2, err}
	}
	results, dir, err := cfg.Places()
	if err != nil {
		return err
	}
	found := preflight.Run(ctx, preflight.Config{
		Dir: dir, Results: results, Device: cfg.Device, Fio: cfg.Fio,
		Server: spark.Endpoint{URL: cfg.BaselineURL, Model: cfg.Model, APIKey: cfg.APIKey, CAFile: cfg.CAFile},
	}, func(f preflight.Finding) {
		if !c.JSON {
			fmt.Fprint(s.out, findingText(f))
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		if err := enc.Encode(found); err != nil {
			return err
		}
	}
	if preflight.Worst(found) == preflight.Fail {
		return errors.New("a measurement would be refused or worthless (see FAIL above)")
	}
	return nil
}

// findingText is a finding in lines of 80.
func findingText(f preflight.Finding) string {
	const margin, width = 26, 80
	var b strings.Builder
	line := fmt.Sprintf("%-4s  %-*s", f.Status, margin-7, f.Check)
	wrap := func(text string) {
		empty := true
		for _, word := range strings.Fields(plain(strings.ReplaceAll(text, "\n", "; "))) {
			if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
				b.WriteString(line + "\n")
				line, empty = strings.Repeat(" ", margin-1), true
			}
			line, empty = line+" "+word, false
		}
		b.WriteString(line + "\n")
		line = strings.Repeat(" ", margin-1)
	}
	wrap(f.Evidence)
	if f.Remedy != "" {
		wrap("→ " + f.Remedy)
	}
	return b.String()
}
