package loadgen

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bodyOf is the body for the adapter at a place in w's list, -1 for none.
func bodyOf(t *testing.T, target Target, w Workload, adapter int, prompt string) string {
	t.Helper()
	p, err := newBodyParts(target, w)
	require.NoError(t, err)
	b := p.body(prompt, adapter)
	require.True(t, json.Valid([]byte(b)), b)
	return b
}

func TestBodiesAreTheseBytes(t *testing.T) {
	w := Workload{OutputTokens: 64, Temperature: 0.5, TopP: 0.9, SamplingSeed: 7}
	for _, c := range []struct {
		why    string
		target Target
		want   string
	}{
		{
			"vLLM completions",
			Target{Model: "m", Dialect: OpenAICompletions},
			`{"model":"m","prompt":"hi","max_tokens":64,"temperature":0.5,"top_p":0.9,"seed":7,"ignore_eos":true,"min_tokens":64,"stream":true,"stream_options":{"include_usage":true}}`,
		},
		{
			"vLLM chat, continuous usage",
			Target{Model: "m", Dialect: OpenAIChat, Flavor: FlavorVLLM, ContinuousUsage: true},
			`{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":64,"temperature":0.5,"top_p":0.9,"seed":7,"ignore_eos":true,"min_tokens":64,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`,
		},
		{
			"generic",
			Target{Model: "m", Dialect: OpenAICompletions, Flavor: FlavorGeneric, ContinuousUsage: true},
			`{"model":"m","prompt":"hi","max_tokens":64,"temperature":0.5,"top_p":0.9,"seed":7,"stream":true,"stream_options":{"include_usage":true}}`,
		},
	} {
		require.Equal(t, c.want, bodyOf(t, c.target, w, -1, "hi"), c.why)
	}
}

// trtllmFields is what trtllm-serve's schema takes; it refuses all else
// (tensorrt_llm/serve/openai_protocol.py).
var trtllmFields = []string{
	"model", "prompt", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "min_p", "seed",
	"stop", "stop_token_ids", "n", "best_of", "echo", "logprobs", "presence_penalty", "frequency_penalty", "repetition_penalty", "length_penalty",
	"ignore_eos", "min_tokens", "detokenize", "add_special_tokens", "stream", "stream_options", "lora_request", "truncate_prompt_tokens", "response_format",
}

func TestTRTLLMGetsNoFieldThatItRefuses(t *testing.T) {
	for _, d := range []Dialect{OpenAICompletions, OpenAIChat} {
		target := Target{Model: "m", Dialect: d, Flavor: FlavorTRTLLM, ContinuousUsage: true}
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(bodyOf(t, target, Workload{OutputTokens: 1, TopP: 1}, -1, "hi")), &fields))
		for name := range fields {
			require.True(t, slices.Contains(trtllmFields, name), name)
		}
	}
}

func TestPromptsSurviveJSON(t *testing.T) {
	for _, prompt := range []string{"", "plain words.", "quote \" back \\ slash", "line\nbreak\ttab\x01", "żółw 🐢 <&>", "\u2028", strings.Repeat("word ", 100_000)} {
		for _, d := range dialects {
			var got struct {
				Prompt   string
				Text     *string `json:"text_input"`
				Messages []struct{ Content string }
			}
			require.NoError(t, json.Unmarshal([]byte(bodyOf(t, Target{Model: `we"ird`, Dialect: d}, Workload{}, -1, prompt)), &got))
			if d == OpenAIChat {
				got.Prompt = got.Messages[0].Content
			}
			if d.Triton() {
				got.Prompt = *got.Text
			}
			require.Equal(t, prompt, got.Prompt)
		}
	}
}

func TestRequestOnTheWire(t *testing.T) {
	var got *http.Request // the answer ends after it is set
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = &http.Request{URL: r.URL, Method: r.Method, ContentLength: r.ContentLength, Header: r.Header.Clone()}
		(&streamer{tokens: 1}).ServeHTTP(w, r)
	}))
	defer srv.Close()
	for _, base := range []string{srv.URL, srv.URL + "/", srv.URL + "/v1", srv.URL + "/v1/"} {
		target := testTarget(base)
		target.Dialect = OpenAIChat
		target.APIKey = "sk-1"
		ask(t, target, "")
		require.Equal(t, "/v1/chat/completions", got.URL.Path)
		require.Equal(t, http.MethodPost, got.Method)
		require.Positive(t, got.ContentLength)
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Accept": "text/event-stream",
			"Accept-Encoding": "identity", "Authorization": "Bearer sk-1",
		} {
			require.Equal(t, want, got.Header.Get(name))
		}
	}
}

func TestTargetStoresNoKey(t *testing.T) {
	b, err := json.Marshal(Target{BaseURL: "http://h:1", APIKey: "sk-1"})
	require.NoError(t, err)
	require.NotContains(t, string(b), "sk-1")
}

func TestTargetFaults(t *testing.T) {
	good := testTarget("https://h:1/v1")
	require.NoError(t, good.Validate())
	for _, c := range []struct {
		why    string
		change func(*Target)
	}{
		{"BaseURL", func(t *Target) { t.BaseURL = "h:1" }},
		{"BaseURL", func(t *Target) { t.BaseURL = "http://u:secret@h:1" }},
		{"BaseURL", func(t *Target) { t.BaseURL = "http://h:1?x=1" }},
		{"BaseURL", func(t *Target) { t.BaseURL = "http://%zz" }},
		{"Model", func(t *Target) { t.Model = "" }},
		{"Dialect", func(t *Target) { t.Dialect = "grpc" }},
		{"Flavor", func(t *Target) { t.Flavor = "other" }},
		{"APIKey", func(t *Target) { t.APIKey = "a\nb" }},
		{"IdleTimeout", func(t *Target) { t.IdleTimeout = -1 }},
	} {
		bad := good
		c.change(&bad)
		err := bad.Validate()
		require.ErrorContains(t, err, c.why)
		require.NotContains(t, err.Error(), "secret")
	}
}

// FuzzBodies: whatever names and prompts hold, every body is one JSON object.
func FuzzBodies(f *testing.F) {
	f.Add("m", "a0", "/l/a0", "hi", "seed")
	f.Add(`we"ird`, "a\\", "\x00", "\xff<&>\u2028", `""`)
	f.Fuzz(func(t *testing.T, model, name, path, prompt, renamed string) {
		for _, d := range dialects {
			for _, flavor := range flavors {
				target := Target{Model: model, Dialect: d, Flavor: flavor}
				if d.Triton() {
					target.Fields = map[string]string{"text_input": renamed + "_", "return_finish_reason": "", "seed": ""}
				}
				p, err := newBodyParts(target, Workload{Adapters: Adapters{List: []Adapter{{Name: name, Path: path}}}})
				if err != nil {
					continue
				}
				for adapter := range 2 {
					require.True(t, json.Valid([]byte(p.body(prompt, adapter-1))), "%s %s: %s", d, flavor, p.body(prompt, adapter-1))
				}
			}
		}
	})
}
