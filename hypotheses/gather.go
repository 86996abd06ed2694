package hypotheses

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark"
)

// Archive is what analytical hypotheses find runs in, and measure them into
// where there are none.
type Archive struct {
	Config   Config
	Results  string // absolute
	Deadline time.Time
	Progress Progress
}

// Found is a committed run, as far as it must be read to choose it.
type Found struct {
	Dir      string
	Head     analysis.Head
	Manifest spark.Manifest
}

// Key is what runs must share to be put together.
func (f Found) Key() analysis.Key {
	return (&analysis.Experiment{Plan: f.Head, Manifest: f.Manifest}).Key()
}

// Gathered is what an analytical hypothesis rests on.
type Gathered struct {
	Runs  []Found  // of one key
	Notes []string // how they were chosen
	// Blocks is how many more the hypothesis has to measure itself; 0 for none.
	Blocks int
}

// Runs are the committed runs of the hypotheses ids that Config does not rule
// out, all of the key of the newest of them, oldest first. A run that cannot be
// read is passed over with a word: one damaged run must not hide the others.
func (a Archive) Runs(ids ...string) ([]Found, error) {
	var all []Found
	for _, id := range ids {
		dirs, err := bundle.Runs(a.Results, id)
		if err != nil {
			return nil, err
		}
		for _, dir := range dirs {
			f, err := findRun(dir)
			if err != nil {
				a.Progress.logf("%s is passed over: %v", dir, err)
				continue
			}
			if a.wants(f) {
				all = append(all, f)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y Found) int { return cmp.Compare(filepath.Base(x.Dir), filepath.Base(y.Dir)) })
	if len(all) == 0 {
		return nil, nil
	}
	newest := all[len(all)-1].Key()
	return slices.DeleteFunc(all, func(f Found) bool { return f.Key() != newest }), nil
}

// wants reports whether what the user asked for leaves f in question.
func (a Archive) wants(f Found) bool {
	c, t := a.Config, f.Manifest.Target
	url := c.BaselineURL
	if h, ok := ByID(f.Head.Hypothesis); ok && h.LoRA {
		url = c.LoRAURL
	}
	profile := c.Profile
	if c.profile != nil {
		profile = c.profile.Name
	}
	return (profile == "" || profile == f.Head.Profile.Name) &&
		(url == "" || url == t.URL) &&
		(c.Model == "" || c.Model == t.Model) &&
		f.Manifest.Control == c.control()
}

// Measure runs h in full, as a run of its own.
func (a Archive) Measure(ctx context.Context, h Hypothesis) error {
	_, dir, err := Execute(ctx, a.Config, h, a.Deadline, a.Progress)
	if err == nil {
		a.Progress.logf("%s measured for it: %s", h.ID, dir)
	}
	return err
}

// findRun reads the head of a committed run.
func findRun(dir string) (Found, error) {
	f := Found{Dir: dir}
	for name, v := range map[string]any{"plan.json": &f.Head, "manifest.json": &f.Manifest} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return f, fmt.Errorf("hypotheses: read run: %w", err)
		}
		if err := json.Unmarshal(b, v); err != nil {
			return f, fmt.Errorf("hypotheses: read %s: %w: %w", filepath.Join(dir, name), bundle.ErrCorrupt, err)
		}
	}
	return f, nil
}

// sources names the gathered runs as the bundle keeps them.
func (g Gathered) sources() ([]analysis.Source, error) {
	var list []analysis.Source
	for _, f := range g.Runs {
		s, err := analysis.NewSource(f.Dir)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// note says on which runs the verdict rests.
func (g Gathered) note() string {
	var names []string
	for _, f := range g.Runs {
		names = append(names, filepath.Base(filepath.Dir(f.Dir))+"/"+filepath.Base(f.Dir))
	}
	return "rests on " + strings.Join(names, ", ")
}

// rest commits a bundle that measured nothing itself and rests on other runs.
func rest(c Config, h Hypothesis, g Gathered, results string) (dir string, err error) {
	if len(g.Runs) == 0 {
		return "", fmt.Errorf("hypotheses: %s rests on runs of others and there are none", h.ID)
	}
	run, err := bundle.Create(results, h.ID, time.Now())
	if err != nil {
		return "", err
	}
	newest := g.Runs[len(g.Runs)-1]
	man := newest.Manifest
	man.Started, man.Build = time.Now(), spark.ReadBuild()
	plan := Design{Hypothesis: h.ID, Seed: c.Seed, Notes: append(slices.Clone(g.Notes), g.note()), Arms: []Arm{}}
	if plan.Profile, err = profileOf(c, newest); err != nil {
		return "", errors.Join(err, run.Interrupt(err.Error(), time.Now()))
	}
	list, err := g.sources()
	if err = errors.Join(err, run.WriteJSON("plan.json", plan), run.WriteJSON("manifest.json", man), run.WriteJSON(analysis.SourcesFile, list)); err != nil {
		return "", errors.Join(err, run.Interrupt(err.Error(), time.Now()))
	}
	return run.Commit()
}

// profileOf is the profile that a run was measured under: its own where it is
// one of the plan's, else what Config says.
func profileOf(c Config, f Found) (Profile, error) {
	if c.profile != nil {
		return *c.profile, nil
	}
	return ProfileByName(f.Head.Profile.Name)
}
