package loadgen

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAdaptersInOpenAIBodies(t *testing.T) {
	list := []Adapter{{Name: "a0", Path: "/l/a0"}, {Name: `a"1`, ID: 7, Path: "/l/a1"}}
	for _, c := range []struct {
		why    string
		target Target
		want   [3]string // of the base model and the two adapters: model and whatever names an adapter
	}{
		{"vLLM lists adapters as models", Target{}, [3]string{`"m"`, `"a0"`, `"a\"1"`}},
		{"so do servers that are like it", Target{Flavor: FlavorGeneric}, [3]string{`"m"`, `"a0"`, `"a\"1"`}},
		{"Ollama: a Modelfile is a model", Target{Flavor: FlavorOllama}, [3]string{`"m"`, `"a0"`, `"a\"1"`}},
		{"SGLang", Target{Flavor: FlavorSGLang}, [3]string{`"m"`, `"m:a0"`, `"m:a\"1"`}},
		{"Triton's front end", Target{Flavor: FlavorTritonOpenAI}, [3]string{`"m"`, `"m_lora_a0"`, `"m_lora_a\"1"`}},
		{"its --lora-separator", Target{Flavor: FlavorTritonOpenAI, LoRASeparator: "--"}, [3]string{`"m"`, `"m--a0"`, `"m--a\"1"`}},
		{"trtllm-serve", Target{Flavor: FlavorTRTLLM}, [3]string{
			`"m"`,
			`"m"{"lora_name":"a0","lora_int_id":1,"lora_path":"/l/a0"}`,
			`"m"{"lora_name":"a\"1","lora_int_id":7,"lora_path":"/l/a1"}`,
		}},
		{"llama.cpp counts from 0, and must be told to apply none", Target{Flavor: FlavorLlamaCPP}, [3]string{
			`"m"[{"id":0,"scale":0}]`, `"m"[{"id":0,"scale":1}]`, `"m"[{"id":6,"scale":1}]`,
		}},
	} {
		for _, d := range []Dialect{OpenAICompletions, OpenAIChat} {
			c.target.Model, c.target.Dialect = "m", d
			w := Workload{OutputTokens: 3, Adapters: Adapters{List: list}}
			for i, want := range c.want {
				var got struct {
					Model       json.RawMessage
					LoRA        json.RawMessage `json:"lora"`
					LoRARequest json.RawMessage `json:"lora_request"`
				}
				require.NoError(t, json.Unmarshal([]byte(bodyOf(t, c.target, w, i-1, "x")), &got))
				require.Equal(t, want, string(got.Model)+string(got.LoRA)+string(got.LoRARequest), c.why)
			}
		}
	}
}

func TestAdaptersThatCannotBeNamed(t *testing.T) {
	for _, c := range []struct {
		why    string
		target Target
		list   []Adapter
		want   string
	}{
		{"names are all that vLLM needs", Target{}, []Adapter{{Name: "a"}, {Name: "b"}}, ""},
		{"no name", Target{}, []Adapter{{Name: "a"}, {Name: " "}}, `adapter 2, " ": no name (give it one)`},
		{"trtllm-serve reads the directory", Target{Flavor: FlavorTRTLLM}, []Adapter{{Name: "a", Path: "/a"}, {Name: "b"}}, `adapter 2, "b": no path, which this server needs (set its Path`},
		{"the llmapi model too", Target{Dialect: TritonLLMAPI}, []Adapter{{Name: "a"}}, `adapter 1, "a": no path`},
		{"Triton's task ids are counted", Target{Dialect: TritonTRTLLM}, []Adapter{{Name: "a"}, {Name: "b"}}, ""},
		{"two of one number", Target{Dialect: TritonTRTLLM}, []Adapter{{Name: "a", ID: 2}, {Name: "b"}}, `adapter 2, "b": its ID 2 is that of "a"`},
		{"the flavour is not Triton's", Target{Dialect: TritonVLLM, Flavor: FlavorTRTLLM}, []Adapter{{Name: "a"}}, ""},
		{"a number below 1", Target{Flavor: FlavorLlamaCPP}, []Adapter{{Name: "a", ID: -1}}, "its ID -1 is below 1 (count from 1"},
		{"numbers that nobody sends may be equal", Target{}, []Adapter{{Name: "a", ID: 2}, {Name: "b", ID: 2}}, ""},
	} {
		_, err := newBodyParts(c.target, Workload{Adapters: Adapters{List: c.list}})
		if c.want == "" {
			require.NoError(t, err, c.why)
			continue
		}
		require.ErrorContains(t, err, c.want, c.why)
	}
}

func TestFlavoursGetOnlyWhatTheyKnow(t *testing.T) {
	const common = `{"model":"m","prompt":"hi","max_tokens":4,"temperature":0,"seed":0,`
	for _, c := range []struct {
		flavor Flavor
		want   string
	}{
		{FlavorSGLang, common + `"ignore_eos":true,"min_tokens":4,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`},
		{FlavorLlamaCPP, common + `"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`},
		{FlavorOllama, common + `"stream":true,"stream_options":{"include_usage":true}}`},
		{FlavorTritonOpenAI, common + `"stream":true,"stream_options":{"include_usage":true}}`},
	} {
		target := Target{Model: "m", Dialect: OpenAICompletions, Flavor: c.flavor, ContinuousUsage: true}
		require.Equal(t, c.want, bodyOf(t, target, Workload{OutputTokens: 4}, -1, "hi"))
	}
}
