package fioctl

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const ms = time.Millisecond

// loadOf is a faithful load at ios per second of 128 KiB from 0 to 12 s, for a
// window from 1 s to 11 s.
func loadOf(job Job, ios float64) *Run {
	r := &Run{
		Fio: Fio{Engine: EngineURing}, Job: job,
		Started: 10 * ms, Flowing: 250 * ms, Stopping: 11500 * ms, Ended: 12 * time.Second,
	}
	for t := 250 * ms; t <= 12*time.Second; t += 250 * ms {
		n := int64(ios * t.Seconds())
		r.Status = append(r.Status, Status{T: t, ReadIOs: n, ReadBytes: n << 17})
	}
	last := r.Status[len(r.Status)-1]
	r.Result.Read = Direction{IOs: last.ReadIOs, Bytes: last.ReadBytes}
	r.Result.DepthShare = map[int]float64{16: 0.01, 32: 0.99}
	return r
}

// windowOf is a window that passes; rated is MODERATE, else HEAVY at depth 32.
func windowOf(rated bool) Window {
	job, ios := Job{Name: "heavy", BlockBytes: 128 << 10, Depth: 32, Threads: 1}, 8000.0
	if rated {
		job.Name, job.Depth, job.RateIOPS, ios = "moderate", 8, 3200, 3200
	}
	w := Window{
		Level: Level{Name: job.Name, Job: &job, Victim: Victim{Reads: 200, P95: 3 * ms}},
		Idle:  Victim{Reads: 200, P95: ms}, Seen: Victim{Reads: 200, P95: 3 * ms},
		Start: time.Second, End: 11 * time.Second,
		Run: loadOf(job, ios), OtherBytes: 1 << 30, AquSz: 31,
	}
	if rated {
		w.AquSz = 1.5
		w.Run.Result.DepthShare = map[int]float64{1: 0.995, 2: 0.005}
	}
	w.DeviceBytes = float64(w.Run.Result.Read.Bytes) + w.OtherBytes
	return w
}

func baselineWindow() Window {
	return Window{
		Level: Level{Name: "BASELINE"}, Idle: Victim{Reads: 200, P95: ms}, Seen: Victim{Reads: 200, P95: ms},
		Start: time.Second, End: 11 * time.Second, DeviceBytes: 1 << 30, OtherBytes: 1 << 30, AquSz: 0.3,
	}
}

// nullWindow is HEAVY's rate on memory, beside a server that pages.
func nullWindow() Window {
	w := windowOf(true)
	w.Null, w.DeviceBytes, w.AquSz = true, w.OtherBytes, 0.3
	w.Seen.P95, w.Unloaded = 1600*time.Microsecond, Victim{Reads: 200, P95: 1500 * time.Microsecond}
	return w
}

func TestVerify(t *testing.T) {
	nan := math.NaN()
	heavy, moderate := func() Window { return windowOf(false) }, func() Window { return windowOf(true) }
	for _, row := range []struct {
		why   string
		of    func() Window
		spoil func(w *Window)
		fails []string
	}{
		{"a level without a rate, as meant", heavy, nil, nil},
		{"a level with a rate, as meant: a low depth is normal", moderate, nil, nil},
		{"no load and none wanted", baselineWindow, nil, nil},
		{"a null load beside a server that pages", nullWindow, nil, nil},

		{"fio was killed in the window", heavy, func(w *Window) {
			w.Run.Stopping, w.Run.Ended, w.Run.Fault = 0, 8*time.Second, "signal: killed"
			w.Run.Status = w.Run.Status[:32]
		}, []string{CheckFaults, CheckCover, CheckStall}},
		{"fio's runtime was shorter than the window", heavy, func(w *Window) {
			w.Run.Stopping, w.Run.Ended = 0, 10*time.Second
			w.Run.Status = w.Run.Status[:40]
		}, []string{CheckCover, CheckStall}},
		{"fio was stopped before the window's end", heavy, func(w *Window) { w.Run.Stopping = 10900 * ms }, []string{CheckCover}},
		{"fio ended by itself just after the window", heavy, func(w *Window) { w.Run.Stopping = 0 }, nil},
		{"the window began before I/O flowed", heavy, func(w *Window) {
			w.Run.Flowing = 1200 * ms
			w.Run.Status = w.Run.Status[4:]
		}, []string{CheckCover, CheckStall}},
		{"I/O never flowed", heavy, func(w *Window) { w.Run.Flowing = 0 }, []string{CheckCover}},
		{"a fault on record", heavy, func(w *Window) { w.Run.Fault = "error 5" }, []string{CheckFaults}},
		{
			"no record of fio", heavy, func(w *Window) { w.Run = nil },
			[]string{CheckLoads, CheckFaults, CheckCover, CheckStall, CheckDepth, CheckBalance},
		},
		{"no live account", heavy, func(w *Window) { w.Run.Status = nil }, []string{CheckStall}},
		{"fio hung for 3 s in the middle", heavy, func(w *Window) {
			for i := 20; i < 32; i++ {
				w.Run.Status[i].ReadIOs = w.Run.Status[20].ReadIOs
			}
		}, []string{CheckStall}},
		{"fio hung only before the window", heavy, func(w *Window) {
			w.Run.Status = append([]Status{{T: -3 * time.Second, ReadIOs: w.Run.Status[0].ReadIOs}}, w.Run.Status...)
		}, nil},

		{
			"fio on another device", heavy, func(w *Window) { w.DeviceBytes, w.AquSz, w.Seen.P95 = w.OtherBytes, 0.3, ms },
			[]string{CheckQueue, CheckBalance, CheckLift},
		},
		{"fio read the page cache", heavy, func(w *Window) { w.DeviceBytes = w.OtherBytes + 50<<20 }, []string{CheckBalance}},
		{"another tenant read 5 % of the bytes", heavy, func(w *Window) { w.DeviceBytes *= 1.05 }, []string{CheckBalance}},
		{"another tenant read 1 % of them", heavy, func(w *Window) { w.DeviceBytes *= 1.01 }, nil},
		{"the device's bytes are unknown", heavy, func(w *Window) { w.DeviceBytes = nan }, []string{CheckBalance}},
		{"the server's bytes are unknown", heavy, func(w *Window) { w.OtherBytes = nan }, []string{CheckBalance}},

		{"psync: depth is 1 although 32 is meant", heavy, func(w *Window) {
			w.AquSz, w.Run.Result.DepthShare = 0.85, map[int]float64{1: 1}
		}, []string{CheckQueue, CheckDepth}},
		{"threads of depth 1 make the queue", heavy, func(w *Window) {
			w.Run.Fio.Engine, w.Run.Result.DepthShare = EnginePsync, map[int]float64{1: 1}
		}, nil},
		{"fio waits before the device (its own cgroup is limited)", heavy, func(w *Window) { w.AquSz = 1.2 }, []string{CheckQueue}},
		{"the device's queue is unknown", heavy, func(w *Window) { w.AquSz = nan }, []string{CheckQueue}},
		{"the depth is unknown", heavy, func(w *Window) { w.Run.Result.DepthShare = nil }, []string{CheckDepth}},
		{"depth 128 falls into fio's bucket of 64 and more", heavy, func(w *Window) {
			w.Level.Job.Depth, w.AquSz, w.Run.Result.DepthShare = 128, 120, map[int]float64{64: 0.98}
		}, nil},
		{"two threads share the depth", heavy, func(w *Window) {
			w.Level.Job.Threads, w.Run.Result.DepthShare = 2, map[int]float64{16: 1}
		}, nil},

		{"the rate was not reached and the device was idle", moderate, func(w *Window) {
			*w.Run = *loadOf(*w.Level.Job, 2500)
			w.DeviceBytes = float64(w.Run.Result.Read.Bytes) + w.OtherBytes
		}, []string{CheckRate}},
		{"the rate was not reached because the server took the device", moderate, func(w *Window) {
			*w.Run = *loadOf(*w.Level.Job, 2500)
			w.DeviceBytes, w.AquSz = float64(w.Run.Result.Read.Bytes)+w.OtherBytes, 7.5
		}, nil},
		{"the rate was not reached and the queue is unknown", moderate, func(w *Window) {
			*w.Run = *loadOf(*w.Level.Job, 2500)
			w.DeviceBytes, w.AquSz = float64(w.Run.Result.Read.Bytes)+w.OtherBytes, nan
		}, []string{CheckRate}},
		{"the rate did not bind: MODERATE was HEAVY", moderate, func(w *Window) {
			*w.Run = *loadOf(*w.Level.Job, 8000)
			w.DeviceBytes = float64(w.Run.Result.Read.Bytes) + w.OtherBytes
		}, []string{CheckRateOver}},

		{"the probe saw nothing of the load", heavy, func(w *Window) { w.Seen.P95 = 1200 * time.Microsecond }, []string{CheckLift}},
		{"half of the lift, in logarithms, is enough", heavy, func(w *Window) { w.Seen.P95 = 1750 * time.Microsecond }, nil},
		{"a median that does not move says nothing", heavy, func(w *Window) { w.Seen.P50 = w.Idle.P50 }, nil},
		{"a device twice as fast today", heavy, func(w *Window) { w.Seen.P95 = 3 * ms / 2 * 13 / 10 }, nil},
		{"the probe did not run", heavy, func(w *Window) { w.Seen = Victim{} }, []string{CheckReads, CheckLift}},
		{"too few reads of the probe", heavy, func(w *Window) { w.Seen.Reads = 19 }, []string{CheckReads}},
		{"the level was never calibrated", heavy, func(w *Window) { w.Level.Victim = Victim{} }, []string{CheckLift}},
		{"the idle probe is unknown", heavy, func(w *Window) { w.Idle = Victim{} }, []string{CheckLift}},
		{"an empty window", heavy, func(w *Window) { w.End = w.Start }, []string{CheckCover}},

		{"fio ran although none was wanted", baselineWindow, func(w *Window) { w.Run = loadOf(Job{}, 100) }, []string{CheckNoLoads}},
		{"no load, and somebody read 100 MB", baselineWindow, func(w *Window) { w.DeviceBytes += 100e6 }, []string{CheckBalance}},
		{"no load, and the host read 5 MB of its own", baselineWindow, func(w *Window) { w.DeviceBytes, w.OtherBytes = 6e6, 1e6 }, nil},
		{"no load, nobody read at all", baselineWindow, func(w *Window) { w.DeviceBytes, w.OtherBytes = 0, 0 }, nil},
		{"no load, and the device's bytes are unknown", baselineWindow, func(w *Window) { w.DeviceBytes = nan }, []string{CheckBalance}},

		{"the null load reached the device", nullWindow, func(w *Window) { w.DeviceBytes += 100e6 }, []string{CheckBalance}},
		{
			"the null load did not run", nullWindow, func(w *Window) { w.Run = nil },
			[]string{CheckLoads, CheckFaults, CheckCover, CheckStall, CheckRateOver, CheckMoved, CheckRate},
		},
		{"the null load read nothing", nullWindow, func(w *Window) { w.Run.Result.Read.Bytes = 0 }, []string{CheckMoved}},
		{"the null load was starved", nullWindow, func(w *Window) { *w.Run = *loadOf(*w.Level.Job, 2000) }, []string{CheckRate}},
		{"the null load lifts the probe as a real one would", nullWindow, func(w *Window) { w.Seen.P95 = 2800 * time.Microsecond }, []string{CheckNoLift}},
		{"a null load without a window to compare with", nullWindow, func(w *Window) { w.Unloaded = Victim{} }, nil},
		{"a null load without a probe", nullWindow, func(w *Window) { w.Seen = Victim{} }, []string{CheckReads, CheckNoLift}},
	} {
		t.Run(row.why, func(t *testing.T) {
			w := row.of()
			if row.spoil != nil {
				row.spoil(&w)
			}
			v := Verify(w)
			var fails []string
			for _, c := range v.Checks {
				if !c.OK {
					fails = append(fails, c.Name)
				}
			}
			require.Equal(t, row.fails, fails)
			require.Equal(t, len(fails) == 0, v.OK)
			require.Equal(t, v, Verify(w), "pure")
			_, err := json.Marshal(v)
			require.NoError(t, err, "no NaN reaches a record")
		})
	}
}

func TestVerifyNamesTheSaturatedDevice(t *testing.T) {
	w := windowOf(true)
	*w.Run = *loadOf(*w.Level.Job, 2500)
	w.DeviceBytes, w.AquSz = float64(w.Run.Result.Read.Bytes)+w.OtherBytes, 6
	for _, c := range Verify(w).Checks {
		require.NotEqual(t, CheckRate, c.Name)
		if c.Name == CheckFull {
			require.InDelta(t, 0.75, *c.Value, 1e-9)
			return
		}
	}
	t.Fatal("the saturation that excuses the rate is not on record")
}
