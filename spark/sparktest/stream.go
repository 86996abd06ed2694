package sparktest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spark-harness/harness/loadgen"
)

// maxStream bounds an answer, in bytes.
const maxStream = 64 << 20

// stream is what a whole streamed answer held.
type stream struct {
	shape  loadgen.Dialect // of Triton, "" for OpenAI's API
	text   strings.Builder
	pieces []string // text of each event that carried a token
	finish string
	usage  *usage // the last that counts a token
	done   bool   // [DONE] came
	faults []error

	first, last, end time.Duration // since the request: first and last token, end of the body
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func (st *stream) faultf(format string, args ...any) {
	st.faults = append(st.faults, fmt.Errorf(format, args...))
}

// readStream reads server-sent events to the end of the body, by the rules of
// https://html.spec.whatwg.org/multipage/server-sent-events.html. The request
// was sent at start.
func readStream(body io.Reader, start time.Time, shape loadgen.Dialect) *stream {
	st := &stream{shape: shape}
	r := bufio.NewReader(io.LimitReader(body, maxStream))
	var data []string
	for {
		line, err := r.ReadString('\n')
		ended := err != nil
		if ended && !errors.Is(err, io.EOF) {
			st.faultf("the stream was cut: %w", err)
		}
		line = strings.TrimRight(line, "\r\n")
		switch {
		case line == "" || ended:
			if field, ok := strings.CutPrefix(line, "data:"); ok && ended {
				data = append(data, strings.TrimPrefix(field, " "))
			}
			if len(data) > 0 {
				st.event(strings.Join(data, "\n"), time.Since(start))
				data = nil
			}
		case strings.HasPrefix(line, "data:"):
			data = append(data, strings.TrimPrefix(line[len("data:"):], " "))
		case strings.HasPrefix(line, ":"), strings.HasPrefix(line, "event:"), strings.HasPrefix(line, "id:"), strings.HasPrefix(line, "retry:"):
		default:
			st.faultf("a line is no field of an event: %.80q", line)
		}
		if ended {
			st.end = time.Since(start)
			return st
		}
	}
}

// chunk is one event's JSON.
type chunk struct {
	Choices []struct {
		Text     string  `json:"text"`
		TokenIDs []int   `json:"token_ids"`
		Finish   *string `json:"finish_reason"`
		Delta    struct {
			Content          string            `json:"content"`
			Reasoning        string            `json:"reasoning"`
			ReasoningContent string            `json:"reasoning_content"`
			ToolCalls        []json.RawMessage `json:"tool_calls"`
		} `json:"delta"`
	} `json:"choices"`
	Usage *usage          `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// event takes one event in. An event with an empty text or a role alone is no
// token.
func (st *stream) event(data string, at time.Duration) {
	switch {
	case !utf8.ValidString(data):
		st.faultf("an event is not UTF-8: %.80q", data)
		return
	case st.shape != "":
		st.tritonEvent([]byte(data), at)
		return
	case st.done:
		st.faultf("an event after [DONE]: %.80q", data)
		return
	case strings.TrimSpace(data) == "[DONE]":
		st.done = true
		return
	}
	var c chunk
	if err := json.Unmarshal([]byte(data), &c); err != nil {
		st.faultf("an event is not a chunk of the API: %.80q: %w", data, err)
		return
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		st.faultf("the stream reports an error: %.200s", c.Error)
	}
	if c.Usage != nil && c.Usage.Completion > 0 {
		st.usage = c.Usage
	}
	for _, choice := range c.Choices {
		text := choice.Text + choice.Delta.Content + choice.Delta.Reasoning + choice.Delta.ReasoningContent
		if text != "" || len(choice.TokenIDs) > 0 || len(choice.Delta.ToolCalls) > 0 {
			st.piece(text, at)
		}
		if choice.Finish != nil && *choice.Finish != "" {
			st.finish = *choice.Finish
		}
	}
}

// piece takes in what an event that carried a token held of text.
func (st *stream) piece(text string, at time.Duration) {
	if st.pieces == nil {
		st.first = at
	}
	st.last = at
	st.pieces = append(st.pieces, text)
	st.text.WriteString(text)
}

// proper joins everything that keeps the answer from being a success: faults
// of framing, no token, no finish reason, no [DONE]. Triton has neither of the
// last two: its body ends.
func (st *stream) proper() error {
	faults := st.faults
	if len(st.pieces) == 0 {
		faults = append(faults, errors.New("no token came: events without text do not count"))
	}
	if st.shape != "" {
		return errors.Join(faults...)
	}
	if st.finish == "" {
		faults = append(faults, errors.New("no finish_reason came"))
	}
	if !st.done {
		faults = append(faults, errors.New("the stream did not end with data: [DONE]"))
	}
	return errors.Join(faults...)
}

// counted checks the usage against what was asked for and what came.
func (st *stream) counted(max int, exact bool) error {
	u := st.usage
	if u == nil && st.shape == loadgen.TritonLLMAPI {
		return nil // its model has no such output
	}
	if u == nil {
		return errors.New("no usage came though stream_options.include_usage asked for it")
	}
	var faults []error
	if u.Prompt < 1 || u.Total != u.Prompt+u.Completion {
		faults = append(faults, fmt.Errorf("usage does not add up: %+v", *u))
	}
	if u.Completion > max {
		faults = append(faults, fmt.Errorf("%d tokens came of at most %d", u.Completion, max))
	}
	if exact && u.Completion < max {
		faults = append(faults, fmt.Errorf("%d tokens came of exactly %d (ignore_eos and min_tokens were sent)", u.Completion, max))
	}
	if n := len(st.pieces); n > u.Completion {
		faults = append(faults, fmt.Errorf("%d events carried text but usage counts %d tokens", n, u.Completion))
	}
	return errors.Join(faults...)
}
