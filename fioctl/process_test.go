package fioctl

import (
	"bytes"
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
)

// Steps that a test can wait for: patient ones for a fake that ends when it is
// told, however busy the machine, impatient ones for a fake that does not.
var (
	quick     = steps{ask: 5 * time.Millisecond, interrupt: 10 * time.Second, terminate: 10 * time.Second, drain: 300 * time.Millisecond}
	impatient = steps{ask: 5 * time.Millisecond, interrupt: 200 * time.Millisecond, terminate: 10 * time.Second, drain: 300 * time.Millisecond}
)

// fakeConfig is a start of the fake with a job of the given name.
func fakeConfig(t *testing.T, job string) StartConfig {
	t.Helper()
	name := "t.dat"
	if job == "recorded" {
		name = base64.RawURLEncoding.EncodeToString([]byte(recorded(t)))
	}
	target := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(target, make([]byte, 8192), 0o600))
	return StartConfig{
		Fio:    Fio{Path: fake(t, "fio"), Version: "3.33", Engine: EngineURing},
		Job:    Job{Name: job, BlockBytes: 4096, Depth: 4, Backstop: time.Minute},
		Target: Target{Path: target, SizeBytes: 8192}, Dir: t.TempDir(), Epoch: clock.New().Now(),
	}
}

// requireNothingLeft checks that a run took everything with it.
func requireNothingLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRunOfRecordedFio(t *testing.T) {
	c := fakeConfig(t, "recorded")
	c.Keep = filepath.Join(t.TempDir(), "fio.json")
	p, err := start(t.Context(), c, quick)
	require.NoError(t, err)
	require.NoError(t, p.Err(), "it runs")
	require.Eventually(t, func() bool { return len(p.Status()) == 3 }, 20*time.Second, time.Millisecond)
	require.NoFileExists(t, c.Keep, "not whole yet")
	r, err := p.Stop()
	require.NoError(t, err)
	require.NoError(t, p.Err())
	require.Equal(t, exitSignalled, r.ExitCode, "our own signal")
	require.Empty(t, r.Fault)
	require.Equal(t, 1, r.Signals)
	require.Len(t, r.Status, 4)
	require.Equal(t, int64(307), r.Status[3].ReadIOs)
	require.Equal(t, int64(307), r.Result.Read.IOs)
	require.Equal(t, "fio-3.33", r.Result.Version)
	require.Len(t, r.JobSHA256, 64)
	for _, pair := range [][2]time.Duration{{0, r.Started}, {r.Started, r.Flowing}, {r.Flowing, r.Stopping}, {r.Stopping, r.Ended}} {
		require.Less(t, pair[0], pair[1])
	}
	kept, err := os.ReadFile(c.Keep)
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(string(kept), `"fio version"`), "raw, notes included")
	require.Contains(t, string(kept), "terminating on signal 2")
	requireNothingLeft(t, c.Dir)
	again, err := p.Stop()
	require.NoError(t, err)
	require.Equal(t, r, again, "idempotent")
}

func TestEndings(t *testing.T) {
	for _, row := range []struct {
		job     string
		why     string
		wait    bool // for it to end by itself
		signals int
		exit    int
		errs    []error
		says    string
	}{
		{job: "steady", why: "128 after our signal is success", signals: 1, exit: 128},
		{job: "notes", why: "notes come before documents", signals: 1, exit: 128},
		{job: "glued", why: "documents without a line between", signals: 1, exit: 128},
		{job: "stubborn", why: "SIGTERM ends it as well", signals: 2, exit: 128},
		{job: "deaf", why: "a kill loses the result", signals: 3, exit: -1, errs: []error{ErrKilled}, says: "did not end"},
		{job: "truncated", why: "the last document is cut", signals: 1, exit: 128, errs: []error{ErrNoResult, ErrTruncated}},
		{job: "held", why: "a child that holds the pipe ends with fio", signals: 1, exit: 128},
		{job: "escaped", why: "one that cannot be ended is not waited for", signals: 1, exit: 128},
		{job: "early", why: "exit 0 is no success before Stop", wait: true, exit: 0, errs: []error{ErrEndedEarly}, says: "by itself at"},
		{job: "full", why: "an error has its name", wait: true, exit: 1, errs: []error{ErrEndedEarly, ErrNoSpace}, says: "No space left on device"},
		{job: "sick", why: "any other has its number", wait: true, exit: 1, errs: []error{ErrEndedEarly, ErrIO, syscall.EIO}, says: "error 5"},
		{job: "crash", why: "an exit status is all there is", wait: true, exit: 3, errs: []error{ErrEndedEarly, ErrIO}, says: "exit status 3"},
	} {
		t.Run(row.job, func(t *testing.T) {
			t.Parallel()
			c, with := fakeConfig(t, row.job), quick
			switch row.job {
			case "stubborn":
				with = impatient
			case "deaf":
				with = impatient
				with.terminate = with.interrupt
			}
			p, err := start(t.Context(), c, with)
			require.NoError(t, err)
			if row.wait {
				<-p.Done()
			} else {
				require.Eventually(t, func() bool { return len(p.Status()) > 2 }, 20*time.Second, time.Millisecond)
			}
			r, err := p.Stop()
			require.Equal(t, row.exit, r.ExitCode, row.why)
			require.Equal(t, row.signals, r.Signals)
			require.Equal(t, row.wait, r.Stopping == 0, "0: it ended by itself")
			for _, want := range row.errs {
				require.ErrorIs(t, err, want, row.why)
				require.ErrorIs(t, p.Err(), want)
			}
			if row.job == "escaped" && len(p.run.Cgroup.Dirs) > 0 {
				require.ErrorContains(t, err, "remove cgroup", "it is told that something is left there")
				err = nil
			}
			if row.errs == nil {
				require.NoError(t, err, row.why)
			}
			require.Contains(t, r.Fault, row.says)
			require.Equal(t, row.errs == nil, r.Fault == "")
			require.NotEmpty(t, r.Status, "what was seen is told whatever happened")
			require.Positive(t, r.Result.Read.IOs)
			requireNothingLeft(t, c.Dir)
		})
	}
}

func TestSignalsOfOthers(t *testing.T) {
	for _, row := range []struct {
		why  string
		sig  syscall.Signal
		want error
	}{
		{"someone stops fio: its exit status is that of our stop", syscall.SIGINT, ErrInterrupted},
		{"the kernel wants its memory", syscall.SIGKILL, ErrKilled},
	} {
		p, err := start(t.Context(), fakeConfig(t, "steady"), quick)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(p.cmd.Process.Pid, row.sig))
		<-p.Done()
		require.ErrorIs(t, p.Err(), row.want, row.why)
		require.ErrorIs(t, p.Err(), ErrEndedEarly)
		r, err := p.Stop()
		require.ErrorIs(t, err, row.want)
		require.Zero(t, r.Signals, "none was ours")
	}
}

func TestHugeDocuments(t *testing.T) {
	c := fakeConfig(t, "huge")
	c.Keep = filepath.Join(t.TempDir(), "fio.json.zst")
	p, err := start(t.Context(), c, quick)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(p.Status()) > 4 }, 30*time.Second, time.Millisecond)
	_, err = p.Stop()
	require.NoError(t, err)
	packed, err := os.ReadFile(c.Keep)
	require.NoError(t, err)
	z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1))
	require.NoError(t, err)
	defer z.Close()
	var raw bytes.Buffer
	_, err = raw.ReadFrom(z)
	require.NoError(t, err)
	require.Greater(t, raw.Len(), 3*9<<17, "all of it")
	require.Less(t, len(packed), 1<<17)
}

func TestStopFromManySides(t *testing.T) {
	p, err := start(t.Context(), fakeConfig(t, "stubborn"), impatient)
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			r, err := p.Stop()
			if err != nil || r.Signals != 2 {
				t.Errorf("stop: %v, %d signals", err, r.Signals)
			}
			_, _ = p.Status(), p.Err()
		})
	}
	all.Wait()
}

func TestStartThatFails(t *testing.T) {
	for _, row := range []struct {
		why  string
		job  string
		edit func(*StartConfig)
		want error
		says string
	}{
		{"fio refuses", "refused", nil, ErrIO, "CPU 77 too large"},
		{"nothing is read", "idle", func(c *StartConfig) { c.FlowWait = 300 * time.Millisecond }, ErrNoFlow, "within 300ms"},
		{"bad job", "bad name", nil, ErrJob, "name"},
		{"no fio", "steady", func(c *StartConfig) { c.Fio.Path = "/nowhere/fio" }, os.ErrNotExist, "run /nowhere/fio"},
		{"no target", "steady", func(c *StartConfig) { c.Target.Path += ".gone" }, ErrTarget, "prefill"},
		{"short target", "steady", func(c *StartConfig) { c.Target.SizeBytes = 1 << 20 }, ErrTarget, "8192 bytes"},
		{"a directory", "steady", func(c *StartConfig) { c.Target.Path = filepath.Dir(c.Target.Path) }, ErrTarget, "no regular file"},
		{"a name fio cannot read", "steady", func(c *StartConfig) { c.Target.Path = "/t#1" }, ErrName, "/t#1"},
		{"no scratch", "steady", func(c *StartConfig) { c.Dir = "/nowhere" }, os.ErrNotExist, "/nowhere"},
		{"output is there already", "steady", func(c *StartConfig) { c.Keep = c.Target.Path }, os.ErrExist, "never overwritten"},
		{"no place for output", "steady", func(c *StartConfig) { c.Keep = "/nowhere/x" }, os.ErrNotExist, "keep output"},
		{"negative wait", "steady", func(c *StartConfig) { c.FlowWait = -1 }, nil, "negative"},
	} {
		t.Run(row.why, func(t *testing.T) {
			c := fakeConfig(t, row.job)
			keep := t.TempDir()
			c.Keep = filepath.Join(keep, "fio.json")
			dir := c.Dir
			if row.edit != nil {
				row.edit(&c)
			}
			_, err := start(t.Context(), c, quick)
			require.Error(t, err)
			if row.want != nil {
				require.ErrorIs(t, err, row.want)
			}
			require.ErrorContains(t, err, "fioctl: start fio: ")
			require.ErrorContains(t, err, row.says)
			requireNothingLeft(t, dir)
			requireNothingLeft(t, keep)
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	c := fakeConfig(t, "idle")
	_, err := start(ctx, c, quick)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireNothingLeft(t, c.Dir)
	_, err = start(ctx, c, quick)
	require.ErrorIs(t, err, context.DeadlineExceeded, "at once")
	p, err := Start(context.WithoutCancel(ctx), fakeConfig(t, "steady"))
	require.NoError(t, err)
	_, err = p.Stop()
	require.NoError(t, err)
}
