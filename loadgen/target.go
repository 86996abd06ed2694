package loadgen

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Dialect is the API in which a server is asked.
type Dialect string

// The dialects.
const (
	OpenAICompletions Dialect = "openai-completions" // POST /v1/completions
	OpenAIChat        Dialect = "openai-chat"        // POST /v1/chat/completions

	// Triton's generate_stream in its three shapes; Target.Model names the Triton
	// model. None has an end mark.
	TritonTRTLLM Dialect = "triton-trtllm" // TensorRT-LLM ensemble: lora_task_id, new text per event
	TritonLLMAPI Dialect = "triton-llmapi" // llmapi model: lora_id, lora_name and lora_path, whole text per event
	TritonVLLM   Dialect = "triton-vllm"   // vLLM backend: parameters.lora_name, new text per event
)

// Triton says that the dialect is one of Triton's own.
func (d Dialect) Triton() bool { return d == TritonTRTLLM || d == TritonLLMAPI || d == TritonVLLM }

// Flavor says what a server does with the fields of a request that are not in
// the published API.
type Flavor string

// The flavours.
const (
	// FlavorVLLM sends ignore_eos and min_tokens, so that outputs have the
	// length asked for. It is what the empty Flavor means. vLLM and SGLang know
	// the fields, and many others ignore them.
	FlavorVLLM Flavor = "vllm"
	// FlavorTRTLLM sends only fields in trtllm-serve's schema, which refuses
	// others; ignore_eos and min_tokens are in it.
	FlavorTRTLLM Flavor = "trtllm"
	// FlavorGeneric sends only published fields; outputs may be shorter than
	// asked.
	FlavorGeneric Flavor = "generic"
	// FlavorSGLang is FlavorVLLM with adapters as model "base:adapter".
	FlavorSGLang Flavor = "sglang"
	// FlavorLlamaCPP sends ignore_eos, and adapters as a list of id and scale. Its
	// ids count from 0, so that an Adapter.ID of n is sent as n-1.
	FlavorLlamaCPP Flavor = "llamacpp"
	// FlavorOllama sends published fields only; an adapter is a model.
	FlavorOllama Flavor = "ollama"
	// FlavorTritonOpenAI is Triton's own OpenAI front end: published fields only,
	// adapters as model + Target.LoRASeparator + adapter.
	FlavorTritonOpenAI Flavor = "triton-openai"
)

// flavors are all of them, the usual first.
var flavors = []Flavor{FlavorVLLM, FlavorTRTLLM, FlavorGeneric, FlavorSGLang, FlavorLlamaCPP, FlavorOllama, FlavorTritonOpenAI}

// Target is a server and how to talk to it. It is a value that can be stored
// beside what was measured: the API key is kept out of its JSON.
type Target struct {
	// BaseURL is scheme, host and port, with or without a final /v1 or /v2.
	BaseURL string `json:"base_url"`
	// Model is the name of the model as the server lists it, or of the Triton model.
	Model   string  `json:"model"`
	Dialect Dialect `json:"dialect"`
	Flavor  Flavor  `json:"flavor,omitempty"`
	// ContinuousUsage asks for token counts on every event
	// (stream_options.continuous_usage_stats), where the flavour has them.
	ContinuousUsage bool `json:"continuous_usage,omitempty"`

	// LoRASeparator joins model and adapter for FlavorTritonOpenAI, as the server's
	// --lora-separator does; empty means "_lora_".
	LoRASeparator string `json:"lora_separator,omitempty"`
	// Fields renames fields of a Triton request, which changed over the years:
	// {"seed": "random_seed", "min_tokens": "min_length"}. An empty new name
	// leaves the field out. An llmapi model is asked for token counts only where
	// "return_num_input_tokens" and "return_num_output_tokens" are named here, for
	// the published one knows neither.
	Fields map[string]string `json:"fields,omitempty"`

	// Calibration makes prompts of exact length for this server and model; see
	// Calibrate. The zero Calibration takes a word for a token.
	Calibration Calibration `json:"calibration,omitzero"`

	// APIKey is sent as a bearer token when not empty.
	APIKey string `json:"-"`
	// CAFile names PEM certificates to trust beside the system's.
	CAFile string `json:"ca_file,omitempty"`

	// HeaderTimeout bounds the time from dispatch until the response's header. Some
	// servers send it with the first token, so it must cover queue and prefill.
	// 0 sets no bound, as for the two below.
	HeaderTimeout time.Duration `json:"header_timeout_ns,omitempty"`
	// IdleTimeout bounds the wait for the next token-bearing event; comments
	// and empty events do not reset it.
	IdleTimeout time.Duration `json:"idle_timeout_ns,omitempty"`
	// TotalTimeout bounds the whole request, from its dispatch.
	TotalTimeout time.Duration `json:"total_timeout_ns,omitempty"`

	// UserClock turns kernel receive stamps off, to compare the two.
	UserClock bool `json:"user_clock,omitempty"`
	// Epoch is the CLOCK_MONOTONIC instant from which a record's instants
	// count; 0 means the moment Run starts its load.
	Epoch time.Duration `json:"epoch_ns,omitempty"`

	// InFlight, where not nil, is kept at the number of requests on the wire, for
	// whoever watches.
	InFlight *atomic.Int64 `json:"-"`
}

// Validate reports every fault of the target, joined, each naming the field and
// what to write instead. It does not contact the server.
func (t Target) Validate() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("loadgen: target: "+format, args...))
	}
	if err := checkBaseURL(t.BaseURL); err != nil {
		errs = append(errs, err)
	}
	if t.Model == "" {
		fault("Model is empty (take a name from GET /v1/models)")
	}
	if !slices.Contains(dialects, t.Dialect) {
		fault("Dialect %q is unknown (use one of %q)", t.Dialect, dialects)
	}
	if t.Flavor != "" && !slices.Contains(flavors, t.Flavor) {
		fault("Flavor %q is unknown (use one of %q)", t.Flavor, flavors)
	}
	t.checkFields(fault)
	if strings.ContainsAny(t.APIKey, "\r\n\x00") {
		fault("APIKey holds a line break (trim it)")
	}
	for name, d := range map[string]time.Duration{
		"HeaderTimeout": t.HeaderTimeout,
		"IdleTimeout":   t.IdleTimeout, "TotalTimeout": t.TotalTimeout, "Epoch": t.Epoch,
	} {
		if d < 0 {
			fault("%s %v is negative (use 0 for none)", name, d)
		}
	}
	return errors.Join(errs...)
}

func checkBaseURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("loadgen: target: BaseURL is not a URL (write http://host:port)")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		return fmt.Errorf("loadgen: target: BaseURL %q is not http or https with a host (write http://host:port)", u.Redacted())
	case u.User != nil:
		return errors.New("loadgen: target: BaseURL holds a password (use APIKey)")
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("loadgen: target: BaseURL %q has a query (remove it)", u.Redacted())
	}
	return nil
}

// endpoint is the URL of an API path such as "/v1/completions".
func (t Target) endpoint(path string) string {
	base := strings.TrimRight(t.BaseURL, "/")
	for _, version := range []string{"/v1", "/v2"} {
		base = strings.TrimSuffix(base, version)
	}
	return base + path
}
