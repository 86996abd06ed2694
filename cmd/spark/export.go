package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spark-harness/harness/analysis/export"
)

type exportCmd struct {
	Parquet exportParquetCmd `cmd:"" help:"Write every request of runs as Parquet files."`
}

type exportParquetCmd struct {
	Dirs []string `arg:"" name:"dir" help:"Directories of committed runs, such as results/H2/20261123T101502Z-3f9c1a."`
	Out  string   `help:"Directory for the files." default:"." type:"path" placeholder:"DIR"`
}

func (exportParquetCmd) Help() string {
	return `Each run becomes one file, named after its hypothesis and its directory, with a row for every request: its arm, its instants and latencies in nanoseconds, its outcome, its tokens and the time of every token. docs/bundle.md lists the columns. A file that exists is left alone.

Examples:

    spark export parquet results/H2/* --out tables
    duckdb -c "SELECT arm, quantile_disc(ttft_ns, 0.95) / 1e6 FROM 'tables/H2-*.parquet' WHERE phase = 'measure' AND outcome = 'ok' GROUP BY arm"`
}

func (c exportParquetCmd) Run(s streams) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	var faults []error
	for _, dir := range c.Dirs {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return err
		}
		path := filepath.Join(c.Out, filepath.Base(filepath.Dir(abs))+"-"+filepath.Base(abs)+".parquet")
		rows, err := export.Parquet(abs, path)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		fmt.Fprintf(s.out, "%s  %d requests\n", path, rows)
	}
	return errors.Join(faults...)
}
