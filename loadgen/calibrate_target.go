package loadgen

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxTokenizeBody bounds a /tokenize answer, which lists every token.
const maxTokenizeBody = 64 << 20

// CalibrateTarget finds the text lengths that t counts as the given prompt
// lengths, by the prompt tokens that it reports for requests of one output
// token, or, where it reports none, by POST /tokenize, which Triton lacks. Put
// the result into Target.Calibration. Errors and accuracy are as for Calibrate.
func CalibrateTarget(ctx context.Context, t Target, targets []int) (Calibration, error) {
	probe, done, err := Probe(t)
	if err != nil {
		return Calibration{}, err
	}
	defer done()
	c, err := Calibrate(ctx, probe, targets)
	if !errors.Is(err, ErrNoTokenCount) {
		return c, err
	}
	if t.Dialect.Triton() {
		return c, fmt.Errorf("loadgen: calibrate Triton's model %q: %w (it sends no num_input_tokens: use a build that does, with return_num_input_tokens in Target.Fields if it has a name of its own there, or leave the Calibration zero)", t.Model, ErrNoTokenCount)
	}
	tokenize, done, tokErr := tokenizeProbe(t)
	if tokErr != nil {
		return c, tokErr
	}
	defer done()
	byTokenizer, tokErr := Calibrate(ctx, tokenize, targets)
	if tokErr != nil {
		return c, errors.Join(err, tokErr)
	}
	return byTokenizer, nil
}

// tokenizeProbe asks vLLM's POST /tokenize. It counts any text, so it finds
// neither refused nor cut prompts.
func tokenizeProbe(t Target) (probe func(context.Context, string) (int, error), done func(), err error) {
	c, err := newClient(context.Background(), t, Workload{OutputTokens: 1}, nil)
	if err != nil {
		return nil, nil, err
	}
	url := t.endpoint("/tokenize")
	return func(ctx context.Context, text string) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		n, err := c.tokenize(ctx, url, text)
		if err != nil {
			return 0, fmt.Errorf("loadgen: POST /tokenize: %w", err)
		}
		return n, nil
	}, c.close, nil
}

func (c *client) tokenize(ctx context.Context, url, text string) (int, error) {
	body := `{"model":` + quote(c.target.Model)
	if c.target.Dialect == OpenAIChat {
		body += `,"messages":[{"role":"user","content":` + quote(text) + `}],"add_generation_prompt":true}`
	} else {
		body += `,"prompt":` + quote(text) + `}`
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = c.header.Clone()
	req.Header.Set("Accept", "application/json")
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenizeBody))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("HTTP %d: %s", resp.StatusCode, errorText(answer))
	}
	var counted struct {
		Count int `json:"count"`
	}
	if err := json.Unmarshal(answer, &counted); err != nil {
		return 0, fmt.Errorf("answer is not JSON of a token count: %w", err)
	}
	return counted.Count, nil
}
