package fioctl

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Why a run went wrong.
var (
	// ErrTarget: the target is not there, no file, or too short.
	ErrTarget = errors.New("target is not usable (prefill it)")
	// ErrNoFlow: fio reported no I/O in time.
	ErrNoFlow = errors.New("no I/O flowed")
	// ErrEndedEarly: fio ended before Stop, so the load did not cover its window.
	ErrEndedEarly = errors.New("fio ended by itself")
	// ErrInterrupted: a signal that was not ours stopped fio.
	ErrInterrupted = errors.New("fio was stopped by somebody else's signal")
	// ErrKilled: fio was killed, by the kernel for want of memory, by hand, or by
	// Stop because it did not end otherwise.
	ErrKilled = errors.New("fio was killed")
	// ErrNoSpace: the file system is full.
	ErrNoSpace = errors.New("no space left on the file system (make room)")
	// ErrIO: an I/O or a system call of fio failed.
	ErrIO = errors.New("fio met an error")
	// ErrNoResult: fio's last document is missing or cut off.
	ErrNoResult = errors.New("fio's final result is missing")
)

// steps are the waits of a process's life.
type steps struct {
	ask       time.Duration // between requests for status, at the start
	interrupt time.Duration // from SIGINT to SIGTERM
	terminate time.Duration // from SIGTERM to SIGKILL
	drain     time.Duration // from the end to the end of the output
}

var defSteps = steps{ask: 10 * time.Millisecond, interrupt: 5 * time.Second, terminate: 3 * time.Second, drain: 2 * time.Second}

// exitSignalled is fio's exit status after a signal that it handled.
const exitSignalled = 128

// Stop ends fio and returns its record when it is gone: SIGINT, after 5 s
// SIGTERM, after 3 s more SIGKILL. The scratch directory and the cgroup are
// removed, the raw output has its name. The error is what Err says, and what
// could not be cleaned up; the record is whole even then. Calling again gives the
// same answer.
func (p *Process) Stop() (Run, error) {
	p.once.Do(func() {
		p.mu.Lock()
		if !p.gone {
			p.run.Stopping = p.now()
		}
		p.mu.Unlock()
		for _, s := range []struct {
			sig  syscall.Signal
			wait time.Duration
		}{
			{syscall.SIGINT, p.steps.interrupt},
			{syscall.SIGTERM, p.steps.terminate},
			{syscall.SIGKILL, time.Minute},
		} {
			if p.signal(s.sig) == nil {
				p.mu.Lock()
				p.run.Signals++
				p.mu.Unlock()
			}
			if closedWithin(p.reap, s.wait) {
				break
			}
		}
		<-p.done
		p.stopErr = p.err
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run, p.stopErr
}

// closedWithin reports whether a channel is closed in time.
func closedWithin(c <-chan struct{}, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-c:
		return true
	case <-t.C:
		return false
	}
}

// finish waits for the end of fio and of its output, cleans up, and says how it
// went.
func (p *Process) finish(out *os.File) {
	defer close(p.done)
	<-p.reap
	if !closedWithin(p.read, p.steps.drain) {
		// Somebody else holds the pipe: what fio wrote is here.
		_ = out.SetReadDeadline(time.Unix(1, 0))
		<-p.read
	}
	clean := errors.Join(p.keep.commit(), p.run.Cgroup.Remove(), removeScratch(p.scratch))

	p.mu.Lock()
	defer p.mu.Unlock()
	state := p.cmd.ProcessState
	p.run.ExitCode = state.ExitCode()
	p.run.UserCPU, p.run.SysCPU = state.UserTime(), state.SystemTime()
	fault := p.fault(state.Sys().(syscall.WaitStatus))
	if fault != nil {
		if said := fioWords(p.words.String()); said != "" {
			fault = fmt.Errorf("%w; fio said: %s", fault, said)
		}
		p.run.Fault = fault.Error()
		p.cause, fault = fault, fmt.Errorf("fioctl: run fio: %w", fault)
	}
	p.stampEnd()
	p.err = errors.Join(fault, clean)
}

// fault judges how fio ended; nil is as it should.
func (p *Process) fault(w syscall.WaitStatus) error {
	r := &p.run
	early := r.Stopping == 0
	var why error
	switch errno := syscall.Errno(r.Result.Errno); {
	case errno == syscall.ENOSPC:
		why = fmt.Errorf("%w: error %d", ErrNoSpace, errno)
	case errno != 0:
		why = fmt.Errorf("%w: error %d (%w)", ErrIO, int(errno), errno)
	case w.Signaled() && early:
		why = fmt.Errorf("%w: by signal %d (%v)", ErrKilled, w.Signal(), w.Signal())
	case w.Signaled() && w.Signal() == syscall.SIGKILL:
		why = fmt.Errorf("%w: it did not end within %v", ErrKilled, r.Ended-r.Stopping)
	case w.ExitStatus() == exitSignalled && early:
		why = ErrInterrupted
	case w.Exited() && w.ExitStatus() != 0 && w.ExitStatus() != exitSignalled:
		why = fmt.Errorf("%w: exit status %d", ErrIO, w.ExitStatus())
	case p.parseErr != nil:
		why = fmt.Errorf("%w: %w", ErrNoResult, p.parseErr)
	case !early && p.arrived < r.Stopping:
		why = ErrNoResult
	}
	if !early {
		return why
	}
	at := fmt.Errorf("%w at %v, %v after its start", ErrEndedEarly, r.Ended.Round(time.Millisecond), (r.Ended - r.Started).Round(time.Millisecond))
	if why == nil {
		return fmt.Errorf("%w, exit status %d", at, w.ExitStatus())
	}
	return fmt.Errorf("%w: %w", at, why)
}
