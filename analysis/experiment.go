package analysis

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark"
)

// Conditions under which a bundle cannot be judged.
var (
	// ErrSchema means that a newer harness wrote the bundle.
	ErrSchema = errors.New("bundle schema is newer than this build reads (update the harness)")
	// ErrIncomplete means that the run was killed before it was committed.
	ErrIncomplete = errors.New("run was never committed (measure again; what it holds is readable, but not judged)")
)

// Head is the part of plan.json that judging needs.
type Head struct {
	Hypothesis string   `json:"hypothesis"`
	Seed       uint64   `json:"seed"`
	Notes      []string `json:"notes"`
	Profile    struct {
		Name        string  `json:"name"`
		Quantile    float64 `json:"quantile"`
		MinRequests int     `json:"min_requests"`
		Repeats     int     `json:"repeats"`
	} `json:"profile"`
	LoRA *LoRASetup        `json:"lora"` // nil without adapters
	Arms []json.RawMessage `json:"arms"`
}

// Experiment is one committed run bundle, read back: everything that a judge
// may look at.
type Experiment struct {
	Dir      string
	Plan     Head
	Manifest spark.Manifest
	Arms     []*Measured // in the order of measuring; none where it only rests on others
	// Sources are the runs that an analytical hypothesis judges, in the order in
	// which its bundle names them.
	Sources []*Experiment
}

// OpenExperiment verifies and reads the run in dir. Errors name the file; they
// wrap bundle.ErrCorrupt, ErrSchema or ErrIncomplete where one fits.
func OpenExperiment(dir string) (*Experiment, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("analysis: open run: %w", err)
	}
	if strings.HasSuffix(dir, bundle.PartialSuffix) {
		return nil, fmt.Errorf("analysis: open %s: %w", dir, ErrIncomplete)
	}
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("analysis: open run: %w", err)
	}
	if err := bundle.Verify(dir); err != nil {
		return nil, fmt.Errorf("analysis: open %s: %w", dir, err)
	}
	e := &Experiment{Dir: dir}
	if err := readJSON(filepath.Join(dir, "manifest.json"), &e.Manifest); err != nil {
		return nil, err
	}
	if e.Manifest.Schema > spark.ManifestSchema {
		return nil, fmt.Errorf("analysis: open %s: manifest schema %d: %w", dir, e.Manifest.Schema, ErrSchema)
	}
	if err := readJSON(filepath.Join(dir, "plan.json"), &e.Plan); err != nil {
		return nil, err
	}
	if p := e.Plan.Profile; p.Repeats < 0 || p.MinRequests < 0 || !(p.Quantile >= 0 && p.Quantile <= 1) {
		return nil, fmt.Errorf("analysis: open %s: plan.json: %d repeats, %d requests, quantile %v: %w", dir, p.Repeats, p.MinRequests, p.Quantile, bundle.ErrCorrupt)
	}
	if err := e.readArms(); err != nil {
		return nil, err
	}
	return e, e.readSources()
}

func (e *Experiment) readArms() error {
	entries, err := os.ReadDir(filepath.Join(e.Dir, "raw"))
	if errors.Is(err, fs.ErrNotExist) && len(e.Plan.Arms) > 0 {
		return fmt.Errorf("analysis: open %s: raw is missing: %w", e.Dir, bundle.ErrCorrupt)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("analysis: open run: %w", err)
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	if e.Arms, err = measureAll(filepath.Join(e.Dir, "raw"), names); err != nil {
		return err
	}
	if len(e.Arms) != len(e.Plan.Arms) {
		return fmt.Errorf("analysis: open %s: %d arms of %d planned: %w", e.Dir, len(e.Arms), len(e.Plan.Arms), bundle.ErrCorrupt)
	}
	slices.SortFunc(e.Arms, func(a, b *Measured) int { return strings.Compare(a.Name, b.Name) })
	verifyContention(e.Arms)
	return nil
}

// measureAll reads arms side by side, as many at a time as there are processors:
// each takes the memory of its own telemetry. The error is that of the first arm
// that has one.
func measureAll(raw string, names []string) ([]*Measured, error) {
	arms, errs := make([]*Measured, len(names)), make([]error, len(names))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, name := range names {
		g.Go(func() error {
			arms[i], errs[i] = measure(filepath.Join(raw, name))
			return nil
		})
	}
	_ = g.Wait() // errors are in errs, in the order of the arms
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return arms, nil
}

// Target is the server as verdicts and captions name it.
func (e *Experiment) Target() Target {
	return Target{Kind: e.Manifest.Target.Kind, URL: e.Manifest.Target.URL, Model: e.Manifest.Target.Model, Emulated: e.Manifest.Target.Emulated}
}

// Levels groups the arms by level, in ascending order of level; arms whose level
// is NaN are left out.
func Levels(arms []*Measured, level func(*Measured) float64) []Level {
	byLevel := map[float64]*Level{}
	for _, a := range arms {
		x := level(a)
		if math.IsNaN(x) {
			continue // no level: it belongs to none
		}
		if byLevel[x] == nil {
			byLevel[x] = &Level{X: x}
		}
		byLevel[x].Arms = append(byLevel[x].Arms, a)
	}
	var levels []Level
	for _, l := range byLevel {
		levels = append(levels, *l)
	}
	slices.SortFunc(levels, func(a, b Level) int {
		if a.X < b.X {
			return -1
		}
		return 1
	})
	return levels
}

// Level is the repeats of one level.
type Level struct {
	X    float64
	Arms []*Measured
}

// Median is the median over the level's repeats of a quantity, NaN where no
// repeat has it.
func (l Level) Median(of func(*Measured) float64) float64 {
	var v []float64
	for _, a := range l.Arms {
		if x := of(a); x == x {
			v = append(v, x)
		}
	}
	return Median(v)
}

func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("analysis: %s is missing: %w", path, bundle.ErrCorrupt)
	}
	if err != nil {
		return fmt.Errorf("analysis: read: %w", err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("analysis: read %s: %w: %w", path, bundle.ErrCorrupt, err)
	}
	return nil
}
