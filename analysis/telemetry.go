package analysis

import (
	"iter"
	"math"
	"time"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// minAwaitIOs is how many I/Os a mean wait needs: the kernel counts waits in
// whole milliseconds, longer than most of them.
const minAwaitIOs = 20

// serverReadRate is what the server says it read back from a disk in the
// window, in MB/s, from its counters as they were scraped beside the load: NaN
// where it does not say, or was not asked often enough. Between two readings
// the counter is taken to grow evenly.
func serverReadRate(points iter.Seq2[spark.Point, error], w loadgen.Window) (float64, error) {
	at := map[time.Duration]float64{w.Start: math.NaN(), w.End: math.NaN()}
	var before *spark.Point
	for p, err := range points {
		if err != nil {
			return math.NaN(), err
		}
		if p.Error != "" || p.Counters.DiskInBytes == nil {
			continue
		}
		for edge := range at {
			if before != nil && before.T <= edge && edge < p.T {
				share := float64(edge-before.T) / float64(p.T-before.T)
				at[edge] = *before.Counters.DiskInBytes*(1-share) + *p.Counters.DiskInBytes*share
			}
		}
		before = &p
	}
	return (at[w.End] - at[w.Start]) / 1e6 / w.Length().Seconds(), nil
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
