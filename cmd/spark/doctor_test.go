package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/preflight"
)

func TestDoctor(t *testing.T) {
	t.Setenv("SPARK_FIO", "/nowhere/fio")
	t.Setenv("SPARK_BASELINE_URL", "http://127.0.0.1:1")
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	got := command(t.Context(), "doctor", "--dir", dir, "--results", dir, "--json")
	require.Equal(t, 1, got.exit, "the server that was named is not there")
	require.Contains(t, got.err, "FAIL")
	var found []preflight.Finding
	require.NoError(t, json.Unmarshal([]byte(got.out), &found))
	require.Len(t, found, len(preflight.Checks()))
	by := map[string]preflight.Finding{}
	for _, f := range found {
		by[f.Check] = f
	}
	require.Equal(t, preflight.Fail, by["server"].Status)
	require.Equal(t, preflight.Warn, by["fio"].Status)
	require.Contains(t, by["fio"].Evidence, "/nowhere/fio")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, 130, command(ctx, "doctor").exit)
	t.Setenv("SPARK_PROFIEL", "x")
	require.Equal(t, 2, command(t.Context(), "doctor").exit, "bad settings are told first")
}

func TestFindingText(t *testing.T) {
	got := findingText(preflight.Finding{Check: "disk", Status: preflight.Warn, Evidence: "is " + strings.Repeat("very ", 20) + "slow\nand \x1b[2Jold", Remedy: "buy another"})
	require.Equal(t, `WARN  disk                is very very very very very very very very very very
                          very very very very very very very very very very
                          slow; and ?[2Jold
                          → buy another
`, got)
	for line := range strings.Lines(got) {
		require.LessOrEqual(t, utf8.RuneCountInString(line), 81)
	}
	require.Equal(t, 1, strings.Count(findingText(preflight.Finding{Check: "fio", Status: preflight.Pass, Evidence: "yes"}), "\n"))
}
