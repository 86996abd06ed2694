package fioctl

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// StartConfig is what Start needs.
type StartConfig struct {
	Fio    Fio
	Job    Job
	Target Target
	// Dir gets a scratch directory for as long as fio runs. Leftovers there of
	// a harness that was killed are removed first, its fio ended.
	Dir   string
	Epoch time.Duration // CLOCK_MONOTONIC instant from which the run counts
	// Keep is where fio's raw output stays, "" nowhere; a name ending in .zst is
	// compressed. It must not exist and does so only once fio has ended.
	Keep     string
	FlowWait time.Duration // longest wait for the first I/O; 0 means 10 s
}

const defFlowWait = 10 * time.Second

// Process is a running fio. Its methods are safe for concurrent use. Whoever
// started it must Stop it.
type Process struct {
	cfg   StartConfig
	steps steps
	clk   clock.Clock

	scratch string
	cmd     *exec.Cmd
	words   *tail // what fio said to people
	keep    *keeper

	flowing chan struct{} // closed at the first status with I/O
	read    chan struct{} // closed when fio's output has ended
	done    chan struct{} // closed when run, err are final
	reap    chan struct{} // closed when fio has been waited for

	mu       sync.Mutex
	gone     bool          // its number may mean another process from now on
	run      Run           // Status grows; the rest is final once done is closed
	arrived  time.Duration // of the last document
	ran      time.Duration // by fio's account, between its last two documents
	parseErr error
	cause    error // why it ended by itself or went wrong
	err      error // cause and what could not be cleaned up

	once    sync.Once
	stopErr error
}

// Start runs a job and returns when its I/O flows: fio has reported one that is
// done. ctx bounds the start, not the life; Stop ends that. When it fails, fio is
// gone, nothing is left behind, and the error says why in fio's own words:
// [ErrJob], [ErrName], [ErrTarget], [ErrNoFlow], what ended fio, or ctx's.
//
// fio runs without a shell, in a process group and, where allowed, a cgroup of
// its own, with the least CPU priority. The kernel kills it when this process
// dies.
func Start(ctx context.Context, c StartConfig) (*Process, error) {
	return start(ctx, c, defSteps)
}

func start(ctx context.Context, c StartConfig, s steps) (*Process, error) {
	p, err := prepare(ctx, c, s)
	if err != nil {
		return nil, fmt.Errorf("fioctl: start fio: %w", err)
	}
	if err := p.spawn(); err != nil {
		return nil, fmt.Errorf("fioctl: start fio: %w", errors.Join(err, p.keep.drop(), removeScratch(p.scratch)))
	}
	if err := p.awaitFlow(ctx); err != nil {
		_, _ = p.Stop() // err says more
		_ = p.keep.drop()
		return nil, fmt.Errorf("fioctl: start fio: %w", err)
	}
	return p, nil
}

// prepare checks everything that can be checked before fio runs, and writes its
// job file.
func prepare(ctx context.Context, c StartConfig, s steps) (p *Process, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if c.FlowWait == 0 {
		c.FlowWait = defFlowWait
	}
	if c.FlowWait < 0 {
		return nil, fmt.Errorf("flow wait %v is negative", c.FlowWait)
	}
	job, err := c.Job.file(c.Fio, c.Target.Path, c.Target.SizeBytes)
	if err != nil {
		return nil, err
	}
	if err := checkTarget(c.Target); err != nil {
		return nil, err
	}
	if err := sweepLeases(c.Dir, "/proc"); err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(c.Dir, runPrefix)
	if err != nil {
		return nil, fmt.Errorf("make scratch: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeScratch(scratch))
		}
	}()
	if scratch, err = filepath.Abs(scratch); err != nil {
		return nil, fmt.Errorf("make scratch: %w", err)
	}
	if err := os.WriteFile(filepath.Join(scratch, jobName), job, 0o600); err != nil {
		return nil, fmt.Errorf("write job file: %w", err)
	}
	keep, err := newKeeper(c.Keep)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(job)
	p = &Process{
		cfg: c, steps: s, clk: clock.New(), scratch: scratch, keep: keep,
		words:   &tail{limit: 8 << 10},
		flowing: make(chan struct{}), read: make(chan struct{}), done: make(chan struct{}), reap: make(chan struct{}),
	}
	p.run = Run{Fio: c.Fio, Job: c.Job, File: c.Target.Path, JobSHA256: hex.EncodeToString(sum[:])}
	return p, nil
}

// checkTarget makes sure that fio gets a file with all the bytes it is to read:
// it would try to extend a shorter one.
func checkTarget(t Target) error {
	info, err := os.Lstat(t.Path)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTarget, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is no regular file", ErrTarget, t.Path)
	case info.Size() < t.SizeBytes:
		return fmt.Errorf("%w: %s has %d bytes, not %d", ErrTarget, t.Path, info.Size(), t.SizeBytes)
	}
	return nil
}

// Done is closed when fio has ended, by itself or by Stop.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err is nil while fio runs and after a clean Stop; else it says why fio ended by
// itself or what went wrong. See the errors of this package.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// Status is a copy of what fio has reported so far, cumulative, in order.
func (p *Process) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Status(nil), p.run.Status...)
}
