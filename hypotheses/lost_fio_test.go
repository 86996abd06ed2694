//go:build fio

package hypotheses

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark/emulator"
)

// killFio kills the fio of this process once it has run for a while.
func killFio(path string, after time.Duration, killed chan<- bool) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, k := range kids(os.Getpid()) {
			// A fio that answers a question has no job file of this name.
			if !k.is(path) || !slices.ContainsFunc(k.command, func(s string) bool { return strings.HasPrefix(s, "--status-interval") }) {
				continue
			}
			time.Sleep(after)
			killed <- k.lives() && syscall.Kill(k.pid, syscall.SIGKILL) == nil
			return
		}
	}
	killed <- false
}

func TestRealFioKilledInAWindowVoidsTheRun(t *testing.T) {
	c := realToy(t)
	c.profile.Window = 1600 * time.Millisecond
	path, killed := fioPath(t), make(chan bool, 1)
	p := Progress{Live: func(line string) {
		if strings.Contains(line, "paging-HEAVY") {
			go killFio(path, 900*time.Millisecond, killed)
		}
	}}
	j, dir := measured(t, c, p)
	require.True(t, <-killed)
	require.Equal(t, analysis.Invalid, j.Verdict.Outcome)
	require.Contains(t, j.Verdict.Reasons, "CONTENTION_LOST")

	hit := armNamed(t, dir, "paging-HEAVY-r0")
	require.Contains(t, hit.Contention.Run.Fault, fioctl.ErrKilled.Error())
	w := hit.Summary.Window
	require.Greater(t, hit.Contention.Run.Ended, w.Start)
	require.Less(t, hit.Contention.Run.Ended, w.End, "it was killed inside the window")
	require.Contains(t, failed(hit), fioctl.CheckFaults)
	require.Contains(t, failed(hit), fioctl.CheckCover)
	other := armNamed(t, dir, "paging-MODERATE-r0")
	require.Empty(t, other.Contention.Run.Fault, "the other arms kept theirs")
	require.NotContains(t, failed(other), fioctl.CheckCover)
	require.FileExists(t, filepath.Join(dir, "raw", hit.Name, "fio-output.json.zst"), "what it said until then")
}

func TestRealFioOffTheDiskIsAPlantedNull(t *testing.T) {
	c := realToy(t)
	c.FioDir = memoryDir(t)
	_, _, err := Execute(t.Context(), c, H4(), time.Time{}, Progress{})
	require.ErrorIs(t, err, fioctl.ErrTmpfs)
	require.ErrorContains(t, err, "SPARK_FIO_DIR="+c.FioDir)
	require.ErrorContains(t, err, diskOf(t, c.Dir), "the watched disk is named")
	requireEmptyDir(t, c.FioDir)
	dir, reason := partial(t, c, "H4")
	require.Contains(t, reason, "SPARK_FIO_DIR")
	nothingOfFioLeft(t, c, dir)

	c.Force = true
	j, dir := measured(t, c, Progress{})
	requireEmptyDir(t, c.FioDir)
	require.NotEqual(t, analysis.Supported, j.Verdict.Outcome)
	require.Contains(t, j.Verdict.Reasons, "CONTENTION_LOST")
	heavy := armNamed(t, dir, "paging-HEAVY-r0")
	require.Empty(t, heavy.Contention.Run.Fault, "fio itself is content")
	require.True(t, heavy.Storage.OffDevice)
	require.Contains(t, failed(heavy), fioctl.CheckBalance, "the disk did not read what fio read")
}

func TestWithoutAFioThatWillDoH4IsLacking(t *testing.T) {
	ancient := filepath.Join(t.TempDir(), "fio")
	require.NoError(t, os.WriteFile(ancient, []byte("#!/bin/sh\necho fio-3.16\n"), 0o755))
	link := filepath.Join(t.TempDir(), "old")
	require.NoError(t, os.Symlink(ancient, link))
	for _, row := range []struct {
		why, fio string
		path     string // PATH, "" as it is
		want     error
	}{
		{"a path that does not exist", "/nonexistent/fio", "", fioctl.ErrNoFio},
		{"nothing of the name in PATH", "", t.TempDir(), fioctl.ErrNoFio},
		{"it is too old", ancient, "", fioctl.ErrOldFio},
		{"a link to one that is too old", link, "", fioctl.ErrOldFio},
	} {
		t.Run(row.why, func(t *testing.T) {
			if row.path != "" {
				t.Setenv("PATH", row.path)
			}
			c := toy(t)
			c.Fio = row.fio
			_, _, err := Execute(t.Context(), c, H4(), time.Time{}, Progress{})
			require.ErrorIs(t, err, ErrLacking)
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, "apt-get install fio")
			require.NoDirExists(t, c.Results, "nothing was touched")
			requireEmptyDir(t, c.Dir)
		})
	}
}

func TestRealServerThatDoesNotPage(t *testing.T) {
	c := realToy(t)
	c.Emulator = "no-paging"
	engine := c.engine
	c.engine = func(e *emulator.Config) {
		pool := e.PoolTokens
		engine(e)
		e.PoolTokens, e.SpillBytes = pool, 0 // as the control has them
	}
	j, dir := measured(t, c, Progress{})
	require.NotEqual(t, analysis.Supported, j.Verdict.Outcome)
	require.Contains(t, j.Verdict.Reasons, "NOT_PAGING")
	require.NoError(t, bundle.Verify(dir))
}
