package loadgen

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// probeTimeout bounds a probe where the target has no TotalTimeout.
const probeTimeout = 5 * time.Minute

// Probe returns a function for Calibrate that asks t for one token after a text
// and gives the server's count of the prompt's tokens (from Triton's models,
// num_input_tokens). Connections are kept
// between calls and dropped by done.
func Probe(t Target) (probe func(ctx context.Context, text string) (promptTokens int, err error), done func(), err error) {
	if err := t.Validate(); err != nil {
		return nil, nil, err
	}
	if t.TotalTimeout == 0 {
		t.TotalTimeout = probeTimeout
	}
	c, err := newClient(context.Background(), t, Workload{OutputTokens: 1}, nil)
	if err != nil {
		return nil, nil, err
	}
	probe = func(ctx context.Context, text string) (int, error) {
		rec := &Record{}
		(&worker{c: c}).send(ctx, rec, PromptText{Text: text}, -1)
		return probed(ctx, rec)
	}
	return probe, c.close, nil
}

// probed is what a probe's record says. The count is good even where the answer
// has no token: a model may end at once.
func probed(ctx context.Context, rec *Record) (int, error) {
	if rec.PromptTokens != nil && *rec.PromptTokens > 0 {
		return *rec.PromptTokens, nil
	}
	switch rec.Outcome {
	case OutcomeOK:
		return 0, nil // Calibrate says what that means
	case OutcomeCancelled:
		return 0, context.Cause(ctx)
	case OutcomeRefused, OutcomeUnreachable:
		return 0, fmt.Errorf("%w: %s", ErrUnreachable, rec.Error)
	}
	switch rec.Outcome { // Triton reports its model's refusal as whatever it is to Triton
	case OutcomeHTTP4xx, OutcomeHTTP5xx, OutcomeStreamError:
		if saysTooLong(rec.Error) {
			return 0, fmt.Errorf("%w: %s", ErrPromptTooLong, rec.Error)
		}
	}
	return 0, fmt.Errorf("loadgen: probe: %s: %s", rec.Outcome, rec.Error)
}

// saysTooLong knows the words in which vLLM, TensorRT-LLM, SGLang and llama.cpp
// refuse a prompt for its length.
func saysTooLong(msg string) bool {
	low := strings.ToLower(msg)
	for _, words := range []string{
		"context length", "context_length", "context size", "too long", "max_num_tokens",
		"max_seq_len", "max_model_len", "maximum model length", "longer than", "exceeds the", "exceeds maximum",
	} {
		if strings.Contains(low, words) {
			return true
		}
	}
	return false
}
