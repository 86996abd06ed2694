package emulator

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompletionStream(t *testing.T) {
	info := serve(t, small())
	resp, text := post(t, info.URL+"/v1/completions",
		`{"model":"tiny","prompt":"one two three four five","max_tokens":6,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true},"unknown":1}`)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
	chunks, done := events(t, text)
	require.True(t, done)
	require.Len(t, chunks, 7, "one event a token, then the usage")
	var answer strings.Builder
	for i, c := range chunks[:6] {
		require.Equal(t, "text_completion", c.Object)
		require.Equal(t, chunks[0].ID, c.ID)
		require.Equal(t, "tiny", c.Model)
		require.Nil(t, c.Usage)
		answer.WriteString(*c.Choices[0].Text)
		require.Equal(t, i == 5, c.Choices[0].FinishReason != nil)
	}
	require.Equal(t, "length", *chunks[5].Choices[0].FinishReason)
	require.Len(t, tokenize(answer.String()), 6)
	u := chunks[6]
	require.Empty(t, u.Choices)
	require.Equal(t, []int{5, 6, 11}, []int{u.Usage.PromptTokens, u.Usage.CompletionTokens, u.Usage.TotalTokens})

	_, again := post(t, info.URL+"/v1/completions", `{"prompt":"one two three four five","max_tokens":6,"ignore_eos":true}`)
	var whole chunk
	require.NoError(t, json.Unmarshal([]byte(again), &whole))
	require.Equal(t, answer.String(), *whole.Choices[0].Text, "the same prompt has the same answer")
	require.Equal(t, 6, whole.Usage.CompletionTokens)
}

func TestChatStream(t *testing.T) {
	cfg := small()
	cfg.StampEvents = true
	info := serve(t, cfg)
	_, text := post(t, info.URL+"/v1/chat/completions",
		`{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hello"}]}],"max_completion_tokens":3,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true}}`,
		"X-Request-Id", "abc")
	chunks, done := events(t, text)
	require.True(t, done)
	require.Len(t, chunks, 5)
	require.Equal(t, "chatcmpl-abc", chunks[0].ID)
	require.Equal(t, "assistant", chunks[0].Choices[0].Delta.Role)
	require.Empty(t, *chunks[0].Choices[0].Delta.Content)
	var last int64
	for i, c := range chunks[1:4] {
		require.Equal(t, "chat.completion.chunk", c.Object)
		require.NotEmpty(t, *c.Choices[0].Delta.Content)
		require.Equal(t, i+1, c.Usage.CompletionTokens, "usage goes along")
		require.Greater(t, c.SentNS, last, "stamps rise")
		last = c.SentNS
	}
	require.Equal(t, 3+1*8+3, chunks[4].Usage.PromptTokens, "three words, four template tokens a message, three for the answer")

	_, text = post(t, info.URL+"/v1/chat/completions", `{"messages":[{"role":"user","content":"hello"}],"max_tokens":3,"ignore_eos":true}`)
	var whole chunk
	require.NoError(t, json.Unmarshal([]byte(text), &whole))
	require.Equal(t, "chat.completion", whole.Object)
	require.Len(t, tokenize(whole.Choices[0].Message.Content), 3)
}

func TestLengths(t *testing.T) {
	cfg := small()
	cfg.NaturalTokens = 40
	info := serve(t, cfg)
	usage := func(body string) (prompt, output int, finish string) {
		_, text := post(t, info.URL+"/v1/completions", body)
		var c chunk
		require.NoError(t, json.Unmarshal([]byte(text), &c), text)
		require.NotNil(t, c.Usage, text)
		return c.Usage.PromptTokens, c.Usage.CompletionTokens, *c.Choices[0].FinishReason
	}
	p, n, finish := usage(`{"prompt":[1,2,3,4,5,6,7],"ignore_eos":true}`)
	require.Equal(t, []any{7, 16, "length"}, []any{p, n, finish}, "token ids; 16 by default")
	p, n, _ = usage(`{"prompt":[[1,2,3]],"max_tokens":100,"ignore_eos":true}`)
	require.Equal(t, []int{3, 100}, []int{p, n}, "a list of one prompt")
	_, n, finish = usage(`{"prompt":["a b"],"max_tokens":200}`)
	require.LessOrEqual(t, n, 40)
	require.Equal(t, "stop", finish, "an answer ends by itself")
	_, n, _ = usage(`{"prompt":["a b"],"max_tokens":200,"min_tokens":150}`)
	require.Equal(t, 150, n)
}

func TestRefusals(t *testing.T) {
	info := serve(t, small())
	long := strings.Repeat("word ", 600)
	rows := []struct {
		reason, body string
		status       int
		says         string
	}{
		{"not JSON", `{"prompt":`, 400, "BadRequestError"},
		{"two values", `{"prompt":"a"} {}`, 400, "more than one"},
		{"wrong type", `{"prompt":"a","max_tokens":"x"}`, 400, "max_tokens"},
		{"no prompt", `{}`, 400, "Field required"},
		{"empty prompt", `{"prompt":""}`, 400, "cannot be empty"},
		{"prompt of the wrong kind", `{"prompt":{"a":1}}`, 400, "token ids"},
		{"several prompts", `{"prompt":["a","b"]}`, 400, "one prompt"},
		{"unknown model", `{"model":"gpt","prompt":"a"}`, 404, "The model `gpt` does not exist."},
		{"too long", `{"prompt":"` + long + `"}`, 400, "context_length_exceeded"},
		{"too long, streaming", `{"stream":true,"prompt":"` + long + `"}`, 400, "maximum context length is 512 tokens"},
		{"too long with its output", `{"prompt":"a","max_tokens":512}`, 400, "reduce the length"},
		{"no output", `{"prompt":"a","max_tokens":0}`, 400, "max_tokens"},
		{"min over max", `{"prompt":"a","max_tokens":2,"min_tokens":3}`, 400, "min_tokens"},
		{"several answers", `{"prompt":"a","n":2}`, 400, "one answer"},
		{"stop", `{"prompt":"a","stop":["x"]}`, 400, "stop"},
		{"logprobs", `{"prompt":"a","logprobs":3}`, 400, "logprobs"},
		{"echo", `{"prompt":"a","echo":true}`, 400, "echo"},
		{"stream options alone", `{"prompt":"a","stream_options":{}}`, 400, "stream_options"},
	}
	for _, r := range rows {
		resp, text := post(t, info.URL+"/v1/completions", r.body)
		require.Equal(t, r.status, resp.StatusCode, r.reason)
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"), r.reason)
		require.Contains(t, text, r.says, r.reason)
		require.Contains(t, text, `"error":{`, r.reason)
	}
	resp, text := post(t, info.URL+"/v1/chat/completions", `{"messages":[]}`)
	require.Equal(t, 400, resp.StatusCode, text)
	resp, text = post(t, info.URL+"/v1/chat/completions", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`)
	require.Equal(t, 400, resp.StatusCode, text)
	resp, _ = post(t, info.URL+"/v1/completions", `{"prompt":"a"}`, FaultHeader, "nonsense")
	require.Equal(t, 400, resp.StatusCode, "a fault that is not understood is not ignored")
}

func TestStrictRefusesUnknownFields(t *testing.T) {
	cfg := small()
	cfg.Strict = true
	info := serve(t, cfg)
	resp, text := post(t, info.URL+"/v1/completions", `{"prompt":"a","priority":3}`)
	require.Equal(t, 400, resp.StatusCode)
	require.JSONEq(t, `{"error":"1 validation error: body.priority: Extra inputs are not permitted"}`, text)
	_, text = post(t, info.URL+"/v1/completions", `{"model":"tiny","prompt":"a","max_tokens":2,"temperature":0.5,"top_p":1,"seed":1,"ignore_eos":true,"min_tokens":2,"stream":true,"stream_options":{}}`)
	chunks, done := events(t, text)
	require.True(t, done)
	require.NotNil(t, chunks[len(chunks)-1].Usage, "usage is included unless told not to")
}

func TestPlainRoutes(t *testing.T) {
	info := serve(t, small())
	for _, path := range []string{"/health", "/ping"} {
		status, text := get(t, info.URL+path)
		require.Equal(t, 200, status)
		require.Empty(t, text)
	}
	status, text := get(t, info.URL+"/v1/models")
	require.Equal(t, 200, status)
	require.Contains(t, text, `"id":"tiny"`)
	require.Contains(t, text, `"max_model_len":512`)
	_, text = get(t, info.URL+"/version")
	require.JSONEq(t, `{"version":"spark-emulator"}`, text)
	_, text = post(t, info.URL+"/tokenize", `{"model":"tiny","prompt":"hello, world"}`)
	require.Contains(t, text, `"count":3`)
	_, text = post(t, info.URL+"/tokenize", `{"messages":[{"role":"user","content":"hi"}]}`)
	require.Contains(t, text, `"count":8`)
	status, text = get(t, info.URL+"/v2/health/ready")
	require.Equal(t, 404, status)
	require.JSONEq(t, `{"detail":"Not Found"}`, text)
	status, _ = get(t, info.URL+"/v1/completions")
	require.Equal(t, 405, status)
}
