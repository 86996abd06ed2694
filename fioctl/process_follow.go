package fioctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxStatus bounds the memory of a run. Past it every second status goes.
const maxStatus = 1 << 16

const (
	// stampSlack is how late a document may come: later, its stamp is not
	// believed.
	stampSlack = time.Second
	// stampCut is what fio cuts off a stamp.
	stampCut = time.Millisecond
)

// follow reads fio's output until it ends, so that fio never waits for us.
func (p *Process) follow(out *os.File) {
	defer close(p.read)
	words := &wordFilter{to: p.words}
	in := io.TeeReader(out, io.MultiWriter(p.keep, words))
	for r, err := range ParseOutput(in) {
		if err != nil {
			p.misread(err)
			continue
		}
		p.take(r)
	}
	_, _ = io.Copy(io.Discard, in) // whatever a parser that gave up has left
	_ = out.Close()
}

// misread keeps what was wrong with the output. That its end did not come is no
// fault: somebody else held the pipe, see finish.
func (p *Process) misread(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parseErr = err
}

// take adds one document to the account.
//
// fio's stamp is when it took the counts, to the whole millisecond below: against
// the kernel's account of its reads (3.33) it is within 3 ms, while documents
// arrive 1 to 40 ms later.
func (p *Process) take(r Result) {
	arrived := p.now()
	at := p.since(r.At) + time.Millisecond/2
	p.mu.Lock()
	defer p.mu.Unlock()
	p.arrived, p.parseErr = arrived, nil // a whole document heals one that was not
	var last Status
	n := len(p.run.Status)
	if n > 0 {
		last = p.run.Status[n-1]
	}
	if at < last.T-stampCut || at > arrived+stampCut || arrived-at > stampSlack {
		at = arrived // somebody has set the wall clock
	}
	s := Status{
		T:         max(min(at, arrived), last.T),
		ReadBytes: r.Read.Bytes, ReadIOs: r.Read.IOs,
		WriteBytes: r.Write.Bytes, WriteIOs: r.Write.IOs,
	}
	if s.ReadIOs < last.ReadIOs || s.WriteIOs < last.WriteIOs {
		return // no account of this run
	}
	if n > 0 && s.T == last.T {
		p.run.Status = p.run.Status[:n-1] // the newer account of one instant
	}
	flowed := p.run.Flowing != 0
	p.run.Status = thin(append(p.run.Status, s))
	p.ran = runtimeOf(r) - runtimeOf(p.run.Result)
	p.run.Result = r
	if !flowed && s.ReadIOs+s.WriteIOs > 0 {
		p.run.Flowing = s.T
		close(p.flowing)
	}
}

func runtimeOf(r Result) time.Duration { return max(r.Read.Runtime, r.Write.Runtime) }

// stampEnd corrects the last status: fio writes its final document only after it
// has collected its threads, some ten milliseconds after their last I/O. How long
// they had run since the document before, it says itself.
func (p *Process) stampEnd() {
	n := len(p.run.Status)
	if n < 2 || p.run.Flowing == 0 || p.run.Status[n-2].T < p.run.Flowing {
		return
	}
	last, before := &p.run.Status[n-1], p.run.Status[n-2]
	last.T = max(min(last.T, before.T+p.ran), before.T+1)
}

func thin(s []Status) []Status {
	if len(s) <= maxStatus {
		return s
	}
	// The first and the last stay: they bound what the account covers.
	kept := s[:0]
	for i, x := range s {
		if i%2 == 0 || i == len(s)-1 {
			kept = append(kept, x)
		}
	}
	return kept
}

// awaitFlow returns once an I/O is done, fio has ended, or time is up.
//
// fio's own pace of status would make each start some hundred milliseconds
// longer. So it is asked for status (SIGUSR1) until there is I/O; the signal
// also ends the nap of 100 ms that fio takes before it lets its threads go.
func (p *Process) awaitFlow(ctx context.Context) error {
	limit := time.NewTimer(p.cfg.FlowWait)
	defer limit.Stop()
	ask := time.NewTicker(p.steps.ask)
	defer ask.Stop()
	asked := 0
	for {
		select {
		case <-p.flowing:
			return nil
		case <-p.done:
			return p.endedFirst()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-limit.C:
			err := fmt.Errorf("%w within %v", ErrNoFlow, p.cfg.FlowWait)
			if said := fioWords(p.words.String()); said != "" {
				err = fmt.Errorf("%w; fio said: %s", err, said)
			}
			return err
		case <-ask.C:
			if asked < maxAsked && p.askStatus() {
				asked++
			}
		}
	}
}

// maxAsked bounds how often fio is asked: later its own pace will do.
const maxAsked = 40

// endedFirst says why fio ended before I/O flowed. A job that was over at once
// may have flowed.
func (p *Process) endedFirst() error {
	if p.cause != nil {
		return p.cause
	}
	return ErrEndedEarly
}

// askStatus has fio write a document now, if it is ready for the signal: until
// it is, the signal would end it. Only the main thread may get it: up to 3.39 at
// least, the thread that writes status gives up when a signal interrupts it.
func (p *Process) askStatus() bool {
	pid := p.cmd.Process.Pid
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil || !catches(string(status), syscall.SIGUSR1) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.gone && unix.Tgkill(pid, pid, syscall.SIGUSR1) == nil
}

// catches reads the mask of handled signals, see proc_pid_status(5).
func catches(status string, sig syscall.Signal) bool {
	_, rest, found := strings.Cut(status, "\nSigCgt:")
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	return found && err == nil && mask&(1<<(uint(sig)-1)) != 0
}

// signal sends to fio's process group. Once fio has ended it does nothing: the
// group's number may mean another.
func (p *Process) signal(sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return os.ErrProcessDone
	}
	err := syscall.Kill(-p.cmd.Process.Pid, sig)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}
