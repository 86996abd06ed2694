package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExportParquet(t *testing.T) {
	runs, err := filepath.Glob("../../hypotheses/testdata/runs/H1/*")
	require.NoError(t, err)
	require.Len(t, runs, 1)
	dir := filepath.Join(t.TempDir(), "tables")
	args := []string{"export", "parquet", runs[0], "--out", dir}
	var out, errs bytes.Buffer
	require.Zero(t, execute(t.Context(), args, streams{&out, &errs}), errs.String())
	path := filepath.Join(dir, "H1-"+filepath.Base(runs[0])+".parquet")
	require.FileExists(t, path)
	require.Contains(t, out.String(), path)
	require.Contains(t, out.String(), "32 requests")

	require.Equal(t, 1, execute(t.Context(), args, streams{&out, &errs}), "a file that exists is left alone")
	require.Contains(t, errs.String(), "exists")
}
