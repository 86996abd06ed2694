package spark

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// guardianMarker as first argument makes a process a guardian.
const guardianMarker = "--spark-guardian-child--"

// ErrGuardian means that the child process which undoes settings when we are
// killed is gone. The settings are in force; Undo still works.
var ErrGuardian = errors.New("spark: the guardian process is gone (undo the setting and apply it anew)")

const (
	guardianAnswer = 5 * time.Second  // to take a list over
	guardianGrace  = 10 * time.Second // to restore and end
	guardianTries  = 5                // a file may be busy for a moment
	guardianPause  = 100 * time.Millisecond
)

// undoList is a message to a guardian, a JSON line; each replaces the one
// before.
type undoList struct {
	Lease string     `json:"lease,omitempty"` // file to remove when all is undone
	Steps []undoStep `json:"steps"`
}

// guardianReport is a guardian's answer, a JSON line each.
type guardianReport struct {
	Hello bool   `json:"hello,omitempty"`
	Held  bool   `json:"held,omitempty"` // the list is taken over
	Error string `json:"error,omitempty"`
}

// runGuardian keeps the last list until stdin ends, which the kernel brings
// about however the parent ends, and then undoes it. A list that is cut short
// was never acknowledged: nothing of it was done.
func runGuardian(stdin io.Reader, out io.Writer) (exit int) {
	enc := json.NewEncoder(out)
	if err := enc.Encode(guardianReport{Hello: true}); err != nil {
		return 1
	}
	dec := json.NewDecoder(stdin)
	var list undoList
	for {
		var next undoList
		if err := dec.Decode(&next); err != nil {
			break
		}
		list = next
		// A parent that is gone cannot hear; the end of stdin comes next.
		_ = enc.Encode(guardianReport{Held: true})
	}
	u := restoreAll(list.Steps, writeKernel)
	for range guardianTries {
		if len(u.left) == 0 {
			break
		}
		time.Sleep(guardianPause)
		u = restoreAll(u.left, writeKernel)
	}
	if len(u.left) == 0 && list.Lease != "" {
		u.err = errors.Join(u.err, removeFile(list.Lease))
	}
	if u.err != nil {
		_ = enc.Encode(guardianReport{Error: u.err.Error()})
		return 1
	}
	return 0
}

// guardian is the parent's side: a copy of this program that undoes settings
// when the parent ends, even when it is killed. It has a session of its own, so
// that Ctrl-C at the terminal does not reach it. It is for one goroutine.
type guardian struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	answer *os.File
	words  *json.Decoder // of answer
	lease  *lease
	held   undoList
	lost   bool
}

// startGuardian starts one that holds nothing yet. It owns the lease.
func startGuardian(l *lease) (*guardian, error) {
	if isChild(os.Args) { // a copy that did not become a guardian
		return nil, errors.Join(ErrNoChildHook, l.remove())
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pipe: %w", err), l.remove())
	}
	cmd := exec.Command("/proc/self/exe", guardianMarker)
	cmd.Args[0] = os.Args[0]
	cmd.Dir = "/" // hold no mount
	cmd.ExtraFiles = []*os.File{write}
	if l != nil {
		// Its lock is held until the guardian is gone too.
		cmd.ExtraFiles = append(cmd.ExtraFiles, l.file)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pipe: %w", err), read.Close(), write.Close(), l.remove())
	}
	err = cmd.Start()
	_ = write.Close() // the child's end: the pipe ends with it only without ours
	if err != nil {
		return nil, errors.Join(fmt.Errorf("run a copy of this program: %w", err), read.Close(), stdin.Close(), l.remove())
	}
	g := &guardian{cmd: cmd, stdin: stdin, answer: read, words: json.NewDecoder(read), lease: l}
	if r, err := g.hear(helloWait); err != nil || !r.Hello {
		return nil, errors.Join(ErrNoChildHook, g.end(), l.remove())
	}
	return g, nil
}

// hear waits for one answer.
func (g *guardian) hear(wait time.Duration) (guardianReport, error) {
	var r guardianReport
	if err := g.answer.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return r, fmt.Errorf("set deadline: %w", err)
	}
	err := g.words.Decode(&r)
	return r, err
}

// hold hands a list over, to the lease first. When it returns without error
// the steps may be done: they will be undone.
func (g *guardian) hold(steps []undoStep) error {
	list := undoList{Lease: g.lease.name(), Steps: steps}
	if err := g.lease.record(list); err != nil {
		return err
	}
	g.held = list
	return g.alive()
}

// alive hands the present list over once more, which tells whether somebody is
// there to take it.
func (g *guardian) alive() error {
	if g.lost {
		return ErrGuardian
	}
	err := json.NewEncoder(g.stdin).Encode(g.held)
	if err == nil {
		var r guardianReport
		if r, err = g.hear(guardianAnswer); err == nil && !r.Held {
			err = errors.New(r.Error)
		}
	}
	if err != nil {
		g.lost = true
		return fmt.Errorf("%w: %w", ErrGuardian, err)
	}
	return nil
}

// release lets the guardian go, which undoes what its last list still finds in
// force and removes the lease when nothing is left.
func (g *guardian) release(done bool) error {
	err := g.end()
	if done {
		return errors.Join(err, g.lease.remove())
	}
	return errors.Join(err, g.lease.close())
}

// end closes the guardian's stdin and waits for it; one that hangs is killed.
// What it could not do it says; how one ended that was killed says nothing of
// the settings.
func (g *guardian) end() error {
	_ = g.stdin.Close() // one that is gone has closed it
	var said string
	var err error
	for err == nil {
		var r guardianReport
		if r, err = g.hear(guardianGrace); err == nil {
			said = r.Error
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = g.cmd.Process.Kill() // gone already, then
		said = fmt.Sprintf("it did not end within %v and was killed", guardianGrace)
	}
	_ = g.cmd.Wait()
	if err := g.answer.Close(); err != nil {
		return fmt.Errorf("spark: guardian: %w", err)
	}
	if said != "" {
		return fmt.Errorf("spark: guardian: %s", said)
	}
	return nil
}
