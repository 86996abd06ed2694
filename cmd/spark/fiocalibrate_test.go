package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/hypotheses"
)

// calibrated is nobody's disk.
func calibrated() fioctl.Calibration {
	us := func(n int) time.Duration { return time.Duration(n) * time.Microsecond }
	return fioctl.Calibration{
		Schema: 1, Fingerprint: "device=vdz", At: time.Unix(1700000000, 0).UTC(), BlockBytes: 128 << 10,
		Idle: fioctl.Victim{Reads: 150, P50: us(120), P99: us(310)},
		Sweep: []fioctl.Depth{
			{Depth: 1, IOPS: 3000.4, BytesPerSec: 3000.4 * (128 << 10), ClatP50: us(300), ClatP99: us(700), RAwait: us(290), AquSz: 0.87, UtilPct: 91.2},
			{Depth: 2, IOPS: 5000, BytesPerSec: 5000 * (128 << 10), ClatP50: us(400), ClatP99: us(900), RAwait: us(380), AquSz: 1.9, UtilPct: 99.6},
		},
		Plateau: 2,
		Max:     fioctl.Depth{Depth: 32, IOPS: 5100, BytesPerSec: 5100 * (128 << 10)},
		Levels: []fioctl.Level{
			{
				Name: "MODERATE", Aim: fioctl.Aim{Share: 0.4}, Job: &fioctl.Job{Name: "moderate", Depth: 8, RateIOPS: 2040},
				IOPS: 2031, RAwait: us(310), AquSz: 0.63, Victim: fioctl.Victim{P50: us(180), P99: us(620)}, Miss: 0.0044, Spread: 0.012, CPUCores: 0.11,
			},
			{
				Name: "HEAVY", Aim: fioctl.Aim{Share: 1}, Job: &fioctl.Job{Name: "heavy", Depth: 32},
				IOPS: 5087, RAwait: us(6200), AquSz: 31.5, Victim: fioctl.Victim{P50: us(6100), P99: us(9400)}, Miss: 0.0025, Spread: 0.03, CPUCores: 0.07,
			},
		},
		Took: 47 * time.Second,
	}
}

func TestCalibrationForPeople(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, fioCalibrateCmd{}.print(streams{&out, nil}, "vdz", calibrated()))
	require.Equal(t, `vdz, random reads of 128KiB by depth
depth  IOPS   MB/s  clat p50 (ms)  clat p99 (ms)  r_await (ms)  aqu-sz  %util (reported only)
---------------------------------------------------------------------------------------------
    1  3000  393.3            0.3            0.7          0.29    0.87                     91
    2  5000  655.4            0.4            0.9          0.38     1.9                    100

Levels of contention, and a single reader beside them
level     aim      job              IOPS  miss (%)  spread (%)  r_await (ms)  aqu-sz  probe p50 (ms)  probe p99 (ms)  fio (cores)
---------------------------------------------------------------------------------------------------------------------------------
idle      no load  none                –         –           –             –       –            0.12            0.31            –
MODERATE  40 %     2040/s, depth 8  2031       0.4         1.2          0.31    0.63            0.18            0.62         0.11
HEAVY     100 %    depth 32         5087       0.3           3           6.2    31.5             6.1             9.4         0.07

From depth 2 on the disk does no more. Aims are shares of a saturated disk: 5100 reads/s, 668 MB/s at depth 32. Took 47s.
`, out.String())
}

func TestCalibrationForPrograms(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, fioCalibrateCmd{JSON: true}.print(streams{&out, nil}, "vdz", calibrated()))
	var back fioctl.Calibration
	require.NoError(t, json.Unmarshal(out.Bytes(), &back), "stdout holds nothing else")
	require.Equal(t, calibrated(), back)
	for _, key := range []string{`"sweep"`, `"levels"`, `"max"`, `"idle"`, `"clat_p99_ns"`, `"r_await_ns"`, `"fingerprint"`} {
		require.Contains(t, out.String(), key)
	}
}

func TestCalibrationIsSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fio-calibration.json")
	var errs bytes.Buffer
	c := fioCalibrateCmd{Out: path}
	require.NoError(t, c.check())
	require.NoError(t, c.save(streams{nil, &errs}, calibrated()))
	back, err := fioctl.LoadCalibration(path)
	require.NoError(t, err)
	require.Equal(t, calibrated(), back)
	require.Contains(t, errs.String(), path)
}

func TestAimText(t *testing.T) {
	for _, c := range []struct {
		aim  fioctl.Aim
		want string
	}{
		{fioctl.Aim{}, "no load"},
		{fioctl.Aim{Share: 0.25}, "25 %"},
		{fioctl.Aim{AquSz: 8}, "aqu-sz 8"},
		{fioctl.Aim{ProbeMultiple: 2.5}, "probe p50 × 2.5"},
	} {
		require.Equal(t, c.want, aimText(c.aim))
	}
}

func TestInterruptedCalibration(t *testing.T) {
	dir, flags := placeOf(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1200*time.Millisecond)
	defer cancel()
	got := fio(ctx, "calibrate", flags)
	require.Equal(t, 130, got.exit, got.err)
	require.Contains(t, got.err, "interrupted")
	require.Empty(t, got.out)
	require.Subset(t, []string{hypotheses.TargetName, hypotheses.ProbeTargetName}, names(t, dir), "nothing else stays")

	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	got = fio(ctx, "calibrate", flags, "--remove")
	require.Equal(t, 130, got.exit, got.err)
}
