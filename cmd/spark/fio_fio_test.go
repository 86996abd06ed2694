//go:build fio

package main

import (
	"context"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/hypotheses"
)

// realPlace is a directory on a disk, for the fio that is installed.
func realPlace(t *testing.T) (dir string, flags []string) {
	t.Helper()
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skip("SKIPPED: fio is not installed (apt-get install fio)")
	}
	dir, _ = onDisk(t)
	return dir, []string{dir, "--size", "64MiB", "--reserve", "0"}
}

func TestRealLoad(t *testing.T) {
	dir, flags := realPlace(t)
	got := fio(t.Context(), "load", flags, "--depth", "2", "--rate", "100", "--block", "4KiB", "--duration", "3s")
	require.Zero(t, got.exit, got.err)
	t.Log(got.err + got.out)
	found := regexp.MustCompile(`: (\d+) reads/s`).FindStringSubmatch(got.out)
	require.NotNil(t, found, got.out)
	rate, err := strconv.Atoi(found[1])
	require.NoError(t, err)
	require.InDelta(t, 100, rate, 35, "300 arrivals by chance")
	require.Contains(t, got.out, "p99 ")
	require.Equal(t, []string{hypotheses.TargetName}, names(t, dir))
}

func TestRealProbeBesideLoad(t *testing.T) {
	dir, flags := realPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	loaded := make(chan transcript, 1)
	go func() { loaded <- fio(ctx, "load", flags, "--depth", "16", "--remove") }()
	got := fio(t.Context(), "probe", flags, "--duration", "3s", "--remove")
	cancel()
	load := <-loaded
	require.Zero(t, got.exit, got.err)
	require.Zero(t, load.exit, load.err)
	t.Log(got.out + load.out)
	require.Contains(t, got.out, "a read of 128KiB takes p50 ")
	require.Contains(t, load.out, "reads/s")
	require.Empty(t, names(t, dir))
}

// A whole calibration is fioctl's own test; here one is broken off while fio
// runs.
func TestRealCalibrationInterrupted(t *testing.T) {
	dir, flags := realPlace(t)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	got := fio(ctx, "calibrate", flags)
	t.Log(got.err)
	if got.exit == 1 {
		require.Contains(t, got.err, "device is busy")
		t.Skip("SKIPPED: the disk is not quiet: " + got.err)
	}
	require.Equal(t, 130, got.exit, got.err)
	require.Equal(t, []string{hypotheses.TargetName, hypotheses.ProbeTargetName}, names(t, dir), "no scratch, no fio")
}
