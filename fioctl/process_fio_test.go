//go:build fio

package fioctl

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
)

// realConfig finds fio for a test and gives it a target of random bytes on a
// disk. Colons and blanks are in its name on purpose.
func realConfig(t *testing.T) StartConfig {
	t.Helper()
	if _, err := exec.LookPath("fio"); err != nil {
		t.Skip("SKIPPED: fio is not installed (apt-get install fio)")
	}
	dir := t.TempDir()
	f, err := Find(t.Context(), "", dir)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	requireNothingLeft(t, dir)
	t.Logf("fio %s, %s %s", f.Version, f.Engine, f.EngineWhy)
	buf := make([]byte, 64<<20)
	_, _ = rand.Read(buf)
	path := filepath.Join(t.TempDir(), "target of: test.dat")
	file, err := os.Create(path)
	require.NoError(t, err)
	_, err = file.Write(buf)
	require.NoError(t, err)
	require.NoError(t, file.Sync())
	require.NoError(t, file.Close())
	return StartConfig{
		Fio: f, Target: Target{Path: path, SizeBytes: int64(len(buf))}, Dir: dir, Epoch: clock.New().Now(),
		Job: Job{Name: "load", BlockBytes: 64 << 10, Depth: 8, Threads: 1, Backstop: time.Minute, Seed: 7},
	}
}

// runFor starts a job, lets it run and stops it.
func runFor(t *testing.T, c StartConfig, d time.Duration) Run {
	t.Helper()
	p, err := Start(context.Background(), c)
	require.NoError(t, err)
	time.Sleep(d)
	r, err := p.Stop()
	require.NoError(t, err)
	require.Empty(t, r.Fault)
	requireNothingLeft(t, c.Dir)
	for _, d := range r.Cgroup.Dirs {
		require.NoDirExists(t, d)
	}
	return r
}

func TestRealStartAndStopAreQuick(t *testing.T) {
	c := realConfig(t)
	var starts, stops []time.Duration
	for range 5 {
		r := runFor(t, c, 300*time.Millisecond)
		starts = append(starts, r.Flowing-r.Started)
		stops = append(stops, r.Ended-r.Stopping)
		require.Equal(t, exitSignalled, r.ExitCode)
		require.Equal(t, 1, r.Signals)
		require.Equal(t, int64(0), r.Result.Write.IOs)
		require.NotEmpty(t, r.Result.Read.Clat.Percentiles, "the final document is whole")
		require.Equal(t, r.Status[len(r.Status)-1].ReadBytes, r.Result.Read.Bytes)
	}
	slices.Sort(starts)
	slices.Sort(stops)
	t.Logf("from fork to flow %v, from signal to end %v", starts, stops)
	require.Less(t, starts[2], time.Second)
	require.Less(t, stops[2], 500*time.Millisecond)
}

func TestRealDepthIsReached(t *testing.T) {
	c := realConfig(t)
	for _, e := range []Engine{c.Fio.Engine, EngineLibaio, EnginePsync} {
		t.Run(string(e), func(t *testing.T) {
			c := c
			c.Fio.Engine = e
			p, err := Start(t.Context(), c)
			require.NoError(t, err)
			if e == EnginePsync {
				tasks, err := os.ReadDir(filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "task"))
				require.NoError(t, err)
				require.GreaterOrEqual(t, len(tasks), c.Job.Depth, "depth is threads")
			}
			time.Sleep(time.Second)
			r, err := p.Stop()
			require.NoError(t, err)
			t.Logf("%d reads, depths %v, %v of CPU", r.Result.Read.IOs, r.Result.DepthShare, r.UserCPU+r.SysCPU)
			want := 8
			if e == EnginePsync {
				want = 1
			}
			require.Greater(t, r.Result.DepthShare[want], 0.9)
		})
	}
}

func TestRealRateIsRespected(t *testing.T) {
	c := realConfig(t)
	c.Job.RateIOPS = 403
	for _, row := range []struct {
		engine  Engine
		threads int
	}{{c.Fio.Engine, 1}, {c.Fio.Engine, 4}, {EnginePsync, 1}} {
		c.Fio.Engine, c.Job.Threads = row.engine, row.threads
		r := runFor(t, c, 2*time.Second)
		from, to := r.Flowing, r.Stopping-300*time.Millisecond
		bytes, ios, ok := r.ReadBetween(from, to)
		require.True(t, ok)
		rate := ios / (to - from).Seconds()
		t.Logf("%v: %.0f a second over %v, %.1f MB", row, rate, to-from, bytes/1e6)
		require.InDelta(t, 403, rate, 60, "Poisson: 3 sigma of 680")
	}
}

func TestRealMixHasARateOfEach(t *testing.T) {
	c := realConfig(t)
	c.Job.Pattern, c.Job.ReadPct, c.Job.RateIOPS = RandRW, 90, 400
	r := runFor(t, c, 2*time.Second)
	t.Logf("%d reads, %d writes in %v", r.Result.Read.IOs, r.Result.Write.IOs, r.Result.Read.Runtime)
	all := float64(r.Result.Read.IOs+r.Result.Write.IOs) / r.Result.Read.Runtime.Seconds()
	require.InDelta(t, 400, all, 60)
	require.InDelta(t, 0.1, float64(r.Result.Write.IOs)/float64(r.Result.Read.IOs), 0.07)
}

// TestRealStampsAreTrue holds the statuses against the kernel's account of fio's
// reads, which counts at submission.
func TestRealStampsAreTrue(t *testing.T) {
	c := realConfig(t)
	p, err := Start(t.Context(), c)
	require.NoError(t, err)
	type point struct {
		t     time.Duration
		bytes int64
	}
	var seen []point
	file := filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), "io")
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), "\nread_bytes: ")
		n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		require.NoError(t, err)
		seen = append(seen, point{p.now(), n})
	}
	r, err := p.Stop()
	require.NoError(t, err)
	var off []time.Duration
	for _, s := range r.Status {
		want := s.ReadBytes + int64(c.Job.Depth)*c.Job.BlockBytes
		i := slices.IndexFunc(seen, func(p point) bool { return p.bytes > want })
		if i > 0 {
			off = append(off, s.T-seen[i].t)
		}
	}
	require.NotEmpty(t, off)
	slices.Sort(off)
	t.Logf("stamp minus truth: %v", off)
	require.InDelta(t, 0, off[len(off)/2].Seconds(), 0.010)
}

func TestRealParentTakesFioAlong(t *testing.T) {
	c := realConfig(t)
	requireParentTakesFioAlong(t, c)
	requireNothingLeft(t, c.Dir)
}

func TestRealFioDiesMidRun(t *testing.T) {
	c := realConfig(t)
	for sig, want := range map[syscall.Signal]error{syscall.SIGKILL: ErrKilled, syscall.SIGINT: ErrInterrupted} {
		p, err := Start(t.Context(), c)
		require.NoError(t, err)
		require.NoError(t, syscall.Kill(p.cmd.Process.Pid, sig))
		<-p.Done()
		r, err := p.Stop()
		require.ErrorIs(t, err, want)
		require.ErrorIs(t, err, ErrEndedEarly)
		require.Zero(t, r.Stopping)
		require.ErrorIs(t, syscall.Kill(p.cmd.Process.Pid, 0), syscall.ESRCH, "no zombie")
		requireNothingLeft(t, c.Dir)
	}
}

func TestRealBackstop(t *testing.T) {
	c := realConfig(t)
	c.Job.Backstop = 500 * time.Millisecond
	p, err := Start(t.Context(), c)
	require.NoError(t, err)
	<-p.Done()
	r, err := p.Stop()
	require.ErrorIs(t, err, ErrEndedEarly)
	require.Equal(t, 0, r.ExitCode)
	require.Contains(t, r.Fault, "ended by itself")
}

func TestRealRefusalsAreQuoted(t *testing.T) {
	c := realConfig(t)
	c.Job.CPUs = "1000"
	_, err := Start(t.Context(), c)
	require.ErrorIs(t, err, ErrIO)
	require.ErrorContains(t, err, "CPU 1000 too large")
	requireNothingLeft(t, c.Dir)
}

func TestRealNullLoadInMemory(t *testing.T) {
	c := realConfig(t)
	dir, err := os.MkdirTemp("/dev/shm", "fioctl-test-")
	if err != nil {
		t.Skipf("SKIPPED: no tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c.Target = Target{Path: filepath.Join(dir, "t.dat"), SizeBytes: 4 << 20, Memory: true}
	require.NoError(t, os.WriteFile(c.Target.Path, make([]byte, 4<<20), 0o600))
	c.Job.Buffered, c.Job.RateIOPS = true, 500
	r := runFor(t, c, time.Second)
	t.Logf("%d reads from memory", r.Result.Read.IOs)
	require.InDelta(t, 500, r.Result.Read.IOPS(), 100)
}

func TestRealWithoutURing(t *testing.T) {
	realConfig(t)
	dir := t.TempDir()
	out, err := exec.Command("/proc/self/exe", seccompRole, dir).CombinedOutput()
	require.NoError(t, err, string(out))
	require.Equal(t, fmt.Sprintf("%s because io_uring: not permitted (seccomp or kernel.io_uring_disabled)", EngineLibaio), string(out))
	requireNothingLeft(t, dir)
}
