package fioctl

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/cgroup"
	"github.com/spark-harness/harness/internal/clock"
)

// pipeBytes is what fio may write while we do not read: some seconds of status.
const pipeBytes = 1 << 20

// childEnv is the whole environment of fio: its job file expands variables, and
// numbers must have points.
func childEnv() []string { return []string{"LC_ALL=C"} }

// childAttr puts a child into a process group of its own, so that Ctrl-C reaches
// only this process, and has the kernel kill it when the thread that forked it
// dies, and with it at the latest this process.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// spawn forks fio, and starts what follows its output and its end.
func (p *Process) spawn() error {
	if err := p.writeLease(0); err != nil {
		return err
	}
	out, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	defer write.Close()                                            // the child's end
	_, _ = unix.FcntlInt(write.Fd(), unix.F_SETPIPE_SZ, pipeBytes) // the usual size does too
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		return errors.Join(fmt.Errorf("make pipe: %w", err), out.Close())
	}
	args := []string{
		"--output-format=json+", "--eta=never", "--warnings-fatal",
		fmt.Sprintf("--status-interval=%dms", p.cfg.Job.statusEvery()/time.Millisecond),
	}
	if p.cfg.Job.readsOnly() {
		args = append(args, "--readonly")
	}
	p.cmd = exec.Command(p.cfg.Fio.Path, append(args, jobName)...)
	p.cmd.Dir, p.cmd.Env = p.scratch, childEnv()
	p.cmd.SysProcAttr = childAttr()
	p.cmd.Stdout, p.cmd.Stderr = write, p.words
	p.cmd.WaitDelay = time.Second

	p.run.Started = p.now()
	forked := make(chan error)
	go p.tend(forked)
	if err := <-forked; err != nil {
		return errors.Join(fmt.Errorf("run %s: %w", p.cfg.Fio.Path, err), out.Close())
	}
	go p.follow(out)
	go p.finish(out)
	return nil
}

// tend forks fio and waits for it on one thread, which lives as long as fio: the
// parent-death signal belongs to that thread, not to the process.
func (p *Process) tend(forked chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	if err == nil {
		p.settle() // before anybody can reap it
	}
	forked <- err
	if err != nil {
		return
	}
	// Wait without reaping, so that until gone is set the number stays fio's.
	for unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	// Whatever fio itself had started ends with it.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	p.gone = true
	p.run.Ended = p.now()
	p.mu.Unlock()
	_ = p.cmd.Wait() // ProcessState says it all
	close(p.reap)
}

// settle gives a fio that has just been forked its place, before it makes
// threads, which inherit it. All of it is best effort.
func (p *Process) settle() {
	pid := p.cmd.Process.Pid
	_ = unix.Setpriority(unix.PRIO_PROCESS, pid, leastPriority)
	if cpus, err := parseCPUs(p.cfg.Job.CPUs); err == nil && len(cpus) > 0 {
		var set unix.CPUSet
		for _, c := range cpus {
			set.Set(c)
		}
		_ = unix.SchedSetaffinity(pid, &set) // fio complains of a wrong processor itself
	}
	p.run.Cgroup = cgroup.Config{Prefix: "spark-fio-"}.New(pid)
	// Without it only the sweep after a crash is less sure.
	_ = p.writeLease(pid)
}

const leastPriority = 19

// writeLease records who we are, and fio if it runs.
func (p *Process) writeLease(pid int) error {
	var l lease
	var err error
	if l.Owner, err = identify("/proc", os.Getpid()); err != nil {
		return err
	}
	if pid != 0 {
		if l.Fio, err = identify("/proc", pid); err != nil {
			return err
		}
	}
	return l.write(p.scratch)
}

// now is the instant since the run's epoch.
func (p *Process) now() time.Duration { return p.clk.Now() - p.cfg.Epoch }

// since is the instant of a wall-clock time that has just passed.
func (p *Process) since(wall time.Time) time.Duration {
	return time.Duration(wall.UnixNano()) - clock.RealOffset() - p.cfg.Epoch
}
