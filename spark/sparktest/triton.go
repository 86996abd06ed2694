package sparktest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// shape is the one of Triton's that the server is measured in, "" for OpenAI's
// API.
func (s *suite) shape() loadgen.Dialect {
	if d := loadgen.Dialect(s.server.Dialect); d.Triton() {
		return d
	}
	return ""
}

// lacks are the checks that a shape gives no means for, with the reason.
func (s *suite) lacks() map[string]string {
	if s.server == nil || s.shape() == "" {
		return nil
	}
	lacks := map[string]string{"chat": "Triton takes text as it is"}
	if s.shape() == loadgen.TritonLLMAPI {
		const why = "the LLM API's model does not count tokens"
		for _, name := range []string{"usage", "max_tokens", "incremental", "metrics", "overlong"} {
			lacks[name] = why
		}
		lacks["pieces"] = "each event repeats the text so far, which other checks hold it to"
	}
	return lacks
}

func (s *suite) tritonPath(a ask) string {
	model, verb := s.server.Endpoint.Model, "generate_stream"
	if a.model != "" {
		model = a.model
	}
	if a.whole {
		verb = "generate"
	}
	return "/v2/models/" + url.PathEscape(model) + "/" + verb
}

// tritonBody asks for a fixed length where the shape has means for it.
func (s *suite) tritonBody(a ask) []byte {
	m := map[string]any{"text_input": a.prompt}
	switch s.shape() {
	case loadgen.TritonLLMAPI:
		m["streaming"], m["return_finish_reason"], m["sampling_param_exclude_input_from_output"] = !a.whole, true, true
		m["sampling_param_max_tokens"], m["sampling_param_temperature"], m["sampling_param_seed"] = a.tokens, 0, 1
		return encoded(m)
	case loadgen.TritonVLLM:
		m["parameters"] = map[string]any{"stream": !a.whole, "max_tokens": a.tokens, "min_tokens": a.tokens, "temperature": 0, "seed": 1, "ignore_eos": true}
		m["exclude_input_in_output"] = true
	default:
		m["stream"], m["exclude_input_in_output"] = !a.whole, true
		m["max_tokens"], m["min_tokens"], m["end_id"], m["temperature"], m["seed"] = a.tokens, a.tokens, -1, 0, 1
	}
	m["return_num_input_tokens"], m["return_num_output_tokens"] = true, true
	return encoded(m)
}

// tritonChunk is an answer's JSON, or one event's; counts are of that event.
type tritonChunk struct {
	Text   *string         `json:"text_output"`
	Prompt int             `json:"num_input_tokens"`
	Tokens *int            `json:"num_output_tokens"`
	Finish string          `json:"finish_reason"`
	Error  json.RawMessage `json:"error"`
}

// tritonEvent takes one event in. The LLM API's hold the whole text so far.
func (st *stream) tritonEvent(data []byte, at time.Duration) {
	var c tritonChunk
	if err := json.Unmarshal(data, &c); err != nil {
		st.faultf("an event is not JSON of the shape: %.80q: %w", data, err)
		return
	}
	if len(c.Error) > 0 {
		st.faultf("the stream reports an error: %.200s", c.Error)
		return
	}
	if c.Text == nil {
		st.faultf("an event has no text_output: %.80q", data)
		return
	}
	text := *c.Text
	if st.shape == loadgen.TritonLLMAPI {
		var goesOn bool
		if text, goesOn = strings.CutPrefix(text, st.text.String()); !goesOn {
			st.faultf("an event does not begin with the text so far: %.80q", data)
		}
	}
	if c.Tokens != nil && (*c.Tokens < 0 || *c.Tokens > maxStream) {
		st.faultf("an event counts %d tokens", *c.Tokens)
		return
	}
	if c.Tokens != nil && *c.Tokens > 0 {
		if st.usage == nil {
			st.usage = &usage{Prompt: c.Prompt, Total: c.Prompt}
		}
		st.usage.Completion += *c.Tokens
		st.usage.Total += *c.Tokens
	}
	if c.Finish != "" && c.Finish != "null" && c.Finish != "None" {
		st.finish = c.Finish
	}
	if text != "" || c.Tokens != nil && *c.Tokens > 0 {
		st.piece(text, at)
	}
}

// wholeTriton compares an answer in one piece with st, the streamed one.
func (st *stream) wholeTriton(body []byte) error {
	var got tritonChunk
	if err := json.Unmarshal(body, &got); err != nil {
		return fmt.Errorf("the answer is not JSON of the shape: %w", err)
	}
	switch {
	case len(got.Error) > 0:
		return fmt.Errorf("the answer is an error under a status of success: %.200s", got.Error)
	case got.Text == nil || *got.Text == "" && st.text.Len() > 0:
		return fmt.Errorf("no text came, streamed it was %q", st.text.String())
	case st.usage == nil:
		return nil
	case got.Tokens == nil:
		return errors.New("no num_output_tokens came though return_num_output_tokens asked for it")
	case *got.Tokens != st.usage.Completion:
		return fmt.Errorf("%d tokens are counted, streamed it was %d", *got.Tokens, st.usage.Completion)
	}
	return nil
}
