package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/hypotheses"
)

// standIn answers as fio does: versions, the trial of an engine, and status
// until a signal ends it. It reads nothing: 100 I/Os a document, nine of ten in
// 1 ms and the rest in 2 ms.
const standIn = `#!/bin/sh
[ "$1" = --version ] && { echo fio-3.33; exit; }
n=0
say() {
	n=$((n + 100))
	printf '{"fio version":"fio-3.33","timestamp_ms":%s,"jobs":[{"jobname":"load","error":0,"read":{"io_bytes":%s,"total_ios":%s,"runtime":%s,"clat_ns":{"min":1000000,"max":2000000,"mean":1100000.0,"N":%s,"bins":{"1000000":%s,"2000000":%s}}},"usr_cpu":3.0,"sys_cpu":2.0}]}\n' \
		"$(date +%s%3N)" $((n * 131072)) $n $((n / 2)) $n $((n * 9 / 10)) $((n / 10))
}
eval "job=\${$#}"
grep -q io_size "$job" && { say; exit; }
trap 'say; exit 128' INT TERM
trap : USR1
while :; do say; sleep 0.05; done
`

// placeOf is a directory on a disk and the flags that a small test there needs.
func placeOf(t *testing.T) (dir string, flags []string) {
	t.Helper()
	dir, _ = onDisk(t)
	exe := filepath.Join(t.TempDir(), "fio")
	require.NoError(t, os.WriteFile(exe, []byte(standIn), 0o755))
	return dir, []string{dir, "--size", "1MiB", "--reserve", "0", "--fio", exe}
}

func fio(ctx context.Context, sub string, flags []string, more ...string) transcript {
	return command(ctx, append(append([]string{"fio", sub}, flags...), more...)...)
}

// untilRunning presses Ctrl-C as soon as the load runs.
func untilRunning(t *testing.T, flags []string) transcript {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, errs := newWatched(), newWatched()
	exit := make(chan int, 1)
	go func() { exit <- execute(ctx, append([]string{"fio", "load"}, flags...), streams{out, errs}) }()
	for {
		select {
		case <-errs.grew:
			if strings.Contains(errs.String(), "Ctrl-C ends") {
				cancel()
			}
		case code := <-exit:
			return transcript{code, out.String(), errs.String()}
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	found := []string{}
	for _, e := range all {
		found = append(found, e.Name())
	}
	return found
}

func TestFioBadUsage(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		why  string
		args []string
		want string
	}{
		{"no directory", []string{"calibrate"}, "<dir>"},
		{"a unit that is none", []string{"calibrate", dir, "--size", "2Gb"}, "2GiB"},
		{"no whole number", []string{"probe", dir, "--size", "1.5GiB"}, "2GiB"},
		{"negative", []string{"probe", dir, "--size=-1MiB"}, "2GiB"},
		{"a size past all disks", []string{"probe", dir, "--size", "9999999TiB"}, "2GiB"},
		{"a size that is no multiple", []string{"calibrate", dir, "--size", "1000"}, "multiple of 1 MiB"},
		{"nor for the probe", []string{"probe", dir, "--size", "1000"}, "multiple of 1 MiB"},
		{"a block that no disk reads", []string{"calibrate", dir, "--block", "1000"}, "multiple of 512"},
		{"nor for the load", []string{"load", dir, "--depth", "1", "--block", "1000"}, "multiple of 512"},
		{"a block larger than the file", []string{"probe", dir, "--size", "1MiB", "--block", "2MiB"}, "holds no block"},
		{"a rate that would be a load", []string{"probe", dir, "--rate", "1000"}, "1 to 200"},
		{"no time", []string{"probe", dir, "--duration", "0s"}, "more than 0"},
		{"no depth", []string{"load", dir}, "--depth"},
		{"nothing in flight", []string{"load", dir, "--depth", "0"}, "1 to 1024"},
		{"a negative rate", []string{"load", dir, "--depth", "1", "--rate=-1"}, "rate_iops"},
		{"time that ran back", []string{"load", dir, "--depth", "1", "--duration=-5s"}, "more than 0"},
		{"longer than fio may run", []string{"load", dir, "--depth", "1", "--duration=25h"}, "backstop"},
		{"nowhere to save", []string{"calibrate", dir, "--out", filepath.Join(dir, "no", "c.json")}, "make it first"},
		{"saved over a directory", []string{"calibrate", dir, "--out", dir}, "name a file"},
	} {
		got := fio(t.Context(), c.args[0], c.args[1:])
		require.Equal(t, 2, got.exit, "%s: %s", c.why, got.err)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
		require.Empty(t, names(t, dir), c.why)
	}
}

func TestFioRefusesPlaces(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none")
	for _, sub := range [][]string{{"calibrate"}, {"probe"}, {"load", "--depth", "1"}} {
		for _, c := range []struct{ why, dir, want string }{
			{"not there", missing, "make it first"},
			{"no disk", "/proc", "use a directory on a local disk"},
			{"memory", "/dev/shm", "use a directory on a disk"},
		} {
			if info, err := os.Stat(c.dir); c.dir != missing && (err != nil || !info.IsDir()) {
				continue // not on this machine
			}
			got := fio(t.Context(), sub[0], append(sub[1:], c.dir, "--size", "1MiB"))
			require.Equal(t, 1, got.exit, "%v: %s", sub, c.why)
			require.Contains(t, got.err, c.want, "%v: %s", sub, c.why)
			require.Empty(t, got.out, "%v: %s", sub, c.why)
		}
	}
}

func TestFioIsMissing(t *testing.T) {
	dir, _ := onDisk(t)
	old := filepath.Join(t.TempDir(), "fio")
	require.NoError(t, os.WriteFile(old, []byte("#!/bin/sh\necho fio-2.1\n"), 0o755))
	for _, c := range []struct{ why, exe string }{
		{"no such file", "/nonexistent/fio"},
		{"nor in PATH", "no-such-fio"},
		{"an old one", old},
	} {
		for _, args := range [][]string{{"calibrate", "--json"}, {"load", "--depth", "4"}} {
			got := fio(t.Context(), args[0], append(args[1:], dir, "--fio", c.exe))
			require.Equal(t, 1, got.exit, c.why)
			require.Contains(t, got.err, "apt-get install fio", c.why)
			require.Empty(t, got.out, c.why)
			require.Empty(t, names(t, dir), "%s: it is asked for before gigabytes are written", c.why)
		}
	}
	got := fio(t.Context(), "calibrate", []string{dir, "--device", "nosuchdisk"})
	require.Equal(t, 1, got.exit)
	require.Contains(t, got.err, "nosuchdisk")
	require.Empty(t, names(t, dir))
}

func TestFioProbe(t *testing.T) {
	dir, flags := placeOf(t)
	flags = append(flags[:5:5], "--rate", "200", "--duration", "200ms") // without fio
	first := fio(t.Context(), "probe", flags, "--size", "2MiB")
	require.Zero(t, first.exit, first.err)
	require.Contains(t, first.err, "writing ")
	require.Regexp(t, `^\S+: a read of 128KiB takes p50 \S+, p95 \S+, p99 \S+, mean \S+ \(\d+ reads, \d+ late, \d+ missed\)\n$`, first.out)
	require.Equal(t, []string{hypotheses.ProbeTargetName}, names(t, dir))

	again := fio(t.Context(), "probe", flags, "--json")
	require.Zero(t, again.exit, again.err)
	require.NotContains(t, again.err, "writing ", "a larger file serves")
	var v fioctl.Victim
	require.NoError(t, json.Unmarshal([]byte(again.out), &v), "stdout holds nothing else")
	require.Positive(t, v.Reads)
	require.Positive(t, v.P50)
	require.GreaterOrEqual(t, v.P99, v.P50)

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	cut := fio(ctx, "probe", flags, "--duration", "1h", "--remove")
	require.Equal(t, 130, cut.exit)
	require.Contains(t, cut.err, "interrupted")
	require.Contains(t, cut.out, "a read of 128KiB", "what was seen is told")
	require.Empty(t, names(t, dir), "--remove")
}

func TestFioLoad(t *testing.T) {
	dir, flags := placeOf(t)
	flags = append(flags, "--depth", "4")
	t.Run("for a while", func(t *testing.T) {
		got := fio(t.Context(), "load", flags, "--rate", "2000", "--duration", "400ms")
		require.Zero(t, got.exit, got.err)
		require.Contains(t, got.err, "fio 3.33, engine io_uring")
		require.Contains(t, got.out, "random reads of 128KiB, depth 4, 2000/s wanted, for ")
		require.Contains(t, got.out, ": 2000 reads/s, 262.1 MB/s\n")
		require.Contains(t, got.out, "p50 1ms, p99 2ms, mean 1.1ms, max 2ms", "from fio's bins")
		require.Contains(t, got.out, "reported only")
		require.Equal(t, []string{hypotheses.TargetName}, names(t, dir))
	})
	t.Run("until Ctrl-C, which is no failure", func(t *testing.T) {
		got := untilRunning(t, flags)
		require.Zero(t, got.exit, got.err)
		require.Contains(t, got.out, "as fast as it goes")
		require.Equal(t, []string{hypotheses.TargetName}, names(t, dir))
	})
	t.Run("cut short", func(t *testing.T) {
		got := untilRunning(t, append(flags, "--duration", "1h", "--remove"))
		require.Equal(t, 130, got.exit)
		require.Contains(t, got.out, "reads/s", "what was seen is told")
		require.Empty(t, names(t, dir), "--remove")
	})
}

func TestLoadLine(t *testing.T) {
	at := func(ms, ios int64) fioctl.Status {
		return fioctl.Status{T: time.Duration(ms) * time.Millisecond, ReadIOs: ios, ReadBytes: ios * 1000}
	}
	for _, c := range []struct {
		why  string
		all  []fioctl.Status
		want string
	}{
		{"nothing yet", nil, "loading"},
		{"no time between", []fioctl.Status{at(5, 1)}, "loading"},
		{"the last second alone", []fioctl.Status{at(0, 0), at(1000, 9000), at(1500, 9500), at(2000, 10000)}, "loading for 2s: 1000 reads/s, 1 MB/s"},
		{"status that comes seldom", []fioctl.Status{at(0, 0), at(3000, 6000)}, "loading for 3s: 2000 reads/s, 2 MB/s"},
	} {
		require.Equal(t, c.want, loadLine(c.all), c.why)
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want size
		back string
	}{
		{"2GiB", 2 << 30, "2GiB"},
		{"128K", 128 << 10, "128KiB"},
		{"128k", 128 << 10, "128KiB"},
		{"1kB", 1000, "1000B"},
		{"4096", 4096, "4KiB"},
		{"512B", 512, "512B"},
		{"2GB", 2e9, "1953125KiB"},
		{"0", 0, "0B"},
	} {
		var z size
		require.NoError(t, z.UnmarshalText([]byte(c.text)), c.text)
		require.Equal(t, c.want, z, c.text)
		require.Equal(t, c.back, z.String(), c.text)
	}
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"2GiB", "128k", "", "B", "-1", "+1", "0x10", "1e3", "9223372036854775807", "8388608TiB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var z, back size
		if z.UnmarshalText([]byte(s)) != nil {
			require.Zero(t, z)
			return
		}
		require.GreaterOrEqual(t, z, size(0))
		require.NoError(t, back.UnmarshalText([]byte(z.String())))
		require.Equal(t, z, back)
	})
}
