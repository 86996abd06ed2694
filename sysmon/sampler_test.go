package sysmon

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
)

func TestSamplerOnThisMachine(t *testing.T) {
	s, err := New(Config{Interval: 20 * time.Millisecond, Epoch: clock.New().Now()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	path := filepath.Join(t.TempDir(), "telemetry.csv.zst")
	w, err := NewWriter(path, s.Meta())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, s.Run(ctx, w.Write))
	require.NoError(t, w.Close())

	tab, err := ReadTable(path)
	require.NoError(t, err)
	require.False(t, tab.Truncated)
	require.Equal(t, s.Meta(), tab.Meta, "a record describes itself")
	require.GreaterOrEqual(t, len(tab.T), 3)
	require.Contains(t, tab.Meta.Missing, "gpu_power_W")
	require.Contains(t, tab.Meta.Missing, "raw_rd_ios", "no device was named")
	total, ok := tab.Column("mem_total_kB")
	require.True(t, ok)
	require.Greater(t, total[0], 0.0)
	_, ok = tab.Column("rd_ios_s")
	require.False(t, ok)
	ctxt, ok := tab.Delta("raw_ctxt", tab.T[0], tab.T[len(tab.T)-1])
	require.True(t, ok)
	require.Greater(t, ctxt, 0.0, "the machine switches tasks")
}
