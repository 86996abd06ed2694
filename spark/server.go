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
)

// Conditions under which a server cannot be measured; test with errors.Is.
var (
	// ErrUnreachable means that no HTTP answer came at all.
	ErrUnreachable = errors.New("spark: server unreachable")
	// ErrUnauthorized means that the server wants another API key.
	ErrUnauthorized = errors.New("spark: server refuses the API key")
	// ErrNotOpenAI means that something answers, but not an OpenAI-compatible server.
	ErrNotOpenAI = errors.New("spark: not an OpenAI-compatible server")
	// ErrWrongModel means that the server does not list the model asked for.
	ErrWrongModel = errors.New("spark: model not served")
	// ErrNotReady means that the server answers but streams no token yet.
	ErrNotReady = errors.New("spark: server not ready")
)

// Server is a running OpenAI-compatible server that has shown its model and
// streamed a token. It is immutable and safe for concurrent use.
type Server struct {
	Endpoint Endpoint `json:"endpoint"` // as asked, with URL cleaned and Model settled
	Flavor   Flavor   `json:"flavor"`
	Evidence string   `json:"evidence"` // what the flavour was told by
	Dialect  string   `json:"dialect"`  // "openai-completions", or "openai-chat" where that is all there is
	Models   []string `json:"models"`   // everything listed, adapters included
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
// and name the remedy.
func Attach(ctx context.Context, e Endpoint) (*Server, error) {
	c, err := newClient(e)
	if err != nil {
		return nil, err
	}
	e.URL = c.base.String()
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
	if s.Dialect, s.FirstToken, err = c.firstToken(ctx, e); err != nil {
		return nil, err
	}
	look := c.survey(ctx, model, list.header)
	s.Flavor, s.Evidence = look.classify()
	s.metrics = look.metrics
	s.Facts = look.facts()
	return s, nil
}

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
		return modelList{}, fmt.Errorf("%w: %s: /v1/models: status %d: %s (is this the right port?)", ErrNotOpenAI, c.base, a.status, c.says(a.body))
	}
	var list modelList
	if err := json.Unmarshal(a.body, &list); err != nil {
		return modelList{}, fmt.Errorf("%w: %s: /v1/models is no model list: %s (is this the right port?)", ErrNotOpenAI, c.base, c.says(a.body))
	}
	list.Data = slices.DeleteFunc(list.Data, func(m modelEntry) bool { return m.ID == "" })
	if len(list.Data) == 0 {
		return modelList{}, fmt.Errorf("%w: %s: no model listed (load one, or wait until it has loaded)", ErrNotReady, c.base)
	}
	list.header = a.header
	return list, nil
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
