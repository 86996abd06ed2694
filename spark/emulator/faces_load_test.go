package emulator

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/jsonl"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark/adapters"
)

// targets are the ways in which the repository's own load generator asks.
func targets(info Info) map[string]loadgen.Target {
	limit := func(t loadgen.Target) loadgen.Target {
		t.HeaderTimeout, t.IdleTimeout, t.TotalTimeout = 20*time.Second, 20*time.Second, 30*time.Second
		return t
	}
	return map[string]loadgen.Target{
		"vLLM":          limit(loadgen.Target{BaseURL: info.URL, Model: "tiny", Dialect: loadgen.OpenAICompletions}),
		"vLLM, chat":    limit(loadgen.Target{BaseURL: info.URL, Model: "tiny", Dialect: loadgen.OpenAIChat, ContinuousUsage: true}),
		"trtllm-serve":  limit(loadgen.Target{BaseURL: info.URL, Model: "tiny", Dialect: loadgen.OpenAICompletions, Flavor: loadgen.FlavorTRTLLM}),
		"ensemble":      limit(loadgen.Target{BaseURL: info.TritonURL, Model: "ensemble", Dialect: loadgen.TritonTRTLLM}),
		"LLM API":       limit(loadgen.Target{BaseURL: info.TritonURL, Model: "tensorrt_llm", Dialect: loadgen.TritonLLMAPI}),
		"Triton's vLLM": limit(loadgen.Target{BaseURL: info.TritonURL, Model: "vllm_model", Dialect: loadgen.TritonVLLM}),
	}
}

func asLoad(list []adapters.Adapter) []loadgen.Adapter {
	out := make([]loadgen.Adapter, len(list))
	for i, a := range list {
		out[i] = loadgen.Adapter{Name: a.Name, Path: a.Dir}
	}
	return out
}

// load sends a few turns of each of several users and gives the records.
func load(ctx context.Context, target loadgen.Target, list []loadgen.Adapter, seed uint64) (out []*loadgen.Record, err error) {
	users := loadgen.Users(4)
	users.Turns = 6
	plan := loadgen.Plan{
		Arrivals: users, Measure: 20 * time.Second, Drain: 10 * time.Second, Seed: seed,
		Workload: loadgen.Workload{PromptTokens: 60, OutputTokens: 8, Nonce: loadgen.Nonce{Position: loadgen.NonceStart}},
	}
	if len(list) > 0 {
		plan.Workload.Adapters = loadgen.Adapters{List: list, Choice: loadgen.AdapterRandom}
	}
	_, err = loadgen.Run(ctx, target, plan, func(r *loadgen.Record) error {
		out = append(out, r)
		return nil
	})
	return out, err
}

// checkRecord holds one record to what the emulator sends in the target's way.
func checkRecord(t *testing.T, way string, target loadgen.Target, r *loadgen.Record) {
	t.Helper()
	require.Equal(t, loadgen.OutcomeOK, r.Outcome, "%s: %s", way, r.Error)
	llmAPI := target.Dialect == loadgen.TritonLLMAPI
	require.Len(t, r.Events, 8, way)
	require.Equal(t, 8, *r.OutputTokens, way)
	require.Equal(t, llmAPI, r.TokensEstimated, "%s: the LLM API alone counts no tokens", way)
	require.Equal(t, llmAPI, r.Cumulative, "%s: it alone repeats the text", way)
	if !llmAPI {
		require.Positive(t, *r.PromptTokens, way)
	}
	require.Equal(t, r.Adapter == "", r.AdapterLoad == nil, "%s: requests under an adapter tell of its load", way)
	if target.Dialect.Triton() {
		gap, ok := r.FirstToken.Sub(r.Header)
		require.True(t, ok && gap < 50*time.Millisecond, "%s: the header leaves with the first token, %v before it", way, gap)
	}
}

// TestBothFacesAtOnceUnderLoad asks one small server in every way at the same
// time, with more adapters than it has room for, and holds the clients'
// records, the server's account and its counters against each other.
func TestBothFacesAtOnceUnderLoad(t *testing.T) {
	cfg, list := withAdapters(t, 5, 2)
	cfg.TruthPath = filepath.Join(t.TempDir(), "truth.jsonl")
	info, stop := serveUntil(t, cfg)
	records := map[string][]*loadgen.Record{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, way := range slices.Sorted(maps.Keys(targets(info))) {
		for _, base := range []bool{false, true} {
			all.Go(func() {
				loras := asLoad(list)
				if base {
					loras = nil
				}
				got, err := load(t.Context(), targets(info)[way], loras, uint64(10+i))
				assert.NoError(t, err, way)
				mu.Lock()
				defer mu.Unlock()
				records[way] = append(records[way], got...)
			})
		}
	}
	all.Wait()
	requests, loads, asked := 0, 0, map[string]int{}
	for way, got := range records {
		require.Len(t, got, 2*4*6, way)
		for _, r := range got {
			checkRecord(t, way, targets(info)[way], r)
			asked[r.Adapter]++
			requests++
			if r.AdapterLoad != nil && *r.AdapterLoad > 0 {
				loads++
			}
		}
	}
	counted := metric(t, info.TritonURL, "spark_emulator_adapter_loads_total")
	require.LessOrEqual(t, counted, float64(loads), "who waits for a load waits for one that was counted")
	require.Greater(t, counted, float64(len(list)), "two slots for five adapters")
	require.Zero(t, metric(t, info.URL, "vllm:num_requests_running"))
	stop()

	told, ids := map[string]int{}, map[string]bool{}
	for line, err := range jsonl.Read[Truth](cfg.TruthPath) {
		require.NoError(t, err)
		if line.Kind == TruthRequest {
			require.Equal(t, "ok", line.Request.Outcome, line.Request.Error)
			told[line.Request.Adapter]++
			ids[line.Request.ID] = true
		}
	}
	require.Equal(t, asked, told, "both sides count the same requests by adapter")
	require.Len(t, ids, requests, "every request has a name of its own")
}

func TestLoadgenSeesEveryAdapter(t *testing.T) {
	cfg, list := withAdapters(t, 3, 3)
	for _, strict := range []bool{false, true} {
		cfg.Strict = strict
		info := serve(t, cfg)
		for way, target := range targets(info) {
			check, err := loadgen.CheckAdapters(t.Context(), target, asLoad(list))
			require.NoError(t, err, way)
			require.False(t, check.Ignored, way)
			require.Equal(t, 4, check.Compared, "%s: the base model and three adapters: %+v", way, check)

			missing := []loadgen.Adapter{{Name: "gone", ID: 99, Path: filepath.Join(cfg.AdapterDir, "gone")}}
			want := loadgen.OutcomeUnknownAdapter
			if target.Dialect == loadgen.TritonTRTLLM { // which cannot tell one it never had from one it lost
				want = loadgen.OutcomeAdapterEvicted
			}
			check, err = loadgen.CheckAdapters(t.Context(), target, missing)
			require.NoError(t, err, way)
			require.Equal(t, want, check.Answers[len(check.Answers)-1].Outcome, "%s: %+v", way, check)
		}
	}
}

// TestFaultsHaveNamesInEveryDialect: whatever a face breaks, the generator calls
// it by the same name as on the other.
func TestFaultsHaveNamesInEveryDialect(t *testing.T) {
	for _, row := range []struct {
		fault          Fault
		openai, triton loadgen.Outcome
	}{
		{Fault{Kind: FaultStatus, Value: "400"}, loadgen.OutcomeHTTP4xx, loadgen.OutcomeHTTP4xx},
		{Fault{Kind: FaultStatus, Value: "429"}, loadgen.OutcomeHTTP429, loadgen.OutcomeHTTP429},
		{Fault{Kind: FaultStatus, Value: "503"}, loadgen.OutcomeHTTP5xx, loadgen.OutcomeHTTP5xx},
		{Fault{Kind: FaultErrorEvent, Value: "2"}, loadgen.OutcomeStreamError, loadgen.OutcomeStreamError},
		{Fault{Kind: FaultErrorEvent, Value: "0"}, loadgen.OutcomeStreamError, loadgen.OutcomeHTTP5xx},
		{Fault{Kind: FaultCut, Value: "2"}, loadgen.OutcomeTruncated, loadgen.OutcomeTruncated},
		{Fault{Kind: FaultBadEvent, Value: "2"}, loadgen.OutcomeBadEvent, loadgen.OutcomeBadEvent},
		{Fault{Kind: FaultEmpty}, loadgen.OutcomeNoTokens, loadgen.OutcomeNoTokens},
		{Fault{Kind: FaultAdapterEvicted, Value: "2"}, loadgen.OutcomeAdapterEvicted, loadgen.OutcomeAdapterEvicted},
		{Fault{Kind: FaultAdapterEvicted, Value: "0"}, loadgen.OutcomeAdapterEvicted, loadgen.OutcomeAdapterEvicted},
	} {
		cfg, list := withAdapters(t, 1, 1)
		cfg.Faults = []Fault{row.fault}
		info := serve(t, cfg)
		for way, target := range targets(info) {
			want := row.openai
			if target.Dialect.Triton() {
				want = row.triton
			}
			check, err := loadgen.CheckAdapters(t.Context(), target, asLoad(list))
			require.NoError(t, err)
			last := check.Answers[len(check.Answers)-1]
			require.Equal(t, want, last.Outcome, fmt.Sprint(way, " ", row.fault, ": ", last.Error))
		}
	}
}
