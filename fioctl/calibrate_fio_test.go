//go:build fio

package fioctl

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// realCalibration is the quick plan on a target of 2 GiB.
func realCalibration(t *testing.T) CalibrateConfig {
	t.Helper()
	dir := t.TempDir()
	f, err := Find(t.Context(), "", dir)
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	target, err := Prefill(t.Context(), TargetSpec{Dir: dir, Name: "target", SizeBytes: 2 << 30, Seed: 1}, nil)
	if err != nil {
		t.Skipf("SKIPPED: no target: %v", err)
	}
	plan := QuickPlan()
	plan.QuietTries, plan.QuietBytesPerSec = 20, 20e6 // a machine that tests does other things too
	return CalibrateConfig{
		Fio: f, Target: target, Device: target.Device.Name, Dir: dir, Plan: plan,
		Probe:    Probe{Path: target.Path, SizeBytes: target.SizeBytes, BlockBytes: KVBlockBytes, PerSec: 50, Seed: 2},
		Progress: func(line string) { t.Log(line) },
	}
}

// One quick calibration; it runs each level three times.
func TestRealQuickCalibration(t *testing.T) {
	c := realCalibration(t)
	cal, err := Calibrate(t.Context(), c)
	require.NoError(t, err)
	t.Logf("took %v; plateau at depth %d; max %.0f reads/s = %.0f MB/s at depth %d", cal.Took, cal.Plateau, cal.Max.IOPS, cal.Max.BytesPerSec/1e6, cal.Max.Depth)
	require.Len(t, cal.Levels, 3)
	for _, l := range cal.Levels {
		t.Logf("%s: %.0f reads/s, misses by %.1f %%, three runs differ by %.1f %%; r_await %v, aqu-sz %.1f, %.2f cores, probe %v = %.1f idle; job %+v",
			l.Name, l.IOPS, 100*l.Miss, 100*l.Spread, l.RAwait, l.AquSz, l.CPUCores, l.Victim, float64(l.Victim.Trimmed)/float64(cal.Idle.Trimmed), l.Job)
		require.LessOrEqual(t, l.Miss, 0.05, l.Name)
	}
	require.Less(t, cal.Took, 50*time.Second)
	require.NoError(t, cal.Fresh(Fingerprint(c.Fio, c.Target, c.Plan.BlockBytes), time.Now(), 0))
	verifyReal(t, c, cal)
}

// verifyReal holds each level against Verify, as an experiment would.
func verifyReal(t *testing.T, c CalibrateConfig, cal Calibration) {
	for _, l := range cal.Levels {
		m := newMachine(c)
		before, err := ReadDeviceCounters("", c.Device)
		require.NoError(t, err)
		w := Window{Level: l, Idle: cal.Idle}
		var p *Process
		if l.Job != nil {
			p, err = Start(t.Context(), StartConfig{Fio: c.Fio, Job: *l.Job, Target: c.Target, Dir: c.Dir, Epoch: m.epoch})
			require.NoError(t, err)
		}
		stop := m.startProbe(t.Context(), true)
		time.Sleep(200 * time.Millisecond)
		from, err := ReadDeviceCounters("", c.Device)
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		to, err := ReadDeviceCounters("", c.Device)
		require.NoError(t, err)
		samples, err := stop()
		require.NoError(t, err)
		if p != nil {
			r, err := p.Stop()
			require.NoError(t, err)
			w.Run = &r
		}
		after, err := ReadDeviceCounters("", c.Device)
		require.NoError(t, err)
		w.Start, w.End = from.T-m.epoch, to.T-m.epoch
		w.AquSz, w.DeviceBytes = to.Since(from).AquSz, after.Since(before).ReadBytes
		w.OtherBytes = float64(c.Probe.BytesRead(len(samples)))
		w.Seen = Reduce(Between(slices.Values(samples), w.Start, w.End), c.Probe.Period())
		v := Verify(w)
		for _, k := range v.Checks {
			value := "absent"
			if k.Value != nil {
				value = strconv.FormatFloat(*k.Value, 'g', 4, 64)
			}
			t.Logf("verify %s: %-20s %s limit %g ok %v", l.Name, k.Name, value, k.Limit, k.OK)
		}
		require.True(t, v.OK, l.Name)
	}
}

func TestRealKilledFioEndsTheCalibration(t *testing.T) {
	c := realCalibration(t)
	defer goleak.VerifyNone(t)
	c.Plan.Depths, c.Plan.SweepRounds = []int{1, 32}, 1
	c.Plan.Idle, c.Plan.LevelWindow = time.Second, 5*time.Second
	before, err := os.ReadDir(c.Dir)
	require.NoError(t, err)
	killed := make(chan struct{})
	c.Progress = func(line string) {
		if strings.HasPrefix(line, "plateau") { // the levels begin
			go func() {
				defer close(killed)
				for len(fios(t)) == 0 {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(700 * time.Millisecond)
				for _, pid := range fios(t) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}()
		}
	}
	began := time.Now()
	_, err = Calibrate(t.Context(), c)
	<-killed
	t.Logf("after %v: %v", time.Since(began), err)
	require.ErrorIs(t, err, ErrEndedEarly)
	require.ErrorIs(t, err, ErrKilled)
	require.ErrorContains(t, err, "level ")
	require.Empty(t, fios(t))
	after, err := os.ReadDir(c.Dir)
	require.NoError(t, err)
	require.Equal(t, len(before), len(after), "no scratch is left")
}

// fios are the children of this process that are fio.
func fios(t *testing.T) (pids []int) {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	require.NoError(t, err)
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for f := range strings.FieldsSeq(string(text)) {
			comm, _ := os.ReadFile("/proc/" + f + "/comm")
			if pid, err := strconv.Atoi(f); err == nil && strings.HasPrefix(string(comm), "fio") {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
