//go:build fio

package fioctl

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/internal/loopdisk"
)

// loopBench is a target and a probe on one disk, and a place for fio's scratch.
type loopBench struct {
	fio           Fio
	dir           string
	target, other Target // what fio reads, what the probe reads
	watched       string
	job           Job
	epoch         time.Duration
}

func newLoopBench(t *testing.T, dir, watched string) loopBench {
	t.Helper()
	b := loopBench{dir: dir, watched: watched, epoch: clock.New().Now()}
	var err error
	if b.fio, err = Find(t.Context(), "", dir); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	spec := TargetSpec{Dir: dir, Name: "target", SizeBytes: 128 << 20, Seed: 1, ReserveBytes: -1}
	b.target, err = Prefill(t.Context(), spec, nil)
	require.NoError(t, err)
	spec.Name, spec.SizeBytes = "probe", 16<<20
	b.other, err = Prefill(t.Context(), spec, nil)
	require.NoError(t, err)
	b.job = Job{Name: "load", BlockBytes: 64 << 10, Depth: 32, Threads: 1, Backstop: time.Minute, StatusEvery: 100 * time.Millisecond, Seed: 3}
	return b
}

// window loads the target for a while, and gathers what the watched
// device, the probe and fio saw of it.
func (b loopBench) window(t *testing.T, loaded bool) Window {
	t.Helper()
	count := func() DeviceCounters {
		c, err := ReadDeviceCounters("", b.watched)
		require.NoError(t, err)
		return c
	}
	probe := Probe{Path: b.other.Path, SizeBytes: b.other.SizeBytes, BlockBytes: 64 << 10, PerSec: 50, Seed: 4}
	before := count()
	var p *Process
	var w Window
	if loaded {
		var err error
		p, err = Start(t.Context(), StartConfig{Fio: b.fio, Job: b.job, Target: b.target, Dir: b.dir, Epoch: b.epoch})
		require.NoError(t, err)
		w.Level.Job = &b.job
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var samples []Sample
	ended := make(chan error, 1)
	go func() {
		ended <- probe.Run(ctx, b.epoch, func(s Sample) error { samples = append(samples, s); return nil })
	}()
	time.Sleep(300 * time.Millisecond)
	from := count()
	time.Sleep(1500 * time.Millisecond)
	to := count()
	time.Sleep(300 * time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	if loaded {
		r, err := p.Stop()
		require.NoError(t, err)
		w.Run = &r
	}
	w.Start, w.End = from.T-b.epoch, to.T-b.epoch
	w.DeviceBytes = count().Since(before).ReadBytes
	w.OtherBytes = float64(len(samples)) * float64(probe.BlockBytes)
	w.AquSz = to.Since(from).AquSz
	w.Seen = Reduce(Between(slices.Values(samples), w.Start, w.End), probe.Period())
	return w
}

// calibrated takes a look at the idle and at the loaded disk for the level.
func (b loopBench) calibrated(t *testing.T, w Window) Window {
	t.Helper()
	w.Idle = b.window(t, false).Seen
	w.Level.Victim = b.window(t, true).Seen
	t.Logf("probe idle %v, under load %v", w.Idle.P50, w.Level.Victim.P50)
	return w
}

func tell(t *testing.T, what string, w Window) Verification {
	t.Helper()
	v := Verify(w)
	var lost []string
	for _, c := range v.Checks {
		if !c.OK {
			lost = append(lost, c.Name)
		}
	}
	t.Logf("%s: fio read %.1f MB, the probe %.1f MB, the watched device %.1f MB; queue %.1f; lost %v",
		what, readBytes(w.Run)/1e6, w.OtherBytes/1e6, w.DeviceBytes/1e6, w.AquSz, lost)
	return v
}

func holds(v Verification, name string) bool {
	i := slices.IndexFunc(v.Checks, func(c Check) bool { return c.Name == name })
	return i >= 0 && v.Checks[i].OK
}

func TestLoopDeviceProvesItsLoad(t *testing.T) {
	dir, name := loopdisk.New(t, diskDir(t), 384<<20, true)
	b := newLoopBench(t, dir, name)
	w := b.window(t, true)
	w = b.calibrated(t, w)
	v := tell(t, "on the device", w)
	require.True(t, v.OK, "%+v", v.Checks)
	require.InEpsilon(t, readBytes(w.Run)+w.OtherBytes, w.DeviceBytes, 0.02)

	// The disk below carries the load too, beside whatever else it does.
	below, err := blockdev.Of(dir, "", "")
	require.NoError(t, err)
	b.watched = below.Disks[0].Name
	seen := b.window(t, true)
	tell(t, "on the disk below", seen)
	require.Greater(t, seen.DeviceBytes, 0.98*readBytes(seen.Run))

	// The same load on another file system is not seen by the device.
	elsewhere := newLoopBench(t, diskDir(t), name)
	lost := elsewhere.window(t, true)
	lost.Idle, lost.Level.Victim = w.Idle, w.Level.Victim
	v = tell(t, "on another file system", lost)
	require.False(t, v.OK)
	require.False(t, holds(v, CheckBalance))
	require.False(t, holds(v, CheckQueue))
}

// Without direct I/O of its own a loop device answers from the page cache: the
// disk below reads next to nothing of what fio reads.
func TestLoopDeviceWithoutDirectIOIsNoDisk(t *testing.T) {
	dir, name := loopdisk.New(t, diskDir(t), 384<<20, false)
	b := newLoopBench(t, dir, name)
	b.window(t, true) // fills the page cache
	below, err := blockdev.Of(dir, "", "")
	require.NoError(t, err)
	b.watched = below.Disks[0].Name
	w := b.window(t, true)
	v := tell(t, "on the disk below", w)
	require.False(t, holds(v, CheckBalance))
	require.False(t, holds(v, CheckQueue))
	require.Less(t, w.DeviceBytes, 0.5*readBytes(w.Run))
}

// A buffered load is answered by the file system's page cache, whatever the
// device is.
func TestLoopDeviceDoesNotSeeABufferedLoad(t *testing.T) {
	dir, name := loopdisk.New(t, diskDir(t), 384<<20, true)
	b := newLoopBench(t, dir, name)
	b.job.Buffered = true
	b.window(t, true) // fills the page cache
	w := b.window(t, true)
	v := tell(t, "buffered", w)
	require.False(t, holds(v, CheckBalance))
	require.False(t, holds(v, CheckQueue))
	require.Less(t, w.DeviceBytes, 0.5*readBytes(w.Run))
}
