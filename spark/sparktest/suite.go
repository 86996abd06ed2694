package sparktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// Options say which server to test and what is known to differ about it.
type Options struct {
	Endpoint spark.Endpoint // where it listens, model and key

	// Flavor decides which fields beyond the published API are sent; "" takes
	// what the detected server is known to accept.
	Flavor loadgen.Flavor
	// Timeout bounds each check; 0 means two minutes.
	Timeout time.Duration
	// SettleWait is how soon a server's counters must show the end of a request,
	// also of one whose client left; 0 means 15 s, since some engines look for
	// leavers once a second.
	SettleWait time.Duration
	// Skip names checks to leave out, with the reason: declared differences
	// instead of forks of the suite.
	Skip map[string]string
}

// Validate reports faults of the options, joined: unknown checks in Skip and
// what the endpoint finds.
func (o Options) Validate() error {
	err := o.Endpoint.Validate()
	for name := range o.Skip {
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == name }) {
			err = errors.Join(err, fmt.Errorf("sparktest: skip: no check %q (have %v)", name, Checks()))
		}
	}
	if o.Timeout < 0 || o.SettleWait < 0 {
		err = errors.Join(err, errors.New("sparktest: a negative wait"))
	}
	return err
}

// Checks lists the names of all checks in order.
func Checks() []string {
	var names []string
	for _, c := range checks() {
		names = append(names, c.name)
	}
	return names
}

// check is one row of the suite.
type check struct {
	name string
	why  string // what goes wrong in a measurement otherwise
	run  func(context.Context, *suite) error
}

// errSkip marks a check that this server gives no means for.
var errSkip = errors.New("not applicable")

func skipf(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errSkip, fmt.Sprintf(format, args...))
}

// suite is a server under test.
type suite struct {
	o      Options
	server *spark.Server
	flavor loadgen.Flavor
	client *http.Client
}

// begin attaches; a server that is not ready has no conformance to speak of.
func begin(ctx context.Context, o Options) (*suite, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.SettleWait == 0 {
		o.SettleWait = 15 * time.Second
	}
	server, err := spark.Attach(ctx, o.Endpoint)
	if err != nil {
		return nil, err
	}
	client, err := newClient(o.Endpoint.CAFile)
	if err != nil {
		return nil, err
	}
	s := &suite{o: o, server: server, flavor: o.Flavor, client: client}
	if s.flavor == "" {
		s.flavor = server.Flavor.Requests()
	}
	return s, nil
}

// do runs one check; nil, an error that is errSkip, or the fault.
func (s *suite) do(ctx context.Context, c check) error {
	if reason, ok := s.o.Skip[c.name]; ok {
		return skipf("%s", reason)
	}
	if reason, ok := s.lacks()[c.name]; ok {
		return skipf("%s", reason)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.o.Timeout, fmt.Errorf("no answer within %v", s.o.Timeout))
	defer cancel()
	defer s.client.CloseIdleConnections()
	err := c.run(ctx, s)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// TestServer runs every check and joins the faults; nil means that the server
// conforms. A server that cannot be attached to gives that error alone.
func TestServer(ctx context.Context, o Options) error {
	s, err := begin(ctx, o)
	if err != nil {
		return fmt.Errorf("sparktest: %w", err)
	}
	var faults []error
	for _, c := range checks() {
		if ctx.Err() != nil {
			return errors.Join(append(faults, fmt.Errorf("sparktest: %w", context.Cause(ctx)))...)
		}
		if err := s.do(ctx, c); err != nil && !errors.Is(err, errSkip) {
			faults = append(faults, fmt.Errorf("sparktest: %s: %w (%s)", c.name, err, c.why))
		}
	}
	return errors.Join(faults...)
}

// Run runs every check as a subtest of t; those without means are skipped with
// the reason.
func Run(t *testing.T, o Options) {
	t.Helper()
	s, err := begin(t.Context(), o)
	if err != nil {
		t.Fatalf("sparktest: %v", err)
	}
	t.Logf("server: %s at %s, model %s (%s)", s.server.Flavor, s.server.Endpoint.URL, s.server.Endpoint.Model, s.server.Evidence)
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			switch err := s.do(t.Context(), c); {
			case errors.Is(err, errSkip):
				t.Skip(err)
			case err != nil:
				t.Errorf("%v\nwhy it matters: %s", err, c.why)
			}
		})
	}
}
