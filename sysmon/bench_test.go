package sysmon

import (
	"os"
	"path/filepath"
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

func benchSampler(tb testing.TB) *Sampler {
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
