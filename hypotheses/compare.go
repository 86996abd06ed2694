package hypotheses

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// Comparisons is two results directories held against each other.
type Comparisons struct {
	Each []analysis.Comparison `json:"compared"`
	// Left tells which hypotheses were not compared, and why.
	Left []string `json:"left"`
}

// Compare holds the newest run of every hypothesis in one results directory
// against the newest in another that has its profile and model. A run directory may be given in the place of either.
// It needs no machine and writes nothing.
func Compare(a, b string, p Progress) (Comparisons, error) {
	var out Comparisons
	for _, dir := range []string{a, b} {
		if _, err := os.Stat(dir); err != nil {
			return out, fmt.Errorf("hypotheses: compare: %w (name a results directory)", err)
		}
	}
	for _, h := range All() {
		runsA, err := candidates(a, h.ID)
		if err != nil {
			return out, err
		}
		runsB, err := candidates(b, h.ID)
		if err != nil {
			return out, err
		}
		switch {
		case len(runsA) == 0 && len(runsB) == 0:
			continue
		case len(runsA) == 0 || len(runsB) == 0:
			only := "A"
			if len(runsA) == 0 {
				only = "B"
			}
			out.Left = append(out.Left, fmt.Sprintf("%s: only %s has a run of it", h.ID, only))
			continue
		}
		runA, runB := alike(runsA, runsB)
		p.livef("%s  comparing", h.ID)
		c, err := compareRuns(h, runA, runB)
		if err != nil {
			out.Left = append(out.Left, fmt.Sprintf("%s: %v", h.ID, err))
			continue
		}
		out.Each = append(out.Each, c)
	}
	p.livef("")
	if len(out.Each) == 0 {
		err := fmt.Errorf("hypotheses: compare %s and %s: %w: no hypothesis was measured alike in both", a, b, analysis.ErrNotComparable)
		if len(out.Left) > 0 {
			err = fmt.Errorf("%w (%s)", err, strings.Join(out.Left, "; "))
		}
		return out, err
	}
	return out, nil
}

// candidates are the readable committed runs of a hypothesis under dir, newest
// first, or dir itself where it is one.
func candidates(dir, id string) ([]Found, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("hypotheses: compare: %w", err)
	}
	if f, err := findRun(dir); err == nil {
		if f.Head.Hypothesis != id {
			return nil, nil
		}
		return []Found{f}, nil
	}
	dirs, err := bundle.Runs(dir, id)
	var all []Found
	for _, d := range slices.Backward(dirs) {
		if f, err := findRun(d); err == nil {
			all = append(all, f)
		}
	}
	return all, err
}

// alike are the newest runs of both sides that share profile and model, else
// the newest of each, for the comparison to say what keeps them apart.
func alike(a, b []Found) (runA, runB string) {
	for _, x := range a {
		for _, y := range b {
			kx, ky := x.Key(), y.Key()
			if kx.Profile == ky.Profile && kx.Model == ky.Model {
				return x.Dir, y.Dir
			}
		}
	}
	return a[0].Dir, b[0].Dir
}

func compareRuns(h Hypothesis, a, b string) (analysis.Comparison, error) {
	ea, err := analysis.OpenExperiment(a)
	if err != nil {
		return analysis.Comparison{}, err
	}
	eb, err := analysis.OpenExperiment(b)
	if err != nil {
		return analysis.Comparison{}, err
	}
	return analysis.Compare(ea, eb, h.Judge(ea).Verdict, h.Judge(eb).Verdict)
}
