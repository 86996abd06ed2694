package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

const (
	maxBodyBytes     = 32 << 20
	defaultMaxTokens = 16 // of /v1/completions, as in vLLM
)

// common holds the request fields that both faces share. Fields of type any
// are sampling options without meaning for a model that does not sample: they
// are accepted, also by strict servers, and change nothing.
type common struct {
	Model         *string         `json:"model"`
	MaxTokens     *int            `json:"max_tokens"`
	MinTokens     *int            `json:"min_tokens"`
	IgnoreEOS     bool            `json:"ignore_eos"`
	Stream        bool            `json:"stream"`
	StreamOptions *streamOptions  `json:"stream_options"`
	Seed          *int64          `json:"seed"`
	N             *int            `json:"n"`
	BestOf        *int            `json:"best_of"`
	Stop          json.RawMessage `json:"stop"`
	Logprobs      json.RawMessage `json:"logprobs"`
	LoRARequest   *loraRequest    `json:"lora_request"`

	Temperature         any `json:"temperature"`
	TopP                any `json:"top_p"`
	TopK                any `json:"top_k"`
	MinP                any `json:"min_p"`
	User                any `json:"user"`
	PresencePenalty     any `json:"presence_penalty"`
	FrequencyPenalty    any `json:"frequency_penalty"`
	RepetitionPenalty   any `json:"repetition_penalty"`
	LengthPenalty       any `json:"length_penalty"`
	StopTokenIDs        any `json:"stop_token_ids"`
	SkipSpecialTokens   any `json:"skip_special_tokens"`
	AddSpecialTokens    any `json:"add_special_tokens"`
	SpacesBetweenTokens any `json:"spaces_between_special_tokens"`
	Detokenize          any `json:"detokenize"`
}

type streamOptions struct {
	IncludeUsage    *bool `json:"include_usage"`
	ContinuousUsage bool  `json:"continuous_usage_stats"`
}

type completionRequest struct {
	common
	Prompt json.RawMessage `json:"prompt"`
	Echo   bool            `json:"echo"`
	Suffix json.RawMessage `json:"suffix"`
}

type chatRequest struct {
	common
	Messages            []message       `json:"messages"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Tools               json.RawMessage `json:"tools"`
	TopLogprobs         any             `json:"top_logprobs"`
	ChatTemplateKwargs  any             `json:"chat_template_kwargs"`
}

type message struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
	Name    any             `json:"name"`
}

// apiError is a refusal as the OpenAI API shows it.
type apiError struct {
	status int
	kind   string
	param  string
	code   any // nil: the status
	msg    string
	flat   bool // trtllm-serve's: {"error": "text"}
}

func (e *apiError) Error() string { return "emulator: " + e.msg }

func badRequest(param, format string, args ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: "BadRequestError", param: param, msg: fmt.Sprintf(format, args...)}
}

// ask is a request understood: what to compute and how to answer.
type ask struct {
	model             string // as the answer calls it
	adapter           *lora  // nil: the base model
	chat              bool
	stream            bool
	usage, continuous bool
	tokens            []uint32
	output            int    // tokens to emit
	finish            string // why it ends there
	textSeed          uint64
}

// decode reads a JSON body into v as the server's flavour demands.
func decode(r io.Reader, v any, strict bool) *apiError {
	body, err := io.ReadAll(r)
	if err != nil {
		if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return &apiError{status: http.StatusRequestEntityTooLarge, kind: "BadRequestError", msg: fmt.Sprintf("body larger than %d bytes", tooBig.Limit)}
		}
		return badRequest("", "cannot read the body: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if strict {
		dec.DisallowUnknownFields()
	}
	if err := dec.Decode(v); err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return &apiError{
				status: http.StatusBadRequest, flat: true,
				msg: fmt.Sprintf("1 validation error: body.%s: Extra inputs are not permitted", strings.Trim(name, `"`)),
			}
		}
		return badRequest("", "1 validation error: body: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	if dec.More() {
		return badRequest("", "1 validation error: body: more than one JSON value")
	}
	return nil
}

// understand reads a generation request.
func understand(cfg Config, loras *catalogue, r io.Reader, chat bool, fs faults) (*ask, *apiError) {
	a := &ask{chat: chat}
	var c *common
	limit := defaultMaxTokens
	var explicit *int
	if chat {
		var req chatRequest
		if e := decode(r, &req, cfg.Strict); e != nil {
			return nil, e
		}
		toks, e := chatTokens(req.Messages)
		if e != nil {
			return nil, e
		}
		if isSet(req.Tools) {
			return nil, badRequest("tools", "tools are not supported by this server")
		}
		c, a.tokens, explicit = &req.common, toks, req.MaxCompletionTokens
		limit = max(cfg.ContextTokens()-len(toks), 1)
	} else {
		var req completionRequest
		if e := decode(r, &req, cfg.Strict); e != nil {
			return nil, e
		}
		toks, e := promptTokens(req.Prompt)
		if e != nil {
			return nil, e
		}
		if req.Echo || isSet(req.Suffix) {
			return nil, badRequest("echo", "echo and suffix are not supported by this server")
		}
		c, a.tokens = &req.common, toks
	}
	if explicit == nil {
		explicit = c.MaxTokens
	}
	if explicit != nil {
		limit = *explicit
	}
	if fs.truncate > 0 && len(a.tokens) > fs.truncate {
		a.tokens = a.tokens[:fs.truncate]
	}
	var e *apiError
	if a.adapter, e = c.adapter(cfg, loras); e != nil {
		return nil, e
	}
	a.model = or(c.Model, cfg.Model)
	if e := c.check(cfg, a, limit); e != nil {
		return nil, e
	}
	c.apply(cfg, a, limit)
	return a, nil
}

// check refuses what the server cannot do, in vLLM's words where it has them.
func (c *common) check(cfg Config, a *ask, limit int) *apiError {
	if n := or(c.N, 1); n != 1 || or(c.BestOf, 1) != 1 {
		return badRequest("n", "n and best_of must be 1: this server gives one answer per request, got n=%d", n)
	}
	if isSet(c.Stop) {
		return badRequest("stop", "stop sequences are not supported by this server")
	}
	if isSet(c.Logprobs) && string(c.Logprobs) != "false" {
		return badRequest("logprobs", "logprobs are not supported by this server")
	}
	if c.StreamOptions != nil && !c.Stream {
		return badRequest("stream_options", "Stream options can only be defined when `stream=True`.")
	}
	if len(a.tokens) == 0 {
		return badRequest("prompt", "The decoder prompt cannot be empty")
	}
	if limit < 1 {
		return badRequest("max_tokens", "max_tokens must be at least 1, got %d.", limit)
	}
	if m := or(c.MinTokens, 0); m < 0 || m > limit {
		return badRequest("min_tokens", "min_tokens must be between 0 and max_tokens=%d, got %d.", limit, m)
	}
	if room := cfg.ContextTokens(); len(a.tokens)+limit > room {
		e := badRequest("input_tokens", "This model's maximum context length is %d tokens. However, you requested %d output tokens and your prompt contains %d input tokens, for a total of %d tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
			room, limit, len(a.tokens), len(a.tokens)+limit)
		e.code = "context_length_exceeded"
		return e
	}
	return nil
}

// apply turns the options into what will happen, which the prompt decides as
// well: the same request gives the same answer.
func (c *common) apply(cfg Config, a *ask, limit int) {
	a.stream = c.Stream
	if o := c.StreamOptions; o != nil {
		// trtllm-serve includes the usage once the object is there.
		a.usage, a.continuous = or(o.IncludeUsage, cfg.Strict), o.ContinuousUsage
	}
	a.settle(cfg, uint64(or(c.Seed, 0)), limit, or(c.MinTokens, 0), c.IgnoreEOS)
}

// settle fixes the answer's text and its length, which is limit unless the
// answer may end by itself and does so.
func (a *ask) settle(cfg Config, seed uint64, limit, least int, endless bool) {
	h := hashTokens(cfg.Seed, a.tokens)
	a.textSeed = mix(h + seed)
	a.output, a.finish = limit, "length"
	if endless || cfg.NaturalTokens == 0 {
		return
	}
	natural := max(1+int(h%uint64(cfg.NaturalTokens)), least)
	if natural < limit {
		a.output, a.finish = natural, "stop"
	}
}

func or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

func isSet(raw json.RawMessage) bool {
	return len(raw) > 0 && string(raw) != "null" && string(raw) != "[]"
}

// promptTokens accepts a string, a list of token ids, or a list of one of them.
func promptTokens(raw json.RawMessage) ([]uint32, *apiError) {
	if !isSet(raw) {
		return nil, badRequest("prompt", "1 validation error: body.prompt: Field required")
	}
	if toks, ok := onePrompt(raw); ok {
		return toks, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil && len(list) > 1 {
		return nil, badRequest("prompt", "prompt: this server takes one prompt per request, got %d", len(list))
	}
	if len(list) == 1 {
		if toks, ok := onePrompt(list[0]); ok {
			return toks, nil
		}
	}
	return nil, badRequest("prompt", "1 validation error: body.prompt: want a string or a list of token ids")
}

func onePrompt(raw json.RawMessage) ([]uint32, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return tokenize(text), true
	}
	var ids []uint32
	if json.Unmarshal(raw, &ids) == nil {
		return ids, true
	}
	return nil, false
}

// chatTokens is the prompt that a chat's messages make.
func chatTokens(messages []message) ([]uint32, *apiError) {
	if len(messages) == 0 {
		return nil, badRequest("messages", "1 validation error: body.messages: Field required")
	}
	var toks []uint32
	for i, m := range messages {
		text, ok := messageText(m.Content)
		if !ok {
			return nil, badRequest("messages", "1 validation error: body.messages[%d].content: want text, or parts of type text", i)
		}
		toks = append(toks, tokenRole, fnvOf(m.Role), tokenRole)
		toks = append(toks, tokenize(text)...)
		toks = append(toks, tokenEndOfTurn)
	}
	return append(toks, tokenRole, fnvOf("assistant"), tokenRole), nil
}

func fnvOf(s string) uint32 {
	h := fnvBasis
	for _, r := range s {
		h = (h ^ uint32(r)) * fnvPrime
	}
	return h % vocabTokens
}

func messageText(raw json.RawMessage) (string, bool) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text, true
	}
	var parts []struct{ Type, Text string }
	if json.Unmarshal(raw, &parts) != nil {
		return "", false
	}
	var b strings.Builder
	for _, p := range parts {
		if p.Type != "text" {
			return "", false
		}
		b.WriteString(p.Text)
		b.WriteByte('\n')
	}
	return b.String(), true
}
