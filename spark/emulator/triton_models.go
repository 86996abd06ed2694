package emulator

import (
	"fmt"
	"net/http"
)

// The models of Triton's face, named as NVIDIA's and vLLM's repositories do.
const (
	tritonEnsemble = "ensemble"     // TensorRT-LLM, in C++
	tritonLLMAPI   = "tensorrt_llm" // TensorRT-LLM's LLM API, in Python
	tritonVLLM     = "vllm_model"   // the vLLM backend
)

// tritonInput is an input of a model, or an output.
type tritonInput struct {
	name     string
	datatype string // as in the metadata; the config says TYPE_STRING for BYTES
	dims     []int  // without the batch; -1 is any
	optional bool
}

// tritonModel is a model of the repository.
type tritonModel struct {
	name              string
	platform, backend string // as in the config
	batch             int    // max_batch_size, 0 = none
	inputs, outputs   []tritonInput
	errors            string // what its own messages begin with
	// read says what a request wants, in the model's own words where it wants
	// what cannot be.
	read  func(m *tritonModel, cfg Config, q *tritonRequest, fs faults) (*wish, *tritonError)
	stats tritonStats
}

func (m *tritonModel) input(name string) (tritonInput, bool) {
	for _, in := range m.inputs {
		if in.name == name {
			return in, true
		}
	}
	return tritonInput{}, false
}

// fail is what a model that fails gives as its first response.
func (m *tritonModel) fail(format string, args ...any) *tritonError {
	return &tritonError{status: http.StatusInternalServerError, msg: m.errors + fmt.Sprintf(format, args...), model: true}
}

func required(datatype string, names ...string) []tritonInput {
	return inputs(datatype, []int{1}, false, names)
}

func optional(datatype string, names ...string) []tritonInput {
	return inputs(datatype, []int{1}, true, names)
}

func inputs(datatype string, dims []int, optional bool, names []string) []tritonInput {
	out := make([]tritonInput, len(names))
	for i, n := range names {
		out[i] = tritonInput{n, datatype, dims, optional}
	}
	return out
}

func join(lists ...[]tritonInput) []tritonInput {
	var out []tritonInput
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// newTritonModels is the repository. Shapes follow the configs that TensorRT-LLM
// (triton_backend/all_models) and the vLLM backend (src/model.py) ship.
func newTritonModels(cfg Config) []*tritonModel {
	any1, any2 := []int{-1}, []int{-1, -1}
	return []*tritonModel{{
		name: tritonEnsemble, platform: "ensemble", batch: cfg.MaxSeqs, errors: "in ensemble 'ensemble', ", read: readEnsemble,
		inputs: join(
			required("BYTES", "text_input"), optional("BYTES", "decoder_text_input"), required("INT32", "max_tokens"),
			optional("INT32", "num_return_sequences"), inputs("BYTES", any1, true, []string{"bad_words", "stop_words"}),
			optional("BOOL", "exclude_input_in_output"), optional("INT32", "end_id", "pad_id", "top_k"),
			optional("FP32", "top_p", "temperature", "length_penalty", "repetition_penalty"), optional("INT32", "min_tokens"),
			optional("FP32", "presence_penalty", "frequency_penalty"), optional("UINT64", "seed"),
			optional("BOOL", "return_log_probs", "return_context_logits", "return_generation_logits", "return_perf_metrics",
				"return_num_input_tokens", "return_num_output_tokens"),
			optional("INT32", "beam_width"), optional("BOOL", "stream"),
			inputs("FP16", any2, true, []string{"prompt_embedding_table"}), optional("UINT64", "prompt_table_extra_id"), optional("INT32", "prompt_vocab_size"),
			inputs("BYTES", any1, true, []string{"embedding_bias_words"}), inputs("FP32", any1, true, []string{"embedding_bias_weights"}),
			optional("UINT64", "lora_task_id"), inputs("FP16", any2, true, []string{"lora_weights"}),
			inputs("INT32", []int{-1, 3}, true, []string{"lora_config"}),
			optional("BYTES", "guided_decoding_guide_type", "guided_decoding_guide")),
		outputs: join(
			inputs("BYTES", any1, false, []string{"text_output"}), inputs("FP32", any1, false, []string{"cum_log_probs"}),
			inputs("FP32", any2, false, []string{"output_log_probs", "context_logits"}), inputs("FP32", []int{-1, -1, -1}, false, []string{"generation_logits"}),
			required("INT32", "batch_index", "sequence_index", "num_input_tokens", "num_output_tokens")),
	}, {
		name: tritonLLMAPI, backend: "python", errors: "Error generating request: ", read: readLLMAPI,
		inputs: join(
			inputs("BYTES", any1, false, []string{"text_input"}), optional("BOOL", "streaming"), optional("INT32", "sampling_param_best_of"),
			optional("FP32", "sampling_param_temperature"), optional("INT32", "sampling_param_top_k"),
			optional("FP32", "sampling_param_top_p", "sampling_param_frequency_penalty", "sampling_param_presence_penalty"),
			optional("INT32", "sampling_param_max_tokens"), inputs("BYTES", any1, true, []string{"sampling_param_stop"}), optional("UINT64", "sampling_param_seed"),
			optional("BOOL", "sampling_param_exclude_input_from_output", "sampling_param_return_perf_metrics",
				"return_finish_reason", "return_stop_reason", "return_cumulative_logprob", "stop"),
			optional("UINT64", "lora_id"), optional("BYTES", "lora_name", "lora_path", "lora_ckpt_source")),
		outputs: join(
			inputs("BYTES", any1, false, []string{"text_output", "finish_reason", "stop_reason"}), inputs("FP32", any1, false, []string{"cumulative_logprob"})),
	}, {
		name: tritonVLLM, backend: "vllm", errors: "Error generating stream: ", read: readVLLM,
		inputs: join(
			required("BYTES", "text_input"), inputs("BYTES", any1, true, []string{"image"}), optional("BOOL", "stream"), optional("BYTES", "sampling_parameters"),
			optional("BOOL", "exclude_input_in_output", "return_finish_reason", "return_cumulative_logprob", "return_logprobs",
				"return_num_input_tokens", "return_num_output_tokens")),
		outputs: join(
			inputs("BYTES", any1, false, []string{"text_output", "finish_reason"}), inputs("FP32", any1, false, []string{"cumulative_logprob"}),
			inputs("BYTES", any1, false, []string{"logprobs"}), required("UINT32", "num_input_tokens"), inputs("UINT32", any1, false, []string{"num_output_tokens"})),
	}}
}

// version is the only one that the models have.
const tritonVersion = "1"

// metadata is GET /v2/models/M.
func (m *tritonModel) metadata() map[string]any {
	list := func(in []tritonInput) []any {
		out := []any{}
		for _, t := range in {
			shape := t.dims
			if m.batch > 0 {
				shape = append([]int{-1}, shape...)
			}
			out = append(out, map[string]any{"name": t.name, "datatype": t.datatype, "shape": shape})
		}
		return out
	}
	platform := m.platform
	if platform == "" {
		platform = m.backend
	}
	return map[string]any{
		"name": m.name, "versions": []string{tritonVersion}, "platform": platform,
		"inputs": list(m.inputs), "outputs": list(m.outputs),
	}
}

// config is GET /v2/models/M/config.
func (m *tritonModel) config() map[string]any {
	list := func(in []tritonInput) []any {
		out := []any{}
		for _, t := range in {
			datatype := "TYPE_" + t.datatype
			if t.datatype == "BYTES" {
				datatype = "TYPE_STRING"
			}
			out = append(out, map[string]any{"name": t.name, "data_type": datatype, "dims": t.dims, "optional": t.optional})
		}
		return out
	}
	return map[string]any{
		"name": m.name, "platform": m.platform, "backend": m.backend, "version_policy": map[string]any{"latest": map[string]int{"num_versions": 1}},
		"max_batch_size": m.batch, "input": list(m.inputs), "output": list(m.outputs),
		"model_transaction_policy": map[string]bool{"decoupled": true}, "parameters": map[string]any{},
	}
}
