package spark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spark-harness/harness/internal/cgroup"
	"github.com/spark-harness/harness/spark/emulator"
)

// ErrNoChildHook means that this program does not call RunChild first, so a
// copy of it cannot become the emulator or a guardian.
var ErrNoChildHook = errors.New("spark: the program does not call spark.RunChild first in main or TestMain")

const (
	helloWait = 30 * time.Second // for a copy of this program to reach RunChild
	stopGrace = childGrace + 2*time.Second
)

// Cgroup is the control group of a started server, by which the kernel counts
// its I/O and memory apart from ours.
type Cgroup = cgroup.Group

// EmulatorProcess is an emulator in a child process of its own: its own Go
// runtime, process group and, where allowed, cgroup. It dies with its parent.
// Its methods are safe for concurrent use.
type EmulatorProcess struct {
	Info    emulator.Info `json:"info"`
	Cgroup  Cgroup        `json:"cgroup"`
	Started time.Duration `json:"started_ns"` // from fork to ready, spill file included

	cfg    emulator.Config
	cmd    *exec.Cmd
	stdin  io.Closer
	report *os.File
	words  *json.Decoder // of report
	stderr *tail
	done   chan struct{} // closed when the process is gone and err is set
	err    error         // why it ended, nil after a clean stop
	once   sync.Once
	stop   error // result of Stop
}

// StartEmulator runs an emulator in a copy of the running program and returns
// when it serves. The program must call RunChild first, else the error is
// ErrNoChildHook. Writing the spill file may take minutes on a slow disk; ctx
// bounds the start, not the life: end that with Stop. When it fails, nothing is
// left behind.
func StartEmulator(ctx context.Context, cfg emulator.Config) (*EmulatorProcess, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("spark: start emulator: %w", err)
	}
	// A copy that did not become the emulator must not start copies in turn.
	if isChild(os.Args) {
		return nil, ErrNoChildHook
	}
	began := time.Now()
	p := &EmulatorProcess{cfg: cfg, stderr: &tail{}, done: make(chan struct{})}
	if err := p.spawn(); err != nil {
		return nil, fmt.Errorf("spark: start emulator: %w", err)
	}
	info, err := p.handshake(ctx)
	go p.guard()
	if err != nil {
		return nil, fmt.Errorf("spark: start emulator: %w", p.explain(err))
	}
	p.Info, p.Started = info, time.Since(began)
	return p, nil
}

// spawn starts the copy and puts it into its cgroup while it waits for its
// config, so that everything it allocates is counted there.
func (p *EmulatorProcess) spawn() error {
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer write.Close() // the child's end
	// /proc/self/exe is this very program, even if its file was replaced.
	p.cmd = exec.Command("/proc/self/exe", childMarker)
	p.cmd.Args[0] = os.Args[0]
	p.cmd.Stderr = p.stderr
	p.cmd.ExtraFiles = []*os.File{write} // reportFD
	p.cmd.WaitDelay = time.Second
	// A group of its own: Ctrl-C reaches the parent, which stops the child.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make pipe: %w", err), read.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("run a copy of this program: %w", err), read.Close(), stdin.Close())
	}
	p.report, p.words, p.stdin = read, json.NewDecoder(read), stdin
	p.Cgroup = cgroup.Config{Prefix: "spark-emulator-", Memory: true}.New(p.cmd.Process.Pid)
	// A failed write shows as a missing answer, with better words.
	_ = json.NewEncoder(stdin).Encode(p.cfg)
	return nil
}

// handshake waits for hello and then for the server to be ready.
func (p *EmulatorProcess) handshake(ctx context.Context) (emulator.Info, error) {
	wake := context.AfterFunc(ctx, func() { p.report.SetReadDeadline(time.Unix(1, 0)) })
	defer wake()
	if err := p.report.SetReadDeadline(time.Now().Add(helloWait)); err != nil {
		return emulator.Info{}, fmt.Errorf("set deadline: %w", err)
	}
	if ctx.Err() != nil {
		return emulator.Info{}, context.Cause(ctx)
	}
	for {
		var r report
		err := p.words.Decode(&r)
		switch {
		case ctx.Err() != nil:
			return emulator.Info{}, context.Cause(ctx)
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.EOF) && p.words.InputOffset() == 0:
			return emulator.Info{}, ErrNoChildHook
		case err != nil:
			return emulator.Info{}, fmt.Errorf("the child process ended early: %w", err)
		case r.Error != "":
			return emulator.Info{}, errors.New(r.Error)
		case r.Info != nil:
			return *r.Info, nil
		}
		if err := p.report.SetReadDeadline(time.Time{}); err != nil {
			return emulator.Info{}, fmt.Errorf("set deadline: %w", err)
		}
		if ctx.Err() != nil { // the deadline just lifted may have been the sign
			return emulator.Info{}, context.Cause(ctx)
		}
	}
}

// guard outlives StartEmulator and ends with the process.
func (p *EmulatorProcess) guard() {
	defer close(p.done)
	var last report
	for p.words.Decode(&last) == nil { // until the pipe ends with the child
	}
	p.err = errors.Join(p.cmd.Wait(), p.report.Close())
	if last.Error != "" {
		p.err = fmt.Errorf("%s (%w)", last.Error, p.err)
	}
}

// explain ends a failed start and adds what the child wrote.
func (p *EmulatorProcess) explain(err error) error {
	stopErr := p.Stop()
	if said := p.stderr.String(); said != "" {
		err = fmt.Errorf("%w; it wrote: %s", err, said)
	}
	if stopErr != nil && !errors.Is(stopErr, errDied) {
		err = errors.Join(err, stopErr)
	}
	return err
}

// errDied marks an end that nobody asked for.
var errDied = errors.New("spark: the emulator ended by itself")

// Err is nil while the process runs and after a clean Stop; else it says why
// the process ended by itself, with the end of what it wrote.
func (p *EmulatorProcess) Err() error {
	select {
	case <-p.done:
		return p.died()
	default:
		return nil
	}
}

func (p *EmulatorProcess) died() error {
	if p.err == nil {
		return nil
	}
	err := fmt.Errorf("%w: %w", errDied, p.err)
	if said := p.stderr.String(); said != "" {
		err = fmt.Errorf("%w; it wrote: %s", err, said)
	}
	return err
}

// Stop ends the process, kills it if it does not end in time, and returns when
// it is gone, its cgroup removed and its spill file too unless it was to be
// kept. The error says what went wrong before or is left; calling again gives
// the same answer.
func (p *EmulatorProcess) Stop() error {
	p.once.Do(func() { p.stop = p.end() })
	return p.stop
}

func (p *EmulatorProcess) end() error {
	var errs []error
	_ = p.stdin.Close() // the sign to stop; a child that is gone has closed it
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.done:
		errs = append(errs, p.died())
	case <-grace.C:
		if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL); err != nil {
			errs = append(errs, fmt.Errorf("spark: kill emulator: %w", err))
		}
		<-p.done
		errs = append(errs, fmt.Errorf("spark: stop emulator: it did not end within %v and was killed", stopGrace))
	}
	errs = append(errs, p.Cgroup.Remove())
	if path := p.Info.SpillPath; path != "" && !p.cfg.KeepSpill {
		// Only a child that died without cleaning up has left it.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("spark: remove spill file: %w", err))
		}
	}
	return errors.Join(errs...)
}

// tail keeps the end of what a child writes.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailBytes; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.buf))
}
