//go:build fio

package hypotheses

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/loopdisk"
)

// H4 on a loop device, whose own counters prove every window.
func TestRealH4OnALoopDevice(t *testing.T) {
	c := realToy(t)
	c.Dir, c.Device = loopdisk.New(t, t.TempDir(), 2<<30, true) // the emulator wants 1 GiB beside its file
	j, dir := measured(t, c, Progress{})
	require.NotContains(t, j.Verdict.Reasons, "NOT_PAGING")
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	for _, a := range e.Arms {
		require.NotContains(t, failed(a), fioctl.CheckBalance, "%s: nobody but us reads from this disk", a.Name)
		t.Logf("%-22s the device read %.1f MB; failed %v", a.Name, a.Telemetry.ReadBytes/1e6, failed(a))
	}
	require.Greater(t, armNamed(t, dir, "paging-HEAVY-r0").Telemetry.ReadBytes, 2*armNamed(t, dir, "paging-BASELINE-r0").Telemetry.ReadBytes)
}
