package spark

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Means by which a server can be made cold.
const (
	MeansProcess   = "process"   // a child of ours is started anew
	MeansContainer = "container" // docker or podman restart
	MeansUnload    = "unload"    // the server's own endpoints drop the adapters
	MeansPerson    = "person"    // somebody restarts it while we wait
)

// ErrNoMeans means that a server cannot be made cold in the way asked for.
var ErrNoMeans = errors.New("spark: no means to restart the server or unload its adapters")

const (
	coldTimeout = 15 * time.Minute // default of Control.Timeout
	coldPoll    = 250 * time.Millisecond
)

// Control makes an attached server forget its adapters. The emulator needs
// none: its process is simply started anew.
type Control struct {
	// Means is one of the above but MeansProcess, which is for who started the
	// process; "" takes Container where one is named, else the server's own
	// endpoints where it has them, else a person, if there is one to talk to.
	Means string `json:"means,omitempty"`
	// Container names the server's container; Engine is "docker" or "podman", ""
	// for the first of them that knows the container.
	Container string `json:"container,omitempty"`
	Engine    string `json:"engine,omitempty"`
	// Timeout bounds one restart until the server streams a token again; 0 means 15
	// minutes.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	// Say tells the person what to do, and how the wait goes; nil is silent.
	Say func(line string) `json:"-"`
}

// AdapterRef is an adapter as a server is told to load it.
type AdapterRef struct {
	Name string `json:"name"`
	Path string `json:"path"` // as the server sees it
}

// Validate reports every fault of c, joined.
func (c Control) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("spark: control: "+format, args...)) }
	if !slices.Contains([]string{"", MeansContainer, MeansUnload, MeansPerson}, c.Means) {
		fault("means %q: want %s, %s, %s or none", c.Means, MeansContainer, MeansUnload, MeansPerson)
	}
	// What docker and podman take as a name or id; it never looks like an option.
	if c.Container != "" && !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$`).MatchString(c.Container) {
		fault("container %q: not the name or id of a container", c.Container)
	}
	if c.Container == "" && c.Means == MeansContainer {
		fault("no container named")
	}
	if c.Engine != "" && !slices.Contains(engines(), c.Engine) {
		fault("engine %q: want %s", c.Engine, strings.Join(engines(), " or "))
	}
	if c.Timeout < 0 {
		fault("negative timeout %v", c.Timeout)
	}
	return errors.Join(errs...)
}

// Choose says by which means Cold would work, without doing anything to the
// server. The error is ErrNoMeans where there are none, with what could be done.
func (c Control) Choose(ctx context.Context, s *Server) (means string, err error) {
	if err := c.Validate(); err != nil {
		return "", err
	}
	switch {
	case c.Means == MeansContainer, c.Means == "" && c.Container != "":
		if _, err := c.engine(ctx); err != nil {
			return "", err
		}
		return MeansContainer, nil
	case c.Means == MeansPerson:
		return MeansPerson, nil
	}
	_, why := unloaderOf(ctx, s)
	switch {
	case why == nil:
		return MeansUnload, nil
	case c.Means == MeansUnload || ctx.Err() != nil:
		return "", why
	case c.Say == nil:
		return "", fmt.Errorf("%w, and nobody to ask for a restart (name its container)", why)
	}
	return MeansPerson, nil
}

// Cold makes the server at s forget the adapters and waits until it streams a
// token again, by the means that it returns. The adapters given are those that
// must be loadable: one that vLLM or SGLang does not list after a restart or has
// unloaded is loaded again by its path, because they refuse requests that name
// an adapter they were not told of; every other server loads it when asked.
//
// vLLM and SGLang read the file while they are told to load it, so that there
// the disk's share falls into Cold and not into the first request: a proof of
// coldness must look at bytes read, not at means.
//
// Errors name the remedy and carry what a container engine or server said. A
// server that was stopped and did not come back is left as it is.
func (c Control) Cold(ctx context.Context, s *Server, adapters []AdapterRef) (means string, err error) {
	limit := c.Timeout
	if limit == 0 {
		limit = coldTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
	defer cancel()
	if means, err = c.Choose(ctx, s); err != nil {
		return "", err
	}
	var dead func(context.Context) error
	switch means {
	case MeansContainer:
		dead, err = c.restartContainer(ctx)
	case MeansUnload:
		err = c.unload(ctx, s, adapters)
	case MeansPerson:
		err = c.awaitPerson(ctx, s, limit)
	}
	if err != nil {
		return means, err
	}
	back, err := awaitToken(ctx, s, dead)
	if err != nil {
		return means, err
	}
	c.say("the server at %s is ready again, its first token after %v", s.Endpoint.URL, back.FirstToken.Round(time.Millisecond))
	if means == MeansUnload {
		return means, nil // they are loaded again
	}
	return means, back.loadMissing(ctx, adapters)
}

func (c Control) say(format string, args ...any) {
	if c.Say != nil {
		c.Say(fmt.Sprintf(format, args...))
	}
}

// awaitToken attaches as s was until that succeeds. A server that is starting
// answers in many ways, so no answer ends the wait, but dead does.
func awaitToken(ctx context.Context, s *Server, dead func(context.Context) error) (*Server, error) {
	for {
		back, err := Attach(ctx, s.Endpoint)
		if err == nil {
			return back, nil
		}
		if ctx.Err() == nil && dead != nil {
			if gone := dead(ctx); gone != nil {
				return nil, fmt.Errorf("%w: %w", gone, err)
			}
		}
		if wait(ctx) != nil {
			return nil, fmt.Errorf("spark: wait for %s: %w: %w (look at the server's log)", s.Endpoint.URL, context.Cause(ctx), err)
		}
	}
}

// wait lets a moment pass; the error is that of a context that ended.
func wait(ctx context.Context) error {
	timer := time.NewTimer(coldPoll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
