package analysis

import (
	"math"
	"path/filepath"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark/smart"
	"github.com/spark-harness/harness/sysmon"
)

// Files in which an arm keeps what its disk had counted at the two idle edges.
const (
	SmartBefore = "smart-pre.json"
	SmartAfter  = "smart-post.json"
)

// SmartTelemetry is the source of a delta without snapshots, of runs from before
// they were taken: the telemetry's block-layer counters between the idle edges.
const SmartTelemetry = "diskstats from telemetry"

// Limits within which what an arm's disk counted must agree with what the kernel
// counted of it.
const (
	smartShare = 0.01 // of the bytes read
	// Two Data Units: both readings of the log round up, by less than one each.
	smartUnits = 2 * smart.UnitBytes
)

// SmartDelta is what a disk and the kernel counted over one arm, idle edge to
// idle edge. NaN is absent.
type SmartDelta struct {
	// Source is smart.SourceIoctl, SourceSmartctl or SourceNVMeCLI where the disk's
	// log was read at both edges; else smart.SourceDiskstats or SmartTelemetry, and
	// Why says why there is no log.
	Source, Why string
	Device      string // "" where only telemetry knows

	// By the disk's log: commands, and bytes to the Data Unit.
	Reads, ReadBytes, Writes, WriteBytes float64
	// By the block layer, of the same disk: requests after splits and merges.
	BlockReads, BlockReadBytes, BlockWrites, BlockWriteBytes float64
	// PagedInBytes is the kernel's second count of reads, of all disks (pgpgin).
	PagedInBytes float64
	// What bounds a request, and a command, in bytes.
	LogicalBlock, MaxRequest, MaxCommand float64

	MediaErrors, UnsafeShutdowns, HotMinutes float64 // by the log
}

// Logged says that the disk's own log was read.
func (d *SmartDelta) Logged() bool { return !math.IsNaN(d.ReadBytes) }

// Host is how many reads the host made of the disk, and their bytes: by the log,
// else by its stand-in.
func (d *SmartDelta) Host() (reads, bytes float64) {
	if d.Logged() {
		return d.Reads, d.ReadBytes
	}
	return d.BlockReads, d.BlockReadBytes
}

// Residual is what the second count has beyond the block layer's, in bytes: the
// disk's log, else pgpgin. limit is how much that may be either way.
func (d *SmartDelta) Residual() (bytes, limit float64) {
	second := d.ReadBytes
	if !d.Logged() {
		second = d.PagedInBytes
	}
	return second - d.BlockReadBytes, math.Max(smartShare*d.BlockReadBytes, smartUnits)
}

// Splits is how many more commands than block-layer reads the device's own limit
// on a command can account for.
func (d *SmartDelta) Splits() float64 {
	if math.IsNaN(d.MaxCommand) || d.MaxCommand >= d.MaxRequest {
		return 0 // the block layer has cut as small already
	}
	return math.Ceil(d.BlockReadBytes / d.MaxCommand)
}

// readSmart reads an arm's two snapshots. Without them, or where one is only a
// reason, telemetry stands in; nil where that saw no disk either.
func readSmart(dir string, t *sysmon.Table, idle loadgen.Window) (*SmartDelta, error) {
	pre, err := readOptional[smart.Snapshot](filepath.Join(dir, SmartBefore))
	if err != nil {
		return nil, err
	}
	post, err := readOptional[smart.Snapshot](filepath.Join(dir, SmartAfter))
	if err != nil {
		return nil, err
	}
	switch {
	case pre == nil || post == nil:
		return smartOfTelemetry(t, idle, "the run has no snapshots"), nil
	case pre.Block == nil || post.Block == nil:
		why := pre.Absent
		if why == "" {
			why = post.Absent
		}
		return smartOfTelemetry(t, idle, why), nil
	case pre.Device != post.Device || pre.SerialHash != post.SerialHash:
		return smartOfTelemetry(t, idle, "the disk changed under the arm"), nil
	}
	return NewSmartDelta(*pre, *post), nil
}

// NewSmartDelta is what grew between two snapshots of one disk, whose block-layer
// counters are both there.
func NewSmartDelta(pre, post smart.Snapshot) *SmartDelta {
	d := noSmart(smart.SourceDiskstats, post.Why())
	d.Device = post.Device
	if pre.Why() != "" {
		d.Why = pre.Why()
	}
	grown := func(before, after uint64, unit float64) float64 {
		if after < before {
			return math.NaN()
		}
		return float64(after-before) * unit
	}
	d.BlockReads = grown(pre.Block.Reads, post.Block.Reads, 1)
	d.BlockReadBytes = grown(pre.Block.SectorsRead, post.Block.SectorsRead, smart.SectorBytes)
	d.BlockWrites = grown(pre.Block.Writes, post.Block.Writes, 1)
	d.BlockWriteBytes = grown(pre.Block.SectorsWritten, post.Block.SectorsWritten, smart.SectorBytes)
	if pre.Paged != nil && post.Paged != nil {
		d.PagedInBytes = grown(pre.Paged.InKiB, post.Paged.InKiB, 1024)
	}
	d.LogicalBlock, d.MaxRequest, d.MaxCommand = orNaN(post.Limits.LogicalBlock), orNaN(post.Limits.MaxRequest), orNaN(post.Limits.MaxCommand)
	switch {
	case pre.Log == nil || post.Log == nil:
	case pre.Source != post.Source:
		d.Why = "one edge was read by " + pre.Source + ", the other by " + post.Source
	default:
		if d.logged(pre.Log, post.Log); !d.Logged() || math.IsNaN(d.Reads) {
			d.Reads, d.ReadBytes, d.Why = math.NaN(), math.NaN(), "a counter of the log fell: it is not one disk's"
			break
		}
		d.Source, d.Why = post.Source, ""
	}
	return d
}

// logged fills in what the log counted.
func (d *SmartDelta) logged(pre, post *smart.Log) {
	grown := func(before, after *smart.Counter, unit float64) float64 {
		if before == nil || after == nil {
			return math.NaN()
		}
		growth, ok := after.Since(*before)
		if !ok {
			return math.NaN()
		}
		return growth * unit
	}
	d.Reads, d.Writes = grown(pre.HostReads, post.HostReads, 1), grown(pre.HostWrites, post.HostWrites, 1)
	d.ReadBytes, d.WriteBytes = grown(pre.UnitsRead, post.UnitsRead, smart.UnitBytes), grown(pre.UnitsWritten, post.UnitsWritten, smart.UnitBytes)
	d.MediaErrors, d.UnsafeShutdowns = grown(pre.MediaErrors, post.MediaErrors, 1), grown(pre.UnsafeOffs, post.UnsafeOffs, 1)
	d.HotMinutes = orNaN(post.WarmMinutes) - orNaN(pre.WarmMinutes) + orNaN(post.HotMinutes) - orNaN(pre.HotMinutes)
}

// smartOfTelemetry is the stand-in of a run without snapshots.
func smartOfTelemetry(t *sysmon.Table, idle loadgen.Window, why string) *SmartDelta {
	d := noSmart(SmartTelemetry, why)
	set := func(to *float64, col string, unit float64) {
		if v, ok := t.Delta(col, idle.Start, idle.End); ok {
			*to = v * unit
		}
	}
	set(&d.BlockReads, "raw_rd_ios", 1)
	set(&d.BlockReadBytes, "raw_rd_sectors", smart.SectorBytes)
	set(&d.BlockWrites, "raw_wr_ios", 1)
	set(&d.BlockWriteBytes, "raw_wr_sectors", smart.SectorBytes)
	set(&d.PagedInBytes, "raw_pgpgin_kB", 1024)
	if math.IsNaN(d.BlockReadBytes) {
		return nil
	}
	return d
}

// noSmart is all absent.
func noSmart(source, why string) *SmartDelta {
	nan := math.NaN()
	return &SmartDelta{
		Source: source, Why: why,
		Reads: nan, ReadBytes: nan, Writes: nan, WriteBytes: nan,
		BlockReads: nan, BlockReadBytes: nan, BlockWrites: nan, BlockWriteBytes: nan, PagedInBytes: nan,
		LogicalBlock: nan, MaxRequest: nan, MaxCommand: nan, MediaErrors: nan, UnsafeShutdowns: nan, HotMinutes: nan,
	}
}

func orNaN(p *int64) float64 {
	if p == nil {
		return math.NaN()
	}
	return float64(*p)
}
