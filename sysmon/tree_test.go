package sysmon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// plant writes a tree of testdata to a temporary directory and returns its
// proc and sys roots.
func plant(tb testing.TB, name string) (proc, sys string) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(tb, err)
	root := tb.TempDir()
	path, body := "", []string{}
	flush := func() {
		if path != "" {
			require.NoError(tb, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(tb, os.WriteFile(path, []byte(strings.Join(body, "\n")+"\n"), 0o644))
		}
		path, body = "", nil
	}
	for l := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
		head, ok := strings.CutPrefix(l, "-- ")
		if !ok {
			body = append(body, l)
			continue
		}
		flush()
		head = strings.TrimSuffix(head, " --")
		if from, to, link := strings.Cut(head, " -> "); link {
			from = filepath.Join(root, from)
			require.NoError(tb, os.MkdirAll(filepath.Dir(from), 0o755))
			require.NoError(tb, os.Symlink(to, from))
			continue
		}
		path = filepath.Join(root, head)
	}
	flush()
	return filepath.Join(root, "proc"), filepath.Join(root, "sys")
}

// put overwrites a planted file in place, as the kernel changes what an open
// file holds.
func put(tb testing.TB, content string, elem ...string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(filepath.Join(elem...), []byte(content), 0o644))
}
