package hypotheses

import (
	"fmt"
	"os"
	"path/filepath"
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
// against that in another. A run directory may be given in the place of either.
// It needs no machine and writes nothing.
func Compare(a, b string, p Progress) (Comparisons, error) {
	var out Comparisons
	for _, dir := range []string{a, b} {
		if _, err := os.Stat(dir); err != nil {
			return out, fmt.Errorf("hypotheses: compare: %w (name a results directory)", err)
		}
	}
	for _, h := range All() {
		runA, err := newest(a, h.ID)
		if err != nil {
			return out, err
		}
		runB, err := newest(b, h.ID)
		if err != nil {
			return out, err
		}
		switch {
		case runA == "" && runB == "":
			continue
		case runA == "" || runB == "":
			only := "A"
			if runA == "" {
				only = "B"
			}
			out.Left = append(out.Left, fmt.Sprintf("%s: only %s has a run of it", h.ID, only))
			continue
		}
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

// newest is the newest committed run of a hypothesis under dir, or dir itself
// where it is one; "" for none.
func newest(dir, id string) (string, error) {
	if f, err := findRun(dir); err == nil {
		if f.Head.Hypothesis != id {
			return "", nil
		}
		return filepath.Abs(dir)
	}
	runs, err := bundle.Runs(dir, id)
	if err != nil || len(runs) == 0 {
		return "", err
	}
	return filepath.Abs(runs[len(runs)-1])
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
