package spark

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// loadgenToken asks for a few tokens in a dialect as a measurement would, and
// returns how long the first took. The answer must be good to its end.
func (c *client) loadgenToken(ctx context.Context, e Endpoint, dialect loadgen.Dialect) (time.Duration, error) {
	limit := e.limit()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no token within %v", limit))
	defer cancel()
	t := loadgen.Target{BaseURL: e.URL, Model: e.Model, Dialect: dialect, APIKey: e.APIKey, CAFile: e.CAFile}
	p := loadgen.Plan{
		Arrivals: loadgen.Trace([]time.Duration{0}), Measure: time.Millisecond, Drain: min(limit, loadgen.MaxPlanned),
		Workload: loadgen.Workload{OutputTokens: 4, Prompts: []string{"One two three"}},
	}
	path := " as " + string(dialect)
	var got loadgen.Record
	_, err := loadgen.Run(ctx, t, p, func(r *loadgen.Record) error { got = *r; return nil })
	switch {
	case errors.Is(err, loadgen.ErrUnreachable):
		return 0, fmt.Errorf("%w: %w (start the server, or correct its URL)", ErrUnreachable, err)
	case err != nil:
		return 0, c.notReady(ctx, path, errors.New(c.says([]byte(err.Error()))))
	case got.Status == http.StatusUnauthorized || got.Status == http.StatusForbidden:
		return 0, fmt.Errorf("%w: %s: status %d: %s (give the key it expects)", ErrUnauthorized, c.base, got.Status, c.says([]byte(got.Error)))
	case !got.Outcome.OK():
		return 0, c.notReady(ctx, path, fmt.Errorf("%s: %s", got.Outcome, c.says([]byte(got.Error))))
	}
	sent, _ := got.Dispatched.Get()
	first, _ := got.FirstToken.Get()
	return first - sent, nil
}
