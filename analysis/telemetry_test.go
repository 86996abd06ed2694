package analysis

import (
	"iter"
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// reducedOf is what judges read of telemetry that edit has changed.
func reducedOf(t *testing.T, edit func(*sysmon.Meta, *sysmon.Row)) Telemetry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "telemetry.csv.zst")
	writeTelemetry(t, path, edit)
	table, err := sysmon.ReadTable(path)
	require.NoError(t, err)
	a := newTinyRun().arms[0]
	return reduce(table, a.Summary.Window, a.Idle)
}

func TestTelemetryKnownAnswers(t *testing.T) {
	got := reducedOf(t, nil)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"every tick", got.Completeness, 1},
		{"2 MB in 100 ms", got.ReadMBPerSec, 20},
		{"1 MB in 100 ms", got.WriteMBPerSec, 10},
		{"6 ms over 2 reads", got.ReadAwaitMs, 3},
		{"50 ms of waiting in 100 ms", got.AquSz, 0.5},
		{"a tenth of the CPU time", got.IOWaitPct, 10},
		{"of two CPUs, four tenths", got.CPUBusyCores, 0.8},
		{"2 MB × 30 ticks between the idle edges", got.ReadBytes, 60e6},
		{"4 pages × 30 ticks", got.RefaultBytes, 4 * 30 * 4096},
		{"5 pages × 30 ticks", got.SwapInBytes, 5 * 30 * 4096},
	} {
		require.InEpsilon(t, c.want, c.got, 1e-6, c.name)
	}
}

// A column that is not there is absent: a machine without a disk has not read
// 0 bytes.
func TestAbsentTelemetryIsNotZero(t *testing.T) {
	got := reducedOf(t, func(_ *sysmon.Meta, r *sysmon.Row) {
		for i := range r.Values {
			if i > 7 { // after the time columns
				r.Values[i] = math.NaN()
			}
		}
	})
	require.Equal(t, 1.0, got.Completeness, "the ticks themselves are there")
	for name, v := range map[string]float64{
		"read": got.ReadMBPerSec, "write": got.WriteMBPerSec, "await": got.ReadAwaitMs, "aqu-sz": got.AquSz, "iowait": got.IOWaitPct,
		"cpu": got.CPUBusyCores, "bytes": got.ReadBytes, "refaults": got.RefaultBytes, "swap": got.SwapInBytes,
	} {
		require.True(t, math.IsNaN(v), name)
	}
}

func TestTelemetryHoles(t *testing.T) {
	got := reducedOf(t, func(_ *sysmon.Meta, r *sysmon.Row) {
		if r.T > 1500*time.Millisecond && r.T < 2500*time.Millisecond {
			r.Values = nil // left out
		}
	})
	require.InDelta(t, 12.0/20, got.Completeness, 0.051, "9 of about 20 ticks are missing")
	require.InEpsilon(t, 20, got.ReadMBPerSec, 1e-6, "counters bridge a hole exactly")

	got = reducedOf(t, func(_ *sysmon.Meta, r *sysmon.Row) {
		if r.T > 2*time.Second {
			r.Values = nil
		}
	})
	require.InDelta(t, 0.5, got.Completeness, 0.06, "the second half is missing")
	require.True(t, math.IsNaN(got.ReadBytes), "what was not recorded is absent")
	require.True(t, math.IsNaN(got.ReadMBPerSec))
}

func TestTelemetryOfAnIdleDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.csv")
	frozen := map[int]float64{}
	writeTelemetry(t, path, func(_ *sysmon.Meta, r *sysmon.Row) {
		for i := range r.Values {
			if i > 7 && i < 13 { // the disk's columns
				if _, ok := frozen[i]; !ok {
					frozen[i] = r.Values[i]
				}
				r.Values[i] = frozen[i]
			}
		}
	})
	table, err := sysmon.ReadTable(path)
	require.NoError(t, err)
	got := reduce(table, loadgen.Window{Start: time.Second, End: 3 * time.Second}, loadgen.Window{Start: time.Second, End: 3 * time.Second})
	require.Zero(t, got.ReadBytes, "nothing was read, and that is known")
	require.True(t, math.IsNaN(got.ReadAwaitMs), "without a read there is no wait to speak of")
}

func TestServerReadRateIsOverTheWindow(t *testing.T) {
	point := func(at time.Duration, bytes float64) spark.Point {
		return spark.Point{T: at, Counters: spark.Counters{DiskInBytes: &bytes}}
	}
	seq := func(points ...spark.Point) iter.Seq2[spark.Point, error] {
		return func(yield func(spark.Point, error) bool) {
			for _, p := range points {
				if !yield(p, nil) {
					return
				}
			}
		}
	}
	w := loadgen.Window{Start: 1500 * time.Millisecond, End: 3500 * time.Millisecond}
	rate := func(points iter.Seq2[spark.Point, error]) float64 {
		served, err := readServerReads(points)
		require.NoError(t, err)
		return served.mbPerSec(w.Start, w.End)
	}
	got := rate(seq(point(0, 0), point(time.Second, 0), point(2*time.Second, 10e6), point(3*time.Second, 40e6), point(4*time.Second, 60e6)))
	require.InDelta(t, (50-5)/2.0, got, 1e-9, "half a second of the second reading and half of the last are outside")

	got = rate(seq(point(2*time.Second, 0), point(3*time.Second, 9e6)))
	require.True(t, math.IsNaN(got), "the window reaches past the readings")

	got = rate(seq(spark.Point{T: 0}, spark.Point{T: 5 * time.Second}))
	require.True(t, math.IsNaN(got), "a server that does not count")
}
