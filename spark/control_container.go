package spark

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// containerGrace is how many seconds an engine gives a server to end by itself.
const containerGrace = 30

// engines are the commands that can restart a container.
func engines() []string { return []string{"docker", "podman"} }

// engine finds the command that knows the container.
func (c Control) engine(ctx context.Context) (string, error) {
	list := engines()
	if c.Engine != "" {
		list = []string{c.Engine}
	}
	var errs []error
	for _, name := range list {
		if _, err := c.inspect(ctx, name); err != nil {
			errs = append(errs, err)
			continue
		}
		return name, nil
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("spark: find container: %w", context.Cause(ctx))
	}
	return "", fmt.Errorf("%w: container %s: %w (list them with: docker ps --all; reaching an engine may need root or its group)", ErrNoMeans, c.Container, errors.Join(errs...))
}

// container is the state of one, as its engine tells it.
type container struct {
	id, started string // started changes with every start
	running     bool
	exit        int
}

func (c Control) inspect(ctx context.Context, engine string) (container, error) {
	out, err := c.tool(ctx, engine, "container", "inspect", "--format", "{{.Id}}\t{{.State.StartedAt}}\t{{.State.Running}}\t{{.State.ExitCode}}", c.Container)
	if err != nil {
		return container{}, err
	}
	field := strings.Split(strings.TrimSpace(out), "\t")
	if len(field) != 4 {
		return container{}, fmt.Errorf("spark: %s container inspect: unknown answer %q", engine, out)
	}
	exit, err := strconv.Atoi(field[3])
	if err != nil {
		return container{}, fmt.Errorf("spark: %s container inspect: unknown exit status %q", engine, field[3])
	}
	return container{field[0], field[1], field[2] == "true", exit}, nil
}

// restartContainer returns when the container has been stopped and started, with
// a function that tells whether it has ended again since.
func (c Control) restartContainer(ctx context.Context) (dead func(context.Context) error, err error) {
	engine, err := c.engine(ctx)
	if err != nil {
		return nil, err
	}
	before, err := c.inspect(ctx, engine)
	if err != nil {
		return nil, err
	}
	c.say("restarting container %s with %s", c.Container, engine)
	if _, err := c.tool(ctx, engine, "restart", "-t", strconv.Itoa(containerGrace), before.id); err != nil {
		return nil, err
	}
	after, err := c.inspect(ctx, engine)
	if err != nil {
		return nil, err
	}
	if after.started == before.started {
		return nil, fmt.Errorf("spark: %s restart: container %s has not been started anew since %s", engine, c.Container, before.started)
	}
	return func(ctx context.Context) error { return c.ended(ctx, engine) }, nil
}

// ended says that the container is no longer running, and why as far as its log
// tells; nil while it runs.
func (c Control) ended(ctx context.Context, engine string) error {
	now, err := c.inspect(ctx, engine)
	if err != nil || now.running {
		return nil // an engine that is slow to answer is no reason to give up
	}
	said := &tail{}
	logs := exec.CommandContext(ctx, engine, "logs", "--tail", "20", now.id)
	logs.Stdout, logs.Stderr, logs.WaitDelay = said, said, time.Second
	if err := logs.Run(); err != nil {
		fmt.Fprintf(said, "(no log: %v)", err)
	}
	return fmt.Errorf("spark: container %s ended with status %d after its restart; its log ends: %s", c.Container, now.exit, said)
}

// tool runs an engine's command, without a shell.
func (c Control) tool(ctx context.Context, engine string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, engine, args...)
	var out bytes.Buffer
	said := &tail{}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, said, time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if words := said.String(); words != "" {
			err = fmt.Errorf("%w: %s", err, words)
		}
		verb, _, _ := strings.Cut(strings.Join(args, " "), " -")
		return "", fmt.Errorf("spark: %s %s: %w", engine, verb, err)
	}
	return out.String(), nil
}
