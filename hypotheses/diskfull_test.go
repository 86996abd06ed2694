package hypotheses

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/bundle"
)

// tinyFileSystem is a file system of 64 KiB, unmounted when the test ends.
func tinyFileSystem(t *testing.T) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: mounting a file system that can be filled needs root")
	}
	dir = filepath.Join(t.TempDir(), "tiny")
	require.NoError(t, os.Mkdir(dir, 0o755))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("SKIPPED: root may not mount here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return dir
}

// A results directory that fills up in the middle of a run ends it with the
// reason and the remedy, and leaves nothing running.
func TestFullResultsDirectory(t *testing.T) {
	for _, c := range []struct {
		why  string
		left int // bytes that are free when the run begins
	}{
		{"it fills up while arms are measured", 64 << 10},
		{"it is full from the start", 0},
	} {
		t.Run(c.why, func(t *testing.T) {
			cfg := toy(t)
			cfg.Results = tinyFileSystem(t)
			fill(t, filepath.Join(cfg.Results, "ballast"), 64<<10-c.left)
			_, _, err := Execute(t.Context(), cfg, H0(), time.Time{}, Progress{})
			t.Log(err)
			require.ErrorIs(t, err, unix.ENOSPC)
			require.ErrorIs(t, err, bundle.ErrDiskFull)
			require.ErrorContains(t, err, "SPARK_RESULTS")
			if _, err := os.Stat(filepath.Join(cfg.Dir, "spill")); err == nil {
				nothingLeft(t, cfg)
			}
		})
	}
}

func fill(t *testing.T, path string, n int) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, make([]byte, n), 0o644))
}
