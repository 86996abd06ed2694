package spark

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

func owned(by string) string {
	return `{"data":[{"id":"m","owned_by":"` + by + `"}]}`
}

func TestAttachTellsFlavoursApart(t *testing.T) {
	vllm := page(t, "vllm.prom")
	for name, row := range map[string]struct {
		change func(*fake)
		want   Flavor
		by     string
	}{
		"vLLM by metrics":           {func(f *fake) { f.pages["/metrics"] = vllm }, FlavorVLLM, "metric vllm:"},
		"vLLM without metrics":      {func(f *fake) { f.pages["/v1/models"] = owned("vllm") }, FlavorVLLM, "owned_by"},
		"emulator speaks vLLM too":  {func(f *fake) { f.pages["/metrics"] = vllm + "spark_emulator_max_num_seqs 64\n" }, FlavorEmulator, "spark_emulator_"},
		"trtllm by drained list":    {func(f *fake) { f.pages["/metrics"] = "[]" }, FlavorTRTLLM, "JSON list"},
		"trtllm by owner":           {func(f *fake) { f.pages["/v1/models"] = owned("tensorrt_llm") }, FlavorTRTLLM, "owned_by"},
		"trtllm by Prometheus path": {func(f *fake) { f.pages["/prometheus/metrics"] = page(t, "trtllm.prom") }, FlavorTRTLLM, "metric trtllm_"},
		"Triton's OpenAI by owner":  {func(f *fake) { f.pages["/v1/models"] = owned("Triton Inference Server") }, FlavorTritonOpenAI, "owned_by"},
		"its metrics before vLLM's": {func(f *fake) { f.pages["/metrics"] = page(t, "triton-openai.prom") }, FlavorTritonOpenAI, "metric nv_inference_"},
		"SGLang":                    {func(f *fake) { f.pages["/metrics"] = page(t, "sglang.prom") }, FlavorSGLang, "metric sglang:"},
		"llama.cpp by header":       {func(f *fake) { f.server = "llama.cpp" }, FlavorLlamaCPP, "header"},
		"llama.cpp by owner":        {func(f *fake) { f.pages["/v1/models"] = owned("llamacpp") }, FlavorLlamaCPP, "owned_by"},
		"Ollama":                    {func(f *fake) { f.pages["/api/version"] = `{"version":"0.6.5"}` }, FlavorOllama, "/api/version"},
		"a proxy's HTML is no sign": {func(f *fake) { f.pages["/metrics"], f.pages["/version"] = "<html>\n", "<html>" }, FlavorGeneric, "no sign"},
		"nothing but the API":       {func(*fake) {}, FlavorGeneric, "no sign"},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			row.change(f)
			s, err := Attach(t.Context(), Endpoint{URL: serve(t, f)})
			require.NoError(t, err)
			require.Equal(t, row.want, s.Flavor)
			require.Contains(t, s.Evidence, row.by)
			require.Equal(t, row.want == FlavorEmulator, s.Emulated())
		})
	}
}

func TestFactsAreReadBack(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*fake)
		want   string // facts as JSON, without the sources
	}{
		"vLLM": {func(f *fake) {
			f.pages["/metrics"], f.pages["/version"] = page(t, "vllm.prom"), `{"version":"0.11.0"}`
			f.pages["/v1/models"] = `{"data":[{"id":"m","owned_by":"vllm","max_model_len":8192}]}`
		}, `{"version":"0.11.0","max_model_len_tokens":8192,"kv_pool_tokens":44096,"kv_block_tokens":16,"prefix_caching":true}`},
		"vLLM before its pool is sized": {func(f *fake) {
			f.pages["/metrics"] = "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"None\",enable_prefix_caching=\"False\"} 1\n"
		}, `{"kv_block_tokens":16,"prefix_caching":false}`},
		"emulator": {func(f *fake) {
			f.pages["/metrics"] = page(t, "vllm.prom") + "spark_emulator_max_num_seqs 64\nspark_emulator_kv_bytes_per_token 8192\nspark_emulator_pool_bytes 361234432\n"
		}, `{"max_num_seqs":64,"kv_pool_tokens":44096,"kv_pool_bytes":361234432,"kv_block_tokens":16,"kv_bytes_per_token":8192,"prefix_caching":true}`},
		"vLLM with adapters": {func(f *fake) { f.pages["/metrics"] = page(t, "vllm-lora.prom") }, `{"adapter_slots":4}`},
		"SGLang with adapters": {func(f *fake) {
			f.pages["/v1/models"] = owned("sglang")
			f.pages["/get_server_info"] = `{"model_path":"m","lora_paths":null,"max_loras_per_batch":8,"version":"0.5.3"}`
		}, `{"adapter_slots":8}`},
		"emulator with adapters": {func(f *fake) { f.pages["/metrics"] = page(t, "emulator.prom") }, `{"adapter_slots":4}`},
		"an adapter limit of Python's": {func(f *fake) {
			f.pages["/v1/models"], f.pages["/get_server_info"] = owned("sglang"), `{"max_loras_per_batch":null}`
		}, `{}`},
		"trtllm list": {
			func(f *fake) { f.pages["/metrics"] = page(t, "trtllm-iterations.json") },
			`{"max_num_seqs":64,"kv_pool_tokens":3200,"kv_block_tokens":32}`,
		},
		"trtllm list and latencies only": {func(f *fake) {
			f.pages["/metrics"], f.pages["/prometheus/metrics"] = page(t, "trtllm-iterations.json"), page(t, "trtllm-early.prom")
		}, `{"max_num_seqs":64,"kv_pool_tokens":3200,"kv_block_tokens":32}`},
		"trtllm Prometheus": {func(f *fake) {
			f.pages["/metrics"], f.pages["/prometheus/metrics"] = "[]", page(t, "trtllm.prom")
		}, `{"kv_pool_tokens":16384,"kv_block_tokens":32}`},
		"llama.cpp": {func(f *fake) {
			f.server = "llama.cpp"
			f.pages["/props"] = `{"total_slots":4,"build_info":"b6000-abc","default_generation_settings":{"n_ctx":4096}}`
		}, `{"version":"b6000-abc","max_model_len_tokens":4096,"max_num_seqs":4,"kv_pool_tokens":16384}`},
		"nothing told is nothing known": {func(*fake) {}, `{}`},
		"zeros are no limits":           {func(f *fake) { f.pages["/v1/models"] = `{"data":[{"id":"m","max_model_len":0}]}` }, `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			row.change(f)
			s, err := Attach(t.Context(), Endpoint{URL: serve(t, f)})
			require.NoError(t, err)
			sources := s.Facts.Source
			s.Facts.Source = nil
			got, err := json.Marshal(s.Facts)
			require.NoError(t, err)
			require.JSONEq(t, row.want, string(got))
			var fields map[string]any
			require.NoError(t, json.Unmarshal(got, &fields))
			delete(fields, "version")
			require.Len(t, sources, len(fields), "each fact names its source")
		})
	}
}

func TestAdaptersAreToldFromModels(t *testing.T) {
	for name, row := range map[string]struct {
		models string
		want   []string
	}{
		"vLLM and SGLang name the parent": {`{"data":[{"id":"base","owned_by":"vllm"},{"id":"a0","parent":"base"},{"id":"a1","parent":"base"}]}`, []string{"a0", "a1"}},
		"Triton joins the names":          {`{"data":[{"id":"llama","owned_by":"Triton Inference Server"},{"id":"llama_lora_doll","owned_by":"Triton Inference Server"}]}`, []string{"doll"}},
		"but only to a model's":           {`{"data":[{"id":"llama","owned_by":"Triton Inference Server"},{"id":"other_lora_doll","owned_by":"Triton Inference Server"}]}`, nil},
		"others have models only":         {`{"data":[{"id":"llama","owned_by":"library"},{"id":"llama_lora_doll","owned_by":"library"}]}`, nil},
		"a parent of null is none":        {`{"data":[{"id":"base","owned_by":"vllm","parent":null}]}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			f.pages["/v1/models"] = row.models
			s, err := Attach(t.Context(), Endpoint{URL: serve(t, f)})
			require.NoError(t, err)
			require.Equal(t, row.want, s.Adapters)
		})
	}
}

func TestFlavoursSayWhatRequestsMayHold(t *testing.T) {
	for flavor, want := range map[Flavor]loadgen.Flavor{
		FlavorVLLM: loadgen.FlavorVLLM, FlavorEmulator: loadgen.FlavorVLLM, FlavorTRTLLM: loadgen.FlavorTRTLLM,
		FlavorSGLang: loadgen.FlavorSGLang, FlavorLlamaCPP: loadgen.FlavorLlamaCPP, FlavorOllama: loadgen.FlavorOllama,
		FlavorTritonOpenAI: loadgen.FlavorTritonOpenAI, FlavorTriton: loadgen.FlavorGeneric, FlavorGeneric: loadgen.FlavorGeneric,
	} {
		require.Equal(t, want, flavor.Requests(), "%s", flavor)
		target := loadgen.Target{BaseURL: "http://127.0.0.1:1", Model: "m", Dialect: loadgen.OpenAICompletions, Flavor: flavor.Requests()}
		require.NoError(t, target.Validate(), "the load generator knows it")
	}
}
