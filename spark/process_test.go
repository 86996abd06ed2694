package spark

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/spark/emulator"
)

// small is an emulator with a spill file of 4 MiB, or none where the test's
// directory is on no disk.
func small(t *testing.T) emulator.Config {
	t.Helper()
	cfg, err := emulator.Preset("L8B")
	require.NoError(t, err)
	cfg.SpillDir = t.TempDir()
	cfg.SpillBytes, cfg.PoolTokens = 4<<20, 64*cfg.BlockTokens
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(cfg.SpillDir, &fs))
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		cfg = cfg.NoPaging()
	}
	return cfg
}

// gone waits until a process has ended; one that nobody has reaped counts.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, 20*time.Second, 10*time.Millisecond, "process %d lives on", pid)
}

func requireNothingLeft(t *testing.T, p *EmulatorProcess) {
	t.Helper()
	gone(t, p.Info.PID)
	if p.Info.SpillPath != "" {
		require.NoFileExists(t, p.Info.SpillPath)
	}
	for _, dir := range p.Cgroup.Dirs {
		require.NoDirExists(t, dir)
	}
}

func TestStartEmulator(t *testing.T) {
	p, err := StartEmulator(t.Context(), small(t))
	require.NoError(t, err)
	t.Cleanup(func() { p.Stop() })
	require.NotEqual(t, os.Getpid(), p.Info.PID)
	group, err := syscall.Getpgid(p.Info.PID)
	require.NoError(t, err)
	require.Equal(t, p.Info.PID, group, "a process group of its own")
	require.True(t, (p.Cgroup.Reason == "") == (p.Cgroup.Path != ""), "a cgroup, or why not")
	if p.Cgroup.Path != "" {
		own, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.Info.PID))
		require.NoError(t, err)
		require.Contains(t, string(own), p.Cgroup.Path)
	}

	s, err := Attach(t.Context(), Endpoint{URL: p.Info.URL})
	require.NoError(t, err)
	require.True(t, s.Emulated(), s.Evidence)
	require.Equal(t, int64(p.Info.PoolTokens), *s.Facts.KVPoolTokens)
	require.Equal(t, int64(p.Info.MaxSeqs), *s.Facts.MaxNumSeqs)
	require.Equal(t, p.Info.KVBytesPerToken, *s.Facts.KVBytesPerToken)
	require.Equal(t, p.Info.PoolBytes, *s.Facts.KVPoolBytes)
	require.Equal(t, int64(p.Info.MaxContextTokens), *s.Facts.MaxModelLen)

	page, err := http.Get(p.Info.URL + "/metrics")
	require.NoError(t, err)
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	samples, err := ParseMetrics(text)
	require.NoError(t, err)
	counters := NewCounters(samples)
	require.Equal(t, 0.0, *counters.DiskReadSum, "it tells its own waits for the disk, none so far")
	require.Equal(t, 0.0, *counters.DiskReadCount)
	http.DefaultClient.CloseIdleConnections()

	require.NoError(t, p.Err())
	require.NoError(t, p.Stop())
	require.NoError(t, p.Stop(), "stopping again is the same answer")
	require.NoError(t, p.Err())
	requireNothingLeft(t, p)
}

func TestKilledParentLeavesNothing(t *testing.T) {
	cfg, err := json.Marshal(small(t))
	require.NoError(t, err)
	helper := exec.Command("/proc/self/exe", parentRole, string(cfg))
	var stderr bytes.Buffer
	helper.Stderr = &stderr
	out, err := helper.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, helper.Start())
	var p EmulatorProcess
	err = json.NewDecoder(out).Decode(&p)
	require.NoError(t, syscall.Kill(helper.Process.Pid, syscall.SIGKILL))
	require.Error(t, helper.Wait())
	require.NoError(t, err, stderr.String())
	t.Cleanup(func() { p.Cgroup.Remove() })

	gone(t, p.Info.PID)
	if p.Info.SpillPath != "" {
		require.NoFileExists(t, p.Info.SpillPath, "even a killed parent leaves no file")
	}
}

func TestKilledEmulatorIsNoticed(t *testing.T) {
	p, err := StartEmulator(t.Context(), small(t))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(p.Info.PID, syscall.SIGKILL))
	require.Eventually(t, func() bool { return p.Err() != nil }, 10*time.Second, time.Millisecond)
	require.ErrorContains(t, p.Err(), "signal: killed")
	require.ErrorContains(t, p.Stop(), "ended by itself")
	requireNothingLeft(t, p)
}

func TestStartEmulatorRefuses(t *testing.T) {
	cfg := small(t)
	bad := cfg
	bad.Step = 0
	_, err := StartEmulator(t.Context(), bad)
	require.ErrorIs(t, err, emulator.ErrConfig, "a bad config starts nothing")

	bad = cfg
	bad.Addr = "192.0.2.1:1" // documentation address, not ours
	_, err = StartEmulator(t.Context(), bad)
	require.ErrorContains(t, err, "listen on 192.0.2.1:1", "the child's error reaches the parent")

	bad = cfg
	bad.SpillBytes, bad.SpillDir, bad.IODepth = 4<<20, filepath.Join(t.TempDir(), "missing"), 1
	_, err = StartEmulator(t.Context(), bad)
	require.ErrorContains(t, err, "create it on the disk under test", "with its remedy")
}

func TestStartEmulatorNeedsTheHook(t *testing.T) {
	t.Setenv(withoutHook, "1")
	_, err := StartEmulator(t.Context(), small(t))
	require.ErrorIs(t, err, ErrNoChildHook)
}

func TestStartEmulatorEndsWithItsContext(t *testing.T) {
	cfg := small(t)
	if cfg.SpillBytes > 0 {
		cfg.SpillBytes = 1 << 30 // not written in 50 ms
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p, err := StartEmulator(ctx, cfg)
	if cfg.SpillBytes == 0 && err == nil {
		require.NoError(t, p.Stop())
		t.Skip("no disk below the test's directory: nothing takes long enough to be cut off")
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	left, err := os.ReadDir(cfg.SpillDir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestRunChildLeavesOtherProcessesAlone(t *testing.T) {
	for _, args := range [][]string{nil, {"prog"}, {"prog", "run", childMarker}} {
		_, handled := RunChild(args)
		require.False(t, handled)
	}
}

func TestChildReportsItsEnd(t *testing.T) {
	cfg := `{"model":"m"}`
	waits := func(ctx context.Context, _ emulator.Config, ready func(emulator.Info)) error {
		ready(emulator.Info{Model: "m"})
		<-ctx.Done()
		return ctx.Err()
	}
	for name, row := range map[string]struct {
		stdin string
		serve serveFunc
		exit  int
		last  string
	}{
		"parent dies before the config": {"", waits, 1, "read config from parent: EOF"},
		"config is cut":                 {`{"model":`, waits, 1, "unexpected EOF"},
		"config is of another version":  {`{"model":1}`, waits, 1, "cannot unmarshal"},
		"parent lets go":                {cfg, waits, 0, `"model":"m"`},
		"server fails": {cfg, func(context.Context, emulator.Config, func(emulator.Info)) error {
			return errors.New("disk full")
		}, 1, `{"error":"disk full"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			require.Equal(t, row.exit, runChild(strings.NewReader(row.stdin), &out, row.serve))
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			require.Equal(t, `{"hello":true}`, lines[0])
			require.Contains(t, lines[len(lines)-1], row.last)
		})
	}
	require.Equal(t, 1, runChild(strings.NewReader(cfg), deaf{}, waits), "nobody listens")
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestTailKeepsTheEnd(t *testing.T) {
	var tl tail
	fmt.Fprint(&tl, "begin", strings.Repeat("x", tailBytes), "end\n")
	require.Len(t, tl.String(), tailBytes-1)
	require.True(t, strings.HasSuffix(tl.String(), "xend"))
}
