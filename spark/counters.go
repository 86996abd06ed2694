package spark

import (
	"strings"
)

// Counters are a server's own numbers under one set of names, whatever the
// server calls them. A field is nil where the server does not tell it.
// Cumulative fields count since the server started; take differences with
// [Counters.Since].
type Counters struct {
	Running *float64 `json:"running_requests,omitempty"` // gauge
	Waiting *float64 `json:"waiting_requests,omitempty"` // gauge
	Paused  *float64 `json:"paused_requests,omitempty"`  // gauge
	KVUsage *float64 `json:"kv_usage_fraction,omitempty"`

	// Prefix cache look-ups and hits, cumulative: tokens on vLLM and the
	// emulator, blocks on TensorRT-LLM. Their ratio is the hit rate.
	PrefixQueries *float64 `json:"prefix_queries,omitempty"`
	PrefixHits    *float64 `json:"prefix_hits,omitempty"`
	// Tokens looked up and found beyond the pool, cumulative.
	ExternalQueries *float64 `json:"external_prefix_queries_tokens,omitempty"`
	ExternalHits    *float64 `json:"external_prefix_hits_tokens,omitempty"`

	Preemptions      *float64 `json:"preemptions,omitempty"`       // cumulative
	PromptTokens     *float64 `json:"prompt_tokens,omitempty"`     // cumulative
	GenerationTokens *float64 `json:"generation_tokens,omitempty"` // cumulative
	TTFTSum          *float64 `json:"ttft_sum_sec,omitempty"`      // cumulative, seconds
	TTFTCount        *float64 `json:"ttft_count,omitempty"`        // cumulative

	// KV moved out of and into the pool, any tier, cumulative.
	TierOutBytes  *float64 `json:"tier_out_bytes,omitempty"`
	TierInBytes   *float64 `json:"tier_in_bytes,omitempty"`
	TierOutBlocks *float64 `json:"tier_out_blocks,omitempty"`
	TierInBlocks  *float64 `json:"tier_in_blocks,omitempty"`
	// The part of it that the server itself says went to or came from a disk.
	DiskOutBytes  *float64 `json:"disk_out_bytes,omitempty"`
	DiskInBytes   *float64 `json:"disk_in_bytes,omitempty"`
	DiskOutBlocks *float64 `json:"disk_out_blocks,omitempty"`
	DiskInBlocks  *float64 `json:"disk_in_blocks,omitempty"`
	// The server's own waits for the disk: the time of every read that it made,
	// added up, and how many reads; cumulative. Unlike the device's r_await it
	// counts what a cgroup limit holds back; see [Throttle].
	DiskReadSum   *float64 `json:"disk_read_sum_sec,omitempty"` // seconds
	DiskReadCount *float64 `json:"disk_read_count,omitempty"`

	// Adapters loaded into memory, and evicted from it; the bytes read for them and
	// the time that loading took; cumulative. Only the emulator tells.
	AdapterLoads     *float64 `json:"adapter_loads,omitempty"`
	AdapterEvictions *float64 `json:"adapter_evictions,omitempty"`
	AdapterInBytes   *float64 `json:"adapter_in_bytes,omitempty"`
	AdapterLoadSum   *float64 `json:"adapter_load_sum_sec,omitempty"` // seconds

	// Pages that came back from disk with other bytes than were written,
	// cumulative; only the emulator checks.
	ChecksumErrors *float64 `json:"checksum_errors,omitempty"`
}

// source names a series that can fill a field. With a label, only series whose
// label satisfies the test count. Several series (engines, ranks) add up, or
// average where mean is set.
type source struct {
	metric string
	label  string
	is     func(string) bool
	mean   bool
}

// counterField ties a field to the series that fill it: of each group the
// first name that the server has wins (renames), and groups add up.
type counterField struct {
	at         func(*Counters) **float64
	cumulative bool
	groups     [][]source
}

func one(sources ...source) [][]source { return [][]source{sources} }
func named(metric string) source       { return source{metric: metric} }
func averaged(metric string) source    { return source{metric: metric, mean: true} }
func where(metric, label string, is func(string) bool) source {
	return source{metric: metric, label: label, is: is}
}
func equal(want string) func(string) bool { return func(v string) bool { return v == want } }

// transfer tests vLLM's transfer_type labels, such as GPU_to_CPU.
func transfer(test func(from, to string) bool) func(string) bool {
	return func(v string) bool {
		from, to, ok := strings.Cut(strings.ToLower(v), "_to_")
		return ok && test(from, to)
	}
}

func isDisk(medium string) bool {
	for _, word := range []string{"nvme", "disk", "ssd", "storage", "file", "fs"} {
		if strings.Contains(medium, word) {
			return true
		}
	}
	return false
}

// counterFields is the table of names. Names are tried with and without an
// ending _total. Sources: vLLM vllm/v1/metrics/loggers.py and its KV offload
// metrics, TensorRT-LLM tensorrt_llm/metrics/collector.py, SGLang
// docs/references/production_metrics.md, llama.cpp tools/server/README.md,
// Triton custom_metrics_reporter.cc, Dynamo metrics_kvbm.rs.
func counterFields() []counterField {
	toGPU := transfer(func(_, to string) bool { return to == "gpu" })
	fromGPU := transfer(func(from, _ string) bool { return from == "gpu" })
	fromDisk := transfer(func(from, _ string) bool { return isDisk(from) })
	toDisk := transfer(func(_, to string) bool { return isDisk(to) })
	const offload = "vllm:kv_offload_total_bytes"
	return []counterField{
		{func(c *Counters) **float64 { return &c.Running }, false, one(
			named("vllm:num_requests_running"), named("trtllm_num_requests_running"), named("sglang:num_running_reqs"),
			named("llamacpp:requests_processing"), where("nv_trt_llm_request_metrics", "request_type", equal("active")))},
		{func(c *Counters) **float64 { return &c.Waiting }, false, one(
			named("vllm:num_requests_waiting"), named("trtllm_num_requests_waiting"), named("sglang:num_queue_reqs"),
			named("llamacpp:requests_deferred"), where("nv_trt_llm_request_metrics", "request_type", equal("waiting")),
			named("nv_inference_pending_request_count"))},
		{func(c *Counters) **float64 { return &c.Paused }, false, one(
			named("trtllm_num_paused_requests"), named("sglang:num_retracted_reqs"),
			where("nv_trt_llm_inflight_batcher_metrics", "inflight_batcher_specific_metric", equal("paused_requests")))},
		{func(c *Counters) **float64 { return &c.KVUsage }, false, one(
			averaged("vllm:kv_cache_usage_perc"), averaged("vllm:gpu_cache_usage_perc"), averaged("trtllm_kv_cache_utilization"),
			averaged("sglang:token_usage"), averaged("llamacpp:kv_cache_usage_ratio"),
			source{"nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", equal("fraction"), true})},
		{func(c *Counters) **float64 { return &c.PrefixQueries }, true, [][]source{
			{named("vllm:prefix_cache_queries"), named("vllm:gpu_prefix_cache_queries"), named("trtllm_kv_cache_reused_blocks")},
			{named("trtllm_kv_cache_missed_blocks")},
		}},
		{func(c *Counters) **float64 { return &c.PrefixHits }, true, one(
			named("vllm:prefix_cache_hits"), named("vllm:gpu_prefix_cache_hits"), named("trtllm_kv_cache_reused_blocks"),
			where("nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", equal("reused")), named("sglang:cached_tokens"))},
		{func(c *Counters) **float64 { return &c.ExternalQueries }, true, one(named("vllm:external_prefix_cache_queries"))},
		{func(c *Counters) **float64 { return &c.ExternalHits }, true, one(named("vllm:external_prefix_cache_hits"), named("kvbm_matched_tokens"))},
		{func(c *Counters) **float64 { return &c.Preemptions }, true, one(named("vllm:num_preemptions"))},
		{func(c *Counters) **float64 { return &c.PromptTokens }, true, one(
			named("vllm:prompt_tokens"), named("sglang:prompt_tokens"), named("llamacpp:prompt_tokens"))},
		{func(c *Counters) **float64 { return &c.GenerationTokens }, true, one(
			named("vllm:generation_tokens"), named("sglang:generation_tokens"), named("llamacpp:tokens_predicted"))},
		{func(c *Counters) **float64 { return &c.TTFTSum }, true, one(
			named("vllm:time_to_first_token_seconds_sum"), named("trtllm_time_to_first_token_seconds_sum"), named("sglang:time_to_first_token_seconds_sum"))},
		{func(c *Counters) **float64 { return &c.TTFTCount }, true, one(
			named("vllm:time_to_first_token_seconds_count"), named("trtllm_time_to_first_token_seconds_count"), named("sglang:time_to_first_token_seconds_count"))},
		{func(c *Counters) **float64 { return &c.TierOutBytes }, true, one(
			where(offload, "transfer_type", fromGPU), named("vllm:kv_offload_store_bytes"), named("trtllm_kv_cache_offload_bytes"), named("spark_emulator_page_out_bytes"))},
		{func(c *Counters) **float64 { return &c.TierInBytes }, true, one(
			where(offload, "transfer_type", toGPU), named("vllm:kv_offload_load_bytes"), named("trtllm_kv_cache_onboard_bytes"), named("spark_emulator_page_in_bytes"))},
		{func(c *Counters) **float64 { return &c.TierOutBlocks }, true, [][]source{{named("kvbm_offload_blocks_d2h")}, {named("kvbm_offload_blocks_d2d")}}},
		{func(c *Counters) **float64 { return &c.TierInBlocks }, true, [][]source{{named("kvbm_onboard_blocks_h2d")}, {named("kvbm_onboard_blocks_d2d")}}},
		{func(c *Counters) **float64 { return &c.DiskOutBytes }, true, one(
			named("spark_emulator_page_out_bytes"), named("vllm:kv_offload_tiering_write_bytes"), where(offload, "transfer_type", toDisk))},
		{func(c *Counters) **float64 { return &c.DiskInBytes }, true, one(
			named("spark_emulator_page_in_bytes"), named("vllm:kv_offload_tiering_read_bytes"), where(offload, "transfer_type", fromDisk))},
		{func(c *Counters) **float64 { return &c.DiskOutBlocks }, true, [][]source{{named("kvbm_offload_blocks_h2d")}, {named("kvbm_offload_blocks_d2d")}}},
		{func(c *Counters) **float64 { return &c.DiskInBlocks }, true, one(named("kvbm_onboard_blocks_d2d"))},
		{func(c *Counters) **float64 { return &c.DiskReadSum }, true, one(named("spark_emulator_read_seconds_sum"))},
		{func(c *Counters) **float64 { return &c.DiskReadCount }, true, one(named("spark_emulator_read_seconds_count"))},
		{func(c *Counters) **float64 { return &c.AdapterLoads }, true, one(named("spark_emulator_adapter_loads"))},
		{func(c *Counters) **float64 { return &c.AdapterEvictions }, true, one(named("spark_emulator_adapter_evictions"))},
		{func(c *Counters) **float64 { return &c.AdapterInBytes }, true, one(named("spark_emulator_adapter_read_bytes"))},
		{func(c *Counters) **float64 { return &c.AdapterLoadSum }, true, one(named("spark_emulator_adapter_load_seconds_sum"))},
		{func(c *Counters) **float64 { return &c.ChecksumErrors }, true, one(named("spark_emulator_checksum_errors"))},
	}
}

// NewCounters reads the known names out of a page of metrics.
func NewCounters(samples []Sample) Counters {
	byName := map[string][]Sample{}
	for _, s := range samples {
		name := strings.TrimSuffix(s.Name, "_total")
		byName[name] = append(byName[name], s)
	}
	var c Counters
	for _, f := range counterFields() {
		*f.at(&c) = total(byName, f.groups)
	}
	return c
}

// total adds the groups that the server has; nil where it has none.
func total(byName map[string][]Sample, groups [][]source) *float64 {
	var sum *float64
	for _, group := range groups {
		for _, src := range group {
			v, ok := src.read(byName[src.metric])
			if !ok {
				continue
			}
			if sum != nil {
				v += *sum
			}
			sum = &v
			break
		}
	}
	return sum
}

func (s source) read(samples []Sample) (v float64, ok bool) {
	n := 0
	for _, sample := range samples {
		label, has := sample.Labels[s.label]
		if s.label != "" && (!has || !s.is(label)) || !finite(sample.Value) {
			continue
		}
		v += sample.Value
		n++
	}
	if s.mean && n > 0 {
		v /= float64(n)
	}
	return v, n > 0
}

// Since returns how much every cumulative field grew from earlier to c. Gauges
// are nil in it, and so is a counter that fell: the server restarted between.
func (c Counters) Since(earlier Counters) Counters {
	var d Counters
	for _, f := range counterFields() {
		now, then := *f.at(&c), *f.at(&earlier)
		if !f.cumulative || now == nil || then == nil || *now < *then {
			continue
		}
		grown := *now - *then
		*f.at(&d) = &grown
	}
	return d
}
