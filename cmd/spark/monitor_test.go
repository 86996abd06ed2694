package main

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/sysmon"
)

// onDisk is a directory on a disk that can be watched.
func onDisk(t *testing.T) (dir, device string) {
	t.Helper()
	dir = t.TempDir()
	d, err := sysmon.DeviceOf(dir, "", "")
	if err != nil {
		t.Skipf("SKIPPED: the temporary directory is not on a disk: %v (set TMPDIR to one that is)", err)
	}
	return dir, d.Name
}

func TestMonitor(t *testing.T) {
	dir, device := onDisk(t)
	path := filepath.Join(dir, "telemetry.csv.zst")
	args := []string{"monitor", "--path", dir, "--interval", "20ms", "--duration", "300ms", path}
	got := command(t.Context(), args...)
	require.Zero(t, got.exit, got.err)
	require.Contains(t, got.err, "recording "+device)

	table, err := sysmon.ReadTable(path)
	require.NoError(t, err)
	require.False(t, table.Truncated)
	require.Equal(t, device, table.Meta.Device)
	require.Greater(t, len(table.T), 5, "about 15 ticks, fewer on a busy machine")
	_, ok := table.Column("rd_MBps")
	require.True(t, ok)

	got = command(t.Context(), args...)
	require.Equal(t, 1, got.exit, "records are never overwritten")
	require.Contains(t, got.err, "exists")
}

func TestMonitorRefuses(t *testing.T) {
	out := filepath.Join(t.TempDir(), "t.csv")
	for _, c := range []struct {
		why  string
		args []string
		want string
	}{
		{"a disk that is not there", []string{"--device", "nosuchdisk", out}, "nosuchdisk"},
		{"a directory that is on no disk", []string{"--path", "/proc", out}, "/proc"},
		{"a pace that no sampler keeps", []string{"--interval", "1us", "--device", "nosuchdisk", out}, "interval"},
	} {
		got := command(t.Context(), append([]string{"monitor"}, c.args...)...)
		require.Equal(t, 1, got.exit, c.why)
		require.Contains(t, got.err, c.want, c.why)
		require.NoFileExists(t, out, c.why)
	}
}
