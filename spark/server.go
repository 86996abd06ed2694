package spark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// Conditions under which a server cannot be measured; test with errors.Is.
var (
	// ErrUnreachable means that no HTTP answer came at all.
	ErrUnreachable = errors.New("spark: server unreachable")
	// ErrUnauthorized means that the server wants another API key.
	ErrUnauthorized = errors.New("spark: server refuses the API key")
	// ErrNotOpenAI means that something answers, but not an OpenAI-compatible server.
	ErrNotOpenAI = errors.New("spark: not an OpenAI-compatible server")
	// ErrNotTriton means that something answers, but not Triton's HTTP API.
	ErrNotTriton = errors.New("spark: not a Triton server")
	// ErrWrongModel means that the server does not list the model asked for.
	ErrWrongModel = errors.New("spark: model not served")
	// ErrNotReady means that the server answers but streams no token yet.
	ErrNotReady = errors.New("spark: server not ready")
)

// Server is a running server that has shown its model and streamed a token. It is immutable and safe for concurrent use.
type Server struct {
	Endpoint Endpoint `json:"endpoint"` // as asked, with URL cleaned and Model settled
	Flavor   Flavor   `json:"flavor"`
	Evidence string   `json:"evidence"`           // what the flavour was told by
	Dialect  string   `json:"dialect"`            // a loadgen.Dialect: "openai-completions", or "openai-chat" where that is all there is, or one of Triton's
	Models   []string `json:"models"`             // everything listed, adapters included
	Adapters []string `json:"adapters,omitempty"` // of them, those that the server lists as adapters
	Facts    Facts    `json:"facts"`

	// FirstToken is how long the readiness probe waited for its token.
	FirstToken time.Duration `json:"first_token_ns"`

	metrics metricsSource
}

// Emulated tells whether the server is this project's emulator.
func (s *Server) Emulated() bool { return s.Flavor == FlavorEmulator }

// Attach checks that a server is reachable, lists the wanted model and streams
// at least one token of it, then detects its flavour and reads its facts back.
// It sends one request of a few tokens, and reads metrics once, which drains
// the iteration list of trtllm-serve. Errors wrap one of the sentinels above
// and name the remedy; where the server speaks another API than the one asked
// for, they say which.
func Attach(ctx context.Context, e Endpoint) (*Server, error) {
	c, err := newClient(e)
	if err != nil {
		return nil, err
	}
	mode, err := e.mode()
	if err != nil {
		return nil, err
	}
	e.URL = c.base.String()
	if e.API == apiAuto {
		mode.Triton = c.speaksTriton(ctx) && !c.speaksOpenAI(ctx)
	}
	if mode.Triton {
		return c.attachTriton(ctx, e, mode.Dialect)
	}
	return c.attachOpenAI(ctx, e, mode.Dialect)
}

func (c *client) attachOpenAI(ctx context.Context, e Endpoint, dialect loadgen.Dialect) (*Server, error) {
	list, err := c.models(ctx)
	if err != nil {
		return nil, err
	}
	model, err := choose(list.Data, e)
	if err != nil {
		return nil, err
	}
	e.Model = model.ID
	s := &Server{Endpoint: e}
	for _, m := range list.Data {
		s.Models = append(s.Models, m.ID)
	}
	if s.Dialect, s.FirstToken, err = c.firstToken(ctx, e, dialect); err != nil {
		return nil, err
	}
	s.learn(c.survey(ctx, model, list.header))
	s.Adapters = adaptersOf(list.Data, s.Flavor)
	return s, nil
}

// learn takes what the optional paths told.
func (s *Server) learn(look survey) {
	s.Flavor, s.Evidence = look.classify()
	s.metrics = look.metrics
	s.Facts = look.facts()
}

// adaptersOf are the adapters among the models listed, by the names that
// requests use. vLLM, SGLang and the emulator name an adapter's base as its
// parent; Triton's OpenAI front end joins both names by its separator, which is
// only known by its usual value.
func adaptersOf(models []modelEntry, f Flavor) []string {
	var names []string
	for _, m := range models {
		base, adapter, joined := strings.Cut(m.ID, tritonSeparator)
		switch {
		case m.Parent != "":
			names = append(names, m.ID)
		case f == FlavorTritonOpenAI && joined && slices.ContainsFunc(models, func(o modelEntry) bool { return o.ID == base }):
			names = append(names, adapter)
		}
	}
	return names
}

// tritonSeparator is what the documents of Triton's front end set its
// --lora-separator to.
const tritonSeparator = "_lora_"

// modelList is the answer of /v1/models.
type modelList struct {
	Data   []modelEntry `json:"data"`
	header http.Header
}

// modelEntry is what servers say about a model; vLLM and the emulator tell the
// context length, and vLLM lists adapters with their parent.
type modelEntry struct {
	ID          string `json:"id"`
	OwnedBy     string `json:"owned_by"`
	Parent      string `json:"parent"`
	MaxModelLen *int64 `json:"max_model_len"`
}

func (c *client) models(ctx context.Context) (modelList, error) {
	a, err := c.get(ctx, "/v1/models", 10*time.Second)
	if err != nil {
		return modelList{}, fmt.Errorf("spark: list models: %w (start the server, or correct its URL)", err)
	}
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return modelList{}, fmt.Errorf("%w: %s: status %d: %s (give the key it expects)", ErrUnauthorized, c.base, a.status, c.says(a.body))
	case a.status >= 500 || a.status == http.StatusTooManyRequests:
		return modelList{}, fmt.Errorf("%w: %s: /v1/models: status %d: %s (wait until it has loaded)", ErrNotReady, c.base, a.status, c.says(a.body))
	case !a.ok():
		return modelList{}, c.notOpenAI(ctx, fmt.Sprintf("status %d: %s", a.status, c.says(a.body)))
	}
	var list modelList
	if err := json.Unmarshal(a.body, &list); err != nil {
		return modelList{}, c.notOpenAI(ctx, "no model list: "+c.says(a.body))
	}
	list.Data = slices.DeleteFunc(list.Data, func(m modelEntry) bool { return m.ID == "" })
	if len(list.Data) == 0 {
		return modelList{}, fmt.Errorf("%w: %s: no model listed (load one, or wait until it has loaded)", ErrNotReady, c.base)
	}
	list.header = a.header
	return list, nil
}

// notOpenAI says what a server is that has no list of models, as far as that
// can be told.
func (c *client) notOpenAI(ctx context.Context, why string) error {
	if c.speaksTriton(ctx) {
		return fmt.Errorf("%w: %s answers Triton's /v2 (set the API to triton)", ErrNotOpenAI, c.base)
	}
	return fmt.Errorf("%w: %s: /v1/models: %s (is this the right port?)", ErrNotOpenAI, c.base, why)
}

// speaksOpenAI tells whether the server lists models as OpenAI does.
func (c *client) speaksOpenAI(ctx context.Context) bool {
	a, err := c.get(ctx, "/v1/models", 5*time.Second)
	var list struct {
		Data *[]modelEntry `json:"data"`
	}
	return err == nil && a.ok() && json.Unmarshal(a.body, &list) == nil && list.Data != nil
}

// choose picks the model named, else the first that is no adapter.
func choose(models []modelEntry, e Endpoint) (modelEntry, error) {
	if e.Model == "" {
		for _, m := range models {
			if m.Parent == "" {
				return m, nil
			}
		}
		return models[0], nil
	}
	var ids []string
	for _, m := range models {
		if m.ID == e.Model {
			return m, nil
		}
		ids = append(ids, m.ID)
	}
	return modelEntry{}, fmt.Errorf("%w: %s does not list %q (it has: %s)", ErrWrongModel, e.URL, e.Model, strings.Join(ids, ", "))
}
