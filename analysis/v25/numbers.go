package v25

import (
	"fmt"
	"math"
	"slices"
)

const unknownFailures = "how many requests failed is not recorded, or its counts contradict themselves"

// take decides about every number of a run.
func (r *Run) take() {
	if r.Summary != nil {
		r.takeLatencies()
		r.takeThroughput()
	}
	r.takeCPU()
	r.takeStorage()
	if t := r.Telemetry; t != nil {
		r.put(numGPU, mean(t.Column(colGPU)), Trusted, "mean of one reading in about three seconds; says only that a kernel was resident")
		if free := present(t.Column(colFree)); len(free) > 0 {
			r.put(numFreeLeast, slices.Min(free), Trusted, "least of one reading in about three seconds")
		}
	} else if r.Summary != nil {
		r.put(numGPU, r.Summary.Avg["gpu_util_pct"], Converted, "as the earlier harness averaged it; the telemetry is gone")
	}
}

// put keeps a number; one that is absent is withheld as not recorded, unless
// how says why.
func (r *Run) put(name string, v float64, t Trust, how string) {
	switch {
	case t == Withheld:
		v = absent()
	case math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
		v, t, how = absent(), Withheld, "not recorded"
	}
	r.numbers[name] = Number{v, t, how}
}

// orWithheld is Converted for a number that is there.
func orWithheld(v float64) Trust {
	if math.IsNaN(v) {
		return Withheld
	}
	return Converted
}

// takeLatencies takes percentiles that have the requests that they need; those
// of the first bytes only where no request failed, because failed ones are in
// them.
func (r *Run) takeLatencies() {
	s, good := r.Summary, r.Good()
	failed := r.Failed()
	for _, q := range []string{"p50", "p90", "p95", "p99"} {
		few := fmt.Sprintf("%d successes, %s needs %d", good, q, leastFor(q))
		switch v := finite(s.Latency[q]); {
		case math.IsNaN(v):
			r.put(latency+q, absent(), Withheld, "not recorded")
		case good < leastFor(q):
			r.put(latency+q, absent(), Withheld, few)
		default:
			r.put(latency+q, v, Trusted, "from dispatch, successes only, closed loop, start included")
		}
		if q == "p90" {
			continue
		}
		switch v := finite(s.FirstChunk[q]); {
		case math.IsNaN(v):
			r.put(firstByte+q, absent(), Withheld, "not recorded")
		case math.IsNaN(failed):
			r.put(firstByte+q, absent(), Withheld, unknownFailures)
		case failed > 0:
			r.put(firstByte+q, absent(), Withheld, fmt.Sprintf("%.0f failed requests are in it", failed))
		case good < leastFor(q):
			r.put(firstByte+q, absent(), Withheld, few)
		default:
			r.put(firstByte+q, v, Converted, "time to first body byte: no request failed; at most the time to first token")
		}
	}
	const covers = "resamples requests of one run as if independent: covers about 57 %"
	r.put(latency+"p99_ci_low", absent(), Withheld, covers)
	r.put(latency+"p99_ci_high", absent(), Withheld, covers)
}

// takeThroughput takes off each user's last request: without think time exactly
// one of each user's ends after the deadline.
func (r *Run) takeThroughput() {
	good, users, sec := float64(r.Good()), float64(r.Manifest.Users), r.Duration().Seconds()
	switch {
	case !(sec > 0) || !(users > 0):
		r.put(numThroughput, absent(), Withheld, "duration or users not recorded")
	case math.IsNaN(r.Failed()):
		r.put(numThroughput, absent(), Withheld, unknownFailures)
	case r.Failed() > 0:
		r.put(numThroughput, absent(), Withheld, fmt.Sprintf("between %.4g and %.4g: requests failed, and which were the last is unknown", max(good-users, 0)/sec, good/sec))
	case good <= users:
		r.put(numThroughput, absent(), Withheld, "no request ended inside the window")
	default:
		r.put(numThroughput, (good-users)/sec, Converted, "(successes − users) ÷ duration: each user's last request ends after it")
	}
}

// takeCPU takes iowait from mpstat, which ran all the time, else from vmstat.
func (r *Run) takeCPU() {
	if m := r.Mpstat; m != nil && r.Hypothesis != "H5" {
		how := fmt.Sprintf("mean of %d seconds of mpstat", len(m.IOWait))
		r.put(numIOWait, mean(m.IOWait), Trusted, how)
		r.put(numCPUBusy, mean(m.Busy), Trusted, how)
		return
	}
	if m := r.Mpstat; m != nil {
		r.put(numCPUBusy, absent(), Withheld, "mpstat ran before the load")
	}
	if t := r.Telemetry; t != nil && len(present(t.Column(colWait))) > 0 {
		r.put(numIOWait, mean(t.Column(colWait)), Converted, "mean of vmstat, whole percents, one second in about three")
		return
	}
	if r.Summary != nil {
		r.put(numIOWait, r.Summary.Avg["io_wait_pct"], Converted, "as the earlier harness averaged vmstat; the logs are gone")
	}
}

// takeStorage takes what iostat's columns and SMART tell of the disk.
func (r *Run) takeStorage() {
	const smart = "SMART after less before: the whole disk, whoever read"
	r.put(numReadBytes, r.Delta.ReadBytes, Converted, "Data Units × 512,000; "+smart)
	r.put(numWritten, r.Delta.WrittenBytes, Converted, "Data Units × 512,000; "+smart)
	r.put(numHostReads, r.Delta.HostReads, Trusted, smart)
	io := IO{ReadAwaitMillis: absent(), ReadsPerSec: absent(), AquSz: absent()}
	io.AwaitHow, io.ReadsHow, io.AquHow = "no telemetry", "no telemetry", "no telemetry"
	if r.Telemetry != nil {
		io = readIO(r.Telemetry, r.Layout)
	}
	r.put(numReadAwait, io.ReadAwaitMillis, orWithheld(io.ReadAwaitMillis), io.AwaitHow)
	r.put(numQueue, io.AquSz, orWithheld(io.AquSz), io.AquHow)
	r.takeRates(io)
}

// takeRates divides SMART's counts by the time between its two logs, if that is
// the load's: H5's script waits five minutes between the first log and the load.
func (r *Run) takeRates(io IO) {
	const by = "SMART over the time between the two logs"
	sec, load := r.Delta.Seconds, r.Duration().Seconds()
	switch {
	case math.IsNaN(r.Delta.HostReads) || math.IsNaN(sec):
		r.put(numStorageRPS, io.ReadsPerSec, orWithheld(io.ReadsPerSec), io.ReadsHow)
	case load > 0 && sec > 1.5*load:
		how := fmt.Sprintf("SMART's logs are %.0f s apart, the load took %.0f s", sec, load)
		r.put(numReadMBps, absent(), Withheld, how)
		r.put(numStorageRPS, io.ReadsPerSec, orWithheld(io.ReadsPerSec), how+"; iostat: "+io.ReadsHow)
	default:
		r.put(numReadMBps, r.Delta.ReadBytes/1e6/sec, Converted, by)
		r.put(numStorageRPS, r.Delta.HostReads/sec, Converted, by)
	}
}

// backfilled is the earlier harness's avg block with right values: null where a
// number is withheld.
func (r *Run) backfilled() map[string]*float64 {
	avg := map[string]*float64{}
	for short, name := range map[string]string{
		"io_wait_pct": numIOWait, "qu_sz": numQueue, "gpu_util_pct": numGPU,
		"r_await_ms": numReadAwait, "rps_storage": numStorageRPS, "rps": numThroughput,
	} {
		avg[short] = nil
		if n := r.Number(name); n.Trust != Withheld {
			avg[short] = &n.Value
		}
	}
	return avg
}
