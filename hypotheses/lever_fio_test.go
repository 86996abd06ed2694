//go:build fio

package hypotheses

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/loopdisk"
)

// The second lever holds the server's reads before the watched device counts
// them.
func TestRealSecondLeverAlone(t *testing.T) {
	needRoot(t, "limiting a control group")
	for _, row := range []struct {
		name string
		edit func(t *testing.T, c *Config)
	}{
		{"on the disk", func(*testing.T, *Config) {}},
		{"on a loop device", func(t *testing.T, c *Config) { c.Dir, c.Device = loopdisk.New(t, t.TempDir(), 2<<30, true) }},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := realToy(t)
			row.edit(t, &c)
			c.Lever, c.profile.Window = leverThrottle, 1500*time.Millisecond
			j, dir := measured(t, c, Progress{})
			require.NotEqual(t, analysis.Supported, j.Verdict.Outcome)
			require.Contains(t, j.Verdict.Reasons, "SECOND_LEVER_ONLY")
			for _, end := range []string{"paging-BASELINE-r0", "throttled-LIMIT70-r0", "throttled-LIMIT35-r0"} {
				a := armNamed(t, dir, end)
				t.Logf("%-20s the server's own wait of a read %.2f ms, the device's r_await %.2f ms, read %.0f MB", end,
					a.Contention.ServerReadMs, a.Telemetry.ReadAwaitMs, a.DiskInBytes()/1e6)
				require.NoFileExists(t, filepath.Join(dir, "raw", a.Name, "fio.json"), "no fio ran")
				if a.Storage.Limits != nil {
					require.NotNil(t, a.Contention.Throttle)
					require.Empty(t, a.Contention.Throttle.Fault)
				}
			}
			free, held := armNamed(t, dir, "paging-BASELINE-r0"), armNamed(t, dir, "throttled-LIMIT35-r0")
			require.Greater(t, held.Contention.ServerReadMs, 2*free.Contention.ServerReadMs, "the server waits")
			require.Less(t, held.Telemetry.ReadAwaitMs, held.Contention.ServerReadMs/2, "and the device does not see that")
		})
	}
}
