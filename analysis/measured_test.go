package analysis

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

// measuredOf reads an arm of these records and the usual telemetry.
func measuredOf(t *testing.T, records []*loadgen.Record) *Measured {
	t.Helper()
	m := &Measured{Arm: newTinyRun().arms[0]}
	path := filepath.Join(t.TempDir(), "requests.jsonl.zst")
	writeRecords(t, path, records)
	require.NoError(t, m.readRecords(path))
	return m
}

func TestMeasuredKnownAnswers(t *testing.T) {
	m := measuredOf(t, tinyRecords())
	require.Len(t, m.TTFT, 20, "due in the window of 2 s, ten a second")
	require.Len(t, m.E2E, 20)
	require.InDelta(t, 20, m.TTFT[0], 1e-9, "ms from due")
	require.InDelta(t, 40, m.E2E[19], 1e-9)
	require.InDelta(t, 50, m.Cycle, 1e-9)
	require.Equal(t, 20, m.Completed, "those that ended in the window, whenever due")
	require.InDelta(t, 10, m.ThroughputPerSec(), 1e-9)
	require.Equal(t, []float64{16, 4, 8}, []float64{m.PromptTokensMean, m.OutputTokensMean, m.CachedTokensMean})
	windows := m.TTFTWindows()
	require.Len(t, windows, 2, "a short window is cut by the second")
	require.Len(t, windows[0], 10)

	v, ok := m.QuantileMs(0.5)
	require.True(t, ok)
	require.InDelta(t, 20, v, 1e-9)
	_, ok = m.QuantileMs(0.99)
	require.False(t, ok, "20 requests have no interval for p99: it is withheld")
}

func TestLongWindowsAreCutByTenSeconds(t *testing.T) {
	m := &Measured{}
	m.Summary.Window.End = 40 * time.Second
	for i := range 40 {
		m.byDue = append(m.byDue, timed{due: time.Duration(i) * time.Second, ms: 1})
	}
	require.Len(t, m.TTFTWindows(), 4)
}

func TestOnlyGoodRequestsOfTheWindowAreMeasured(t *testing.T) {
	for _, c := range []struct {
		why             string
		edit            func(*loadgen.Record)
		n               int
		prompt, outputs float64
	}{
		{"as they are", func(*loadgen.Record) {}, 20, 16, 4},
		{"failures have no latency", func(r *loadgen.Record) {
			if r.ID%2 == 0 {
				r.Outcome, r.FirstToken = loadgen.OutcomeReset, loadgen.Instant{}
			}
		}, 10, 16, 4},
		{"a failure after its first token is one too", func(r *loadgen.Record) {
			if r.ID%2 == 0 {
				r.Outcome = loadgen.OutcomeTruncated
			}
		}, 10, 16, 4},
		{"nothing succeeded", func(r *loadgen.Record) { r.Outcome = loadgen.OutcomeRefused }, 0, math.NaN(), math.NaN()},
		{"the server counts nothing: absent, not 0", func(r *loadgen.Record) { r.PromptTokens, r.OutputTokens, r.CachedTokens = nil, nil, nil }, 20, math.NaN(), math.NaN()},
		{"one answer without a count does not lower the mean", func(r *loadgen.Record) {
			if r.ID == 15 {
				r.PromptTokens = nil
			}
		}, 20, 16, 4},
	} {
		records := tinyRecords()
		for _, r := range records {
			c.edit(r)
		}
		m := measuredOf(t, records)
		require.Len(t, m.TTFT, c.n, c.why)
		require.InDelta(t, 1, same(c.prompt, m.PromptTokensMean), 1e-9, c.why)
		require.InDelta(t, 1, same(c.outputs, m.OutputTokensMean), 1e-9, c.why)
		if c.n == 0 {
			require.True(t, math.IsNaN(m.Cycle), "%s: absent, not 0", c.why)
			require.Zero(t, m.Completed, c.why)
			require.Empty(t, m.TTFTWindows(), c.why)
		}
	}
}

// same is 1 for equal values, both NaN included.
func same(want, got float64) float64 {
	if want == got || math.IsNaN(want) && math.IsNaN(got) {
		return 1
	}
	return 0
}

// A request due in the window that ends after it counts for latency and not
// for throughput; one due before that ends inside counts the other way round.
func TestTheEdgesOfTheWindow(t *testing.T) {
	records := tinyRecords()
	for _, r := range records {
		due, _ := r.Due.Get()
		r.Close = loadgen.At(due + 250*time.Millisecond)
	}
	m := measuredOf(t, records)
	require.Len(t, m.TTFT, 20)
	require.Equal(t, 20, m.Completed, "as many left as entered")

	late := tinyRecords()[25:] // due from 2.5 s on
	for _, r := range late {
		due, _ := r.Due.Get()
		r.Close = loadgen.At(due + 250*time.Millisecond)
	}
	m = measuredOf(t, late)
	require.Len(t, m.TTFT, 5)
	require.Equal(t, 3, m.Completed)
}
