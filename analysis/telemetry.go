package analysis

import (
	"math"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/sysmon"
)

// reduce takes from a telemetry record what judges read; see Telemetry.
func reduce(t *sysmon.Table, window, idle loadgen.Window) Telemetry {
	from, to := window.Start, window.End
	c := t.Completeness(from, to)
	out := Telemetry{Completeness: 1}
	if c.Expected > 0 {
		out.Completeness = min(1, float64(c.Ticks)/float64(c.Expected))
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
	out.ReadAwaitMs = orNaN(float64(await)/1e6, ok)
	out.IOWaitPct = 100 * orNaN(t.CPUShare("iowait", from, to))
	out.CPUBusyCores = float64(t.Meta.CPUs) * (1 - orNaN(t.CPUShare("idle", from, to)) - orNaN(t.CPUShare("iowait", from, to)))
	out.ReadBytes = orNaN(t.ReadBytes(idle.Start, idle.End))
	page := float64(t.Meta.PageBytes)
	delta := func(col string) float64 { return orNaN(t.Delta(col, idle.Start, idle.End)) }
	out.RefaultBytes = page * (delta("raw_refault_file") + delta("raw_refault_anon"))
	out.SwapInBytes = page * delta("raw_pswpin")
	return out
}
