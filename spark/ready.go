package spark

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// The two request forms that are tried.
const (
	dialectCompletions = string(loadgen.OpenAICompletions)
	dialectChat        = string(loadgen.OpenAIChat)
)

// readyTimeout is the default of Endpoint.ReadyTimeout.
const readyTimeout = 2 * time.Minute

// limit is how long the first token may take.
func (e Endpoint) limit() time.Duration {
	if e.ReadyTimeout == 0 {
		return readyTimeout
	}
	return e.ReadyTimeout
}

// firstToken streams a few tokens and returns the dialect that did it and how
// long the first took. Completions is tried first, because it shapes no prompt;
// a dialect that is asked for is the only one tried.
func (c *client) firstToken(ctx context.Context, e Endpoint, want loadgen.Dialect) (dialect string, wait time.Duration, err error) {
	limit := e.limit()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no token within %v", limit))
	defer cancel()
	if want != "" {
		wait, err = c.stream(ctx, e.Model, string(want))
		if errors.Is(err, errNoRoute) {
			err = fmt.Errorf("%w: %s does not serve %s: %w", ErrNotOpenAI, c.base, want, err)
		}
		return string(want), wait, err
	}
	wait, err = c.stream(ctx, e.Model, dialectCompletions)
	if !errors.Is(err, errNoRoute) {
		return dialectCompletions, wait, err
	}
	wait, chatErr := c.stream(ctx, e.Model, dialectChat)
	if errors.Is(chatErr, errNoRoute) {
		return "", 0, fmt.Errorf("%w: %s: neither completions nor chat is served: %w", ErrNotOpenAI, c.base, errors.Join(err, chatErr))
	}
	return dialectChat, wait, chatErr
}

// errNoRoute means that the server lacks a request form, so another may do.
var errNoRoute = errors.New("no such route")

// stream sends one short request and waits for its first token, then for the
// end of the answer, so that the server is idle again.
func (c *client) stream(ctx context.Context, model, dialect string) (time.Duration, error) {
	// Only fields that trtllm-serve knows: it refuses any other.
	ask := map[string]any{
		"model": model, "max_tokens": 4, "temperature": 0, "stream": true,
		"stream_options": map[string]any{"include_usage": true},
	}
	path := "/v1/completions"
	if dialect == dialectChat {
		path = "/v1/chat/completions"
		ask["messages"] = []map[string]string{{"role": "user", "content": "Count to three."}}
	} else {
		ask["prompt"] = "One two three"
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return 0, fmt.Errorf("spark: encode request: %w", err)
	}
	start := time.Now()
	resp, err := c.do(ctx, http.MethodPost, path, body)
	if err != nil {
		return 0, c.notReady(ctx, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, c.refused(ctx, path, resp)
	}
	wait, err := readStream(resp.Body, start)
	if err != nil {
		return 0, c.notReady(ctx, path, errors.New(c.says([]byte(err.Error()))))
	}
	return wait, nil
}

// refused turns a status other than 200 into an error.
func (c *client) refused(ctx context.Context, path string, resp *http.Response) error {
	said, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return c.notReady(ctx, path, err)
	}
	err = fmt.Errorf("%s: status %d: %s", path, resp.StatusCode, c.says(said))
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return fmt.Errorf("%w: %w", errNoRoute, err)
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: %s: %w (give the key it expects)", ErrUnauthorized, c.base, err)
	}
	return c.notReady(ctx, path, err)
}

func (c *client) notReady(ctx context.Context, path string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("%w: %s%s streamed no token: %w (look at the server's log)", ErrNotReady, c.base, path, err)
}

// readStream waits for the first token of a stream of events and reads on to
// its end. It is lenient about framing: conformance is sparktest's business.
func readStream(body io.Reader, start time.Time) (time.Duration, error) {
	sc := bufio.NewScanner(io.LimitReader(body, maxAnswer))
	sc.Buffer(nil, 1<<20)
	var wait time.Duration
	for sc.Scan() {
		data, ok := strings.CutPrefix(sc.Text(), "data:")
		if !ok || strings.TrimSpace(data) == "[DONE]" {
			continue
		}
		token, err := carriesToken([]byte(data))
		if err != nil {
			return 0, err
		}
		if token && wait == 0 {
			wait = time.Since(start)
		}
	}
	if err := sc.Err(); err != nil {
		return 0, fmt.Errorf("read stream: %w", err)
	}
	if wait == 0 {
		return 0, errors.New("the stream ended without a token")
	}
	return wait, nil
}

// carriesToken tells whether an event shows a token: text of any kind, token
// ids, or a usage that counts one.
func carriesToken(data []byte) (bool, error) {
	type piece struct {
		Content          string `json:"content"`
		Reasoning        string `json:"reasoning"`
		ReasoningContent string `json:"reasoning_content"`
	}
	var ev struct {
		Choices []struct {
			Text     string `json:"text"`
			TokenIDs []int  `json:"token_ids"`
			Delta    piece  `json:"delta"`
		} `json:"choices"`
		Usage *struct {
			CompletionTokens int `json:"completion_tokens"`
		} `json:"usage"`
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(data, &ev); err != nil {
		return false, fmt.Errorf("an event is not JSON: %w", err)
	}
	if len(ev.Error) > 0 && string(ev.Error) != "null" {
		return false, fmt.Errorf("the stream reports an error: %.300s", ev.Error)
	}
	for _, c := range ev.Choices {
		if c.Text != "" || len(c.TokenIDs) > 0 || c.Delta != (piece{}) {
			return true, nil
		}
	}
	return ev.Usage != nil && ev.Usage.CompletionTokens > 0, nil
}
