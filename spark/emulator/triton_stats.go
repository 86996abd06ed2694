package emulator

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// tritonStats counts what became of one model's requests, for concurrent use.
type tritonStats struct {
	mu  sync.Mutex
	now tritonCounts
}

// tritonCounts are Triton's statistics of one model since the start; durations
// add up over the requests that succeeded, or failed.
type tritonCounts struct {
	success, failure int64
	succeeded        time.Duration // arrival to last response
	failed           time.Duration
	queued, computed time.Duration // of those that succeeded
	last             time.Time     // when one ended, zero = never
}

func (s *tritonStats) read() tritonCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// fail counts a request that never reached the engine.
func (s *tritonStats) fail(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.failure++
	s.now.failed += took
	s.now.last = time.Now()
}

// end counts a request that the engine has let go of.
func (s *tritonStats) end(q *seq, outcome string, now time.Duration) {
	if outcome != "ok" {
		s.fail(now - q.stamps.arrival)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now.success++
	s.now.succeeded += now - q.stamps.arrival
	s.now.queued += q.stamps.admitted - q.stamps.arrival
	s.now.computed += q.stamps.last - q.stamps.admitted
	s.now.last = time.Now()
}

// statsOf is GET /v2/models/M/stats.
func statsOf(models ...*tritonModel) any {
	list := []any{}
	for _, m := range models {
		c := m.stats.read()
		d := func(count int64, took time.Duration) any { return map[string]int64{"count": count, "ns": int64(took)} }
		last := int64(0)
		if !c.last.IsZero() {
			last = c.last.UnixMilli()
		}
		list = append(list, map[string]any{
			"name": m.name, "version": tritonVersion, "last_inference": last,
			"inference_count": c.success, "execution_count": c.success,
			"inference_stats": map[string]any{
				"success": d(c.success, c.succeeded), "fail": d(c.failure, c.failed), "queue": d(c.success, c.queued),
				"compute_input": d(c.success, 0), "compute_infer": d(c.success, c.computed), "compute_output": d(c.success, 0),
				"cache_hit": d(0, 0), "cache_miss": d(0, 0),
			},
			"response_stats": map[string]any{}, "batch_stats": []any{}, "memory_usage": []any{},
		})
	}
	return map[string]any{"model_stats": list}
}

// expose writes Triton's families: its own per model, and those that the
// TensorRT-LLM backend reports, of the one engine that all models share.
func (t *triton) expose(b *strings.Builder, state SecondTruth, waiting map[string]int) {
	family := func(kind, name, help string, value func(m *tritonModel, c tritonCounts) any) {
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
		for _, m := range t.models {
			fmt.Fprintf(b, "%s{model=%q,version=%q} %v\n", name, m.name, tritonVersion, value(m, m.stats.read()))
		}
	}
	micros := func(d time.Duration) any { return d.Microseconds() }
	family("counter", "nv_inference_request_success", "Requests that succeeded.", func(_ *tritonModel, c tritonCounts) any { return c.success })
	family("counter", "nv_inference_request_failure", "Requests that failed.", func(_ *tritonModel, c tritonCounts) any { return c.failure })
	family("counter", "nv_inference_count", "Inferences performed.", func(_ *tritonModel, c tritonCounts) any { return c.success })
	family("counter", "nv_inference_exec_count", "Executions performed.", func(_ *tritonModel, c tritonCounts) any { return c.success })
	family("counter", "nv_inference_request_duration_us", "Time of requests, added up.", func(_ *tritonModel, c tritonCounts) any { return micros(c.succeeded) })
	family("counter", "nv_inference_queue_duration_us", "Time that requests waited, added up.", func(_ *tritonModel, c tritonCounts) any { return micros(c.queued) })
	family("counter", "nv_inference_compute_infer_duration_us", "Time that requests computed, added up.", func(_ *tritonModel, c tritonCounts) any { return micros(c.computed) })
	family("gauge", "nv_inference_pending_request_count", "Requests that await execution.", func(m *tritonModel, _ tritonCounts) any { return waiting[m.name] })

	engine := func(name, help, label string, values ...any) {
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name)
		for i := 0; i < len(values); i += 2 {
			fmt.Fprintf(b, "%s{model=%q,version=%q,%s=%q} %v\n", name, tritonLLMAPI, tritonVersion, label, values[i], values[i+1])
		}
	}
	running := state.Prefilling + state.Decoding
	engine("nv_trt_llm_request_metrics", "Requests of the engine.", "request_type",
		"waiting", state.Waiting+state.Loading, "active", running, "scheduled", running, "context", state.Prefilling, "max", t.s.cfg.MaxSeqs)
	engine("nv_trt_llm_kv_cache_block_metrics", "Blocks of keys and values.", "kv_cache_block_type",
		"used", state.PoolUsedBlocks, "free", state.PoolBlocks-state.PoolUsedBlocks, "max", state.PoolBlocks,
		"tokens_per", t.s.cfg.BlockTokens, "reused", state.HitPoolTokens/int64(t.s.cfg.BlockTokens),
		"fraction", float64(state.PoolUsedBlocks)/float64(state.PoolBlocks))
	engine("nv_trt_llm_inflight_batcher_metrics", "The batch.", "inflight_batcher_specific_metric",
		"generation_requests", state.Decoding, "paused_requests", 0)
}
