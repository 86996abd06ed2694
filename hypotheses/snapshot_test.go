package hypotheses

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark/smart"
)

// A disk that cannot be read leaves its reason, and the run goes on; an
// interrupt ends it.
func TestSnapshotsThatFailAreKept(t *testing.T) {
	r, dir := &Rig{device: "nosuchdisk"}, t.TempDir()
	pre, err := r.snapshot(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.keepSnapshots(t.Context(), dir, pre))
	for _, name := range []string{analysis.SmartBefore, analysis.SmartAfter} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		var s smart.Snapshot
		require.NoError(t, json.Unmarshal(b, &s))
		require.Contains(t, s.Absent, "no such block device")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.snapshot(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// everyArmHasSnapshots checks what the rig left of the disk in a run, and what a
// judge makes of it.
func everyArmHasSnapshots(t *testing.T, dir string) {
	t.Helper()
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	for _, a := range e.Arms {
		for _, name := range []string{analysis.SmartBefore, analysis.SmartAfter} {
			require.FileExists(t, filepath.Join(dir, "raw", a.Name, name))
		}
		require.NotNil(t, a.Smart)
		require.NotEqual(t, analysis.SmartTelemetry, a.Smart.Source, a.Smart.Why)
		// Between wider edges, but toy edges are shorter than a tick, which spreads what it saw.
		require.GreaterOrEqual(t, a.Smart.BlockReadBytes, 0.25*a.Telemetry.ReadBytes-8e6, "the same disk")
	}
}
