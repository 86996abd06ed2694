package sysmon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// benchDevice is the disk below the temporary directory, or "" without one.
func benchDevice(tb testing.TB) string {
	d, err := DeviceOf(os.TempDir(), "", "")
	if err != nil {
		tb.Logf("no disk columns: %v", err)
		return ""
	}
	return d.Name
}

// benchSampler is a sampler of this machine and process. Its interval is 0 so
// that ticks in close succession derive their columns too.
func benchSampler(tb testing.TB) *Sampler {
	s := paceSampler(tb)
	s.cfg.Interval = 0
	return s
}

func paceSampler(tb testing.TB) *Sampler {
	s, err := New(Config{Device: benchDevice(tb), ServerPID: os.Getpid()})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s
}

// BenchmarkTick is one row: every kernel file read, parsed and derived.
func BenchmarkTick(b *testing.B) {
	s := benchSampler(b)
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, s.tick(0, 0, false, func(Row) error { return nil }))
	}
}

// BenchmarkSource is one kernel file each.
func BenchmarkSource(b *testing.B) {
	s := benchSampler(b)
	for i, src := range s.src.sources {
		span := s.src.spans[i]
		b.Run(s.src.cols[span[0]].Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := src.read(s.cur[span[0]:span[1]]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWrite is one row as CSV through zstd, a flush every ten rows. The
// rows are recorded ones, so that they compress as rows do.
func BenchmarkWrite(b *testing.B) {
	s := benchSampler(b)
	var rows []Row
	for range 100 {
		require.NoError(b, s.tick(0, 0, false, func(r Row) error {
			rows = append(rows, r.Clone())
			return nil
		}))
	}
	w, err := NewWriter(filepath.Join(b.TempDir(), "t.csv.zst"), s.Meta())
	require.NoError(b, err)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		r := rows[n%len(rows)]
		r.T = time.Duration(n) * 100 * time.Millisecond
		if err := w.Write(r); err != nil {
			b.Fatal(err)
		}
		n++
	}
	require.NoError(b, w.Close())
}

// BenchmarkTenHertz runs the whole sampler at its default pace, record on disk
// included, for b.N ticks, and reports its cost as a share of one CPU. Run it
// with -benchtime 100x or more: a tick lasts 100 ms.
func BenchmarkTenHertz(b *testing.B) {
	s := paceSampler(b)
	w, err := NewWriter(filepath.Join(b.TempDir(), "t.csv.zst"), s.Meta())
	require.NoError(b, err)
	tab := newTable(s.Meta())
	b.ResetTimer()
	ctx, cancel := context.WithTimeout(b.Context(), time.Duration(b.N)*100*time.Millisecond)
	defer cancel()
	require.NoError(b, s.Run(ctx, func(r Row) error { return errors.Join(w.Write(r), tab.add(r)) }))
	b.StopTimer()
	require.NoError(b, w.Close())
	from, to := tab.T[0], tab.T[len(tab.T)-1]
	c := tab.Completeness(from, to)
	process, _ := tab.Rate("raw_self_cpu_us", from, to)
	b.ReportMetric(100*c.CPUShare, "thread_%cpu")
	b.ReportMetric(process/1e4, "process_%cpu")
	read, _ := tab.Column("self_read_us")
	slices.Sort(read)
	b.ReportMetric(read[len(read)/2], "read_p50_µs")
	b.ReportMetric(float64(c.LateP99.Microseconds()), "late_p99_µs")
	b.ReportMetric(float64(c.SkewP99.Microseconds()), "skew_p99_µs")
}
