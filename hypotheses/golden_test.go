package hypotheses

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// recorded copies the recorded run of a hypothesis with those that it rests on,
// so that it can be judged.
func recorded(t *testing.T, id string) (dir string) {
	t.Helper()
	results := t.TempDir()
	dir = copyRun(t, id, results)
	var sources []analysis.Source
	b, err := os.ReadFile(filepath.Join(dir, analysis.SourcesFile))
	if err == nil {
		require.NoError(t, json.Unmarshal(b, &sources))
	}
	for _, s := range sources {
		copyRun(t, s.Hypothesis, results)
	}
	return dir
}

// copyRun copies the one recorded run of a hypothesis into a results directory.
func copyRun(t *testing.T, id, results string) (dir string) {
	t.Helper()
	runs, err := bundle.Runs(filepath.Join("testdata", "runs"), id)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	dir = filepath.Join(results, id, filepath.Base(runs[0]))
	require.NoError(t, os.MkdirAll(filepath.Dir(dir), 0o755))
	require.NoError(t, os.CopyFS(dir, os.DirFS(runs[0])))
	return dir
}

// Real runs, recorded once (testdata/runs/README.md), keep their verdicts. A
// change of the rules that changes a verdict shows here, and must be meant:
// UPDATE_VERDICTS=1 rewrites the files, and the diff is what is reviewed.
func TestRecordedRunsKeepTheirVerdicts(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	for _, h := range All() {
		t.Run(h.ID, func(t *testing.T) {
			dir := recorded(t, h.ID)
			require.NoError(t, bundle.Verify(dir), "the fixture itself is whole")
			j, err := Rejudge(h, dir)
			require.NoError(t, err)
			require.NoError(t, j.Verdict.Validate())

			golden := filepath.Join("testdata", "runs", h.ID+".verdict.json")
			if os.Getenv("UPDATE_VERDICTS") != "" {
				require.NoError(t, bundle.WriteJSON(golden, j.Verdict))
			}
			want, written := readVerdict(t, golden), readVerdict(t, filepath.Join(dir, "derived", "verdict.json"))
			requireSameVerdict(t, want, j.Verdict)
			requireSameVerdict(t, want, written)
		})
	}
}

func TestDerivedFilesAreRebuiltAtWill(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	for _, h := range All() {
		t.Run(h.ID, func(t *testing.T) {
			dir := recorded(t, h.ID)
			names := []string{h.ID + ".csv", h.ID + ".png", h.ID + ".svg", "bench.txt", "figure.json", "summary.json", "verdict.json"}
			derived := filepath.Join(dir, "derived")
			first := map[string][]byte{}
			for round := range 2 {
				_, err := Rejudge(h, dir)
				require.NoError(t, err)
				var found []string
				entries, err := os.ReadDir(derived)
				require.NoError(t, err)
				for _, e := range entries {
					found = append(found, e.Name())
				}
				require.Equal(t, names, slices.Sorted(slices.Values(found)))
				for _, name := range names {
					b, err := os.ReadFile(filepath.Join(derived, name))
					require.NoError(t, err)
					require.NotEmpty(t, b, name)
					if round == 0 {
						first[name] = b
					} else {
						require.Equal(t, first[name], b, "%s: the same run gives the same bytes", name)
					}
				}
				// What somebody left there does not survive the next judgement.
				require.NoError(t, os.WriteFile(filepath.Join(derived, "stale.txt"), []byte("old"), 0o644))
				require.NoError(t, os.MkdirAll(filepath.Join(dir, "derived.tmp", "half"), 0o755))
			}
			require.NoError(t, bundle.Verify(dir), "judging leaves what was measured alone")
		})
	}
}

func TestRejudgeRefuses(t *testing.T) {
	dir := recorded(t, "H0")
	_, err := Rejudge(H2(), dir)
	require.ErrorContains(t, err, "the run is of H0")
	require.NoDirExists(t, filepath.Join(dir, "derived"), "nothing is written for a run of another hypothesis")

	require.NoError(t, os.Remove(filepath.Join(dir, "plan.json")))
	_, err = Rejudge(H0(), dir)
	require.ErrorIs(t, err, bundle.ErrCorrupt)
	require.NoDirExists(t, filepath.Join(dir, "derived"))
}

func readVerdict(t *testing.T, path string) analysis.Verdict {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var v analysis.Verdict
	require.NoError(t, json.Unmarshal(b, &v))
	return v
}

// requireSameVerdict compares all but the last digits of the numbers, which
// another architecture may round otherwise.
func requireSameVerdict(t *testing.T, want, got analysis.Verdict) {
	t.Helper()
	require.Equal(t, want.Outcome, got.Outcome, got.String())
	require.ElementsMatch(t, want.Reasons, got.Reasons)
	require.Len(t, got.Claims, len(want.Claims))
	for i, w := range want.Claims {
		g := got.Claims[i]
		for name, pair := range map[string][2]*float64{"value": {w.Value, g.Value}, "lo": {w.Lo, g.Lo}, "hi": {w.Hi, g.Hi}, "limit": {w.Limit, g.Limit}} {
			require.Equal(t, pair[0] == nil, pair[1] == nil, "%s: %s", w.Text, name)
			if pair[0] != nil {
				require.InDelta(t, *pair[0], *pair[1], 1e-6*math.Max(1, math.Abs(*pair[0])), "%s: %s", w.Text, name)
			}
		}
		w.Value, w.Lo, w.Hi, w.Limit = g.Value, g.Lo, g.Hi, g.Limit
		require.Equal(t, w, g)
	}
	require.Equal(t, want.P == nil, got.P == nil)
	if want.P != nil {
		require.InDelta(t, *want.P, *got.P, 2./4001, "a sampled arrangement may fall on the other side")
	}
	want.Claims, got.Claims, want.Reasons, got.Reasons, want.P, got.P = nil, nil, nil, nil, nil, nil
	require.Equal(t, want, got)
}
