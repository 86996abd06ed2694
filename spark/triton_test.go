package spark

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

func tritonPage(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "triton", name))
	require.NoError(t, err)
	return string(b)
}

const (
	aboutTriton = `{"name":"triton","version":"2.59.0","extensions":["model_repository","model_configuration"]}`
	tritonText  = `data: {"model_name":"m","model_version":"1","text_output":" four","num_output_tokens":1,"num_input_tokens":3}` + "\n\n"
	// The LLM API repeats the text so far.
	cumulativeText = `data: {"model_name":"m","model_version":"1","text_output":" four"}` + "\n\n" +
		`data: {"model_name":"m","model_version":"1","text_output":" four five"}` + "\n\n"
)

// tritonServer serves models by config; "name!" is one that failed to load, and
// "name?" one that was never loaded.
func tritonServer(t *testing.T, models map[string]string) *fake {
	t.Helper()
	f := &fake{pages: map[string]string{"/v2": aboutTriton}, status: map[string]int{}, streams: map[string]string{}}
	var index []string
	for name, config := range models {
		switch {
		case strings.HasSuffix(name, "!"):
			index = append(index, fmt.Sprintf(`{"name":%q,"version":"1","state":"UNAVAILABLE","reason":"no engine"}`, strings.TrimSuffix(name, "!")))
			continue
		case strings.HasSuffix(name, "?"):
			index = append(index, fmt.Sprintf(`{"name":%q}`, strings.TrimSuffix(name, "?")))
			continue
		}
		index = append(index, fmt.Sprintf(`{"name":%q,"version":"1","state":"READY"}`, name))
		f.pages["/v2/models/"+name+"/ready"] = ""
		f.pages["/v2/models/"+name+"/config"] = tritonPage(t, config)
		f.streams["/v2/models/"+name+"/generate_stream"] = tritonText
		if config == "llmapi.json" {
			f.streams["/v2/models/"+name+"/generate_stream"] = cumulativeText
		}
	}
	f.pages["/v2/repository/index"] = "[" + strings.Join(index, ",") + "]"
	return f
}

// inflight is the repository of TensorRT-LLM's engines.
func inflight() map[string]string {
	return map[string]string{"ensemble": "ensemble.json", "tensorrt_llm": "engine.json", "tensorrt_llm_bls": "bls.json", "preprocessing": "images.json", "postprocessing": "images.json"}
}

func TestAttachFindsTritonsModelAndShape(t *testing.T) {
	all := map[string]string{"ensemble": "ensemble.json", "tensorrt_llm": "llmapi.json", "vllm_model": "vllm.json"}
	for name, row := range map[string]struct {
		models     map[string]string
		api, model string
		want       string // model
		shape      loadgen.Dialect
	}{
		"engines: the ensemble":                {inflight(), "triton", "", "ensemble", loadgen.TritonTRTLLM},
		"before LoRA":                          {map[string]string{"ensemble": "ensemble-old.json"}, "triton", "", "ensemble", loadgen.TritonTRTLLM},
		"the LLM API":                          {map[string]string{"tensorrt_llm": "llmapi.json"}, "triton", "", "tensorrt_llm", loadgen.TritonLLMAPI},
		"vLLM":                                 {map[string]string{"vllm_model": "vllm.json"}, "triton", "", "vllm_model", loadgen.TritonVLLM},
		"vLLM under a name of one's own":       {map[string]string{"llama": "vllm.json"}, "triton", "", "llama", loadgen.TritonVLLM},
		"failed ensemble: what takes text":     {map[string]string{"ensemble!": "", "tensorrt_llm": "engine.json", "tensorrt_llm_bls": "bls.json"}, "triton", "", "tensorrt_llm_bls", loadgen.TritonTRTLLM},
		"a model named":                        {inflight(), "triton", "tensorrt_llm_bls", "tensorrt_llm_bls", loadgen.TritonTRTLLM},
		"all three: the ensemble":              {all, "triton", "", "ensemble", loadgen.TritonTRTLLM},
		"all three, one shape asked for":       {all, "triton-vllm", "", "vllm_model", loadgen.TritonVLLM},
		"all three, another":                   {all, "triton-llmapi", "", "tensorrt_llm", loadgen.TritonLLMAPI},
		"a shape that the config does not say": {map[string]string{"mine": "images.json"}, "triton-trtllm", "", "mine", loadgen.TritonTRTLLM},
		"shape and model":                      {all, "triton-vllm", "tensorrt_llm", "tensorrt_llm", loadgen.TritonVLLM},
		"whatever answers":                     {inflight(), "auto", "", "ensemble", loadgen.TritonTRTLLM},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Attach(t.Context(), Endpoint{URL: serve(t, tritonServer(t, row.models)), API: row.api, Model: row.model, ReadyTimeout: 10 * time.Second})
			require.NoError(t, err)
			require.Equal(t, row.want, s.Endpoint.Model)
			require.Equal(t, string(row.shape), s.Dialect)
			require.Equal(t, FlavorTriton, s.Flavor)
			require.Equal(t, "/v2 answers as Triton 2.59.0", s.Evidence)
			require.Len(t, s.Models, len(row.models))
			require.Equal(t, "2.59.0", s.Facts.Version)
			require.Positive(t, s.FirstToken)
			require.False(t, s.Emulated())
			_, err = NewScraper(s, 0)
			require.ErrorContains(t, err, "port 8002")
		})
	}
}

func TestAttachRefusesTriton(t *testing.T) {
	const index, stream = "/v2/repository/index", "/v2/models/ensemble/generate_stream"
	for name, row := range map[string]struct {
		models map[string]string
		change func(*fake)
		model  string
		want   error
		says   string
	}{
		"wrong model":          {inflight(), nil, "llama", ErrWrongModel, `does not list "llama" (it has: `},
		"model failed":         {map[string]string{"ensemble!": ""}, nil, "ensemble", ErrNotReady, "ensemble is unavailable (no engine)"},
		"nothing is ready":     {map[string]string{"ensemble!": ""}, nil, "", ErrNotReady, "ensemble is unavailable (no engine)"},
		"never loaded":         {map[string]string{"ensemble?": ""}, nil, "", ErrNotReady, "ensemble is not loaded"},
		"empty repository":     {nil, nil, "", ErrNotReady, "no model in its repository"},
		"several of no name":   {map[string]string{"a": "vllm.json", "b": "vllm.json"}, nil, "", ErrWrongModel, "(say which)"},
		"no model of language": {map[string]string{"resnet": "images.json"}, nil, "", ErrWrongModel, "no known server's of language models"},
		"takes tokens only":    {map[string]string{"tensorrt_llm": "engine.json"}, nil, "", ErrWrongModel, "no known server's of language models"},
		"ready, says the list": {inflight(), func(f *fake) { f.status["/v2/models/ensemble/ready"] = 400 }, "", ErrNotReady, "/v2/models/ensemble/ready: status 400"},
		"starting":             {inflight(), func(f *fake) { f.status[index] = 503 }, "", ErrNotReady, "wait until it has loaded"},
		"restricted":           {inflight(), func(f *fake) { f.status[index] = 403 }, "", ErrUnauthorized, "give the key"},
		"an error says 200": {inflight(), func(f *fake) {
			f.streams[stream] = `data: {"error":"in ensemble 'ensemble', encountered streamingCallback"}` + "\n\n"
		}, "", ErrNotReady, "stream_error: in ensemble"},
		"no token": {inflight(), func(f *fake) { f.streams[stream] = `data: {"model_name":"ensemble","text_output":""}` + "\n\n" }, "", ErrNotReady, "no_tokens"},
		"an error at once": {inflight(), func(f *fake) {
			f.status[stream], f.pages[stream] = 400, `{"error":"missing required input(s) ['text_input']"}`
		}, "", ErrNotReady, "missing required input"},
		"a key wanted":     {inflight(), func(f *fake) { f.key = "other" }, "", ErrUnauthorized, "give the key"},
		"a key for tokens": {inflight(), func(f *fake) { f.status[stream] = 401 }, "", ErrUnauthorized, "give the key"},
	} {
		t.Run(name, func(t *testing.T) {
			f := tritonServer(t, row.models)
			if row.change != nil {
				row.change(f)
			}
			_, err := Attach(t.Context(), Endpoint{URL: serve(t, f), API: "triton", Model: row.model, APIKey: "sk-very-secret", ReadyTimeout: 10 * time.Second})
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, row.says)
			require.NotContains(t, err.Error(), "sk-very-secret")
		})
	}
}

func TestAttachNamesTheAPIThatTheServerSpeaks(t *testing.T) {
	triton, openAI := serve(t, tritonServer(t, inflight())), serve(t, healthy())
	other := serve(t, &fake{pages: map[string]string{"/": "hello"}, status: map[string]int{}})
	for name, row := range map[string]struct {
		url, api string
		want     error
		says     string
	}{
		"Triton asked as OpenAI":   {triton, "", ErrNotOpenAI, "spark: not an OpenAI-compatible server: " + triton + " answers Triton's /v2 (set the API to triton)"},
		"the same, by name":        {triton, "openai-chat", ErrNotOpenAI, "set the API to triton"},
		"OpenAI asked as Triton":   {openAI, "triton", ErrNotTriton, "spark: not a Triton server: " + openAI + " answers OpenAI's /v1/models (set the API to openai)"},
		"neither, as Triton":       {other, "triton", ErrNotTriton, "is this the right port?"},
		"neither, as OpenAI":       {other, "openai", ErrNotOpenAI, "is this the right port?"},
		"neither, whichever":       {other, "auto", ErrNotOpenAI, "is this the right port?"},
		"an API of no such name":   {openAI, "grpc", nil, `API "grpc" is unknown`},
		"a form that is not there": {openAI, "openai-chat", ErrNotOpenAI, "does not serve openai-chat"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Attach(t.Context(), Endpoint{URL: row.url, API: row.api})
			require.ErrorContains(t, err, row.says)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
			}
		})
	}
	for _, api := range []string{"", "openai", "openai-completions", "auto", "vllm"} {
		s, err := Attach(t.Context(), Endpoint{URL: openAI, API: api})
		require.NoError(t, err, api)
		require.Equal(t, "openai-completions", s.Dialect)
	}
}

func TestFindTakesEitherAPI(t *testing.T) {
	triton, openAI := serve(t, tritonServer(t, inflight())), serve(t, healthy())
	s, err := Find(t.Context(), Endpoint{API: "auto"}, []string{triton, openAI})
	require.NoError(t, err)
	require.Equal(t, triton, s.Endpoint.URL)
	require.Equal(t, "triton-trtllm", s.Dialect)
	s, err = Find(t.Context(), Endpoint{}, []string{triton, openAI})
	require.NoError(t, err)
	require.Equal(t, openAI, s.Endpoint.URL)
}

func TestTritonsMetricsAreFoundAndBelieved(t *testing.T) {
	page := tritonPage(t, "metrics.prom")
	for name, row := range map[string]struct {
		own, other string // pages of the server's own port and of the other
		facts      string
		found      bool
	}{
		"on a port of their own": {"", page, `{"version":"2.59.0","max_num_seqs":512,"kv_pool_tokens":81920,"kv_block_tokens":64}`, true},
		"on the same port":       {page, "", `{"version":"2.59.0","max_num_seqs":512,"kv_pool_tokens":81920,"kv_block_tokens":64}`, true},
		"of another server":      {"", `nv_inference_request_success{model="resnet",version="1"} 3` + "\n", `{"version":"2.59.0"}`, false},
		"of no Triton":           {"", "node_load1 3\n", `{"version":"2.59.0"}`, false},
		"nowhere":                {"", "", `{"version":"2.59.0"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			f, metrics := tritonServer(t, inflight()), &fake{pages: map[string]string{}, status: map[string]int{}}
			if row.own != "" {
				f.pages["/metrics"] = row.own
			}
			if row.other != "" {
				metrics.pages["/metrics"] = row.other
			}
			e := Endpoint{URL: serve(t, f), APIKey: "sk-very-secret"}
			c, err := newClient(e)
			require.NoError(t, err)
			repo, err := c.repository(t.Context())
			require.NoError(t, err)
			base, err := url.Parse(serve(t, metrics))
			require.NoError(t, err)

			s := &Server{Endpoint: e, Models: repo.names(), Dialect: "triton-trtllm"}
			s.learn(c.surveyTriton(t.Context(), repo, base))
			require.Equal(t, FlavorTriton, s.Flavor)
			s.Facts.Source = nil
			got, err := json.Marshal(s.Facts)
			require.NoError(t, err)
			require.JSONEq(t, row.facts, string(got))
			scraper, err := NewScraper(s, 0)
			if !row.found {
				require.ErrorIs(t, err, ErrNoMetrics)
				return
			}
			require.NoError(t, err)
			p := scraper.Scrape(t.Context()).Point()
			require.Empty(t, p.Error)
			require.Equal(t, Counters{Running: set(4), Waiting: set(1), KVUsage: set(0.25)}, p.Counters)
			require.Equal(t, row.own != "", scraper.client.key != "", "another port may be another server's: it gets no key")
		})
	}
}

func FuzzShapeOf(f *testing.F) {
	for _, name := range []string{"ensemble.json", "engine.json", "llmapi.json", "vllm.json", "images.json"} {
		f.Add([]byte(tritonPage(f, name)))
	}
	f.Add([]byte(`{"input":[{"name":null},{}],"backend":7}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		if shape := shapeOf(config); shape != "" {
			require.True(t, shape.Triton())
			require.True(t, json.Valid(config))
		}
	})
}
