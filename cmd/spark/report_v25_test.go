package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestImportV25(t *testing.T) {
	dir := t.TempDir()
	id := filepath.Join(dir, "20251113_2246_H0_L8B_U8_r1")
	require.NoError(t, os.WriteFile(id+"_manifest.json", []byte(`{"hypothesis":"H0","concurrency_users":8,"run_duration_sec":300}`), 0o644))
	require.NoError(t, os.WriteFile(id+"_summary.json", []byte(`{"requests_total":500,"admission_pct":100,"latency_ms":{"p99":900},"ttft_ms":{"p99":90}}`), 0o644))
	require.NoError(t, os.WriteFile(id+"_mpstat.log", nil, 0o644))
	out := filepath.Join(t.TempDir(), "out")

	help := command(t.Context(), "import-v25", "--help")
	require.Zero(t, help.exit)
	require.Contains(t, help.out, "Examples:")
	require.Contains(t, help.out, "anything but INVALID")

	got := command(t.Context(), "import-v25", dir, "--out", out)
	require.Zero(t, got.exit, got.err)
	require.Contains(t, got.out, "1 runs of the earlier harness in 1 groups")
	require.Contains(t, got.out, "INVALID: EARLIER_HARNESS")
	require.Contains(t, got.err, "_mpstat.log", "a file that cannot be read is named")
	require.FileExists(t, filepath.Join(out, "H0-L8B", "figure.svg"))
	require.FileExists(t, filepath.Join(out, "report.md"))

	got = command(t.Context(), "import-v25", dir, "--out", out)
	require.Equal(t, 1, got.exit)
	require.Contains(t, got.err, "not empty")

	got = command(t.Context(), "import-v25", dir, "--out", out+"2", "--json")
	require.Zero(t, got.exit, got.err)
	var list struct {
		Groups []struct {
			Hypothesis string   `json:"hypothesis"`
			Reasons    []string `json:"reasons"`
		} `json:"groups"`
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &list))
	require.Equal(t, "H0", list.Groups[0].Hypothesis)
}
