package hypotheses

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// asProfile makes a copied run one of another profile, as far as choosing goes.
func asProfile(t *testing.T, dir, profile string) {
	t.Helper()
	path := filepath.Join(dir, "plan.json")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(b), `"name": "smoke"`, `"name": "`+profile+`"`, 1)), 0o644))
}

// verdictOf gives a copied run a verdict of its own.
func verdictOf(t *testing.T, dir string, o analysis.Outcome) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "derived"), 0o755))
	require.NoError(t, bundle.WriteJSON(filepath.Join(dir, "derived", "verdict.json"), analysis.Verdict{Hypothesis: "H2", Outcome: o}))
}

func TestGatherH3(t *testing.T) {
	results := t.TempDir()
	a := Archive{Config: Config{Results: results, Seed: 1}, Results: results}
	g, err := gatherH3(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, Gathered{Blocks: 8}, g, "nothing there: all are to be measured")

	dir := copyRun(t, "H2", results)
	g, err = gatherH3(t.Context(), a)
	require.NoError(t, err)
	require.Len(t, g.Runs, 1)
	require.Zero(t, g.Blocks, "smoke takes what there is")

	asProfile(t, dir, "quick")
	g, err = gatherH3(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, 6, g.Blocks, "8 less the 2 of the run")

	for _, stamp := range []string{"20261124T000001Z-aaaaaa", "20261124T000002Z-bbbbbb", "20261124T000003Z-cccccc", "20261124T000004Z-dddddd"} {
		require.NoError(t, os.CopyFS(filepath.Join(results, "H2", stamp), os.DirFS(dir)))
	}
	g, err = gatherH3(t.Context(), a)
	require.NoError(t, err)
	require.Zero(t, g.Blocks)
	require.Len(t, g.Runs, 4, "the newest that make 8")
	require.True(t, slices.IsSortedFunc(g.Runs, func(x, y Found) int { return strings.Compare(x.Dir, y.Dir) }))
	require.NotContains(t, g.Runs[0].Dir, filepath.Base(dir), "the oldest is not needed")

	verdictOf(t, g.Runs[3].Dir, analysis.Invalid)
	verdictOf(t, g.Runs[2].Dir, analysis.Inconclusive)
	g, err = gatherH3(t.Context(), a)
	require.NoError(t, err)
	require.Len(t, g.Runs, 4)
	require.Equal(t, dir, g.Runs[0].Dir, "one is INVALID: an older one takes its place")

	s, first, err := sweepOf(g.Runs)
	require.NoError(t, err)
	require.Equal(t, []int{256, 512, 1024, 2048, 4096}, s.contexts)
	require.Equal(t, 2, first, "blocks 0 and 1 are taken: theirs are other prompts")
	require.Positive(t, s.users)
	require.Positive(t, s.pilot.Alone.CycleMean, "the pace is the found run's")

	require.NoError(t, os.WriteFile(filepath.Join(g.Runs[0].Dir, "plan.json"), []byte(`{"arms":[]}`), 0o644))
	_, _, err = sweepOf(g.Runs[:1])
	require.ErrorIs(t, err, bundle.ErrCorrupt)
}

func TestGatherH8(t *testing.T) {
	results := t.TempDir()
	a := Archive{Config: Config{Results: results, Seed: 1}, Results: results}
	h4 := copyRun(t, "H4", results)
	g, err := gatherH8(t.Context(), a)
	require.NoError(t, err)
	require.Len(t, g.Runs, 1, "H4 alone will do")
	require.Zero(t, g.Blocks)

	h2 := copyRun(t, "H2", results)
	newer := filepath.Join(results, "H2", "20261124T000001Z-aaaaaa")
	require.NoError(t, os.CopyFS(newer, os.DirFS(h2)))
	g, err = gatherH8(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, []string{h4, newer}, []string{g.Runs[0].Dir, g.Runs[1].Dir}, "the newest of each")

	verdictOf(t, newer, analysis.Invalid)
	g, err = gatherH8(t.Context(), a)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{h4, h2}, []string{g.Runs[0].Dir, g.Runs[1].Dir})
}

// What H3 measures from nothing in quick must fit a hypothesis' time: fewer
// contexts than H2's, and still enough on either side of a knee.
func TestH3MeasuresFewerContextsFromNothing(t *testing.T) {
	quick, err := ProfileByName("quick")
	require.NoError(t, err)
	require.Equal(t, []int{256, 768, 1024, 1280, 1536, 2048}, h3Thin(quick, 1<<20))
	for _, name := range []string{"smoke", "full"} {
		p, err := ProfileByName(name)
		require.NoError(t, err)
		require.Equal(t, h2Contexts(p, 1<<20), h3Thin(p, 1<<20), name)
	}
}
