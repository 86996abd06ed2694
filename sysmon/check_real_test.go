//go:build sysstat

package sysmon

import (
	"os"
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
