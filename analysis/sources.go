package analysis

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spark-harness/harness/internal/bundle"
)

// SourcesFile stands in the bundle of an analytical hypothesis and names the
// runs that it judges.
const SourcesFile = "sources.json"

// Conditions under which an analytical run cannot be judged.
var (
	// ErrSource means that a run which the verdict rests on is not where it was,
	// or not what it was.
	ErrSource = errors.New("a run that the verdict rests on is missing or changed (keep the results directory together)")
	// ErrMixed means that runs of different machines, servers or models were put
	// together. Their numbers are never averaged.
	ErrMixed = errors.New("runs of different machines, servers or models")
)

// Source is one run that an analytical hypothesis judges.
type Source struct {
	Hypothesis string `json:"hypothesis"` // "H2"
	Run        string `json:"run"`        // beneath the results directory: "H2/20261123T101502Z-3f9c1a"
	Sums       string `json:"sums_sha256"`
}

// NewSource names the committed run in dir.
func NewSource(dir string) (Source, error) {
	sums, err := sumsOf(dir)
	if err != nil {
		return Source{}, err
	}
	id := filepath.Base(filepath.Dir(dir))
	return Source{Hypothesis: id, Run: id + "/" + filepath.Base(dir), Sums: sums}, nil
}

func sumsOf(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, bundle.SumsFile))
	if err != nil {
		return "", fmt.Errorf("analysis: %w: %w", ErrSource, err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// readSources opens the runs that e rests on; a run without any has none.
func (e *Experiment) readSources() error {
	path := filepath.Join(e.Dir, SourcesFile)
	var list []Source
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := readJSON(path, &list); err != nil {
		return err
	}
	results := filepath.Dir(filepath.Dir(e.Dir))
	for _, s := range list {
		if !filepath.IsLocal(s.Run) || strings.Count(s.Run, "/") != 1 {
			return fmt.Errorf("analysis: %s: run %q lies outside the results directory: %w", path, s.Run, bundle.ErrCorrupt)
		}
		dir := filepath.Join(results, filepath.FromSlash(s.Run))
		sums, err := sumsOf(dir)
		if err != nil {
			return fmt.Errorf("analysis: open %s: %w", e.Dir, err)
		}
		if sums != s.Sums {
			return fmt.Errorf("analysis: open %s: %s: %w", e.Dir, s.Run, ErrSource)
		}
		source, err := OpenExperiment(dir)
		if err != nil {
			return err
		}
		if source.Key() != e.Key() {
			return fmt.Errorf("analysis: open %s: it is of %v and %s of %v: %w", e.Dir, e.Key(), s.Run, source.Key(), ErrMixed)
		}
		e.Sources = append(e.Sources, source)
	}
	return nil
}

// Key is what runs must share to be put together.
type Key struct {
	Platform string `json:"platform"`
	Server   string `json:"server"` // "emulator" or "attached"
	Model    string `json:"model"`
	Control  string `json:"control"`
	Profile  string `json:"profile"`
}

// Key names what e was measured on.
func (e *Experiment) Key() Key {
	return Key{
		Platform: e.Manifest.Platform(), Server: e.Manifest.Target.Kind, Model: e.Manifest.Target.Model,
		Control: e.Manifest.Control, Profile: e.Plan.Profile.Name,
	}
}

// Runs are the experiments that a judge looks at: e itself where it has arms of
// its own, after those that it rests on.
func (e *Experiment) Runs() []*Experiment {
	all := e.Sources
	if len(e.Arms) > 0 {
		all = append(all[:len(all):len(all)], e)
	}
	return all
}
