package analysis

import (
	"math"
	"time"

	"github.com/spark-harness/harness/sysmon"
)

// Counter is one column of telemetry that may tell of memory or storage
// pressure, as H3 and H8 hold it against latency.
type Counter int

// The counters. The first CounterSignals of them are H3's candidates: paging
// and memory. The others describe the disk and the CPU.
const (
	CounterMemAvailable Counter = iota
	CounterCached
	CounterSwapCached
	CounterPageIn
	CounterPageOut
	CounterSwapIn
	CounterSwapOut
	CounterMajorFaults
	CounterRefaults
	CounterPSIMem
	CounterKVTier
	CounterPSIIO
	CounterIOWaitCores
	CounterBusyCores
	CounterReadAwait
	CounterAquSz
	CounterRead

	counterCount
)

// CounterSignals is how many counters, from the first, are H3's candidates.
const CounterSignals = int(CounterKVTier) + 1

// CounterInfo is what a counter is called and measured in.
type CounterInfo struct {
	Name string // the field's own term: "MemAvailable", "pgmajfault"
	Unit string
	// Falls says that pressure shows as a fall, not as a rise.
	Falls bool
}

var counterInfos = [counterCount]CounterInfo{
	CounterMemAvailable: {"MemAvailable", "GiB", true},
	CounterCached:       {"Cached", "GiB", true},
	CounterSwapCached:   {"SwapCached", "GiB", false},
	CounterPageIn:       {"pgpgin", "MiB/s", false},
	CounterPageOut:      {"pgpgout", "MiB/s", false},
	CounterSwapIn:       {"pswpin", "pages/s", false},
	CounterSwapOut:      {"pswpout", "pages/s", false},
	CounterMajorFaults:  {"pgmajfault", "1/s", false},
	CounterRefaults:     {"workingset refaults", "pages/s", false},
	CounterPSIMem:       {"memory PSI some", "% of time", false},
	CounterKVTier:       {"KV tier reads", "MB/s", false},
	CounterPSIIO:        {"io PSI some", "% of time", false},
	CounterIOWaitCores:  {"iowait", "cores", false},
	CounterBusyCores:    {"CPU busy", "cores", false},
	CounterReadAwait:    {"r_await", "ms", false},
	CounterAquSz:        {"aqu-sz", "requests", false},
	CounterRead:         {"device reads", "MB/s", false},
}

// Info names the counter.
func (c Counter) Info() CounterInfo { return counterInfos[c] }

// Counters is every counter over one stretch of time: mean levels and rates.
// NaN is absent, never 0.
type Counters [counterCount]float64

// noCounters is all absent.
func noCounters() Counters {
	var c Counters
	for i := range c {
		c[i] = math.NaN()
	}
	return c
}

// countersOf reads the counters of [from, to) from telemetry, and what the
// server says it read back from its own.
func countersOf(t *sysmon.Table, served serverReads, from, to time.Duration) Counters {
	out := noCounters()
	set := func(c Counter, scale float64) func(v float64, ok bool) {
		return func(v float64, ok bool) {
			if ok {
				out[c] = v * scale
			}
		}
	}
	const kibToGiB, kibToMiB = 1.0 / (1 << 20), 1.0 / (1 << 10)
	set(CounterMemAvailable, kibToGiB)(t.Level("mem_available_kB", from, to))
	set(CounterCached, kibToGiB)(t.Level("mem_cached_kB", from, to))
	set(CounterSwapCached, kibToGiB)(t.Level("mem_swapcached_kB", from, to))
	set(CounterPageIn, kibToMiB)(t.Rate("raw_pgpgin_kB", from, to))
	set(CounterPageOut, kibToMiB)(t.Rate("raw_pgpgout_kB", from, to))
	set(CounterSwapIn, 1)(t.Rate("raw_pswpin", from, to))
	set(CounterSwapOut, 1)(t.Rate("raw_pswpout", from, to))
	set(CounterMajorFaults, 1)(t.Rate("raw_pgmajfault", from, to))
	file, okFile := t.Rate("raw_refault_file", from, to)
	anon, okAnon := t.Rate("raw_refault_anon", from, to)
	set(CounterRefaults, 1)(file+anon, okFile && okAnon)
	percent := func(v float64, ok bool) (float64, bool) { return 100 * v, ok }
	set(CounterPSIMem, 1)(percent(t.Pressure("mem", "some", from, to)))
	set(CounterPSIIO, 1)(percent(t.Pressure("io", "some", from, to)))
	out[CounterKVTier] = served.mbPerSec(from, to)
	set(CounterIOWaitCores, 1)(t.IOWaitCores(from, to))
	idle, okIdle := t.CPUShare("idle", from, to)
	wait, okWait := t.CPUShare("iowait", from, to)
	set(CounterBusyCores, float64(t.Meta.CPUs))(1-idle-wait, okIdle && okWait)
	await, okAwait := t.RAwait(from, to)
	ios, _ := t.ReadIOs(from, to)
	set(CounterReadAwait, 1e-6)(float64(await), okAwait && ios >= minAwaitIOs)
	set(CounterAquSz, 1)(t.AquSz(from, to))
	bytes, okBytes := t.ReadBytes(from, to)
	set(CounterRead, 1e-6/(to-from).Seconds())(bytes, okBytes)
	return out
}
