package emulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// smallTriton is small with both faces.
func smallTriton() Config {
	c := small()
	c.TritonAddr = "127.0.0.1:0"
	return c
}

// response is what the tests read of one of Triton's events.
type response struct {
	ID        string  `json:"id"`
	Model     string  `json:"model_name"`
	Version   string  `json:"model_version"`
	Text      *string `json:"text_output"`
	In        int     `json:"num_input_tokens"`
	Out       int     `json:"num_output_tokens"`
	Finish    string  `json:"finish_reason"`
	Error     string  `json:"error"`
	SentNS    int64   `json:"spark_sent_ns"`
	AdapterNS *int64  `json:"spark_adapter_load_ns"`
	CumLog    float64 `json:"cum_log_probs"`
}

// responses splits one of Triton's streams.
func responses(t *testing.T, stream string) (list []response) {
	t.Helper()
	if stream == "" {
		return nil
	}
	require.True(t, strings.HasSuffix(stream, "\n\n"), "stream %q", stream)
	for part := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(part, "data: ")
		require.True(t, ok, "event %q", part)
		var r response
		require.NoError(t, json.Unmarshal([]byte(data), &r), "event %q", part)
		list = append(list, r)
	}
	return list
}

func TestTritonStream(t *testing.T) {
	cfg := smallTriton()
	cfg.StampEvents = true
	info := serve(t, cfg)
	require.NotEqual(t, info.URL, info.TritonURL)
	_, whole := post(t, info.URL+"/v1/completions", `{"prompt":"one two three","max_tokens":4,"ignore_eos":true}`)
	var openai chunk
	require.NoError(t, json.Unmarshal([]byte(whole), &openai))
	answer := *openai.Choices[0].Text
	rows := []struct {
		reason, model, body string
		in, out             int
		cumulative          bool
		finish              []string
	}{
		{"the ensemble sends the new piece", "ensemble", `{"text_input":"one two three","max_tokens":4,"min_tokens":4,"stream":true,"return_num_input_tokens":true,"return_num_output_tokens":true}`, 3, 1, false, []string{"", ""}},
		{"counts only when asked", "ensemble", `{"text_input":"one two three","max_tokens":4,"end_id":-1,"stream":true}`, 0, 0, false, []string{"", ""}},
		{"a key in parameters that names an input is one", "ensemble", `{"text_input":"one two three","max_tokens":4,"parameters":{"stream":true,"nonsense":1},"other":2.5}`, 0, 0, false, []string{"", ""}},
		{"the LLM API sends the whole text and counts nothing", "tensorrt_llm", `{"text_input":"one two three","sampling_param_max_tokens":4,"streaming":true,"return_finish_reason":true,"return_num_output_tokens":true}`, 0, 0, true, []string{"None", "length"}},
		{"vLLM", "vllm_model", `{"text_input":"one two three","stream":true,"return_finish_reason":true,"return_num_input_tokens":true,"return_num_output_tokens":true,"parameters":{"max_tokens":4,"ignore_eos":true,"temperature":0}}`, 3, 1, false, []string{"None", "length"}},
		{"vLLM with its parameters as text", "vllm_model", `{"text_input":"one two three","stream":true,"sampling_parameters":"{\"max_tokens\":4,\"min_tokens\":4}"}`, 0, 0, false, []string{"", ""}},
	}
	for _, r := range rows {
		resp, text := post(t, info.TritonURL+"/v2/models/"+r.model+"/versions/1/generate_stream", r.body)
		require.Equal(t, 200, resp.StatusCode, "%s: %s", r.reason, text)
		require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"), r.reason)
		require.Equal(t, []string{"chunked"}, resp.TransferEncoding, r.reason)
		list := responses(t, text)
		require.Len(t, list, 4, r.reason)
		var said string
		for i, e := range list {
			require.Equal(t, []any{r.model, "1", "", r.in, r.out}, []any{e.Model, e.Version, e.ID, e.In, e.Out}, r.reason)
			require.Equal(t, r.finish[i/3], e.Finish, r.reason)
			require.Positive(t, e.SentNS, r.reason)
			require.Nil(t, e.AdapterNS, r.reason)
			if r.cumulative {
				require.True(t, strings.HasPrefix(*e.Text, said) && len(*e.Text) > len(said), r.reason)
				said = ""
			}
			said += *e.Text
		}
		require.Equal(t, answer, said, "%s: every face asks the same engine", r.reason)
	}
	require.Contains(t, first(t, info.TritonURL), `data: {"batch_index":0,"context_logits":0.0,"cum_log_probs":0.0,"generation_logits":0.0,"id":"me","model_name":"ensemble","model_version":"1","num_output_tokens":1,"output_log_probs":0.0,"sequence_end":false,`)
}

func first(t *testing.T, url string) string {
	t.Helper()
	_, text := post(t, url+"/v2/models/ensemble/generate_stream", `{"id":"me","text_input":"a","max_tokens":1,"stream":true,"return_num_output_tokens":true}`)
	return text
}

func TestTritonWhole(t *testing.T) {
	info := serve(t, smallTriton())
	rows := []struct {
		reason, path, body string
		want               string // of text_output before the words
		words, out         int
		sse                bool
	}{
		{"prompt and answer", "ensemble/generate", `{"text_input":"a \"b\"","max_tokens":3,"return_num_output_tokens":true}`, `a "b"`, 3, 3, false},
		{"the answer alone", "ensemble/generate", `{"text_input":"a b","max_tokens":3,"exclude_input_in_output":true}`, "", 3, 0, false},
		{"a stream of one event", "ensemble/generate_stream", `{"text_input":"a b","max_tokens":3,"stream":false,"exclude_input_in_output":true}`, "", 3, 0, true},
		{"one token is one response", "ensemble/generate", `{"text_input":"a b","max_tokens":1,"stream":true}`, "", 1, 0, false},
		{"LLM API", "tensorrt_llm/generate", `{"text_input":"a b","sampling_param_exclude_input_from_output":true}`, "", 32, 0, false},
		{"vLLM: 16 tokens by default", "vllm_model/generate", `{"text_input":"a b"}`, "a b", 16, 0, false},
		{"a list of one", "vllm_model/generate", `{"text_input":["a b"],"exclude_input_in_output":[true]}`, "", 16, 0, false},
	}
	for _, r := range rows {
		resp, text := post(t, info.TritonURL+"/v2/models/"+r.path, r.body)
		require.Equal(t, 200, resp.StatusCode, "%s: %s", r.reason, text)
		var got response
		if r.sse {
			list := responses(t, text)
			require.Len(t, list, 1, r.reason)
			got = list[0]
		} else {
			require.Equal(t, "application/json", resp.Header.Get("Content-Type"), r.reason)
			require.NoError(t, json.Unmarshal([]byte(text), &got), r.reason)
		}
		rest, ok := strings.CutPrefix(*got.Text, r.want)
		require.True(t, ok, "%s: %q", r.reason, *got.Text)
		require.Len(t, tokenize(rest), r.words, r.reason)
		require.Equal(t, r.out, got.Out, r.reason)
	}
}

func TestTritonNaturalLength(t *testing.T) {
	cfg := smallTriton()
	cfg.NaturalTokens = 4
	info := serve(t, cfg)
	for _, r := range []struct {
		reason, model, body string
		least, most         int
	}{
		{"the ensemble ends by itself", "ensemble", `{"text_input":"a b","max_tokens":50,"stream":true}`, 1, 4},
		{"also at the model's own end", "ensemble", `{"text_input":"a b","max_tokens":50,"stream":true,"end_id":128001}`, 1, 4},
		{"not at an end that cannot come", "ensemble", `{"text_input":"a b","max_tokens":50,"stream":true,"end_id":-1}`, 50, 50},
		{"not before its least", "ensemble", `{"text_input":"a b","max_tokens":50,"min_tokens":50,"stream":true}`, 50, 50},
		{"ignore_eos is only a parameter there", "ensemble", `{"text_input":"a b","max_tokens":50,"stream":true,"ignore_eos":true}`, 1, 4},
		{"the LLM API has no way", "tensorrt_llm", `{"text_input":"a b","sampling_param_max_tokens":50,"streaming":true,"min_tokens":50}`, 1, 4},
		{"vLLM", "vllm_model", `{"text_input":"a b","stream":true,"parameters":{"max_tokens":50}}`, 1, 4},
		{"vLLM ignores the end", "vllm_model", `{"text_input":"a b","stream":true,"parameters":{"max_tokens":50,"ignore_eos":true}}`, 50, 50},
		{"what does not fit is cut", "ensemble", `{"text_input":"a b","max_tokens":5000,"end_id":-1,"stream":true}`, 510, 510},
	} {
		_, text := post(t, info.TritonURL+"/v2/models/"+r.model+"/generate_stream", r.body)
		n := len(responses(t, text))
		require.True(t, r.least <= n && n <= r.most, "%s: %d tokens", r.reason, n)
	}
}

func TestTritonRoutes(t *testing.T) {
	info := serve(t, smallTriton())
	rows := []struct {
		method, path, body string
		status             int
		says               []string
	}{
		{"GET", "/v2", "", 200, []string{`"name":"triton"`, `"version":"spark-emulator"`}},
		{"POST", "/v2", "", 405, []string{`{"error":"Method Not Allowed"}`}},
		{"GET", "/v2/health/live", "", 200, nil},
		{"GET", "/v2/health/ready", "", 200, nil},
		{"GET", "/v2/models/ensemble/ready", "", 200, nil},
		{"GET", "/v2/models/ensemble/versions/1/ready", "", 200, nil},
		{"GET", "/v2/models/gpt/ready", "", 400, []string{"Request for unknown model: 'gpt' is not found"}},
		{"GET", "/v2/models/ensemble/versions/2", "", 404, []string{"version 2 is not found"}},
		{"GET", "/v2/models/ensemble", "", 200, []string{`"platform":"ensemble"`, `{"datatype":"BYTES","name":"text_input","shape":[-1,1]}`, `"name":"lora_task_id"`}},
		{"GET", "/v2/models/tensorrt_llm", "", 200, []string{`"platform":"python"`, `"name":"lora_path"`, `"name":"sampling_param_max_tokens"`}},
		{"GET", "/v2/models/vllm_model", "", 200, []string{`"platform":"vllm"`, `"name":"sampling_parameters"`}},
		{"GET", "/v2/models/ensemble/config", "", 200, []string{`"data_type":"TYPE_UINT64","dims":[1],"name":"lora_task_id","optional":true`, `"max_batch_size":16`, `"decoupled":true`}},
		{"GET", "/v2/models/tensorrt_llm/config", "", 200, []string{`"backend":"python"`, `"name":"lora_name"`, `"name":"lora_id"`}},
		{"GET", "/v2/models/vllm_model/config", "", 200, []string{`"backend":"vllm"`, `"name":"exclude_input_in_output"`}},
		{"GET", "/v2/models/vllm_model/stats", "", 200, []string{`"name":"vllm_model"`, `"inference_count":0`}},
		{"GET", "/v2/models/stats", "", 200, []string{`"name":"vllm_model"`, `"name":"ensemble"`}},
		{"POST", "/v2/repository/index", "", 200, []string{`{"name":"ensemble","state":"READY","version":"1"}`}},
		{"POST", "/v2/repository/index", `{"ready":true}`, 200, []string{`"tensorrt_llm"`}},
		{"POST", "/v2/repository/index", `{"ready":3}`, 400, []string{"expected a boolean"}},
		{"POST", "/v2/repository/index", `{`, 400, []string{"failed to parse"}},
		{"GET", "/v2/repository/index", "", 405, nil},
		{"POST", "/v2/repository/models/ensemble/load", "", 503, []string{"explicit model load / unload is not allowed if polling is enabled"}},
		{"POST", "/v2/repository/models/ensemble/unload", "", 503, []string{"explicit model load / unload is not allowed if polling is enabled"}},
		{"GET", "/v2/models/ensemble/generate", "", 405, []string{`{"error":"Method Not Allowed"}`}},
		{"GET", "/v2/models/ensemble/generate_stream", "", 405, []string{`{"error":"Method Not Allowed"}`}},
		{"POST", "/v2/models/ensemble/infer", "{}", 501, []string{"decoupled transaction policy"}},
		{"GET", "/v1/models", "", 404, []string{`{"error":"Not Found"}`}},
		{"GET", "/metrics", "", 200, []string{`nv_inference_pending_request_count{model="ensemble",version="1"} 0`, `nv_trt_llm_request_metrics{model="tensorrt_llm",version="1",request_type="waiting"} 0`, `kv_cache_block_type="fraction"`, "spark_emulator_pool_bytes"}},
	}
	for _, r := range rows {
		req, err := http.NewRequestWithContext(t.Context(), r.method, info.TritonURL+r.path, strings.NewReader(r.body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, r.status, resp.StatusCode, "%s %s: %s", r.method, r.path, text)
		for _, says := range r.says {
			require.Contains(t, string(text), says, "%s %s", r.method, r.path)
		}
		if r.says == nil && r.status == 200 {
			require.Empty(t, text, "%s %s", r.method, r.path)
		}
	}
	status, _ := get(t, info.URL+"/v2")
	require.Equal(t, 404, status, "the faces do not mix")
}

func TestTritonCounts(t *testing.T) {
	info := serve(t, smallTriton())
	generate := func(model, body string) {
		post(t, info.TritonURL+"/v2/models/"+model+"/generate_stream", body)
	}
	generate("ensemble", `{"text_input":"a","max_tokens":5,"stream":true}`)
	generate("ensemble", `{"text_input":"a","max_tokens":5}`)
	generate("ensemble", `{"text_input":"a","max_tokens":0}`)
	generate("ensemble", `{"text_input":"a"}`)
	generate("vllm_model", `{"text_input":"a"}`)
	_, text := get(t, info.TritonURL+"/v2/models/ensemble/stats")
	var got struct {
		Stats []struct {
			Last  int64 `json:"last_inference"`
			Count int   `json:"inference_count"`
			Infer map[string]struct {
				Count int
				NS    int64
			} `json:"inference_stats"`
		} `json:"model_stats"`
	}
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Len(t, got.Stats, 1)
	s := got.Stats[0]
	require.Equal(t, []int{2, 2, 1}, []int{s.Count, s.Infer["success"].Count, s.Infer["fail"].Count}, "what the front end refuses reaches no model")
	require.GreaterOrEqual(t, s.Infer["success"].NS, s.Infer["queue"].NS+s.Infer["compute_infer"].NS)
	require.GreaterOrEqual(t, s.Infer["compute_infer"].NS, int64(8*time.Millisecond), "two times four steps of a millisecond between five tokens")
	require.InDelta(t, time.Now().UnixMilli(), s.Last, 60_000)
	_, text = get(t, info.TritonURL+"/metrics")
	require.Contains(t, text, `nv_inference_request_success{model="ensemble",version="1"} 2`)
	require.Contains(t, text, `nv_inference_request_failure{model="ensemble",version="1"} 1`)
	require.Contains(t, text, `nv_inference_request_success{model="vllm_model",version="1"} 1`)
}

func TestTritonFaults(t *testing.T) {
	info := serve(t, smallTriton())
	ask := func(model, fault string) (*http.Response, string, error) {
		body := `{"text_input":"one two three four","max_tokens":4,"end_id":-1,"stream":true,"streaming":true,"sampling_param_max_tokens":4,"return_num_input_tokens":true,"return_num_output_tokens":true}`
		return try(t, info.TritonURL+"/v2/models/"+model+"/generate_stream", body, FaultHeader, fault)
	}
	for _, status := range []int{400, 429, 500, 503} {
		resp, text, err := ask("ensemble", fmt.Sprintf("status=%d", status))
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		require.Equal(t, "application/json", resp.Header.Get("Content-Type"), "before the model")
		require.Contains(t, text, `{"error":"`)
	}
	for n := range 4 {
		resp, text, err := ask("ensemble", fmt.Sprintf("error_event=%d", n))
		require.NoError(t, err, "a failed stream ends properly")
		status := 200
		if n == 0 {
			status = 500
		}
		require.Equal(t, status, resp.StatusCode, "the status is the first response's")
		require.Equal(t, "text/event-stream; charset=utf-8", resp.Header.Get("Content-Type"))
		list := responses(t, text)
		require.Len(t, list, n+1)
		require.Equal(t, "in ensemble 'ensemble', the request failed: the stream failed, as asked", list[n].Error)
	}
	_, _, err := ask("ensemble", "cut=0")
	require.ErrorIs(t, err, io.EOF, "no header has gone out")
	resp, text, err := ask("ensemble", "cut=2")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, responses(t, text), 2)
	resp, text, err = ask("ensemble", "empty")
	require.NoError(t, err)
	require.Equal(t, []any{200, "", "chunked"}, []any{resp.StatusCode, text, resp.TransferEncoding[0]}, "no response, and the end")
	_, text, err = ask("ensemble", "bad_event=2")
	require.NoError(t, err)
	require.Contains(t, text, "data: {\"id\": oops\n\n")
	_, text, err = ask("ensemble", "no_usage")
	require.NoError(t, err)
	require.NotContains(t, text, "num_")
	_, text, err = ask("ensemble", "truncate_prompt=2")
	require.NoError(t, err)
	require.Equal(t, 2, responses(t, text)[0].In)
	_, text, err = ask("ensemble", "cumulative")
	require.NoError(t, err)
	list := responses(t, text)
	for i := range 3 {
		require.True(t, strings.HasPrefix(*list[i+1].Text, *list[i].Text), "as the BLS model with accumulate_tokens")
	}
	start := time.Now()
	_, _, err = ask("ensemble", "slow_headers=60ms,stall=60ms")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 120*time.Millisecond)
}

// TestTritonHeadersComeWithTheFirstToken tells the faces apart by when the
// header leaves: vLLM's at once, Triton's with the first response.
func TestTritonHeadersComeWithTheFirstToken(t *testing.T) {
	cfg := smallTriton()
	cfg.Step = 100 * time.Millisecond
	info := serve(t, cfg)
	header := func(base, path, body string) (header, all time.Duration) {
		start := time.Now()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		header = time.Since(start)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return header, time.Since(start)
	}
	got, all := header(info.TritonURL, "/v2/models/ensemble/generate_stream", `{"text_input":"a","max_tokens":2,"stream":true}`)
	require.GreaterOrEqual(t, got, cfg.Step, "a step brings the first token")
	require.GreaterOrEqual(t, all-got, cfg.Step*9/10, "and another the second")
	got, all = header(info.URL, "/v1/completions", `{"prompt":"a","max_tokens":2,"ignore_eos":true,"stream":true}`)
	require.Less(t, got, all-cfg.Step)
}

func TestTritonAddressIsFreed(t *testing.T) {
	cfg := smallTriton()
	info, stop := serveUntil(t, cfg)
	other := small()
	other.TritonAddr = strings.TrimPrefix(info.TritonURL, "http://")
	require.ErrorContains(t, Serve(t.Context(), other, nil), "listen on")
	stop()
	_, err := net.DialTimeout("tcp", strings.TrimPrefix(info.TritonURL, "http://"), time.Second)
	require.Error(t, err)
	other.TritonAddr = "nowhere"
	require.ErrorContains(t, Serve(t.Context(), other, nil), "triton_addr")
}
