package fioctl

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/internal/clock"
)

// probed makes a file of one MiB on a file system that knows direct I/O.
func probed(t *testing.T) Probe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "target")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20), 0o644))
	fd, err := openDirect(path)
	if err != nil {
		t.Skipf("SKIPPED: the directory for temporary files knows no direct I/O: %v", err)
	}
	require.NoError(t, unix.Close(fd))
	return Probe{Path: path, SizeBytes: 1 << 20, BlockBytes: 64 << 10, PerSec: 200, Seed: 1}
}

func TestProbeReadsOnItsGrid(t *testing.T) {
	defer goleak.VerifyNone(t)
	p := probed(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*ms)
	defer cancel()
	epoch := clock.New().Now()
	var got []Sample
	require.NoError(t, p.Run(ctx, epoch, func(s Sample) error {
		got = append(got, s)
		return nil
	}))
	require.GreaterOrEqual(t, len(got), 10)
	for _, s := range got {
		require.GreaterOrEqual(t, s.Start, s.Due)
		require.Greater(t, s.End, s.Start)
		require.Zero(t, (s.Due-got[0].Due)%p.Period(), "due times stay on the grid")
	}
	require.Less(t, got[len(got)-1].End, time.Minute, "instants count from the epoch")
	require.True(t, slices.IsSortedFunc(got, func(a, b Sample) int { return int(a.Due - b.Due) }))
}

func TestProbeEnds(t *testing.T) {
	p := probed(t)
	none := func(Sample) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.Run(ctx, 0, none), "a context that has ended is no failure")

	stop := errors.New("enough")
	require.ErrorIs(t, p.Run(t.Context(), 0, func(Sample) error { return stop }), stop)

	long := p
	long.SizeBytes = 1 << 40
	err := long.Run(t.Context(), 0, none)
	require.ErrorIs(t, err, ErrProbe)
	require.ErrorContains(t, err, "ends before")

	gone := p
	gone.Path += "x"
	err = gone.Run(t.Context(), 0, none)
	require.ErrorIs(t, err, ErrProbe)
	require.ErrorIs(t, err, os.ErrNotExist)
	dir := p
	dir.Path = t.TempDir()
	require.Error(t, dir.Run(t.Context(), 0, none))
}

func TestProbeValidate(t *testing.T) {
	good := Probe{Path: "x", SizeBytes: 1 << 20, BlockBytes: 4096, PerSec: 20}
	require.NoError(t, good.Validate())
	for why, spoil := range map[string]func(*Probe){
		"no file":           func(p *Probe) { p.Path = "" },
		"no block":          func(p *Probe) { p.BlockBytes = 0 },
		"crooked block":     func(p *Probe) { p.BlockBytes = 1000 },
		"block too large":   func(p *Probe) { p.BlockBytes = 32 << 20 },
		"file too small":    func(p *Probe) { p.SizeBytes = 4095 },
		"negative size":     func(p *Probe) { p.SizeBytes = -1 },
		"no rate":           func(p *Probe) { p.PerSec = 0 },
		"a load, no probe":  func(p *Probe) { p.PerSec = 201 },
		"rate not a number": func(p *Probe) { p.PerSec = nan() },
	} {
		p := good
		spoil(&p)
		require.ErrorIs(t, p.Validate(), ErrProbe, why)
		require.ErrorIs(t, p.Run(t.Context(), 0, nil), ErrProbe, why)
	}
	require.Equal(t, 50*ms, good.Period())
}

// Slow reads in a bubble of fake time: the grid holds, what they cover is left
// out, and nothing is caught up.
func TestPaceLeavesOutWhatASlowReadCovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		now := func() time.Duration { return time.Since(begin) }
		ctx, cancel := context.WithTimeout(t.Context(), 995*ms)
		defer cancel()
		var dues, starts []time.Duration
		require.NoError(t, pace(ctx, 100*ms, now, func(due time.Duration) error {
			dues, starts = append(dues, due), append(starts, now())
			switch len(dues) {
			case 2:
				time.Sleep(130 * ms) // runs over one due time
			case 4:
				time.Sleep(320 * ms) // over three
			default:
				time.Sleep(ms)
			}
			return nil
		}))
		require.Equal(t, []time.Duration{0, 100 * ms, 200 * ms, 300 * ms, 600 * ms, 700 * ms, 800 * ms, 900 * ms}, dues)
		require.Equal(t, []time.Duration{0, 100 * ms, 230 * ms, 300 * ms, 620 * ms, 700 * ms, 800 * ms, 900 * ms}, starts)
		require.Equal(t, 995*ms, now(), "it ends with its context")
	})
}

func TestProbeCostsNothing(t *testing.T) {
	p := probed(t)
	p.PerSec = 100
	ctx, cancel := context.WithTimeout(t.Context(), 500*ms)
	defer cancel()
	var before, after unix.Rusage
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &before))
	n := 0
	require.NoError(t, p.Run(ctx, 0, func(Sample) error { n++; return nil }))
	require.NoError(t, unix.Getrusage(unix.RUSAGE_SELF, &after))
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	t.Logf("%d reads, %v of CPU each", n, time.Duration(cpu/int64(max(n, 1))))
	require.Less(t, time.Duration(cpu), 100*ms, "a fifth of a core would be a load of its own")
}

func nan() float64 { return math.NaN() }
