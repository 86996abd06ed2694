package fioctl

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Why there is no usable fio.
var (
	// ErrNoFio: there is no such executable.
	ErrNoFio = errors.New("executable not found (apt-get install fio)")
	// ErrOldFio: it is older than 3.28, or no fio at all.
	ErrOldFio = errors.New("fio 3.28 or newer is needed (apt-get install fio)")
	// ErrNoEngine: no engine can read a file there with direct I/O.
	ErrNoEngine = errors.New("no ioengine of fio works here")
)

const (
	minMajor, minMinor = 3, 28
	versionWait        = 10 * time.Second
	trialWait          = 15 * time.Second
	trialBytes         = 64 << 10
)

// Find looks for fio: exe is a path or a name in PATH, "" is "fio". It checks
// the version and then reads a scratch file in dir with each engine, best
// first, until one works; nothing stays behind in dir. It takes about 0.3 s, and
// as much again for each engine that is refused. The errors are [ErrNoFio],
// [ErrOldFio], [ErrNoEngine], that of dir, or ctx's.
func Find(ctx context.Context, exe, dir string) (Fio, error) {
	name := cmp.Or(exe, "fio")
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return Fio{}, fmt.Errorf("fioctl: find %s: %w", name, ErrNoFio)
	}
	f := Fio{Path: path}
	out, err := runShort(ctx, versionWait, os.TempDir(), path, "--version")
	if ctx.Err() != nil {
		return Fio{}, fmt.Errorf("fioctl: find fio: %w", context.Cause(ctx))
	}
	said := strings.TrimSpace(string(out))
	version, ok := parseVersion(said)
	switch {
	case err != nil:
		return Fio{}, fmt.Errorf("fioctl: find fio: run %s --version: %w: %w", path, err, ErrOldFio)
	case !ok:
		return Fio{}, fmt.Errorf("fioctl: find fio: %s calls itself %q: %w", path, clip(said, 80), ErrOldFio)
	}
	f.Version = version
	if err := f.tryEngines(ctx, dir); err != nil {
		return Fio{}, fmt.Errorf("fioctl: find fio: %w", err)
	}
	return f, nil
}

var versionForm = regexp.MustCompile(`^fio-((\d{1,4})\.(\d{1,4})[0-9A-Za-z.+~-]*)$`)

// parseVersion reads "fio-3.33" or "fio-3.40-12-gabc"; ok is false for anything
// else and for what is too old.
func parseVersion(said string) (version string, ok bool) {
	m := versionForm.FindStringSubmatch(said)
	if m == nil {
		return "", false
	}
	major, _ := strconv.Atoi(m[2]) // digits, by the form
	minor, _ := strconv.Atoi(m[3])
	return m[1], major > minMajor || major == minMajor && minor >= minMinor
}

// tryEngines reads a scratch file with each engine until one works. Whether a
// kernel, a container or a file system allows an engine shows only in use.
func (f *Fio) tryEngines(ctx context.Context, dir string) (err error) {
	scratch, err := os.MkdirTemp(dir, findPrefix)
	if err != nil {
		return fmt.Errorf("make scratch: %w", err)
	}
	defer func() { err = errors.Join(err, removeScratch(scratch)) }()
	file := filepath.Join(scratch, trialName)
	if err := os.WriteFile(file, bytes.Repeat([]byte("spark"), trialBytes/5+1)[:trialBytes], 0o600); err != nil {
		return fmt.Errorf("write scratch: %w", err)
	}
	var refused []string
	for _, e := range []Engine{EngineURing, EngineLibaio, EnginePsync} {
		why, err := f.try(ctx, e, scratch)
		if err != nil {
			return err
		}
		if why == "" {
			f.Engine, f.EngineWhy = e, strings.Join(refused, "; ")
			return nil
		}
		refused = append(refused, fmt.Sprintf("%s: %s", e, why))
	}
	return fmt.Errorf("%w: %s", ErrNoEngine, strings.Join(refused, "; "))
}

// try reads the trial file with one engine. why is "" when it works.
func (f *Fio) try(ctx context.Context, e Engine, scratch string) (why string, err error) {
	job := fmt.Sprintf(`[trial]
clocksource=clock_gettime
ioengine=%s
direct=1
rw=read
bs=4096
iodepth=4
filename=`+trialName+`
size=%d
io_size=32k
thread=1
allow_file_create=0
disk_util=0
`, e, trialBytes)
	if err := os.WriteFile(filepath.Join(scratch, jobName), []byte(job), 0o600); err != nil {
		return "", fmt.Errorf("write scratch: %w", err)
	}
	out, err := runShort(ctx, trialWait, scratch, f.Path, "--output-format=json", "--eta=never", "--readonly", jobName)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	var last Result
	for r, perr := range ParseOutput(bytes.NewReader(out)) {
		if perr == nil {
			last = r
		}
	}
	if err == nil && last.Errno == 0 && last.Read.IOs > 0 {
		return "", nil
	}
	return refusal(e, last.Errno, fioWords(string(out)), err), nil
}

// refusal says why an engine does not work, with the remedy where one is known.
func refusal(e Engine, errno int, words string, err error) string {
	code := syscall.Errno(errno)
	switch {
	case code == syscall.EPERM || code == syscall.EACCES, strings.Contains(words, "Operation not permitted"):
		if e == EngineURing {
			return "not permitted (seccomp or kernel.io_uring_disabled)"
		}
		return "not permitted (seccomp)"
	case code == syscall.ENOSYS, strings.Contains(words, "Function not implemented"):
		return "the kernel does not have it"
	case code == syscall.ENOMEM && e == EngineURing:
		return "no memory to lock (ulimit -l)"
	case code == syscall.EAGAIN && e == EngineLibaio:
		return "no free contexts (fs.aio-max-nr)"
	case strings.Contains(words, "not loadable"), strings.Contains(words, "failed to load engine"):
		return "this fio was built without it"
	case code == syscall.EINVAL:
		return "the file system refuses direct I/O"
	case words != "":
		return words
	case err != nil:
		return err.Error()
	}
	return "it read nothing"
}

// runShort runs a command that ends soon by itself and returns all it wrote.
// It dies with this process.
func runShort(ctx context.Context, limit time.Duration, dir, path string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	// The parent-death signal belongs to the thread that forks.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = dir, childEnv()
	cmd.SysProcAttr = childAttr()
	out := &tail{limit: 256 << 10}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	return []byte(out.String()), err
}
