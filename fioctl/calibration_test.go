package fioctl

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/blockdev"
)

func TestFingerprintNamesWhatMatters(t *testing.T) {
	sys := t.TempDir()
	put := func(text string, elem ...string) {
		path := filepath.Join(append([]string{sys, "block/nvme0n1"}, elem...)...)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o644))
	}
	put("7814037168", "size")
	put("3B2QGXA7", "device/firmware_rev")
	put("S7 = ; 1 ", "device/serial")
	put("[none] mq-deadline kyber", "queue/scheduler")
	f := Fio{Version: "3.33", Engine: EngineURing}
	target := Target{SizeBytes: 1 << 30, Device: blockdev.Device{
		Name: "nvme0n1", MajMin: "259:0", Model: "Some Disk", FSType: "ext4", Disks: []blockdev.Node{{Name: "nvme0n1"}},
	}}
	print := func() string { return fingerprint(sys, f, target, 128<<10) }
	first := print()
	require.Equal(t, "device=nvme0n1; maj_min=259:0; disks=nvme0n1; model=Some Disk; serial=S7 1; firmware=3B2QGXA7; "+
		"sectors=7814037168; scheduler=none; file_system=ext4; fio=3.33; engine=io_uring; target_bytes=1073741824; block_bytes=131072", first)
	require.Equal(t, first, print())

	cal := Calibration{Schema: calibrationSchema, Fingerprint: first, At: time.Unix(1e9, 0)}
	now := cal.At.Add(time.Hour)
	require.NoError(t, cal.Fresh(first, now, 0))
	for _, row := range []struct {
		why    string
		change func()
		says   string
	}{
		{"new firmware", func() { put("3B2QGXA8", "device/firmware_rev") }, `firmware was "3B2QGXA7" and is "3B2QGXA8"`},
		{"other fio", func() { f.Version = "3.36" }, `fio was "3.33" and is "3.36"`},
		{"other engine", func() { f.Engine = EnginePsync }, `engine was "io_uring" and is "psync"`},
		{"other device", func() { target.Device.MajMin = "259:4" }, `maj_min was "259:0" and is "259:4"`},
		{"other target", func() { target.SizeBytes++ }, "target_bytes"},
		{"other scheduler", func() { put("none [mq-deadline]", "queue/scheduler") }, `scheduler was "none"`},
	} {
		row.change()
		err := cal.Fresh(print(), now, time.Hour)
		require.ErrorIs(t, err, ErrStale, row.why)
		require.ErrorContains(t, err, row.says, row.why)
	}
	require.NotPanics(t, func() { Fingerprint(Fio{}, Target{Memory: true}, 0) })
}

func TestFresh(t *testing.T) {
	cal := Calibration{Schema: calibrationSchema, Fingerprint: "a=1; b=2", At: time.Unix(1e9, 0)}
	for _, row := range []struct {
		why  string
		cal  func(*Calibration)
		of   string
		age  time.Duration
		ttl  time.Duration
		says string
	}{
		{"new", nil, "a=1; b=2", 0, 0, ""},
		{"a day is the default", nil, "a=1; b=2", 24 * time.Hour, 0, ""},
		{"a day and a second", nil, "a=1; b=2", 24*time.Hour + time.Second, 0, "24h0m1s old"},
		{"shorter by wish", nil, "a=1; b=2", 2 * time.Hour, time.Hour, "2h0m0s old, 1h0m0s"},
		{"from the future", nil, "a=1; b=2", -time.Minute, 0, "future"},
		{"a part is gone", nil, "a=1", 0, 0, `b was "2" and is ""`},
		{"a part is new", nil, "a=1; b=2; c=3", 0, 0, `c was "" and is "3"`},
		{"another schema", func(c *Calibration) { c.Schema = 99 }, "a=1; b=2", 0, 0, "schema 99"},
	} {
		c := cal
		if row.cal != nil {
			row.cal(&c)
		}
		err := c.Fresh(row.of, c.At.Add(row.age), row.ttl)
		if row.says == "" {
			require.NoError(t, err, row.why)
			continue
		}
		require.ErrorIs(t, err, ErrStale, row.why)
		require.ErrorContains(t, err, row.says, row.why)
		require.ErrorContains(t, err, "calibrate again", row.why)
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "calibration.json")
	_, err := LoadCalibration(path)
	require.ErrorIs(t, err, fs.ErrNotExist)

	cal, err := calibrate(t.Context(), modelled(QuickPlan()), disk())
	require.NoError(t, err)
	cal.Fingerprint, cal.At = "a=1", time.Unix(1e9, 5).UTC()
	require.NoError(t, cal.Save(path))
	got, err := LoadCalibration(path)
	require.NoError(t, err)
	require.Equal(t, cal, got)

	require.NoError(t, Calibration{Schema: calibrationSchema}.Save(path), "an older one is replaced")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing is left beside it")

	require.ErrorIs(t, cal.Save(filepath.Join(dir, "no/such/dir.json")), fs.ErrNotExist)
	blocked := filepath.Join(dir, "blocked")
	require.NoError(t, os.MkdirAll(filepath.Join(blocked, "x"), 0o755))
	require.Error(t, cal.Save(blocked), "a directory has the name")
	require.NoFileExists(t, blocked+partialSuffix)
	bad := cal
	bad.Max.AquSz = nan()
	require.Error(t, bad.Save(path))

	for why, text := range map[string]string{
		"cut off":       `{"schema": 1, "sw`,
		"not JSON":      "hello",
		"other schema":  `{"schema": 7}`,
		"another thing": `[]`,
		"empty":         "",
	} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		_, err := LoadCalibration(path)
		require.ErrorIs(t, err, ErrStale, why)
	}
}
