package fioctl

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const lines = "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n" +
	" 254       0 vda 117992 211608 158402626 76316 25646 56325 34324640 20660 0 58440 98573 5871 0 11400960 1518 1617 78\n" +
	" 254       1 vda1 5 0 40 1 0 0 0 0 0 1 1 0 0 0 0\n"

func TestReadDeviceCounters(t *testing.T) {
	root := t.TempDir()
	_, err := ReadDeviceCounters(root, "vda")
	require.ErrorIs(t, err, ErrNoCounters)
	require.NoError(t, os.WriteFile(filepath.Join(root, "diskstats"), []byte(lines), 0o644))

	c, err := ReadDeviceCounters(root, "vda")
	require.NoError(t, err)
	require.Positive(t, c.T)
	c.T = 0
	require.Equal(t, DeviceCounters{
		ReadIOs: 117992, ReadSectors: 158402626, ReadTicksMs: 76316,
		WriteIOs: 25646, WriteSectors: 34324640, IOTicksMs: 58440, WeightedMs: 98573,
	}, c)
	_, err = ReadDeviceCounters(root, "nvme0n1")
	require.ErrorIs(t, err, ErrNoCounters)
	require.ErrorContains(t, err, `"nvme0n1"`)
}

func TestParseDiskstats(t *testing.T) {
	for _, row := range []struct {
		why, text string
		ok        bool
	}{
		{"11 fields of before 4.18", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11", true},
		{"15 fields of 4.18", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 0 0 0 0", true},
		{"more fields than are known", "8 0 sda 1 2 3 4 5 6 7 8 9 10 11 0 0 0 0 0 0 0 0 0", true},
		{"a partition's name begins like the disk's", "8 1 sda1 1 2 3 4 5 6 7 8 9 10 11", false},
		{"too few fields", "8 0 sda 1 2 3 4", false},
		{"not a number", "8 0 sda 1 2 x 4 5 6 7 8 9 10 11", false},
		{"negative", "8 0 sda 1 2 -3 4 5 6 7 8 9 10 11", false},
		{"empty", "", false},
	} {
		c, err := parseDiskstats([]byte(row.text), "sda")
		if !row.ok {
			require.ErrorIs(t, err, ErrNoCounters, row.why)
			continue
		}
		require.NoError(t, err, row.why)
		require.Equal(t, DeviceCounters{ReadIOs: 1, ReadSectors: 3, ReadTicksMs: 4, WriteIOs: 5, WriteSectors: 7, IOTicksMs: 10, WeightedMs: 11}, c, row.why)
	}
}

func FuzzParseDiskstats(f *testing.F) {
	f.Add([]byte(lines), "vda")
	f.Fuzz(func(t *testing.T, text []byte, device string) {
		c, err := parseDiskstats(text, device)
		if err != nil {
			require.ErrorIs(t, err, ErrNoCounters)
			require.Zero(t, c)
		}
	})
}

func TestActivity(t *testing.T) {
	a := DeviceCounters{T: time.Second, ReadIOs: 10, ReadSectors: 100, ReadTicksMs: 4294967290, WriteIOs: 1, WriteSectors: 8, IOTicksMs: 4294967295, WeightedMs: 4294967000}
	b := DeviceCounters{T: 3 * time.Second, ReadIOs: 110, ReadSectors: 25700, ReadTicksMs: 494, WriteIOs: 2, WriteSectors: 16, IOTicksMs: 999, WeightedMs: 704}
	got := b.Since(a)
	require.Equal(t, DeviceActivity{
		Elapsed: 2 * time.Second, ReadBytes: 25600 * 512, ReadIOs: 100, WriteBytes: 8 * 512, WriteIOs: 1,
		RAwait: 5 * ms, AquSz: 0.5, UtilPct: 50,
	}, got, "the tick counters wrap at 32 bits")
	require.Zero(t, a.Since(b), "backwards in time")
	c := b
	c.T, c.ReadIOs = 4*time.Second, 0
	require.Zero(t, c.Since(b), "the device was replaced")
	require.Zero(t, DeviceCounters{T: 2}.Since(DeviceCounters{T: 1}).RAwait, "no reads, no wait")
}
