package hypotheses

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/spark-harness/harness/analysis"
)

// sound leaves out the runs that their own verdict calls INVALID: what must not
// be used for one hypothesis must not be used for another. A run without a
// verdict stays; the gates of whoever rests on it will tell.
func (a Archive) sound(runs []Found) []Found {
	var out []Found
	for _, f := range runs {
		var v analysis.Verdict
		b, err := os.ReadFile(filepath.Join(f.Dir, "derived", "verdict.json"))
		if err == nil && json.Unmarshal(b, &v) == nil && v.Outcome == analysis.Invalid {
			a.Progress.logf("%s is passed over: its own verdict is INVALID", f.name())
			continue
		}
		out = append(out, f)
	}
	return out
}

// name is the run as bundles and notes name it: "H2/20261123T101502Z-3f9c1a".
func (f Found) name() string {
	return filepath.Base(filepath.Dir(f.Dir)) + "/" + filepath.Base(f.Dir)
}

// repeats is how many blocks the run has.
func (f Found) repeats() int {
	seen := map[int]bool{}
	for _, raw := range f.Head.Arms {
		var arm struct{ Block int }
		if json.Unmarshal(raw, &arm) == nil {
			seen[arm.Block] = true
		}
	}
	return len(seen)
}

// pooled is what a judge of several runs holds against the gates and names in a
// caption: the arms of all of them, and how many blocks they are in.
func pooled(e *analysis.Experiment, blocks int) *analysis.Experiment {
	all := *e
	all.Arms = nil
	for _, run := range e.Runs() {
		all.Arms = append(all.Arms, run.Arms...)
	}
	all.Plan.Profile.Repeats = blocks
	return &all
}
