package loadgen

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOutputKeepsALoad(t *testing.T) {
	srv := httptest.NewServer(&streamer{tokens: 4})
	defer srv.Close()
	dir := filepath.Join(t.TempDir(), "deep", "er")
	wall := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	out, err := NewOutput(dir, "H0_U2", wall)
	require.NoError(t, err)
	p := testPlan(Users(2), 80*time.Millisecond)
	p.Workload.PromptTokens, p.Workload.Prompts = 0, []string{"Say hi."}
	sum, err := Run(t.Context(), testTarget(srv.URL), p, out.Write)
	require.NoError(t, err)
	require.NoError(t, out.Close(testTarget(srv.URL), p, sum, err))
	require.Equal(t, filepath.Join(dir, "H0_U2_summary.json"), out.SummaryPath())

	var kept struct {
		Summary
		Total     int64   `json:"requests_total"`
		Admission float64 `json:"admission_pct"`
		RPS       float64 `json:"throughput_rps"`
		Meta      struct {
			RunID string `json:"run_id"`
			API   string `json:"api_mode"`
			URL   string `json:"target_url"`
			Wall  string `json:"started_wall"`
		}
		Plan   Plan
		Hashes []Hash `json:"prompt_hashes"`
		Error  string
	}
	b, err := os.ReadFile(out.SummaryPath())
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &kept))
	require.Equal(t, sum.Requests, kept.Requests)
	require.Equal(t, sum.TTFT.P50, kept.TTFT.P50)
	require.Equal(t, sum.Requests.Due, kept.Total)
	require.InDelta(t, 100, kept.Admission, 0)
	require.InDelta(t, sum.Rates.RequestsPerSec, kept.RPS, 0)
	require.Equal(t, []string{"H0_U2", "openai", srv.URL, "2026-11-23T10:00:00Z"}, []string{kept.Meta.RunID, kept.Meta.API, kept.Meta.URL, kept.Meta.Wall})
	require.Empty(t, kept.Plan.Workload.Prompts, "texts stay out")
	require.Equal(t, []Hash{hashText("Say hi.")}, kept.Hashes)
	require.Empty(t, kept.Error)

	var records int64
	for _, err := range ReadRecords(filepath.Join(dir, "H0_U2_requests.jsonl.zst")) {
		require.NoError(t, err)
		records++
	}
	require.Equal(t, sum.Requests.Due+sum.Requests.Drain, records)
	log, err := os.Open(filepath.Join(dir, "H0_U2_latency.hlog"))
	require.NoError(t, err)
	defer log.Close()
	var counts []int64
	for e, err := range ReadLog(log) {
		require.NoError(t, err)
		if e.Tag == "ttft" {
			counts = append(counts, e.Hist.N())
		}
	}
	require.Equal(t, []int64{sum.Requests.OK}, counts)

	_, err = NewOutput(dir, "H0_U2", wall)
	require.ErrorIs(t, err, ErrKept)
	other, err := NewOutput(dir, "H0_U4", wall)
	require.NoError(t, err, "another run id stands beside it")
	require.NoError(t, other.Close(testTarget(srv.URL), p, Summary{}, context.Canceled))
	require.NoFileExists(t, other.SummaryPath(), "a load that never began has no summary")
}

func TestOutputSaysThatALoadWasCutOff(t *testing.T) {
	srv := httptest.NewServer(&streamer{tokens: 4, gap: time.Millisecond})
	defer srv.Close()
	out, err := NewOutput(t.TempDir(), "", time.Now())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	p := testPlan(Users(1), time.Hour)
	sum, cause := Run(ctx, testTarget(srv.URL), p, out.Write)
	require.ErrorIs(t, cause, context.DeadlineExceeded)
	require.NoError(t, out.Close(testTarget(srv.URL), p, sum, cause))
	b, err := os.ReadFile(out.SummaryPath())
	require.NoError(t, err)
	require.Contains(t, string(b), `"error": "`)
	require.Equal(t, "summary.json", filepath.Base(out.SummaryPath()))
}

func TestOutputRefusesNamesThatAreNone(t *testing.T) {
	for _, id := range []string{"a/b", "..", "../x", "a\nb", "/"} {
		_, err := NewOutput(t.TempDir(), id, time.Now())
		require.ErrorContains(t, err, "run id", id)
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err := NewOutput(file, "", time.Now())
	require.Error(t, err)
}
