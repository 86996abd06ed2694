package spark

import (
	"context"
	"errors"
	"fmt"

	"github.com/spark-harness/harness/loadgen"
)

// ErrNoServer means that no healthy server was found on this machine.
var ErrNoServer = errors.New("spark: no healthy server found")

// LocalURLs are where the servers of the DGX Spark playbooks listen:
// trtllm-serve, then vLLM or Triton.
func LocalURLs() []string {
	return []string{"http://127.0.0.1:8355", "http://127.0.0.1:8000"}
}

// APIOf is a mode as Endpoint.API names it.
func APIOf(m loadgen.Mode) string {
	switch {
	case m.Dialect != "":
		return string(m.Dialect)
	case m.Triton:
		return "triton"
	}
	return "openai"
}

// LoRAURLs are where a server of adapters listens, the most usual first: Triton
// or vLLM, trtllm-serve, Triton's OpenAI front end. Find them with the API
// "auto".
func LoRAURLs() []string {
	return []string{"http://127.0.0.1:8000", "http://127.0.0.1:8355", "http://127.0.0.1:9000"}
}

// Find attaches to the first healthy server among urls, in order; e gives API,
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
