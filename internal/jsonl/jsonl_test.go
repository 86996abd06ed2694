package jsonl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type row struct {
	N int    `json:"n"`
	S string `json:"s"`
}

func collect(t *testing.T, path string) ([]row, error) {
	t.Helper()
	var got []row
	for v, err := range Read[row](path) {
		if err != nil {
			return got, err
		}
		got = append(got, v)
	}
	return got, nil
}

func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"a.jsonl", "a.jsonl.zst"} {
		path := filepath.Join(t.TempDir(), name)
		w, err := Create(path)
		require.NoError(t, err)
		var want []row
		for i := range 1000 {
			r := row{i, strings.Repeat("x\n\"", i%7)}
			want = append(want, r)
			require.NoError(t, w.Write(r))
		}
		require.NoError(t, w.Close())
		got, err := collect(t, path)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
		_, err = Create(path)
		require.ErrorIs(t, err, os.ErrExist, "results are never overwritten")
	}
}

func TestCutFileKeepsFlushedLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl.zst")
	w, err := Create(path)
	require.NoError(t, err)
	for i := range 10 {
		require.NoError(t, w.Write(row{N: i}))
	}
	require.NoError(t, w.Flush())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.jsonl.zst")
	require.NoError(t, os.WriteFile(cut, whole, 0o644)) // no end frame: the process died here
	got, err := collect(t, cut)
	require.Error(t, err, "a cut file must say so")
	require.Len(t, got, 10)
	require.NoError(t, w.Close())
}

func TestErrorsNameFileAndLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{\"n\":1}\n{oops\n"), 0o644))
	got, err := collect(t, path)
	require.ErrorContains(t, err, "bad.jsonl: jsonl: line 2")
	require.Len(t, got, 1)
	_, err = collect(t, filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzDecode(f *testing.F) {
	f.Add("{\"n\":1}\n")
	f.Add("\n\nnull\n[]")
	f.Fuzz(func(t *testing.T, s string) {
		for _, err := range Decode[row](strings.NewReader(s)) {
			_ = err
		}
	})
}
