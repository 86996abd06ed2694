// Package export writes the records of a run in formats of other programs.
//
// Functions block, start no goroutines and keep a bounded part of a run in
// memory, however long it is.
package export

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// RecordsSchema is the version of the Parquet columns, kept in the file as
// spark.schema.
const RecordsSchema = 1

// ErrNoRecords means that a run measured nothing itself.
var ErrNoRecords = errors.New("the run rests on others and has no records of its own (export those)")

// request is one row: a record and the arm that it is of.
type request struct {
	run string
	arm *analysis.Arm
	*loadgen.Record
}

// field is one column and how a row fills it.
type field struct {
	column *column
	put    func(c *column, r request)
}

// Parquet writes every record of the committed run in dir to path, which must
// not exist, as one Parquet file; docs/bundle.md lists the columns. It checks
// the run's checksums first. Errors wrap bundle.ErrCorrupt, analysis.ErrSchema,
// ErrNoRecords or fs.ErrExist where one fits; a file that is not whole is
// removed.
func Parquet(dir, path string) (rows int64, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if err := bundle.Verify(dir); err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	arms, err := filepath.Glob(filepath.Join(escaped(dir), "raw", "*", "requests.jsonl.zst"))
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	if len(arms) == 0 {
		return 0, fmt.Errorf("export: %s: %w", dir, ErrNoRecords)
	}
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, fmt.Errorf("export: %w", err)
	}
	buf := bufio.NewWriterSize(out, 1<<20)
	rows, err = writeRun(buf, dir, arms)
	if err = errors.Join(err, buf.Flush(), out.Sync(), out.Close()); err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	return rows, nil
}

// escaped keeps Glob from reading a directory's name as a pattern.
func escaped(dir string) string {
	var out []byte
	for i := range len(dir) {
		switch dir[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, dir[i])
	}
	return string(out)
}

func writeRun(w *bufio.Writer, dir string, arms []string) (rows int64, err error) {
	var man spark.Manifest
	if err := readJSON(filepath.Join(dir, "manifest.json"), &man); err != nil {
		return 0, err
	}
	if man.Schema > spark.ManifestSchema {
		return 0, fmt.Errorf("export: %s: %w", dir, analysis.ErrSchema)
	}
	fields := requestFields()
	columns := make([]*column, len(fields))
	for i := range fields {
		columns[i] = fields[i].column
	}
	f, err := newFile(w, columns)
	if err != nil {
		return 0, err
	}
	run := filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir)
	for _, path := range arms {
		arm := new(analysis.Arm)
		if err := readJSON(filepath.Join(filepath.Dir(path), "arm.json"), arm); err != nil {
			return 0, err
		}
		for r, err := range loadgen.ReadRecords(path) {
			if err != nil {
				return 0, fmt.Errorf("export: %w: %w", err, bundle.ErrCorrupt)
			}
			for i := range fields {
				fields[i].put(columns[i], request{run, arm, r})
			}
			if err := f.endRow(); err != nil {
				return 0, err
			}
			rows++
		}
	}
	return rows, f.close([][2]string{
		{"spark.schema", strconv.Itoa(RecordsSchema)},
		{"spark.run", run},
		{"spark.model", man.Target.Model},
		{"spark.platform", man.Platform()},
		{"spark.started", man.Started.UTC().Format(time.RFC3339Nano)},
	})
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("export: %s: %w: %w", path, err, bundle.ErrCorrupt)
	}
	return nil
}
