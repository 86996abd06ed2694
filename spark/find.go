package spark

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoServer means that no healthy server was found on this machine.
var ErrNoServer = errors.New("spark: no healthy server found")

// LocalURLs are where the servers of the DGX Spark playbooks listen:
// trtllm-serve, then vLLM or Triton.
func LocalURLs() []string {
	return []string{"http://127.0.0.1:8355", "http://127.0.0.1:8000"}
}

// Find attaches to the first healthy server among urls, in order; e gives
// model, key and timeout. Without one the error is ErrNoServer, joined with
// what was wrong at each address; when ctx ends it is the error of ctx.
func Find(ctx context.Context, e Endpoint, urls []string) (*Server, error) {
	var reasons []error
	for _, url := range urls {
		e.URL = url
		s, err := Attach(ctx, e)
		if err == nil {
			return s, nil
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("spark: find server: %w", context.Cause(ctx))
		}
		reasons = append(reasons, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrNoServer, errors.Join(reasons...))
}
