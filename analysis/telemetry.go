package analysis

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// minAwaitIOs is how many I/Os a mean wait needs: the kernel counts waits in
// whole milliseconds, longer than most of them.
const minAwaitIOs = 20

// serverReads is what the server says it read back from a disk, as it was
// scraped beside the load, ascending in time. Empty where it does not say.
type serverReads []serverRead

type serverRead struct {
	t     time.Duration
	bytes float64 // since the server's start
}

func readServerReads(points iter.Seq2[spark.Point, error]) (serverReads, error) {
	var out serverReads
	for p, err := range points {
		if err != nil {
			return nil, err
		}
		if p.Error == "" && p.Counters.DiskInBytes != nil {
			out = append(out, serverRead{p.T, *p.Counters.DiskInBytes})
		}
	}
	return out, nil
}

// mbPerSec is the mean rate of [from, to) in MB/s: NaN where the server does not
// say, or was not asked often enough. Between two readings the counter is taken
// to grow evenly.
func (s serverReads) mbPerSec(from, to time.Duration) float64 {
	return (s.at(to) - s.at(from)) / 1e6 / (to - from).Seconds()
}

// at is the counter at one instant, NaN outside the readings.
func (s serverReads) at(t time.Duration) float64 {
	i, _ := slices.BinarySearchFunc(s, t, func(r serverRead, t time.Duration) int { return cmp.Compare(r.t, t+1) })
	if i == 0 || i == len(s) { // the first reading after t
		return math.NaN()
	}
	before, after := s[i-1], s[i]
	share := float64(t-before.t) / float64(after.t-before.t)
	return before.bytes*(1-share) + after.bytes*share
}

// reduce takes from a telemetry record what judges read; see Telemetry.
func reduce(t *sysmon.Table, window, idle loadgen.Window) Telemetry {
	from, to := window.Start, window.End
	c := t.Completeness(from, to)
	out := Telemetry{Completeness: 1}
	if c.Expected > 0 {
		out.Completeness = min(1, float64(c.Ticks)/float64(c.Expected))
		out.MissingTicks = int(max(0, c.Expected-c.Ticks))
	}
	orNaN := func(v float64, ok bool) float64 {
		if !ok {
			return math.NaN()
		}
		return v
	}
	perSec := 1 / (1e6 * window.Length().Seconds())
	out.ReadMBPerSec = orNaN(t.ReadBytes(from, to)) * perSec
	out.WriteMBPerSec = orNaN(t.WriteBytes(from, to)) * perSec
	out.AquSz = orNaN(t.AquSz(from, to))
	await, ok := t.RAwait(from, to)
	ios, _ := t.ReadIOs(from, to)
	out.ReadAwaitMs = orNaN(float64(await)/1e6, ok && ios >= minAwaitIOs)
	out.IOWaitPct = 100 * orNaN(t.CPUShare("iowait", from, to))
	out.CPUBusyCores = float64(t.Meta.CPUs) * (1 - orNaN(t.CPUShare("idle", from, to)) - orNaN(t.CPUShare("iowait", from, to)))
	out.ReadBytes = orNaN(t.ReadBytes(idle.Start, idle.End))
	page := float64(t.Meta.PageBytes)
	delta := func(col string) float64 { return orNaN(t.Delta(col, idle.Start, idle.End)) }
	out.RefaultBytes = page * (delta("raw_refault_file") + delta("raw_refault_anon"))
	out.SwapInBytes = page * delta("raw_pswpin")
	return out
}
