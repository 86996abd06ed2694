package spark

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// awaitPerson asks for a restart and waits until the server was seen down.
func (c Control) awaitPerson(ctx context.Context, s *Server, limit time.Duration) error {
	base, err := url.Parse(s.Endpoint.URL)
	if err != nil {
		return fmt.Errorf("spark: restart server: %w", err)
	}
	client, err := newClient(s.Endpoint)
	if err != nil {
		return err
	}
	c.say("restart the server at %s now, the way it was started (%s); waiting up to %v until it went down and is back", base, s.Endpoint.Model, limit)
	for !client.down(ctx) {
		if wait(ctx) != nil {
			return fmt.Errorf("spark: restart server: %s never went down: %w (restart it while this waits, or name its container)", base, context.Cause(ctx))
		}
	}
	c.say("the server at %s is down; waiting until it streams a token", base)
	return nil
}

// down tells whether nobody listens, or a proxy has nobody behind it. An answer
// that is slow or an error is the same server's.
func (c *client) down(ctx context.Context) bool {
	a, err := c.get(ctx, "/v1/models", 5*time.Second)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	return a.status == http.StatusBadGateway || a.status == http.StatusGatewayTimeout
}
