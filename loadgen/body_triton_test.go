package loadgen

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTritonBodiesAreTheseBytes(t *testing.T) {
	const counts = `"return_num_input_tokens":true,"return_num_output_tokens":true`
	list := []Adapter{{Name: "a0", Path: "/l/a0"}, {Name: `a"1`, ID: 7, Path: "/l/a1"}}
	w := Workload{OutputTokens: 64, Temperature: 0.5, SamplingSeed: 7, Adapters: Adapters{List: list}}
	greedy := Workload{OutputTokens: 64, TopP: 0.9, SamplingSeed: -1, Adapters: Adapters{List: list}}
	for _, c := range []struct {
		why     string
		target  Target
		w       Workload
		adapter int
		want    string
	}{
		{
			"ensemble",
			Target{Dialect: TritonTRTLLM},
			w, -1,
			`{"text_input":"hi","max_tokens":64,"min_tokens":64,"end_id":-1,"temperature":0.5,"seed":7,"stream":true,"exclude_input_in_output":true,` + counts + `}`,
		},
		{
			"ensemble, an adapter by its place; the seed is unsigned there",
			Target{Dialect: TritonTRTLLM},
			greedy, 0,
			`{"text_input":"hi","max_tokens":64,"min_tokens":64,"end_id":-1,"temperature":0,"top_p":0.9,"seed":18446744073709551615,"stream":true,"exclude_input_in_output":true,"lora_task_id":1,` + counts + `}`,
		},
		{
			"an older ensemble",
			Target{Dialect: TritonTRTLLM, Fields: map[string]string{
				"seed": "random_seed", "min_tokens": "min_length", "return_num_input_tokens": "", "return_num_output_tokens": "", "end_id": "",
			}},
			w, 1,
			`{"text_input":"hi","max_tokens":64,"min_length":64,"temperature":0.5,"random_seed":7,"stream":true,"exclude_input_in_output":true,"lora_task_id":7}`,
		},
		{
			"llmapi",
			Target{Dialect: TritonLLMAPI},
			greedy, -1,
			`{"text_input":"hi","streaming":true,"sampling_param_max_tokens":64,"sampling_param_temperature":0,"sampling_param_top_p":0.9,"sampling_param_seed":18446744073709551615,` +
				`"sampling_param_exclude_input_from_output":true,"return_finish_reason":true}`,
		},
		{
			"llmapi wants all three of an adapter",
			Target{Dialect: TritonLLMAPI},
			w, 1,
			`{"text_input":"hi","streaming":true,"sampling_param_max_tokens":64,"sampling_param_temperature":0.5,"sampling_param_seed":7,` +
				`"sampling_param_exclude_input_from_output":true,"return_finish_reason":true,"lora_id":7,"lora_name":"a\"1","lora_path":"/l/a1"}`,
		},
		{
			"a build of llmapi that counts",
			Target{Dialect: TritonLLMAPI, Fields: map[string]string{
				"return_num_input_tokens": "return_num_input_tokens", "return_num_output_tokens": "return_num_output_tokens",
			}},
			w, -1,
			`{"text_input":"hi","streaming":true,"sampling_param_max_tokens":64,"sampling_param_temperature":0.5,"sampling_param_seed":7,` +
				`"sampling_param_exclude_input_from_output":true,"return_finish_reason":true,` + counts + `}`,
		},
		{
			"vLLM backend",
			Target{Dialect: TritonVLLM},
			greedy, -1,
			`{"text_input":"hi","return_finish_reason":true,` + counts + `,"parameters":{"stream":true,"max_tokens":64,"temperature":0,"top_p":0.9,"ignore_eos":true,"min_tokens":64,"seed":-1}}`,
		},
		{
			"vLLM backend, an adapter by name",
			Target{Dialect: TritonVLLM, Fields: map[string]string{"return_finish_reason": ""}},
			w, 0,
			`{"text_input":"hi",` + counts + `,"parameters":{"stream":true,"max_tokens":64,"temperature":0.5,"ignore_eos":true,"min_tokens":64,"seed":7,"lora_name":"a0"}}`,
		},
	} {
		c.target.BaseURL, c.target.Model = "http://h:1", "m"
		require.NoError(t, c.target.Validate(), c.why)
		require.Equal(t, c.want, bodyOf(t, c.target, c.w, c.adapter, "hi"), c.why)
	}
}

func TestTritonPaths(t *testing.T) {
	var path string // the answer ends after it is set
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.URL.EscapedPath()
		http.Error(w, "no", http.StatusTeapot)
	}))
	defer srv.Close()
	for _, c := range []struct{ base, model, want string }{
		{"", "ensemble", "/v2/models/ensemble/generate_stream"},
		{"/", "ensemble", "/v2/models/ensemble/generate_stream"},
		{"/v1", "ensemble", "/v2/models/ensemble/generate_stream"},
		{"/v2/", "ensemble", "/v2/models/ensemble/generate_stream"},
		{"/triton/v2", "ensemble", "/triton/v2/models/ensemble/generate_stream"},
		{"", "a/b c", "/v2/models/a%2Fb%20c/generate_stream"},
	} {
		target := Target{BaseURL: srv.URL + c.base, Model: c.model, Dialect: TritonTRTLLM}
		ask(t, target, "")
		require.Equal(t, c.want, path, c.base)
	}
}

func TestFieldFaults(t *testing.T) {
	for _, c := range []struct {
		dialect Dialect
		fields  map[string]string
		want    string
	}{
		{TritonTRTLLM, map[string]string{"sead": "x"}, `"sead" is no field of dialect "triton-trtllm" (it has ["text_input"`},
		{TritonVLLM, map[string]string{"lora_task_id": ""}, `"lora_task_id" is no field of dialect "triton-vllm"`},
		{TritonTRTLLM, map[string]string{"text_input": ""}, "it is the prompt"},
		{TritonTRTLLM, map[string]string{"seed": "top_p"}, `"top_p" and "seed" would both be sent as "top_p"`},
		{TritonTRTLLM, map[string]string{"seed": "x", "end_id": "x"}, `"end_id" and "seed" would both be sent as "x"`},
		{OpenAIChat, map[string]string{"seed": "x"}, "remove it"},
		{TritonTRTLLM, map[string]string{"text_input": "prompt", "seed": "", "end_id": ""}, ""},
		{TritonTRTLLM, map[string]string{"seed": "top_p", "top_p": "seed"}, ""},
	} {
		err := Target{BaseURL: "http://h:1", Model: "m", Dialect: c.dialect, Fields: c.fields}.Validate()
		if c.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, c.want)
	}
}
