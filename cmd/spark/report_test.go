package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReport(t *testing.T) {
	run, _ := recorded(t, "H0")
	results := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(results, "H0", filepath.Base(run)), os.DirFS(run)))
	out := filepath.Join(t.TempDir(), "out")
	for _, c := range []struct {
		args []string
		dir  string
	}{{nil, results}, {[]string{"--out", out}, out}} {
		got := command(t.Context(), append([]string{"report", results}, c.args...)...)
		require.Zero(t, got.exit, got.err)
		files := strings.Fields(got.out)
		require.Len(t, files, 3)
		for _, f := range files {
			require.FileExists(t, f)
			require.Equal(t, c.dir, filepath.Dir(f))
		}
		require.Contains(t, got.err, "1 runs, 0 more")
	}
	t.Setenv("SPARK_RESULTS", results)
	require.Zero(t, command(t.Context(), "report").exit, "as for spark run")
}

func TestReportOfTheEarlierHarness(t *testing.T) {
	dir := t.TempDir()
	id := filepath.Join(dir, "20251113_2246_H0_L8B_U8_r1")
	require.NoError(t, os.WriteFile(id+"_manifest.json", []byte(`{"hypothesis":"H0","concurrency_users":8,"run_duration_sec":300}`), 0o644))
	require.NoError(t, os.WriteFile(id+"_summary.json", []byte(`{"requests_total":500,"admission_pct":100,"latency_ms":{"p99":900},"ttft_ms":{"p99":90}}`), 0o644))
	got := command(t.Context(), "report", dir)
	require.Equal(t, 2, got.exit, got.err)
	require.Contains(t, got.err, "--out")
	out := filepath.Join(t.TempDir(), "converted")
	got = command(t.Context(), "report", dir, "--out", out)
	require.Zero(t, got.exit, got.err)
	require.Contains(t, got.out, filepath.Join(out, "report.md"))
	require.FileExists(t, filepath.Join(out, "report.md"))
}

func TestReportRefuses(t *testing.T) {
	for _, c := range []struct{ why, dir, want string }{
		{"nothing there", filepath.Join(t.TempDir(), "none"), "name a results directory"},
		{"no runs in it", t.TempDir(), "spark run leaves some"},
	} {
		got := command(t.Context(), "report", c.dir)
		require.Equal(t, 1, got.exit, c.why)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
	}
}
