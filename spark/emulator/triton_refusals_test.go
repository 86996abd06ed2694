package emulator

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// refusalsOfTriton are bodies that no model answers, with the status and words
// of Triton's front end; kind "model" is refused by the model itself.
func refusalsOfTriton() []struct {
	reason, model, body string
	status              int
	says                string
	byModel             bool
} {
	long := strings.Repeat("word ", 600)
	return []struct {
		reason, model, body string
		status              int
		says                string
		byModel             bool
	}{
		{"nothing", "ensemble", ``, 400, "failed to parse the request JSON buffer: The document is empty. at 0", false},
		{"not JSON", "ensemble", `{"text_input":`, 400, "failed to parse the request JSON buffer", false},
		{"no object", "ensemble", `[1]`, 400, "failed to parse", false},
		{"two values", "ensemble", `{} {}`, 400, "must not be followed by other values", false},
		{"no input", "ensemble", `{"abc":1}`, 400, "[request id: <id_unknown>] expected number of inputs between 2 and 36 but got 0 inputs for model 'ensemble'. Got input(s) [], but missing required input(s) ['text_input','max_tokens']. Please provide all required input(s).", false},
		{"one input missing", "ensemble", `{"id":"7","max_tokens":3}`, 400, "[request id: 7] expected number of inputs between 2 and 36 but got 1 inputs for model 'ensemble'. Got input(s) ['max_tokens'], but missing required input(s) ['text_input'].", false},
		{"the OpenAI field", "vllm_model", `{"prompt":"a"}`, 400, "missing required input(s) ['text_input']", false},
		{"no string", "ensemble", `{"text_input":123,"max_tokens":1}`, 400, "Unable to parse JSON bytes array: attempt to access JSON non-string as string", false},
		{"an object for an input", "ensemble", `{"text_input":{"a":1},"max_tokens":1}`, 400, "attempt to access JSON non-string as string", false},
		{"no boolean", "ensemble", `{"text_input":"a","max_tokens":1,"stream":"false"}`, 400, "Unable to parse 'data': attempt to access JSON non-boolean as boolean", false},
		{"no integer", "ensemble", `{"text_input":"a","max_tokens":1.5}`, 400, "attempt to access JSON non-signed-integer as signed-integer", false},
		{"a negative task", "ensemble", `{"text_input":"a","max_tokens":1,"lora_task_id":-1}`, 400, "attempt to access JSON non-unsigned-integer as unsigned-integer", false},
		{"no number", "ensemble", `{"text_input":"a","max_tokens":1,"temperature":null}`, 400, "attempt to access JSON non-number as double", false},
		{"twice", "ensemble", `{"text_input":"a","text_input":"b","max_tokens":1}`, 400, "input 'text_input' already exists in request", false},
		{"a nested parameter", "ensemble", `{"text_input":"a","max_tokens":1,"more":{"x":1}}`, 400, "parameter 'more' has invalid type. It should be either 'int', 'bool', or 'string'.", false},
		{"nested in parameters", "ensemble", `{"text_input":"a","max_tokens":1,"parameters":{"more":{"x":1}}}`, 400, "Converting keyword: 'parameters': parameter 'more' has invalid type.", false},
		{"parameters of another kind", "ensemble", `{"text_input":"a","max_tokens":1,"parameters":1}`, 400, "Expected JSON object for keyword: 'parameters'", false},
		{"an id of another kind", "ensemble", `{"id":3,"text_input":"a","max_tokens":1}`, 400, "Unable to parse 'id'", false},
		{"weights cannot be JSON", "ensemble", `{"text_input":"a","max_tokens":1,"lora_weights":[0.5]}`, 400, "receiving FP16 data via JSON is not supported. Please use the binary data format for input lora_weights", false},
		{"the old harness's lora_config", "ensemble", `{"text_input":"a","max_tokens":1,"lora_config":{"lora_name":"a0"}}`, 400, "attempt to access JSON non-signed-integer", false},
		{"rows of three", "ensemble", `{"text_input":"a","max_tokens":1,"lora_config":[1,2]}`, 400, "The schema can not convert input 'lora_config' to tensor with proper shape", false},
		{"an empty list", "ensemble", `{"text_input":[],"max_tokens":1}`, 400, "The schema can not convert input 'text_input'", false},
		{"two prompts without a batch", "vllm_model", `{"text_input":["a","b"]}`, 400, "The schema can not convert input 'text_input'", false},
		{"two prompts", "ensemble", `{"text_input":["a","b"],"max_tokens":1}`, 500, "in ensemble 'ensemble', this server takes one prompt per request, got 2", true},
		{"empty prompt", "ensemble", `{"text_input":"","max_tokens":1}`, 500, "cannot be empty", true},
		{"no output", "ensemble", `{"text_input":"a","max_tokens":0}`, 500, "max_tokens must be positive", true},
		{"too long", "ensemble", `{"text_input":"` + long + `","max_tokens":1}`, 500, "in ensemble 'ensemble', Encountered an error when fetching new request: Prompt length (600) exceeds maximum input length (511).", true},
		{"beams", "ensemble", `{"text_input":"a","max_tokens":1,"beam_width":2}`, 500, "beam_width must be 1", true},
		{"stop words", "ensemble", `{"text_input":"a","max_tokens":1,"stop_words":["x","y"]}`, 500, "stop_words is not supported", true},
		{"log probabilities", "ensemble", `{"text_input":"a","max_tokens":1,"return_log_probs":true}`, 500, "return_log_probs is not supported", true},
		{"too long for the LLM API", "tensorrt_llm", `{"text_input":"` + long + `"}`, 500, "Error generating request: The sum of prompt length (600), query length (0) and max_tokens (32) should not exceed max_seq_len (512)", true},
		{"no output of the LLM API", "tensorrt_llm", `{"text_input":"a","sampling_param_max_tokens":0}`, 500, "Error generating request: max_tokens", true},
		{"stop without an id", "tensorrt_llm", `{"text_input":"a","stop":true}`, 500, "A request id must be provided for request cancellation", true},
		{"unknown sampling parameter", "vllm_model", `{"text_input":"a","parameters":{"max_new_tokens":3}}`, 500, "Error generating stream: 'NoneType' object has no attribute 'lora_name'", true},
		{"unknown key beside it", "vllm_model", `{"text_input":"a","max_new_tokens":3}`, 500, "Error generating stream: 'NoneType'", true},
		{"no output of vLLM", "vllm_model", `{"text_input":"a","parameters":{"max_tokens":0}}`, 500, "Error generating stream: 'NoneType'", true},
		{"parameters that are no JSON", "vllm_model", `{"text_input":"a","sampling_parameters":"{"}`, 500, "Error generating stream: 'NoneType'", true},
		{"too long for vLLM", "vllm_model", `{"text_input":"` + long + `"}`, 500, "Error generating stream: The decoder prompt (length 600) is longer than", true},
		{"the prompt in a stream", "vllm_model", `{"text_input":"a","stream":true,"exclude_input_in_output":false}`, 500, "When streaming, `exclude_input_in_output` = False is not allowed.", true},
		{"unknown model", "gpt", `{}`, 400, "Request for unknown model: 'gpt' is not found", false},
		{"unknown version", "ensemble/versions/9", `{}`, 404, "Request for unknown model: 'ensemble' version 9 is not found", false},
		{"no version", "ensemble/versions/x", `{}`, 404, "Not Found", false},
	}
}

func TestTritonRefusals(t *testing.T) {
	info := serve(t, smallTriton())
	for _, r := range refusalsOfTriton() {
		for _, route := range []string{"/generate", "/generate_stream"} {
			resp, text := post(t, info.TritonURL+"/v2/models/"+r.model+route, r.body)
			require.Equal(t, r.status, resp.StatusCode, "%s%s: %s", r.reason, route, text)
			require.Equal(t, r.byModel, resp.ContentLength < 0, "%s: a model's word comes in chunks", r.reason)
			kind := "application/json"
			if r.byModel && route == "/generate_stream" {
				kind = "text/event-stream; charset=utf-8"
				list := responses(t, text)
				require.Len(t, list, 1, r.reason)
				require.Contains(t, list[0].Error, r.says, r.reason)
				require.Equal(t, kind, resp.Header.Get("Content-Type"), r.reason)
				continue
			}
			require.Equal(t, kind, resp.Header.Get("Content-Type"), r.reason)
			var body struct{ Error string }
			require.NoError(t, json.Unmarshal([]byte(text), &body), r.reason)
			require.Contains(t, body.Error, r.says, r.reason)
		}
	}
	resp, text := post(t, info.TritonURL+"/v2/models/ensemble/generate", `{"text_input":"a","max_tokens":2}`, "Content-Encoding", "gzip")
	require.Equal(t, 400, resp.StatusCode)
	require.JSONEq(t, `{"error":"Unsupported content-encoding, only 'identity' is supported."}`, text)
	_, text = post(t, info.TritonURL+"/v2/models/ensemble/generate", `{"text_input":"a","max_tokens":2,"stream":true}`)
	require.JSONEq(t, `{"error":"`+errManyResponses+`"}`, text, "two responses are too many for generate")
	resp, _ = post(t, info.TritonURL+"/v2/models/ensemble/generate", `{"text_input":"a","max_tokens":2}`, FaultHeader, "nonsense")
	require.Equal(t, 400, resp.StatusCode)
}
