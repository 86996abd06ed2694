package sparktest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

func tritonOptions(url string, shape loadgen.Dialect) Options {
	return Options{Endpoint: spark.Endpoint{URL: url, API: string(shape)}, SettleWait: 5 * time.Second}
}

func TestEmulatorConformsAsTriton(t *testing.T) {
	cfg := emulated(t)
	cfg.TritonAddr = "127.0.0.1:0"
	url := startInfo(t, cfg).TritonURL
	for shape, skipped := range map[loadgen.Dialect][]string{
		loadgen.TritonTRTLLM: {"chat"},
		loadgen.TritonVLLM:   {"chat"},
		loadgen.TritonLLMAPI: {"chat", "usage", "max_tokens", "incremental", "pieces", "metrics", "overlong"},
	} {
		t.Run(string(shape), func(t *testing.T) {
			s, err := begin(t.Context(), tritonOptions(url, shape))
			require.NoError(t, err)
			require.Equal(t, shape, s.shape())
			for _, c := range checks() {
				if err := s.do(t.Context(), c); slices.Contains(skipped, c.name) {
					require.ErrorIs(t, err, errSkip, c.name)
				} else {
					require.NoError(t, err, c.name)
				}
			}
		})
	}
}

// fakeTriton serves one model of a shape, and breaks it in one way.
type fakeTriton struct {
	shape  loadgen.Dialect
	broken string
}

func (f fakeTriton) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	switch path := r.URL.Path; {
	case path == "/v2/repository/index":
		fmt.Fprint(w, `[{"name":"mine","version":"1","state":"READY"}]`)
	case strings.HasSuffix(path, "/ready"):
	case strings.HasSuffix(path, "/generate"):
		switch f.broken {
		case "an error under 200":
			fmt.Fprint(w, `{"error":"generate expects model to produce exactly 1 response"}`)
		default:
			fmt.Fprint(w, `{"text_output":" w0 w1","num_output_tokens":2,"num_input_tokens":3}`)
		}
	case !strings.HasSuffix(path, "/generate_stream"):
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		var ask struct {
			Ensemble   int `json:"max_tokens"`
			LLMAPI     int `json:"sampling_param_max_tokens"`
			Parameters struct {
				VLLM int `json:"max_tokens"`
			} `json:"parameters"`
		}
		if json.Unmarshal(body, &ask) == nil {
			f.stream(w, ask.Ensemble+ask.LLMAPI+ask.Parameters.VLLM)
		}
	}
}

func (f fakeTriton) stream(w io.Writer, tokens int) {
	text := ""
	for i := range tokens {
		piece := fmt.Sprintf(" w%d", i)
		text += piece
		if f.shape == loadgen.TritonLLMAPI && f.broken != "pieces for the whole" || f.broken == "the whole for pieces" {
			piece = text
		}
		count := `,"num_output_tokens":1,"num_input_tokens":3`
		if f.broken == "no counts" || f.shape == loadgen.TritonLLMAPI {
			count = ""
		}
		fmt.Fprintf(w, `data: {"model_name":"mine","text_output":%q%s}`+"\n\n", piece, count)
	}
	if f.broken == "an error comes late" {
		fmt.Fprint(w, `data: {"error":"LoRA task 3 not found in cache"}`+"\n\n")
	}
	if f.broken == "an end mark" {
		fmt.Fprint(w, "data: [DONE]\n\n")
	}
}

// Each broken server must fail the check that is there for it, in its shape.
func TestBrokenTritonFails(t *testing.T) {
	for broken, row := range map[string]struct {
		shape       loadgen.Dialect
		check, says string
	}{
		"no counts":            {loadgen.TritonTRTLLM, "completions", "no usage came"},
		"an error comes late":  {loadgen.TritonVLLM, "completions", "LoRA task 3 not found"},
		"the whole for pieces": {loadgen.TritonTRTLLM, "pieces", "repeats the text so far"},
		"pieces for the whole": {loadgen.TritonLLMAPI, "completions", "does not begin with the text so far"},
		"an error under 200":   {loadgen.TritonVLLM, "whole", "an error under a status of success"},
		"fewer in one piece":   {loadgen.TritonTRTLLM, "whole", "2 tokens are counted, streamed it was 8"},
		"an end mark":          {loadgen.TritonLLMAPI, "completions", "not JSON of the shape"},
	} {
		t.Run(broken, func(t *testing.T) {
			srv := httptest.NewServer(fakeTriton{row.shape, broken})
			t.Cleanup(srv.Close)
			s := &suite{o: tritonOptions(srv.URL, row.shape), client: must(newClient("")), server: &spark.Server{
				Endpoint: spark.Endpoint{URL: srv.URL, Model: "mine"}, Dialect: string(row.shape), Flavor: spark.FlavorTriton,
			}}
			s.o.Timeout = time.Minute
			i := slices.IndexFunc(checks(), func(c check) bool { return c.name == row.check })
			err := s.do(t.Context(), checks()[i])
			require.ErrorContains(t, err, row.says)
			require.NotErrorIs(t, err, errSkip)
		})
	}
}

// Triton's first response may be an error: an event under an error status.
func TestTritonsRefusalIsWellMade(t *testing.T) {
	require.NoError(t, (&refusal{400, []byte(`data: {"error":"missing required input(s) ['text_input']"}` + "\n\n")}).wellMade())
	require.ErrorContains(t, (&refusal{500, []byte(`data: {"error":"x"}`)}).wellMade(), "want a status of 400 to 499")
	require.ErrorContains(t, (&refusal{400, []byte("data: ")}).wellMade(), "without a JSON body")
}
