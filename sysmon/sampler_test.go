package sysmon

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"

	"github.com/spark-harness/harness/internal/clock"
)

const gb10Disk = "devices/pci0004:00/0004:00:00.0/0004:01:00.0/nvme/nvme0/nvme0n1"

func gb10Config(tb testing.TB) Config {
	proc, sys := fixture.Plant(tb, "testdata/gb10.tree")
	return Config{
		ProcRoot: proc, SysRoot: sys, Device: "nvme0n1", PageSize: 65536,
		ServerCgroup: "/llm.slice/server.scope", ServerPID: 77,
	}
}

// record runs a sampler for so many ticks and calls at before each but the
// first, so that a test can change the kernel's files in between.
func record(t *testing.T, cfg Config, ticks int, before func(tick int)) *Table {
	t.Helper()
	cfg.Epoch = clock.New().Now()
	s, err := New(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	tab := newTable(s.Meta())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	require.NoError(t, s.Run(ctx, func(r Row) error {
		if n++; n < ticks {
			before(n)
		} else {
			cancel()
		}
		return tab.add(r)
	}))
	return tab
}

func at(t *testing.T, tab *Table, col string, row int) float64 {
	t.Helper()
	v, ok := tab.Column(col)
	require.True(t, ok, "%s is missing: %s", col, tab.Meta.Missing[col])
	return v[row]
}

func TestDerivedColumnsOfAModelledMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		tab := record(t, cfg, 2, func(int) {
			fixture.Put(t, "1500 12 120000 800 2100 20 168000 1000 3 730 1900 50 1 4000 40 17 80\n", cfg.SysRoot, gb10Disk, "stat")
			fixture.Put(t, "pgpgin 8010000\nworkingset_refault_anon 80\nworkingset_refault_file 920\npswpin 503\n", cfg.ProcRoot, "vmstat")
			fixture.Put(t, "some avg10=9.99 avg60=0.00 avg300=0.00 total=28000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12500\n", cfg.ProcRoot, "pressure/io")
			fixture.Put(t, "cpu  4040 10 1210 170060 2590 0 150 0 0 0\nintr 5000200\nctxt 9000400\nprocesses 4243\n", cfg.ProcRoot, "stat")
			fixture.Put(t, "259:0 rbytes=8192000 wbytes=8192 rios=110 wios=2 dbytes=0 dios=0\n", cfg.SysRoot, "fs/cgroup/llm.slice/server.scope/io.stat")
			fixture.Put(t, "read_bytes: 8192000\nwrite_bytes: 8192\n", cfg.ProcRoot, "77/io")
		})
		for col, want := range map[string]float64{
			"dt_ns": 1e8, "late_ns": 0, "missed": 0, "resets": 0,
			"rd_ios_s": 5000, "wr_ios_s": 1000, "dc_ios_s": 100, "fl_ios_s": 20,
			"rd_mrg_s": 20, "rd_MBps": 40000 * 512 / 1e6 / 0.1, "wr_MBps": 8000 * 512 / 1e6 / 0.1,
			"r_await_ms": 300.0 / 500, "w_await_ms": 1, "d_await_ms": 1, "f_await_ms": 5,
			"rareq_kB": 40, "wareq_kB": 40, "aqu_sz": 4, "util_pct": 30,
			"inflight_r": 2, "inflight_w": 1, "disk_inflight": 3,
			"pgpgin_kBps": 100000, "refault_file_s": 200, "pswpin_s": 30,
			"pswpin_kBps": 30 * 64, "refault_kBps": 300 * 64, // 64 KiB pages
			"psi_io_some_pct": 25, "psi_io_full_pct": 10, "psi_cpu_some_pct": 0,
			"cpu_user_pct": 100 * 40.0 / 200, "cpu_idle_pct": 100 * 60.0 / 200, "cpu_iowait_pct": 100 * 90.0 / 200,
			"cpu_sys_pct": 5, "iowait_cores": 9, "ctxt_s": 4000, "intr_s": 2000,
			"cg_rd_Bps": (8192000 - 40960) / 0.1, "cg_rios_s": 1000, "cg_mem_current_bytes": 5368709120,
			"pid_read_Bps": 40960000, "pid_rss_pages": 65536, "raw_pid_blkio": 12,
			"mem_total_kB": 127600748, "mem_cma_free_kB": 9752576, "uma_used_kB": 103600748,
			"uma_unaccounted_kB": 127600748 - (20000000 + 100000 + 5000000 + 1500000 + 300000 + 200000 + 20000 + 60000 + 10000),
			"raw_allocstall":     10,
		} {
			row := 1
			if col == "raw_allocstall" {
				row = 0
			}
			require.InDelta(t, want, at(t, tab, col, row), 1e-6*math.Max(1, want), col)
		}
		require.Equal(t, "259:0", tab.Meta.MajMin)
		require.True(t, math.IsNaN(at(t, tab, "rd_ios_s", 0)), "no rate before the second row")
		require.True(t, math.IsNaN(at(t, tab, "raw_allocstall", 1)), "a key that went away is absent, not 0")
	})
}

func TestClosingRowReachesTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		s, err := New(cfg)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		tab := newTable(s.Meta())
		ctx, cancel := context.WithTimeout(t.Context(), 330*time.Millisecond)
		defer cancel()
		require.NoError(t, s.Run(ctx, tab.add))
		require.Len(t, tab.T, 5, "t0, three ticks, and the stop")
		require.Equal(t, 30*time.Millisecond, tab.T[4]-tab.T[3])
		require.True(t, math.IsNaN(at(t, tab, "rd_ios_s", 4)), "a rate over a sliver is noise")
		require.True(t, math.IsNaN(at(t, tab, "late_ns", 4)), "no deadline, no lateness")
		require.Equal(t, 1000.0, at(t, tab, "raw_rd_ios", 4), "the counters are there")
	})
}

func TestSlowEmitSkipsDeadlinesAndKeepsTheGrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		start := time.Now()
		var stamps []time.Duration
		tab := record(t, cfg, 6, func(n int) {
			stamps = append(stamps, time.Since(start))
			if n == 2 {
				time.Sleep(250 * time.Millisecond)
			}
		})
		ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
		require.Equal(t, []time.Duration{0, ms(100), ms(350), ms(400), ms(500)}, stamps,
			"late once, then back on the grid of t0: no drift")
		require.Equal(t, 1.0, at(t, tab, "missed", 2), "the deadline at 200 ms passed unserved")
		require.Equal(t, 50e6, at(t, tab, "late_ns", 2), "the one at 300 ms was served late")
		require.Zero(t, at(t, tab, "missed", 3))
	})
}

func TestResetAndWrapEmptyOneTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		const top = 1<<32 - 100
		stats := []string{
			"1000 0 0 4294967196 0 0 0 0 0 0 0\n", // ticks about to wrap
			"1100 0 0 100 0 0 0 0 0 0 0\n",        // wrapped: +200
			"1200 0 0 300 0 0 0 0 0 0 0\n",
			"5 0 0 10 0 0 0 0 0 0 0\n", // reset
			"15 0 0 30 0 0 0 0 0 0 0\n",
		}
		fixture.Put(t, stats[0], cfg.SysRoot, gb10Disk, "stat")
		tab := record(t, cfg, 5, func(n int) { fixture.Put(t, stats[n], cfg.SysRoot, gb10Disk, "stat") })
		require.Equal(t, float64(top), at(t, tab, "raw_rd_ticks_ms", 0))
		await, _ := tab.Column("r_await_ms")
		require.True(t, math.IsNaN(await[1]), "the wrap's tick is empty")
		require.Equal(t, 2.0, await[2])
		require.True(t, math.IsNaN(await[3]), "the reset's tick is empty")
		require.Equal(t, 2.0, await[4])
		require.Equal(t, 1000.0, at(t, tab, "rd_ios_s", 1), "other counters of the wrap's tick stand")
		require.Equal(t, []float64{0, 1, 0, 2, 0}, tab.data[tab.index["resets"]][:5])

		d, ok := tab.RAwait(tab.T[0], tab.T[2])
		require.True(t, ok, "a window recovers a 32-bit wrap")
		require.Equal(t, 2*time.Millisecond, d)
		_, ok = tab.RAwait(tab.T[0], tab.T[4])
		require.False(t, ok, "but not a reset")
	})
}

func TestIowaitThatDecreasesIsNoReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		fixture.Put(t, "cpu  100 0 0 100 50 0 0 0\n", cfg.ProcRoot, "stat")
		tab := record(t, cfg, 2, func(int) { fixture.Put(t, "cpu  180 0 0 200 45 0 0 0\n", cfg.ProcRoot, "stat") })
		require.Zero(t, at(t, tab, "resets", 1))
		require.Zero(t, at(t, tab, "iowait_cores", 1))
		d, ok := tab.Delta("raw_cpu_iowait", tab.T[0], tab.T[1])
		require.True(t, ok)
		require.Zero(t, d)
	})
}

func TestRemovedDeviceLeavesNaNAndAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		tab := record(t, cfg, 5, func(n int) {
			switch n {
			case 2:
				fixture.Put(t, "", cfg.SysRoot, gb10Disk, "stat")
			case 3:
				fixture.Put(t, "1 2 3 4 5 6 7 8 9 10 11\n", cfg.SysRoot, gb10Disk, "stat")
			}
		})
		ios, _ := tab.Column("raw_rd_ios")
		require.Equal(t, 1000.0, ios[1])
		require.True(t, math.IsNaN(ios[2]))
		require.Equal(t, 1.0, ios[3])
		require.True(t, math.IsNaN(at(t, tab, "rd_ios_s", 3)), "no rate across a gap")
		require.False(t, math.IsNaN(at(t, tab, "ctxt_s", 2)), "the run goes on")
		require.Len(t, tab.Faults, 2)
		require.Equal(t, "raw_rd_ios", tab.Faults[0].Column)
		require.Contains(t, tab.Faults[0].Reason, "stat: unexpected number of fields")
		require.True(t, tab.Faults[1].Over)
		require.ErrorIs(t, tab.Completeness(tab.T[0], tab.T[4]).Err(), ErrIncomplete)
	})
}

func TestMissingSourcesHaveReasons(t *testing.T) {
	cfg := gb10Config(t)
	require.NoError(t, os.RemoveAll(filepath.Join(cfg.ProcRoot, "pressure")))
	require.NoError(t, os.RemoveAll(filepath.Join(cfg.ProcRoot, "77")))
	fixture.Put(t, "0\n", cfg.ProcRoot, "sys/kernel/task_delayacct")
	s, err := New(cfg)
	require.NoError(t, err, "only the disk must be there")
	defer func() { require.NoError(t, s.Close()) }()
	m := s.Meta()
	for col, why := range map[string]string{
		"raw_psi_io_some_us": "no such file", "psi_io_some_pct": "needs raw_psi_io_some_us",
		"raw_pid_rd_bytes": "no such file", "pid_read_Bps": "needs raw_pid_rd_bytes",
		"nvme_temp_C": "no hwmon source", "gpu_util_pct": "no GPU source", "smart_host_reads": "no SMART source",
	} {
		require.Contains(t, m.Missing[col], why, col)
	}
	for _, c := range m.Columns {
		require.NotContains(t, m.Missing, c.Name, "a column is there or missing, not both")
		require.NotEmpty(t, c.Unit, c.Name)
		require.NotEmpty(t, c.Doc, c.Name)
	}
}

func TestBlockDelayIsAbsentUnlessTheKernelKeepsIt(t *testing.T) {
	cfg := gb10Config(t)
	fixture.Put(t, "0\n", cfg.ProcRoot, "sys/kernel/task_delayacct")
	s, err := New(cfg)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.Contains(t, s.Meta().Missing["raw_pid_blkio"], "kernel.task_delayacct=1")
}

func TestCgroupVersionOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := gb10Config(t)
		root := filepath.Join(cfg.SysRoot, "fs/cgroup")
		require.NoError(t, os.Remove(filepath.Join(root, "cgroup.controllers")))
		for name, text := range map[string]string{
			"blkio/llm/blkio.throttle.io_service_bytes":           "259:0 Read 1\n",
			"blkio/llm/blkio.throttle.io_service_bytes_recursive": "259:0 Read 100\n259:0 Write 200\n",
			"blkio/llm/blkio.throttle.io_serviced":                "259:0 Read 3\n259:0 Write 4\n",
			"memory/llm/memory.usage_in_bytes":                    "12345\n",
			"memory/llm/memory.stat":                              "cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\ntotal_pgmajfault 30\n",
		} {
			path := filepath.Join(root, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
			require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		}
		cfg.ServerCgroup = "/llm"
		tab := record(t, cfg, 2, func(int) {})
		require.Equal(t, 100.0, at(t, tab, "raw_cg_rd_bytes", 1), "child groups count")
		require.Equal(t, 4.0, at(t, tab, "raw_cg_wr_ios", 1))
		require.Equal(t, 12345.0, at(t, tab, "cg_mem_current_bytes", 1))
		require.Equal(t, 20.0, at(t, tab, "cg_anon_bytes", 1))
		require.Contains(t, tab.Meta.Missing["raw_cg_psi_io_some_us"], "version 1 has none")
		require.Contains(t, tab.Meta.Missing, "raw_cg_refault")
	})
}

func TestBadConfigIsRefused(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		says string
		is   error
	}{
		{Config{Interval: time.Microsecond}, "outside 1ms to 1h", ErrConfig},
		{Config{Device: "/dev/nvme0n1"}, "not a kernel name", ErrConfig},
		{Config{Device: ".."}, "not a kernel name", ErrConfig},
		{Config{ServerPID: -1}, "negative", ErrConfig},
		{Config{PageSize: 5000}, "power of two", ErrConfig},
		{Config{ServerCgroup: "x"}, "as in /proc/PID/cgroup", ErrConfig},
		{Config{ServerCgroup: "/../x"}, "as in /proc/PID/cgroup", ErrConfig},
		{Config{Device: "no-such-disk"}, "DeviceOf", ErrNoDevice},
	} {
		_, err := New(tt.cfg)
		require.ErrorIs(t, err, tt.is)
		require.ErrorContains(t, err, tt.says)
	}
}

func TestEmitsErrorEndsTheRun(t *testing.T) {
	s, err := New(gb10Config(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	full := errors.New("disk full")
	require.ErrorIs(t, s.Run(t.Context(), func(Row) error { return full }), full)
}

func TestSamplerOnThisMachine(t *testing.T) {
	s, err := New(Config{Interval: 20 * time.Millisecond, Epoch: clock.New().Now()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	path := filepath.Join(t.TempDir(), "telemetry.csv.zst")
	w, err := NewWriter(path, s.Meta())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.NoError(t, s.Run(ctx, w.Write))
	require.NoError(t, w.Close())

	tab, err := ReadTable(path)
	require.NoError(t, err)
	require.False(t, tab.Truncated)
	require.Equal(t, s.Meta(), tab.Meta, "a record describes itself")
	require.GreaterOrEqual(t, len(tab.T), 3)
	require.Contains(t, tab.Meta.Missing, "raw_rd_ios", "no device was named")
	total, ok := tab.Column("mem_total_kB")
	require.True(t, ok)
	require.Greater(t, total[0], 0.0)
	_, ok = tab.Column("rd_ios_s")
	require.False(t, ok)
	ctxt, ok := tab.Delta("raw_ctxt", tab.T[0], tab.T[len(tab.T)-1])
	require.True(t, ok)
	require.Greater(t, ctxt, 0.0, "the machine switches tasks")
}

// TestTickDoesNotAllocate holds the steady path to no allocation at all, files
// read, parsed, derived and written as text.
func TestTickDoesNotAllocate(t *testing.T) {
	s := benchSampler(t)
	w, err := NewWriter(filepath.Join(t.TempDir(), "t.csv"), s.Meta())
	require.NoError(t, err)
	emit := w.Write
	require.Zero(t, testing.AllocsPerRun(50, func() {
		if err := s.tick(0, 0, false, emit); err != nil {
			t.Error(err)
		}
	}))
	require.NoError(t, w.Close())
}
