package hypotheses

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// The histogram logs of recorded runs open in the reader of the HdrHistogram
// project, and tell what the arm's summary and its records tell: µs under the
// tag, the interval's maximum in ms, times since the run's wall epoch.
func TestHistogramLogsOpenElsewhere(t *testing.T) {
	logs, err := filepath.Glob("testdata/runs/*/*/raw/*/latency.hlog")
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for i, path := range logs {
		if i%5 != 0 { // one arm of each few is enough to see
			continue
		}
		var arm analysis.Arm
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "arm.json"))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &arm))
		log, err := os.ReadFile(path)
		require.NoError(t, err)
		hists := byTag(t, log)
		for tag, want := range map[string]*loadgen.Latency{
			"ttft": arm.Summary.TTFT, "ttft_service": arm.Summary.TTFTService, "latency": arm.Summary.E2E, "close": arm.Summary.Close,
			"tpot": arm.Summary.TPOT, "icl": arm.Summary.ICL, "max_gap": arm.Summary.MaxGap, "ttfb": arm.Summary.TTFB,
		} {
			h := hists[tag]
			require.Equal(t, want == nil, h == nil, "%s: %s", path, tag)
			if h == nil {
				continue
			}
			require.Equal(t, want.N, h.TotalCount(), "%s: %s", path, tag)
			require.InDelta(t, arm.Summary.Window.Start.Milliseconds(), h.StartTimeMs()-wallEpochMs(t, log), 1, "%s: %s begins with the window", path, tag)
			require.InDelta(t, arm.Summary.Window.Length().Milliseconds(), h.EndTimeMs()-h.StartTimeMs(), 1, "%s: %s is as long", path, tag)
			for q, ms := range map[float64]loadgen.Millis{50: want.P50, 90: want.P90, 95: want.P95, 99: want.P99, 100: want.Max} {
				require.InEpsilon(t, float64(ms), upward(h, q/100)/1e3, 1e-3, "%s: %s p%v", path, tag, q)
			}
		}
		requireExactQuantiles(t, filepath.Dir(path), hists["ttft"])
	}
}

// requireExactQuantiles holds a histogram against the records behind it: equal to
// 3 digits, the resolution of its buckets.
func requireExactQuantiles(t *testing.T, dir string, h *hdr.Histogram) {
	var us []float64
	for r, err := range loadgen.ReadHeads(filepath.Join(dir, "requests.jsonl.zst")) {
		require.NoError(t, err)
		if ttft, ok := r.FirstToken.Sub(r.Due); ok && r.Outcome == loadgen.OutcomeOK && r.Phase == loadgen.PhaseMeasure {
			us = append(us, float64(ttft)/1e3)
		}
	}
	slices.Sort(us)
	for _, q := range []float64{0.5, 0.95, 1} {
		want, ok := analysis.Quantile(us, q)
		require.True(t, ok)
		require.InEpsilon(t, want, upward(h, q), 2e-3, "%s: p%v", dir, 100*q)
	}
}

// upward is the nearest rank upward, as summaries have it; the project's own
// percentile rounds to the nearest of two ranks.
func upward(h *hdr.Histogram, q float64) float64 {
	n := float64(h.TotalCount())
	return float64(h.ValueAtPercentile(100 * max(1, math.Ceil(q*n-1e-9)) / n))
}

// byTag reads a log with the HdrHistogram project's own reader, and checks the
// maxima that stand beside the histograms.
func byTag(t *testing.T, log []byte) map[string]*hdr.Histogram {
	t.Helper()
	r := hdr.NewHistogramLogReader(bytes.NewReader(log))
	hists := map[string]*hdr.Histogram{}
	for {
		h, err := r.NextIntervalHistogram()
		if h == nil || errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		require.NotContains(t, hists, h.Tag())
		hists[h.Tag()] = h
	}
	lines := 0
	for line := range strings.Lines(string(log)) {
		tag, rest, ok := strings.Cut(strings.TrimPrefix(line, "Tag="), ",")
		if !ok || !strings.HasPrefix(line, "Tag=") {
			continue
		}
		lines++
		var peak float64
		require.NoError(t, json.Unmarshal([]byte(strings.Split(rest, ",")[2]), &peak))
		require.InDelta(t, float64(hists[tag].Max())/1e3, peak, 1e-3, tag)
	}
	require.Equal(t, lines, len(hists))
	return hists
}

// wallEpochMs is the log's base time.
func wallEpochMs(t *testing.T, log []byte) int64 {
	t.Helper()
	_, rest, ok := bytes.Cut(log, []byte("#[BaseTime: "))
	require.True(t, ok)
	number, _, _ := bytes.Cut(rest, []byte(" "))
	var sec float64
	require.NoError(t, json.Unmarshal(number, &sec))
	return int64(sec*1e3 + 0.5)
}
