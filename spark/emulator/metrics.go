package emulator

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// second is the engine's state; the latencies kept for it start anew. It runs
// on the engine's goroutine.
func (e *engine) second() SecondTruth {
	t := e.state()
	t.Reads, t.Writes = latencies(e.pageIn.lat), latencies(e.pageOut.lat)
	e.pageIn.lat, e.pageOut.lat = e.pageIn.lat[:0], e.pageOut.lat[:0]
	return t
}

func (e *engine) state() SecondTruth {
	s, p := e.sched, e.sched.store.pool
	t := SecondTruth{
		PoolUsedBlocks: p.pinned, PoolCachedBlocks: p.cached.len, PoolBlocks: len(p.blocks),
		Waiting: len(s.waiting), Loading: len(s.loading), Prefilling: len(s.prefilling), Decoding: len(s.decoding),
		PageInBytes: e.pageIn.bytes, PageOutBytes: e.pageOut.bytes, PageIns: e.pageIn.ios, PageOuts: e.pageOut.ios,
		EvictedBlocks: s.store.evicted,
		PromptTokens:  s.prompted, HitPoolTokens: s.hitPool, HitDiskTokens: s.hitDisk, GeneratedTokens: s.generated,
		ChecksumErrors: e.corrupt, Steps: e.steps, LateSteps: e.lateSteps,
	}
	if s.store.tier != nil {
		t.DiskBlocks = len(s.store.tier.index)
	}
	if b := s.bank; b != nil {
		t.AdapterSlots, t.AdapterResident = len(b.slots), b.resident()
		t.AdapterLoads, t.AdapterEvictions, t.AdapterReadBytes = b.loads, b.evictions, b.readBytes
		t.AdapterErrors = e.adapterErrs
	}
	return t
}

// metrics answers in Prometheus' text format: vLLM's names, KVBM's for the
// tiers, and the server's own truth.
func (s *server) metrics(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	if _, ok := s.expose(&b, func(*seq) {}); !ok { // no numbers rather than zeros
		writeError(w, errStopped())
		return
	}
	writeMetrics(w, b.String())
}

func writeMetrics(w http.ResponseWriter, page string) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	// A client that left cannot be told.
	_, _ = w.Write([]byte(page))
}

// expose writes the families that both faces have, calls waits for each
// sequence that has not begun, and returns the state; false when the engine is
// over.
func (s *server) expose(b *strings.Builder, waits func(*seq)) (t SecondTruth, ok bool) {
	var finished, aborted, failed, unshared, forgotten, ioErrors int64
	ok = s.eng.call(func() {
		t = s.eng.state()
		for _, q := range slices.Concat(s.eng.sched.waiting, s.eng.sched.loading) {
			waits(q)
		}
		finished, aborted, failed = s.eng.sched.finished, s.eng.sched.aborted, s.eng.sched.failed
		st := s.eng.sched.store
		unshared, forgotten, ioErrors = st.unshared, st.forgotten, s.eng.readErrs+st.writeErrors
	})
	if !ok {
		return t, false
	}
	model := fmt.Sprintf("model_name=%q,engine=\"0\"", s.cfg.Model)
	put := func(kind, name, help, labels string, v any) {
		family := name
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n%s{%s} %v\n", family, help, family, kind, name, labels, v)
	}
	put("gauge", "vllm:num_requests_running", "Sequences in the batch.", model, t.Prefilling+t.Decoding)
	put("gauge", "vllm:num_requests_waiting", "Sequences waiting for a seat, memory or the disk.", model, t.Waiting+t.Loading)
	put("gauge", "vllm:kv_cache_usage_perc", "Share of the pool that running sequences hold, 0 to 1.", model, float64(t.PoolUsedBlocks)/float64(t.PoolBlocks))
	put("counter", "vllm:prefix_cache_queries_total", "Prompt tokens looked up.", model, t.PromptTokens)
	put("counter", "vllm:prefix_cache_hits_total", "Prompt tokens found in the pool.", model, t.HitPoolTokens)
	put("counter", "vllm:external_prefix_cache_queries_total", "Prompt tokens looked up on the disk.", model, t.PromptTokens-t.HitPoolTokens)
	put("counter", "vllm:external_prefix_cache_hits_total", "Prompt tokens found on the disk.", model, t.HitDiskTokens)
	put("counter", "vllm:num_preemptions_total", "Sequences preempted; memory is reserved on admission, so none.", model, 0)
	put("counter", "vllm:prompt_tokens_total", "Prompt tokens admitted.", model, t.PromptTokens)
	put("counter", "vllm:generation_tokens_total", "Tokens generated.", model, t.GeneratedTokens)
	put("counter", "vllm:request_success_total", "Sequences finished.", model, finished)
	put("gauge", "vllm:cache_config_info", "Sizes of the pool.", fmt.Sprintf("block_size=\"%d\",num_gpu_blocks=\"%d\",%s", s.cfg.BlockTokens, t.PoolBlocks, model), 1)
	fmt.Fprintf(b, "# HELP vllm:kv_offload_total_bytes_total Bytes moved between pool and disk.\n# TYPE vllm:kv_offload_total_bytes_total counter\n")
	fmt.Fprintf(b, "vllm:kv_offload_total_bytes_total{transfer_type=\"GPU_to_NVMe\",%s} %d\n", model, t.PageOutBytes)
	fmt.Fprintf(b, "vllm:kv_offload_total_bytes_total{transfer_type=\"NVMe_to_GPU\",%s} %d\n", model, t.PageInBytes)
	put("counter", "kvbm_offload_blocks_d2d", "Blocks written from pool to disk.", model, t.PageOuts)
	put("counter", "kvbm_onboard_blocks_d2d", "Blocks read from disk to pool.", model, t.PageIns)
	s.ttft.expose(b, "vllm:time_to_first_token_seconds", "Arrival to first token written.", model)
	put("counter", "spark_emulator_page_in_bytes_total", "Bytes read from the spill file.", model, t.PageInBytes)
	put("counter", "spark_emulator_page_out_bytes_total", "Bytes written to the spill file.", model, t.PageOutBytes)
	put("counter", "spark_emulator_page_ins_total", "Reads of the spill file.", model, t.PageIns)
	put("counter", "spark_emulator_page_outs_total", "Writes of the spill file.", model, t.PageOuts)
	put("counter", "spark_emulator_checksum_errors_total", "Blocks that came back corrupt.", model, t.ChecksumErrors)
	put("counter", "spark_emulator_io_errors_total", "Reads and writes that failed.", model, ioErrors)
	put("counter", "spark_emulator_evicted_blocks_total", "Blocks that lost their place in the pool.", model, t.EvictedBlocks)
	put("counter", "spark_emulator_unshared_blocks_total", "Evicted blocks that were used too seldom to be written.", model, unshared)
	put("counter", "spark_emulator_forgotten_blocks_total", "Evicted blocks that found no room on the disk.", model, forgotten)
	put("counter", "spark_emulator_aborted_total", "Sequences that nobody waited for any more.", model, aborted)
	put("counter", "spark_emulator_failed_total", "Sequences that lost a block.", model, failed)
	put("counter", "spark_emulator_refused_total", "Requests refused before the engine.", model, s.refused.Load())
	put("counter", "spark_emulator_steps_total", "Engine steps.", model, t.Steps)
	put("counter", "spark_emulator_late_steps_total", "Steps that ended more than a step late.", model, t.LateSteps)
	put("gauge", "spark_emulator_requests_loading", "Sequences waiting for the disk.", model, t.Loading)
	put("gauge", "spark_emulator_max_num_seqs", "Seats in the batch.", model, s.cfg.MaxSeqs)
	put("gauge", "spark_emulator_max_model_len_tokens", "Prompt and output of one request.", model, s.cfg.ContextTokens())
	put("gauge", "spark_emulator_pool_bytes", "Size of the pool.", model, s.cfg.PoolBytes())
	put("gauge", "spark_emulator_pool_tokens", "Size of the pool.", model, s.cfg.PoolTokens)
	put("gauge", "spark_emulator_kv_bytes_per_token", "Size of a token's keys and values.", model, s.cfg.KVBytesPerToken)
	put("gauge", "spark_emulator_disk_blocks", "Blocks that the disk holds.", model, t.DiskBlocks)
	s.eng.reads.expose(b, "spark_emulator_read_seconds", "One block's read.", model)
	s.eng.writes.expose(b, "spark_emulator_write_seconds", "One block's write.", model)
	s.eng.late.expose(b, "spark_emulator_step_late_seconds", "How long after its deadline a step ended.", model)
	s.eng.spread.expose(b, "spark_emulator_lockstep_spread_seconds", "First to last token written of one step.", model)
	if s.loras != nil {
		s.adapterMetrics(put, b, model, t)
	}
	return t, true
}
