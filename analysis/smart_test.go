package analysis

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/smart"
	"github.com/spark-harness/harness/sysmon"
)

// snapshotAt is a disk that has read so many units and commands.
func snapshotAt(units, reads, sectors uint64) smart.Snapshot {
	return smart.Snapshot{
		Device: "nvme0n1", Source: smart.SourceIoctl, SerialHash: "a",
		Log:    &smart.Log{UnitsRead: &smart.Counter{Lo: units}, HostReads: &smart.Counter{Lo: reads}, MediaErrors: &smart.Counter{Lo: 1}},
		Block:  &smart.Block{Reads: reads, SectorsRead: sectors, Writes: 1, SectorsWritten: 8},
		Paged:  &smart.Paged{InKiB: sectors / 2},
		Limits: smart.Limits{LogicalBlock: new(int64(512)), MaxRequest: new(int64(1 << 20)), MaxCommand: new(int64(128 << 10))},
	}
}

func TestSmartDeltaArithmetic(t *testing.T) {
	pre, post := snapshotAt(100, 1000, 8000), snapshotAt(110, 1040, 8000+10*1000-4)
	d := NewSmartDelta(pre, post)
	require.True(t, d.Logged())
	require.Equal(t, smart.SourceIoctl, d.Source)
	require.InDelta(t, 5_120_000, d.ReadBytes, 0, "ten units of 1000 x 512 B: 5.12 MB, not 5,120 B and not GiB")
	require.InDelta(t, 40, d.Reads, 0)
	require.InDelta(t, (10*1000-4)*512, d.BlockReadBytes, 0)
	bytes, limit := d.Residual()
	require.InDelta(t, 4*512, bytes, 0)
	require.InDelta(t, 1_024_000, limit, 0, "two units")
	require.InDelta(t, 40, d.Splits(), 0, "5.1 MB in commands of 128 KiB")
	require.True(t, math.IsNaN(d.Writes), "the log did not tell")
	require.InDelta(t, 0, d.MediaErrors, 0)
	reads, host := d.Host()
	require.InDelta(t, 40, reads, 0)
	require.InDelta(t, 5_120_000, host, 0)

	_, limit = NewSmartDelta(pre, snapshotAt(1100, 2000, 8000+1_000_000)).Residual()
	require.InDelta(t, 5_120_000, limit, 1, "1 % of 512 MB")

	post.Limits.MaxCommand = nil
	require.Zero(t, NewSmartDelta(pre, post).Splits(), "no limit of its own: nothing to split")
}

func TestSmartDeltaFallsBackAndSaysWhy(t *testing.T) {
	for _, row := range []struct {
		why  string
		edit func(pre, post *smart.Snapshot)
		says string
	}{
		{"one edge has no log", func(_, post *smart.Snapshot) {
			post.Log, post.Source, post.Tried = nil, smart.SourceDiskstats, []smart.Attempt{{Source: smart.SourceIoctl, Reason: "needs root"}}
		}, "needs root"},
		{"edges of two sources", func(pre, _ *smart.Snapshot) { pre.Source = smart.SourceSmartctl }, "one edge was read by smartctl"},
		{"a counter that fell", func(pre, _ *smart.Snapshot) { pre.Log.UnitsRead.Lo = 1 << 40 }, "fell"},
		{"commands that fell", func(pre, _ *smart.Snapshot) { pre.Log.HostReads.Hi = 1 }, "fell"},
	} {
		pre, post := snapshotAt(100, 1000, 8000), snapshotAt(110, 1040, 18000)
		row.edit(&pre, &post)
		d := NewSmartDelta(pre, post)
		require.False(t, d.Logged(), row.why)
		require.Equal(t, smart.SourceDiskstats, d.Source, row.why)
		require.Contains(t, d.Why, row.says)
		reads, bytes := d.Host()
		require.InDelta(t, 40, reads, 0)
		require.InDelta(t, 5_120_000, bytes, 0, "diskstats stands in")
		residual, _ := d.Residual()
		require.InDelta(t, 0, residual, 0, "against pgpgin")
	}
	pre, post := snapshotAt(100, 1000, 8000), snapshotAt(110, 1040, 18000)
	pre.Paged = nil
	require.True(t, math.IsNaN(NewSmartDelta(pre, post).PagedInBytes), "absent, not 0")
	pre.Block.Reads = 1 << 40
	require.True(t, math.IsNaN(NewSmartDelta(pre, post).BlockReads))
}

// A run from before snapshots were taken has telemetry, which stands in by name.
func TestReadSmartOfARecordedArm(t *testing.T) {
	arms, err := filepath.Glob("../hypotheses/testdata/runs/H1/*/raw/*cold*")
	require.NoError(t, err)
	require.NotEmpty(t, arms)
	var arm Arm
	require.NoError(t, readJSON(filepath.Join(arms[0], "arm.json"), &arm))
	table, err := sysmon.ReadTable(filepath.Join(arms[0], "telemetry.csv.zst"))
	require.NoError(t, err)
	d, err := readSmart(arms[0], table, arm.Idle)
	require.NoError(t, err)
	require.Equal(t, SmartTelemetry, d.Source)
	require.InDelta(t, *arm.Server.AdapterInBytes, d.BlockReadBytes, 0.001**arm.Server.AdapterInBytes, "what the server says it read")
	residual, limit := d.Residual()
	require.LessOrEqual(t, math.Abs(residual), limit, "the kernel's two counts agree")

	dir := t.TempDir()
	put := func(name string, s smart.Snapshot) {
		b, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	for _, row := range []struct {
		why       string
		pre, post smart.Snapshot
		source    string
	}{
		{"both edges", snapshotAt(1, 1, 8), snapshotAt(2, 2, 16), smart.SourceIoctl},
		{"an edge that could not be read", snapshotAt(1, 1, 8), smart.Snapshot{Absent: "gone"}, SmartTelemetry},
		{"another disk of the same name", snapshotAt(1, 1, 8), func() smart.Snapshot { s := snapshotAt(2, 2, 16); s.SerialHash = "b"; return s }(), SmartTelemetry},
	} {
		put(SmartBefore, row.pre)
		put(SmartAfter, row.post)
		d, err := readSmart(dir, table, arm.Idle)
		require.NoError(t, err)
		require.Equal(t, row.source, d.Source, row.why)
		require.Equal(t, row.source == SmartTelemetry, d.Why != "", row.why)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, SmartAfter), []byte(`{"log":`), 0o644))
	_, err = readSmart(dir, table, arm.Idle)
	require.Error(t, err, "a damaged file is not an absent one")
	require.NoError(t, os.Remove(filepath.Join(dir, SmartAfter)))
	d, err = readSmart(dir, &sysmon.Table{}, arm.Idle)
	require.NoError(t, err)
	require.Nil(t, d, "nobody saw the disk")
}
