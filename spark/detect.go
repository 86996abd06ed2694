package spark

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// Flavor names the server program behind an API.
type Flavor string

// The flavours that Attach tells apart.
const (
	FlavorVLLM         Flavor = "vllm"
	FlavorTRTLLM       Flavor = "trtllm-serve"
	FlavorSGLang       Flavor = "sglang"
	FlavorLlamaCPP     Flavor = "llama.cpp"
	FlavorOllama       Flavor = "ollama"
	FlavorEmulator     Flavor = "emulator"
	FlavorTriton       Flavor = "triton"        // Triton's generate_stream
	FlavorTritonOpenAI Flavor = "triton-openai" // Triton's OpenAI front end
	FlavorGeneric      Flavor = "generic"       // anything else
)

// Requests is what the flavour does with the fields of a request beyond the
// published API: trtllm-serve refuses unknown ones, Ollama has no ignore_eos.
// Triton's own shapes, which are dialects, ask for none.
func (f Flavor) Requests() loadgen.Flavor {
	switch f {
	case FlavorTRTLLM:
		return loadgen.FlavorTRTLLM
	case FlavorVLLM, FlavorEmulator:
		return loadgen.FlavorVLLM
	case FlavorSGLang:
		return loadgen.FlavorSGLang
	case FlavorLlamaCPP:
		return loadgen.FlavorLlamaCPP
	case FlavorOllama:
		return loadgen.FlavorOllama
	case FlavorTritonOpenAI:
		return loadgen.FlavorTritonOpenAI
	}
	return loadgen.FlavorGeneric
}

// How a server's counters are written.
const (
	metricsPrometheus = "prometheus"
	metricsIterations = "trtllm-iterations" // a JSON list that reading drains
)

// metricsSource is where a server's counters are read, if it has any.
type metricsSource struct {
	path, kind string
	base       *url.URL // of another port, nil for the server's own
}

// survey is everything that the optional paths of a server say about it.
type survey struct {
	owner      string // owned_by of the model
	server     string // Server header
	version    string // /version, or Ollama's /api/version
	ollama     bool   // answers on Ollama's own path
	triton     bool   // was attached by Triton's own API
	maxModel   *int64 // max_model_len of the model
	props      []byte // llama.cpp's /props
	options    []byte // SGLang's /get_server_info
	metrics    metricsSource
	samples    []Sample
	iterations []iteration
}

// survey asks the optional paths; one that fails is one fact less.
func (c *client) survey(ctx context.Context, m modelEntry, header http.Header) survey {
	s := survey{owner: m.OwnedBy, server: header.Get("Server"), maxModel: m.MaxModelLen}
	ask := func(path string) ([]byte, bool) {
		a, err := c.get(ctx, path, 5*time.Second)
		if err != nil || !a.ok() {
			return nil, false
		}
		if v := a.header.Get("Server"); s.server == "" {
			s.server = v
		}
		return a.body, true
	}
	if body, ok := ask("/version"); ok {
		s.version = versionIn(body)
	}
	c.surveyMetrics(ask, &s)
	flavor, _ := s.classify()
	switch flavor {
	case FlavorLlamaCPP:
		s.props, _ = ask("/props")
	case FlavorSGLang:
		s.options, _ = ask("/get_server_info")
	case FlavorGeneric:
		if body, ok := ask("/api/version"); ok {
			s.ollama, s.version = true, versionIn(body)
		}
	}
	return s
}

// surveyMetrics reads the counters. trtllm-serve has Prometheus text on a path
// of its own, where it was started to have it, and else a JSON list.
func (c *client) surveyMetrics(ask func(string) ([]byte, bool), s *survey) {
	if body, ok := ask("/metrics"); ok {
		if list, err := parseIterations(body); err == nil {
			s.iterations, s.metrics = list, metricsSource{path: "/metrics", kind: metricsIterations}
		} else if samples, _ := ParseMetrics(body); len(samples) > 0 {
			s.samples, s.metrics = samples, metricsSource{path: "/metrics", kind: metricsPrometheus}
			return
		}
	}
	if body, ok := ask("/prometheus/metrics"); ok {
		if samples, _ := ParseMetrics(body); s.hasCounters(samples) {
			s.samples, s.metrics = samples, metricsSource{path: "/prometheus/metrics", kind: metricsPrometheus}
		}
	}
}

// hasCounters tells whether a page knows the queue: early trtllm-serve builds
// have only latency histograms there, and then the JSON list says more.
func (s *survey) hasCounters(samples []Sample) bool {
	return NewCounters(samples).Running != nil || (s.metrics.kind == "" && len(samples) > 0)
}

func versionIn(body []byte) string {
	var v struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(body, &v) != nil {
		return ""
	}
	return v.Version
}

// classify tells the flavour and by what. Metric names come first: they are
// the program's own, while owned_by is copied by proxies and imitators; the
// emulator, which speaks vLLM's names too, goes before vLLM, and so does Triton,
// which shows the names of the engines behind it beside its own.
func (s survey) classify() (Flavor, string) {
	for _, rule := range []struct {
		flavor Flavor
		prefix string
	}{
		{FlavorEmulator, "spark_emulator_"},
		{FlavorTritonOpenAI, "nv_inference_"},
		{FlavorVLLM, "vllm:"},
		{FlavorSGLang, "sglang:"},
		{FlavorTRTLLM, "trtllm_"},
		{FlavorLlamaCPP, "llamacpp:"},
	} {
		if s.triton && rule.flavor != FlavorEmulator {
			return FlavorTriton, strings.TrimSpace("/v2 answers as Triton " + s.version)
		}
		for _, sample := range s.samples {
			if strings.HasPrefix(sample.Name, rule.prefix) {
				return rule.flavor, "metric " + sample.Name
			}
		}
	}
	if s.metrics.kind == metricsIterations {
		return FlavorTRTLLM, "/metrics is a JSON list"
	}
	switch s.owner {
	case "Triton Inference Server":
		return FlavorTritonOpenAI, "owned_by " + s.owner
	case "vllm":
		return FlavorVLLM, "owned_by vllm"
	case "tensorrt_llm":
		return FlavorTRTLLM, "owned_by tensorrt_llm"
	case "sglang":
		return FlavorSGLang, "owned_by sglang"
	case "llamacpp":
		return FlavorLlamaCPP, "owned_by llamacpp"
	}
	switch {
	case s.server == "llama.cpp":
		return FlavorLlamaCPP, "header Server: llama.cpp"
	case s.ollama:
		return FlavorOllama, "/api/version answers"
	}
	return FlavorGeneric, "no sign of a known server"
}
