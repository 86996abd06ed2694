package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark"
)

// recorded copies a recorded run of the hypotheses' tests and returns it with
// the verdict that it has.
func recorded(t *testing.T, id string) (dir string, want analysis.Verdict) {
	t.Helper()
	root := filepath.Join("..", "..", "hypotheses", "testdata", "runs")
	runs, err := bundle.Runs(root, id)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	dir = filepath.Join(t.TempDir(), filepath.Base(runs[0]))
	require.NoError(t, os.CopyFS(dir, os.DirFS(runs[0])))
	b, err := os.ReadFile(filepath.Join(root, id+".verdict.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &want))
	return dir, want
}

// exits are the statuses that scripts may rely on.
var exits = map[analysis.Outcome]int{analysis.Supported: 0, analysis.Inconclusive: 3, analysis.Refuted: 4, analysis.Invalid: 4}

func TestJudge(t *testing.T) {
	dirs, worst := []string{}, 0
	for _, id := range []string{"H0", "H2"} {
		dir, want := recorded(t, id)
		got := command(t.Context(), "judge", dir)
		require.Equal(t, exits[want.Outcome], got.exit, got.err)
		require.Contains(t, got.out, string(want.Outcome))
		require.Contains(t, got.out, want.Title)
		require.Contains(t, got.out, dir)
		require.FileExists(t, filepath.Join(dir, "derived", "verdict.json"))
		require.FileExists(t, filepath.Join(dir, "derived", id+".svg"))
		dirs, worst = append(dirs, dir), max(worst, got.exit)
	}
	require.Equal(t, worst, command(t.Context(), append([]string{"judge"}, dirs...)...).exit, "the worst decides")
}

func TestExitStatuses(t *testing.T) {
	for outcome, want := range exits {
		err := exitOf([]analysis.Verdict{{Outcome: analysis.Supported}, {Outcome: outcome}, {Outcome: analysis.Supported}})
		if want == 0 {
			require.NoError(t, err)
			continue
		}
		var own exitError
		require.ErrorAs(t, err, &own)
		require.Equal(t, want, own.code, outcome)
	}
	require.NoError(t, exitOf(nil))
}

func TestJudgeRefuses(t *testing.T) {
	foreign := func() string { // a whole run of a hypothesis of some other build
		r, err := bundle.Create(t.TempDir(), "H9", time.Unix(0, 0))
		require.NoError(t, err)
		require.NoError(t, r.WriteJSON("plan.json", map[string]any{"hypothesis": "H9"}))
		require.NoError(t, r.WriteJSON("manifest.json", spark.Manifest{Schema: spark.ManifestSchema}))
		dir, err := r.Commit()
		require.NoError(t, err)
		return dir
	}
	partial := func() string {
		r, err := bundle.Create(t.TempDir(), "H0", time.Unix(0, 0))
		require.NoError(t, err)
		return r.Dir()
	}
	damaged := func() string {
		dir, _ := recorded(t, "H0")
		require.NoError(t, os.WriteFile(filepath.Join(dir, "plan.json"), []byte("{}"), 0o644))
		return dir
	}
	for _, c := range []struct{ why, dir, want string }{
		{"nothing there", filepath.Join(t.TempDir(), "none"), "no such file"},
		{"no run", t.TempDir(), bundle.SumsFile},
		{"a run that was killed", partial(), "never committed"},
		{"a run that changed since", damaged(), "plan.json changed"},
		{"a run of an unknown hypothesis", foreign(), "H9"},
	} {
		got := command(t.Context(), "judge", c.dir)
		require.Equal(t, 1, got.exit, c.why)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
	}
}
