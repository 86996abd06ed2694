//go:build sysstat

package sysmon

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCheckAgainstTheTools is the self-check for real:
//
//	SYSMON_CHECK=60s go test -tags sysstat -run TestCheckAgainstTheTools -v ./sysmon
//
// SYSMON_CHECK_DIR is where the load's file goes (default: the package's
// directory, which must be on a disk).
func TestCheckAgainstTheTools(t *testing.T) {
	d := 10 * time.Second
	if s := os.Getenv("SYSMON_CHECK"); s != "" {
		var err error
		d, err = time.ParseDuration(s)
		require.NoError(t, err)
	}
	dir := os.Getenv("SYSMON_CHECK_DIR")
	if dir == "" {
		dir = "."
	}
	dev, err := DeviceOf(dir, "", "")
	require.NoError(t, err)
	rep, err := Check(t.Context(), CheckConfig{
		Device: dev.Name, Duration: d,
		Load: &CheckLoad{Dir: dir, Readers: 16, Writers: 4, Busy: 1},
	})
	require.NoError(t, err)
	t.Log("\n" + rep.Text())
	require.NoError(t, rep.Err())
}

func TestCheckEndsEarlyAndLeavesNothing(t *testing.T) {
	dir := os.Getenv("SYSMON_CHECK_DIR")
	if dir == "" {
		dir = "."
	}
	dev, err := DeviceOf(dir, "", "")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	start := time.Now()
	_, err = Check(ctx, CheckConfig{Device: dev.Name, Load: &CheckLoad{Dir: dir, FileBytes: 16 << 20, Readers: 1, Busy: 1}})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 10*time.Second)
	left, err := filepath.Glob(filepath.Join(dir, "sysmon-check-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
