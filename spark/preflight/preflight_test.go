package preflight

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/smart"
)

// spark1 is a machine on which everything is as it should be.
func spark1(t *testing.T) *host {
	t.Helper()
	root := fixture.Files(t, map[string]string{
		"proc/meminfo":                     "MemTotal: 127600748 kB\nMemAvailable: 113246208 kB\nSwapTotal: 16777216 kB\nSwapFree: 16777216 kB\n",
		"proc/pressure/io":                 "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"proc/sys/vm/drop_caches":          "",
		"proc/self/cgroup":                 "0::/user.slice/session\n",
		"sys/fs/cgroup/cgroup.controllers": "io memory\n",
		"sys/fs/cgroup/user.slice/x":       "",
		"sys/devices/system/clocksource/clocksource0/current_clocksource": "arch_sys_counter\n",
	})
	free, total, swap, bytes := int64(500<<30), int64(127600748<<10), int64(16<<30), int64(4<<40)
	dir := t.TempDir()
	return &host{
		Config: Config{
			ProcRoot: filepath.Join(root, "proc"), SysRoot: filepath.Join(root, "sys"), Dir: dir, Results: dir, Device: "nvme0n1",
			Lock: filepath.Join(dir, "lock"), URLs: []string{"http://127.0.0.1:1"},
		},
		root: true,
		machine: spark.Machine{
			Product: "NVIDIA DGX Spark", GB10: true, GB10By: "GPU NVIDIA GB10", GOARCH: "arm64", CPUs: 20, Kernel: "6.17", Governors: []string{"performance"},
			MemTotal: &total, SwapTotal: &swap,
		},
		place: spark.Place{Dir: dir, FreeBytes: &free, Disk: &spark.Disk{
			Name: "nvme0n1", FSType: "ext4", Model: "SAMSUNG PM9E1", Bytes: &bytes, LinkSpeed: "32.0 GT/s PCIe", LinkSpeedMax: "32.0 GT/s PCIe", LinkWidth: "4",
		}},
		results: spark.Place{Dir: dir, FreeBytes: &free},
		watched: &sample{ticks: 10, interval: 100 * time.Millisecond, lateP99: time.Millisecond, cpuShare: 0.002, busyCores: 0.4, diskBytesPerSec: 1e6},
		smart: func(context.Context, string) (smart.Snapshot, error) {
			return smart.Snapshot{Device: "nvme0n1", Source: "ioctl", Log: &smart.Log{}}, nil
		},
	}
}

// put writes a file below one of the roots.
func put(t *testing.T, text string, elem ...string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(elem...), []byte(text), 0o644))
}

func TestChecksPassOnASpark(t *testing.T) {
	h := spark1(t)
	for _, c := range Checks() {
		switch c.Name {
		case "server", "fio", "timer", "build": // of this machine
			continue
		}
		f := c.look(t.Context(), h)
		require.Equal(t, Pass, f.Status, "%s: %s; %s", c.Name, f.Evidence, f.Remedy)
		require.NotEmpty(t, f.Evidence, c.Name)
		require.Empty(t, f.Remedy, c.Name)
	}
}

func TestChecksFindFaults(t *testing.T) {
	for _, c := range []struct {
		check, why string
		change     func(t *testing.T, h *host)
		status     Status
		says       string // in evidence or remedy
	}{
		{"platform", "another machine", func(_ *testing.T, h *host) { h.machine.GB10, h.machine.Virtual = false, "product KVM" }, Warn, "product KVM"},
		{"privileges", "a user", func(_ *testing.T, h *host) { h.root = false }, Warn, "H4's second lever"},
		{"other measurement", "somebody measures", func(t *testing.T, h *host) {
			l, err := spark.AcquireLock(h.Lock)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, l.Release()) })
		}, Fail, "is held by"},
		{"quiet", "busy CPUs", func(_ *testing.T, h *host) { h.watched.busyCores = 6 }, Warn, "6.0 of 20"},
		{"quiet", "a busy disk", func(_ *testing.T, h *host) { h.watched.diskBytesPerSec = 25e6 }, Warn, "NOT_QUIET"},
		{"quiet", "no telemetry", func(_ *testing.T, h *host) { h.watched.err = errors.New("no") }, Warn, "not seen"},
		{"memory", "short", func(t *testing.T, h *host) { put(t, "MemAvailable: 4194304 kB\n", h.ProcRoot, "meminfo") }, Warn, "4.0 GiB"},
		{"memory", "none left", func(t *testing.T, h *host) { put(t, "MemAvailable: 1048576 kB\n", h.ProcRoot, "meminfo") }, Fail, "end something"},
		{"memory", "not told", func(t *testing.T, h *host) { require.NoError(t, os.Remove(filepath.Join(h.ProcRoot, "meminfo"))) }, Warn, "cannot be read"},
		{"swap", "in use", func(t *testing.T, h *host) { put(t, "SwapFree: 15728640 kB\n", h.ProcRoot, "meminfo") }, Warn, "1.0 GiB of 16 GiB"},
		{"clock source", "a slow one", func(t *testing.T, h *host) {
			put(t, "hpet\n", h.SysRoot, "devices/system/clocksource/clocksource0/current_clocksource")
		}, Warn, "clocksource=tsc"},
		{"governor", "one that saves", func(_ *testing.T, h *host) { h.machine.Governors = []string{"ondemand", "performance"} }, Warn, "cpupower"},
		{"governor", "none", func(_ *testing.T, h *host) { h.machine.Governors = nil }, Warn, "hypervisor"},
		{"pressure (PSI)", "off", func(t *testing.T, h *host) { require.NoError(t, os.Remove(filepath.Join(h.ProcRoot, "pressure/io"))) }, Warn, "psi=1"},
		{"telemetry", "holes", func(_ *testing.T, h *host) { h.watched.missed = 2 }, Warn, "TELEMETRY_HOLES"},
		{"telemetry", "late", func(_ *testing.T, h *host) { h.watched.lateP99 = 11 * time.Millisecond }, Warn, "11ms late"},
		{"telemetry", "dear", func(_ *testing.T, h *host) { h.watched.cpuShare = 0.02 }, Warn, "2.00 %"},
		{"telemetry", "none", func(_ *testing.T, h *host) { h.watched.err = errors.New("no device") }, Fail, "no device"},
		{"disk", "memory", func(_ *testing.T, h *host) { h.place.Disk, h.place.Reason = nil, "tmpfs is memory" }, Fail, "tmpfs is memory"},
		{"disk", "of another kind", func(_ *testing.T, h *host) { h.place.Disk.Name, h.Device = "sda", "sda" }, Warn, "no NVMe"},
		{"disk", "another is watched", func(_ *testing.T, h *host) { h.Device = "sdb" }, Warn, "sdb is to be watched"},
		{"disk", "not there", func(_ *testing.T, h *host) { h.place.Dir = "/nowhere" }, Fail, "not writable"},
		{"disk link", "slower than it could be", func(_ *testing.T, h *host) { h.place.Disk.LinkSpeed = "8.0 GT/s PCIe" }, Warn, "8.0 GT/s PCIe of 32.0"},
		{"free space", "full", func(_ *testing.T, h *host) { *h.place.FreeBytes = 5 << 30 }, Fail, "5.0 GiB"},
		{"free space", "too little for fio", func(_ *testing.T, h *host) { *h.place.FreeBytes = 22 << 30 }, Warn, "H4 may refuse"},
		{"free space", "not told", func(_ *testing.T, h *host) { h.results.FreeBytes, h.results.Reason = nil, "gone" }, Fail, "gone"},
		{"disk log", "none", func(_ *testing.T, h *host) {
			h.smart = func(context.Context, string) (smart.Snapshot, error) {
				return smart.Snapshot{Tried: []smart.Attempt{{Source: "ioctl", Reason: "virtio"}}}, nil
			}
		}, Warn, "kernel's own counters"},
		{"disk log", "not for this user", func(_ *testing.T, h *host) {
			h.smart = func(context.Context, string) (smart.Snapshot, error) {
				return smart.Snapshot{Tried: []smart.Attempt{{Source: "ioctl", Reason: fmt.Sprint("smart: ", smart.ErrNotRoot)}}}, nil
			}
		}, Warn, "run as root"},
		{"disk log", "a disk that is gone", func(_ *testing.T, h *host) {
			h.smart = func(context.Context, string) (smart.Snapshot, error) { return smart.Snapshot{}, errors.New("gone") }
		}, Warn, "gone"},
		{"fio", "none", func(_ *testing.T, h *host) { h.Fio = "/nowhere/fio" }, Warn, "apt-get install fio"},
		{"page cache", "not to be dropped", func(t *testing.T, h *host) {
			require.NoError(t, os.Remove(filepath.Join(h.ProcRoot, "sys/vm/drop_caches")))
		}, Warn, "stay warm"},
		{"cgroup", "none", func(t *testing.T, h *host) { require.NoError(t, os.RemoveAll(filepath.Join(h.SysRoot, "fs"))) }, Warn, "neither version"},
		{"cgroup", "not ours", func(t *testing.T, h *host) {
			require.NoError(t, os.RemoveAll(filepath.Join(h.SysRoot, "fs/cgroup/user.slice")))
		}, Warn, "not writable"},
		{"server", "none", func(*testing.T, *host) {}, Warn, "emulator will serve"},
		{"server", "the one that was named", func(_ *testing.T, h *host) { h.Server.URL = "http://127.0.0.1:1" }, Fail, "SPARK_BASELINE_URL"},
	} {
		t.Run(c.check+" "+c.why, func(t *testing.T) {
			h := spark1(t)
			c.change(t, h)
			f := find(t, c.check).look(t.Context(), h)
			require.Equal(t, c.status, f.Status, "%s; %s", f.Evidence, f.Remedy)
			require.Contains(t, f.Evidence+"\n"+f.Remedy, c.says)
			require.NotEmpty(t, f.Remedy)
		})
	}
}

func find(t *testing.T, name string) Check {
	t.Helper()
	for _, c := range Checks() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q", name)
	return Check{}
}

func TestServerThatIsThere(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			fmt.Fprint(w, `{"object":"list","data":[{"id":"theirs","object":"model"}]}`)
		case "/v1/completions":
			fmt.Fprint(w, "data: {\"choices\":[{\"text\":\" x\"}]}\n\ndata: [DONE]\n\n")
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	h := spark1(t)
	h.URLs = []string{"http://127.0.0.1:1", srv.URL}
	f := server(t.Context(), h)
	require.Equal(t, Warn, f.Status, "it does not tell its pool")
	require.Contains(t, f.Evidence, "theirs, first token after")
	require.Contains(t, f.Remedy, "SPARK_KV_TOKENS")
}

// The whole on the machine that the test runs on, whatever that is.
func TestRunHere(t *testing.T) {
	dir := t.TempDir()
	var told []Finding
	all := Run(t.Context(), Config{
		Dir: filepath.Join(dir, "not", "yet"), Lock: filepath.Join(dir, "lock"), URLs: []string{"http://127.0.0.1:1"}, Sample: 200 * time.Millisecond, Fio: "/nowhere/fio",
	}, func(f Finding) { told = append(told, f) })
	require.Equal(t, all, told)
	require.Len(t, all, len(Checks()))
	names := map[string]bool{}
	for _, f := range all {
		require.False(t, names[f.Check], "%s stands once", f.Check)
		names[f.Check] = true
		require.Contains(t, []Status{Pass, Warn, Fail}, f.Status)
		require.NotEmpty(t, f.Evidence, f.Check)
		require.Equal(t, f.Status == Pass, f.Remedy == "", "%s: a remedy where one is due", f.Check)
	}
	require.NoDirExists(t, filepath.Join(dir, "not"), "nothing is made")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Empty(t, Run(ctx, Config{}, nil))
}

func TestWorst(t *testing.T) {
	require.Equal(t, Pass, Worst(nil))
	require.Equal(t, Warn, Worst([]Finding{{Status: Pass}, {Status: Warn}, {Status: Pass}}))
	require.Equal(t, Fail, Worst([]Finding{{Status: Fail}, {Status: Warn}}))
}

func TestSampleOfAMachineThatTellsNothing(t *testing.T) {
	require.True(t, math.IsNaN(mean(nil)))
	h := spark1(t)
	h.watched, h.Device = nil, "nosuchdisk0"
	require.Error(t, h.sample(t.Context()).err)
	require.Same(t, h.sample(t.Context()), h.sample(t.Context()), "watched once")
}
