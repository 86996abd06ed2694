package hypotheses

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

func TestCompareSaysWhatItLeavesOut(t *testing.T) {
	runs := filepath.Join("testdata", "runs")
	_, err := Compare(runs, t.TempDir(), Progress{})
	require.ErrorIs(t, err, analysis.ErrNotComparable)
	require.ErrorContains(t, err, "H0: only A has a run of it")

	_, err = Compare(runs, filepath.Join(t.TempDir(), "nowhere"), Progress{})
	require.ErrorIs(t, err, os.ErrNotExist)

	_, err = Compare(filepath.Dir(recorded(t, "H6")), runs, Progress{})
	require.ErrorIs(t, err, analysis.ErrNotComparable, "one run is not a results directory")

	h6 := recorded(t, "H6")
	_, err = Compare(h6, runs, Progress{})
	require.ErrorContains(t, err, "a copy of it", "a run is not held against itself")
}

func TestCompareRunsOfOneHypothesis(t *testing.T) {
	a, b := recorded(t, "H6"), recorded(t, "H6")
	editManifest(t, b, func(man map[string]any) { man["epoch_mono_ns"], man["control"] = 1, "adapters-pinned" })
	all, err := Compare(a, b, Progress{})
	require.NoError(t, err)
	require.Len(t, all.Each, 1)
	require.Contains(t, all.Each[0].String(), "control: none against adapters-pinned")
	require.Contains(t, all.Each[0].String(), "storm-n64")
}

// editManifest changes a run's manifest and its sum.
func editManifest(t *testing.T, dir string, edit func(map[string]any)) {
	t.Helper()
	path, sums := filepath.Join(dir, "manifest.json"), filepath.Join(dir, bundle.SumsFile)
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	var man map[string]any
	require.NoError(t, json.Unmarshal(old, &man))
	edit(man)
	changed, err := json.Marshal(man)
	require.NoError(t, err)
	all, err := os.ReadFile(sums)
	require.NoError(t, err)
	was, is := sha256.Sum256(old), sha256.Sum256(changed)
	all = bytes.Replace(all, []byte(hex.EncodeToString(was[:])), []byte(hex.EncodeToString(is[:])), 1)
	require.NoError(t, os.WriteFile(path, changed, 0o644))
	require.NoError(t, os.WriteFile(sums, all, 0o644))
}
