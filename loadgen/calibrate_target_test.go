package loadgen

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// countingServer answers completions with one token and, where it reports
// usage, the number of the prompt's words and full stops plus overhead.
type countingServer struct {
	overhead  int
	usage     bool // in answers
	tokenizer bool // at /tokenize
	limit     int  // longest prompt, 0 for any
	generated int  // requests to generate
}

func (s *countingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Prompt   string
		Messages []struct{ Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, m := range q.Messages {
		q.Prompt += m.Content
	}
	n := units(q.Prompt) + s.overhead
	switch {
	case r.URL.Path == "/tokenize" && s.tokenizer:
		fmt.Fprintf(w, `{"count":%d,"max_model_len":4096,"tokens":[]}`, n)
	case r.URL.Path == "/tokenize":
		http.NotFound(w, r)
	case s.limit > 0 && n > s.limit:
		http.Error(w, `{"object":"error","message":"This model's maximum context length is 2048 tokens."}`, http.StatusBadRequest)
	default:
		s.generated++
		w.Header().Set("Content-Type", "text/event-stream")
		content := `"text":"a"`
		if r.URL.Path == "/v1/chat/completions" {
			content = `"delta":{"content":"a"}`
		}
		fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,%s,\"finish_reason\":\"length\"}]}\n\n", content)
		if s.usage {
			fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":1}}\n\n", n)
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}
}

func calibrated(t *testing.T, s *countingServer, d Dialect) (Calibration, error) {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return CalibrateTarget(t.Context(), Target{BaseURL: server.URL + "/v1", Model: "m", Dialect: d}, []int{64, 512, 4096})
}

func TestCalibrateTarget(t *testing.T) {
	for _, dialect := range []Dialect{OpenAICompletions, OpenAIChat} {
		t.Run(string(dialect), func(t *testing.T) {
			byUsage := countingServer{overhead: 21, usage: true}
			c, err := calibrated(t, &byUsage, dialect)
			require.NoError(t, err)
			require.Zero(t, c.MaxErr)
			require.Equal(t, 4096-21, c.Units(4096))

			byTokenizer := countingServer{overhead: 5, tokenizer: true}
			c, err = calibrated(t, &byTokenizer, dialect)
			require.NoError(t, err)
			require.Equal(t, 4096-5, c.Units(4096))
			require.Equal(t, 1, byTokenizer.generated, "one answer shows that it has no usage")
		})
	}
}

func TestCalibrateTargetSaysWhy(t *testing.T) {
	_, err := calibrated(t, &countingServer{}, OpenAICompletions)
	require.ErrorIs(t, err, ErrNoTokenCount)
	require.ErrorContains(t, err, "/tokenize: HTTP 404")

	c, err := calibrated(t, &countingServer{usage: true, limit: 2048}, OpenAIChat)
	require.ErrorIs(t, err, ErrPromptTooLong)
	require.ErrorContains(t, err, "maximum context length is 2048")
	require.Len(t, c.Points, 2, "shorter lengths are known")

	_, err = CalibrateTarget(t.Context(), Target{}, []int{64})
	require.ErrorContains(t, err, "loadgen: target: BaseURL")
	_, err = CalibrateTarget(t.Context(), Target{BaseURL: "http://127.0.0.1:1", Model: "m", Dialect: OpenAIChat}, []int{64})
	require.ErrorIs(t, err, ErrUnreachable)
}

// tritonCounter answers as a Triton model that counts the words and full stops
// of the prompt, where it counts at all.
type tritonCounter struct {
	counts bool
	limit  int
}

func (s tritonCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Text  string `json:"text_input"`
		Count bool   `json:"return_num_input_tokens"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || !strings.HasPrefix(r.URL.Path, "/v2/models/m/") {
		http.Error(w, fmt.Sprint(err, r.URL), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	n := units(q.Text) + 3
	if s.limit > 0 && n > s.limit {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "data: {\"error\":\"Prompt length (%d) exceeds maximum input length (%d).\"}\n\n", n, s.limit)
		return
	}
	said := ""
	if s.counts && q.Count {
		said = fmt.Sprintf(`"num_input_tokens":%d,`, n)
	}
	fmt.Fprintf(w, "data: {%s\"text_output\":\"a\"}\n\n", said)
	w.(http.Flusher).Flush() // or the body would not be chunked
}

func TestCalibrateTriton(t *testing.T) {
	calibrate := func(s tritonCounter, target Target) (Calibration, error) {
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		target.BaseURL, target.Model = server.URL, "m"
		return CalibrateTarget(t.Context(), target, []int{64, 512, 4096})
	}
	counted := map[string]string{"return_num_input_tokens": "return_num_input_tokens"}
	for _, target := range []Target{{Dialect: TritonTRTLLM}, {Dialect: TritonVLLM}, {Dialect: TritonLLMAPI, Fields: counted}} {
		c, err := calibrate(tritonCounter{counts: true}, target)
		require.NoError(t, err, target.Dialect)
		require.Zero(t, c.MaxErr)
		require.Equal(t, 4096-3, c.Units(4096))
	}
	for why, c := range map[string]struct {
		server tritonCounter
		target Target
	}{
		"an old image":         {tritonCounter{}, Target{Dialect: TritonTRTLLM}},
		"the published llmapi": {tritonCounter{counts: true}, Target{Dialect: TritonLLMAPI}},
	} {
		_, err := calibrate(c.server, c.target)
		require.ErrorIs(t, err, ErrNoTokenCount, why)
		require.ErrorContains(t, err, `Triton's model "m"`, why)
		require.ErrorContains(t, err, "it sends no num_input_tokens", why)
		require.NotContains(t, err.Error(), "/tokenize", why)
	}
	c, err := calibrate(tritonCounter{counts: true, limit: 1000}, Target{Dialect: TritonVLLM})
	require.ErrorIs(t, err, ErrPromptTooLong)
	require.ErrorContains(t, err, "exceeds maximum input length (1000)")
	require.Len(t, c.Points, 2, "shorter lengths are known")
}
