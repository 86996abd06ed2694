package fioctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Scratch directories that this package makes, and the files in them.
const (
	runPrefix  = "fioctl-run-"
	findPrefix = "fioctl-find-"
	leaseName  = "lease.json"
	leaseNext  = leaseName + ".partial"
	jobName    = "job.fio"
	trialName  = "trial.dat"
)

const (
	// bareAge is how old a scratch directory without a lease must be to be
	// nobody's: its maker writes one at once.
	bareAge = time.Minute
	// goneWait is how long the kernel may take to end a stale fio.
	goneWait = 5 * time.Second
)

// lease says who made a scratch directory and which fio runs there, so that
// both are found when the maker was killed.
type lease struct {
	Owner procID `json:"owner"`
	Fio   procID `json:"fio,omitzero"`
}

// procID names one process for ever: numbers are used again, a number with a
// start time and a boot is not.
type procID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
	Boot  string `json:"boot"`
	Exe   string `json:"exe"` // the executable, by the kernel
}

// identify reads what a process is; an error means that it is gone or hidden.
func identify(procRoot string, pid int) (procID, error) {
	dir := filepath.Join(procRoot, strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return procID{}, fmt.Errorf("fioctl: identify process: %w", err)
	}
	// The name in parentheses may hold anything; the fields follow the last one.
	// See proc_pid_stat(5): state is field 3, starttime field 22.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 {
		return procID{}, fmt.Errorf("fioctl: identify process: %s/stat is short", dir)
	}
	id := procID{PID: pid}
	if id.Start, err = strconv.ParseUint(fields[19], 10, 64); err != nil {
		return procID{}, fmt.Errorf("fioctl: identify process: start time: %w", err)
	}
	if s := fields[0]; s == "Z" || s == "X" {
		return procID{}, fmt.Errorf("fioctl: identify process: %w", os.ErrProcessDone)
	}
	if id.Exe, err = os.Readlink(filepath.Join(dir, "exe")); err != nil {
		return procID{}, fmt.Errorf("fioctl: identify process: %w", err)
	}
	id.Exe = strings.TrimSuffix(id.Exe, " (deleted)") // it was replaced; the process is the same
	boot, err := os.ReadFile(filepath.Join(procRoot, "sys/kernel/random/boot_id"))
	if err != nil {
		return procID{}, fmt.Errorf("fioctl: identify process: %w", err)
	}
	id.Boot = strings.TrimSpace(string(boot))
	return id, nil
}

// lives reports whether this very process still runs.
func (p procID) lives(procRoot string) bool {
	now, err := identify(procRoot, p.PID)
	return err == nil && now == p
}

// write puts the lease into its directory, whole or not at all.
func (l lease) write(dir string) error {
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("fioctl: write lease: %w", err)
	}
	next := filepath.Join(dir, leaseNext)
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("fioctl: write lease: %w", err)
	}
	if err := os.Rename(next, filepath.Join(dir, leaseName)); err != nil {
		return fmt.Errorf("fioctl: write lease: %w", err)
	}
	return nil
}

// sweepLeases ends each fio below dir whose harness is gone and removes what it
// left. It touches a process only if number, start time, boot and executable
// are those of the lease, and nothing of a harness that lives.
func sweepLeases(dir, procRoot string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("fioctl: look for stale scratch: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if e.IsDir() && (strings.HasPrefix(e.Name(), runPrefix) || strings.HasPrefix(e.Name(), findPrefix)) {
			errs = append(errs, sweepOne(filepath.Join(dir, e.Name()), procRoot))
		}
	}
	return errors.Join(errs...)
}

func sweepOne(dir, procRoot string) error {
	var l lease
	text, err := os.ReadFile(filepath.Join(dir, leaseName))
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil { // none, or no lease of ours
		info, serr := os.Lstat(dir)
		if serr != nil || time.Since(info.ModTime()) < bareAge || !errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	if l.Owner.lives(procRoot) {
		return nil
	}
	if err := l.Fio.end(procRoot); err != nil {
		return fmt.Errorf("fioctl: end stale fio of %s: %w", dir, err)
	}
	return removeScratch(dir)
}

// removeScratch removes a scratch directory and the files that belong there. If
// somebody put more into it, it stays.
func removeScratch(dir string) error {
	var errs []error
	for _, name := range []string{jobName, trialName, leaseNext, leaseName, ""} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("fioctl: remove scratch: %w", err))
		}
	}
	return errors.Join(errs...)
}

// end kills this very process, if it runs, and waits until it is gone.
func (p procID) end(procRoot string) error {
	if p.PID <= 1 {
		return nil
	}
	// The handle names one process: between the look and the signal the number
	// cannot come to mean another.
	proc, err := os.FindProcess(p.PID)
	if err != nil {
		return nil // gone
	}
	defer func() { _ = proc.Release() }()
	if !p.lives(procRoot) {
		return nil
	}
	if err := proc.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	for end := time.Now().Add(goneWait); p.lives(procRoot); {
		if time.Now().After(end) {
			return fmt.Errorf("process %d does not end", p.PID)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}
