package hypotheses

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark"
)

// figureSchema is the version of derived/figure.json.
const figureSchema = 1

// figureFile is derived/figure.json: the figure and the table as data, so that
// a report can be put together without judging again, and what tells whether it
// still fits the run and this build.
type figureFile struct {
	Schema   int             `json:"schema"`
	JudgedBy string          `json:"judged_by"`   // see judgedBy
	Sums     string          `json:"sums_sha256"` // of the run's SHA256SUMS
	Bytes    int64           `json:"run_bytes"`   // of all files of the run but derived/
	Figure   analysis.Figure `json:"figure"`
	Table    analysis.Table  `json:"table"`
}

func writeFigureFile(tmp, dir string, j Judgement) error {
	by, err := judgedBy()
	if err != nil {
		return err
	}
	f := figureFile{Schema: figureSchema, JudgedBy: by, Figure: j.Figure, Table: j.Table}
	if f.Sums, f.Bytes, _, err = fingerprint(dir); err != nil {
		return err
	}
	b, err := json.Marshal(f) // not indented: it is as large as the figure's points
	if err != nil {
		return fmt.Errorf("hypotheses: write figure.json: %w", err)
	}
	return bundle.WriteFile(filepath.Join(tmp, "figure.json"), append(b, '\n'))
}

// judgedBy names the code that judges: the revision of a clean build, else the
// hash of the running program. Two builds of one name judge alike.
func judgedBy() (string, error) {
	if b := spark.ReadBuild(); b.Revision != "" && !b.Modified {
		return "revision " + b.Revision, nil
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("hypotheses: name this build: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("hypotheses: name this build: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("hypotheses: name this build: %w", err)
	}
	return "program " + hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// fingerprint tells a run from a changed copy of it at the cost of looking at
// its directory: the hash of its sums, its size, and when it last changed.
func fingerprint(dir string) (sums string, size int64, changed time.Time, err error) {
	src, err := analysis.NewSource(dir)
	if err != nil {
		return "", 0, changed, err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := filepath.Base(path); path != dir && (base == "derived" || base == "derived.tmp") {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size += info.Size()
		if info.ModTime().After(changed) {
			changed = info.ModTime()
		}
		return nil
	})
	if err != nil {
		return "", 0, changed, fmt.Errorf("hypotheses: look at run: %w", err)
	}
	return src.Sums, size, changed, nil
}

// errStale means that what is derived from a run must be derived anew.
var errStale = errors.New("derived files do not fit")

// readDerived reads what was derived from the run in dir, if this build derived
// it from the run as it is now.
func readDerived(dir, by string) (analysis.Verdict, figureFile, error) {
	var f figureFile
	var v analysis.Verdict
	path := filepath.Join(dir, "derived", "figure.json")
	info, err := os.Stat(path)
	if err != nil {
		return v, f, errStale
	}
	if err := errors.Join(readInto(path, &f), readInto(filepath.Join(dir, "derived", "verdict.json"), &v)); err != nil {
		return v, f, errStale
	}
	sums, size, changed, err := fingerprint(dir)
	fits := err == nil && f.Schema == figureSchema && f.JudgedBy == by && f.Sums == sums && f.Bytes == size && !changed.After(info.ModTime())
	if !fits || v.Validate() != nil {
		return v, f, errStale
	}
	return v, f, nil
}

func readInto(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("hypotheses: read derived: %w", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("hypotheses: read %s: %w", path, err)
	}
	return nil
}
