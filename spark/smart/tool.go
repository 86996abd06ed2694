package smart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// toolTimeout is the longest that a tool may take: a disk that does not answer
// must not hold a run up.
const toolTimeout = 5 * time.Second

// remedy is how a tool is had.
func remedy(tool string) string {
	if tool == "nvme" {
		return "apt-get install nvme-cli"
	}
	return "apt-get install smartmontools"
}

// runTool runs a tool and returns what it wrote. smartctl's exit status is a set
// of bits that also tell of failing disks and refused commands, so that output
// counts for more than status; nvme is silent on stdout where it fails.
func runTool(ctx context.Context, name string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("smart: run %s: %w (%s)", name, ErrNoTool, remedy(name))
	}
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	out, said := limited{full: stop}, limited{full: stop}
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("smart: run %s: %w", name, context.Cause(ctx))
	}
	if err == nil || bytes.HasPrefix(bytes.TrimSpace(out.kept.Bytes()), []byte("{")) {
		return out.kept.Bytes(), nil
	}
	first, _, _ := strings.Cut(strings.TrimSpace(said.kept.String()), "\n")
	if strings.Contains(first, "ermission denied") {
		return nil, fmt.Errorf("smart: run %s: %w: %s", name, ErrNotRoot, first)
	}
	return nil, fmt.Errorf("smart: run %s: %w: %s: %w", name, err, first, ErrNoLog)
}

// limited keeps at most mostOutput bytes, and ends what writes more.
// The buffer is not embedded: its ReadFrom would pass Write by.
type limited struct {
	kept bytes.Buffer
	full context.CancelCauseFunc
}

var errOutput = errors.New("too much output")

func (l *limited) Write(b []byte) (int, error) {
	if l.kept.Len()+len(b) > mostOutput {
		l.full(errOutput)
		return 0, errOutput
	}
	return l.kept.Write(b)
}
