package spark

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Facts are what a server says about its own limits. A field is nil where it
// does not tell; Source says which answer each field came from.
type Facts struct {
	Version         string            `json:"version,omitempty"`
	MaxModelLen     *int64            `json:"max_model_len_tokens,omitempty"` // prompt and output of one request
	MaxNumSeqs      *int64            `json:"max_num_seqs,omitempty"`         // requests that run at once
	KVPoolTokens    *int64            `json:"kv_pool_tokens,omitempty"`       // all requests together
	KVPoolBytes     *int64            `json:"kv_pool_bytes,omitempty"`        // the same in memory
	BlockTokens     *int64            `json:"kv_block_tokens,omitempty"`      // unit of the pool
	KVBytesPerToken *int64            `json:"kv_bytes_per_token,omitempty"`   // of one token in the pool
	PrefixCaching   *bool             `json:"prefix_caching,omitempty"`       // whether prompts share blocks
	AdapterSlots    *int64            `json:"adapter_slots,omitempty"`        // adapters that memory holds at once
	Source          map[string]string `json:"source,omitempty"`               // JSON name of the field: where it was read
}

// set keeps the first value found for a field, if it is a positive whole
// number: zero and below never are a limit, only the lack of an answer.
func (f *Facts) set(at **int64, name, from string, v float64) {
	if *at != nil || !finite(v) || v < 1 || v > math.MaxInt64/2 {
		return
	}
	n := int64(v)
	*at = &n
	f.note(name, from)
}

func (f *Facts) note(name, from string) {
	if f.Source == nil {
		f.Source = map[string]string{}
	}
	f.Source[name] = from
}

// facts gathers what the survey brought, best source first.
func (s survey) facts() Facts {
	f := Facts{Version: s.version}
	if s.maxModel != nil {
		f.set(&f.MaxModelLen, "max_model_len_tokens", "/v1/models max_model_len", float64(*s.maxModel))
	}
	f.fromSamples(s.samples)
	f.fromIterations(s.iterations)
	f.fromProps(s.props)
	f.fromOptions(s.options)
	if f.KVPoolBytes == nil && f.KVPoolTokens != nil && f.KVBytesPerToken != nil {
		f.set(&f.KVPoolBytes, "kv_pool_bytes", "tokens × bytes per token", float64(*f.KVPoolTokens)*float64(*f.KVBytesPerToken))
	}
	return f
}

// fromSamples reads the emulator's own gauges, vLLM's cache_config_info
// labels, and TensorRT-LLM's and SGLang's gauges.
func (f *Facts) fromSamples(samples []Sample) {
	for _, s := range samples {
		switch s.Name {
		case "spark_emulator_max_num_seqs":
			f.set(&f.MaxNumSeqs, "max_num_seqs", s.Name, s.Value)
		case "spark_emulator_max_model_len_tokens":
			f.set(&f.MaxModelLen, "max_model_len_tokens", s.Name, s.Value)
		case "spark_emulator_pool_bytes":
			f.set(&f.KVPoolBytes, "kv_pool_bytes", s.Name, s.Value)
		case "spark_emulator_kv_bytes_per_token":
			f.set(&f.KVBytesPerToken, "kv_bytes_per_token", s.Name, s.Value)
		case "sglang:max_total_num_tokens":
			f.set(&f.KVPoolTokens, "kv_pool_tokens", s.Name, s.Value)
		case "spark_emulator_adapter_slots":
			f.set(&f.AdapterSlots, "adapter_slots", s.Name, s.Value)
		case "vllm:cache_config_info":
			f.fromCacheConfig(s.Labels)
		case "vllm:lora_requests_info": // its value is a time of day
			f.set(&f.AdapterSlots, "adapter_slots", s.Name+" max_lora", parsed(s.Labels["max_lora"]))
		case "nv_trt_llm_request_metrics":
			if s.Labels["request_type"] == "max" {
				f.set(&f.MaxNumSeqs, "max_num_seqs", s.Name+" max", s.Value)
			}
		}
	}
	blocks := func(of string) float64 {
		return labelled(samples, "nv_trt_llm_kv_cache_block_metrics", "kv_cache_block_type", of)
	}
	f.poolOf("nv_trt_llm_kv_cache_block_metrics", blocks("max"), blocks("tokens_per"))
	f.poolOf("trtllm_kv_cache", value(samples, "trtllm_kv_cache_max_blocks"), value(samples, "trtllm_kv_cache_tokens_per_block"))
}

// fromCacheConfig reads the labels in which vLLM prints its cache options.
func (f *Facts) fromCacheConfig(labels map[string]string) {
	const from = "vllm:cache_config_info"
	f.poolOf(from, parsed(labels["num_gpu_blocks"]), parsed(labels["block_size"]))
	switch strings.ToLower(labels["enable_prefix_caching"]) {
	case "true":
		f.PrefixCaching = new(true)
		f.note("prefix_caching", from)
	case "false":
		f.PrefixCaching = new(false)
		f.note("prefix_caching", from)
	}
}

// parsed is a label's number, NaN where it is Python's None or missing.
func parsed(label string) float64 {
	v, err := strconv.ParseFloat(label, 64)
	if err != nil {
		return math.NaN()
	}
	return v
}

// fromIterations reads the last entry of trtllm-serve's list.
func (f *Facts) fromIterations(list []iteration) {
	if len(list) == 0 {
		return
	}
	last := list[len(list)-1]
	const from = "/metrics list"
	if last.MaxActive != nil {
		f.set(&f.MaxNumSeqs, "max_num_seqs", from, *last.MaxActive)
	}
	if kv := last.KVCacheStats; kv != nil && kv.Max != nil && kv.TokensPerBlock != nil {
		f.poolOf(from, *kv.Max, *kv.TokensPerBlock)
	}
}

// fromProps reads llama.cpp's /props: slots share one context of n_ctx each.
func (f *Facts) fromProps(props []byte) {
	var p struct {
		Slots    float64 `json:"total_slots"`
		Build    string  `json:"build_info"`
		Settings struct {
			Context float64 `json:"n_ctx"`
		} `json:"default_generation_settings"`
	}
	if len(props) == 0 || json.Unmarshal(props, &p) != nil {
		return
	}
	const from = "/props"
	f.set(&f.MaxNumSeqs, "max_num_seqs", from, p.Slots)
	f.set(&f.MaxModelLen, "max_model_len_tokens", from, p.Settings.Context)
	f.set(&f.KVPoolTokens, "kv_pool_tokens", from, p.Slots*p.Settings.Context)
	if f.Version == "" {
		f.Version = p.Build
	}
}

// fromOptions reads the options that SGLang was started with.
func (f *Facts) fromOptions(options []byte) {
	var o struct {
		Loras *float64 `json:"max_loras_per_batch"`
	}
	if len(options) == 0 || json.Unmarshal(options, &o) != nil || o.Loras == nil {
		return
	}
	f.set(&f.AdapterSlots, "adapter_slots", "/get_server_info max_loras_per_batch", *o.Loras)
}

// poolOf sets block size and pool from a count of blocks and their tokens.
func (f *Facts) poolOf(from string, blocks, tokens float64) {
	f.set(&f.BlockTokens, "kv_block_tokens", from, tokens)
	f.set(&f.KVPoolTokens, "kv_pool_tokens", from, blocks*tokens)
}

// value is that of the first series so named, NaN without one.
func value(samples []Sample, name string) float64 { return labelled(samples, name, "", "") }

// labelled is that of the first series so named with such a label.
func labelled(samples []Sample, name, label, is string) float64 {
	for _, s := range samples {
		if s.Name == name && s.Labels[label] == is {
			return s.Value
		}
	}
	return math.NaN()
}
