package fioctl

import (
	"math"
	"time"
)

// Window is what was seen of one measured window, from its own evidence and
// from others'. NaN is absent.
type Window struct {
	Level Level
	Idle  Victim // the probe's calibration without load
	Start time.Duration
	End   time.Duration
	Run   *Run   // nil without load
	Seen  Victim // the probe in [Start, End)
	// Bytes read over the whole load, from before fio's start to after its end:
	// by the device, and by everybody else who counts (server, probe).
	DeviceBytes float64
	OtherBytes  float64
	AquSz       float64 // of the device in the window
	// Null is a load whose target is off the watched device: the device must
	// not have seen it.
	Null bool
	// Unloaded is the probe in a window with the same server load and no fio,
	// which a null load is compared with; without reads, Idle stands in.
	Unloaded Victim
}

// Verification says whether the window had the contention it was meant to have.
type Verification struct {
	OK     bool    `json:"ok"`
	Checks []Check `json:"checks"`
}

// Check is one condition of a verification. A name that ends in "_min" holds
// when its value is at least the limit, one in "_max" when at most.
type Check struct {
	Name  string   `json:"name"`
	Value *float64 `json:"value,omitempty"` // nil: absent, which fails
	Limit float64  `json:"limit"`
	OK    bool     `json:"ok"`
}

// Names of the checks.
const (
	CheckLoads    = "fio_runs_min"        // records of fio: 1 under load
	CheckNoLoads  = "fio_runs_max"        // records of fio: 0 without load
	CheckFaults   = "fio_faults_max"      // faults on that record
	CheckCover    = "cover_min"           // share of the window in which I/O flowed
	CheckStall    = "stall_max"           // longest time in the window without progress, seconds
	CheckRate     = "rate_min"            // achieved rate over the level's
	CheckRateOver = "rate_max"            // the same from above: a rate that did not bind
	CheckFull     = "short_but_full_min"  // beside a short rate: device queue over the job's depth
	CheckQueue    = "queue_min"           // device queue over the job's depth
	CheckDepth    = "depth_share_min"     // share of I/Os that found the depth that was meant
	CheckMoved    = "fio_bytes_min"       // bytes that a null load read
	CheckBalance  = "balance_max"         // |everybody's bytes − device's| over the device's
	CheckReads    = "probe_reads_min"     // reads of the probe in the window
	CheckLift     = "probe_lift_min"      // probe's lift over the calibrated lift
	CheckNoLift   = "probe_null_lift_max" // the same of a null load
)

// Limits that are no one's choice. Below half of the calibrated lift contention
// is lost; a null load must stay below that half, so no window can pass as both.
const (
	rateShort   = 0.95
	rateOver    = 1.25 // above Poisson noise and catching up, below the next level
	halfQueue   = 0.5
	halfDepth   = 0.5
	halfLift    = 0.5
	balanceLost = 0.02
	// Below this many device bytes the balance is a share of this: 2 % of it,
	// 8 MiB, is what a host's own housekeeping may read.
	balanceLeast = 400 << 20
	readsLeast   = 20 // for a 0.95 quantile
	stallLongest = time.Second
	sigmas       = 3
)

// Verify judges one window. It is a pure function of the window.
//
// Under load, fio must have run without fault and without a pause from the
// window's first instant to its last; the device must have read what fio and
// the others together read; and the probe must have been lifted by at least
// half of what calibration saw, in logarithms. A level
// with a rate must reach it, or else have the device's queue filled to half the
// job's depth: a server that takes its part of the device may hold a rate back,
// a rate held back by anything else is lost contention. A level without a rate
// must fill that queue, and at least half its I/Os must have found the depth
// that was meant.
//
// Without load, nobody but the others may have read from the device. A null
// load must have run as well, the device must not have seen it, and the probe
// must not be lifted over Unloaded by half of what the level does to it.
func Verify(w Window) Verification {
	var v verifier
	loaded := w.Level.Job != nil
	switch {
	case !loaded:
		v.most(CheckNoLoads, present(w.Run), 0)
		v.most(CheckBalance, unaccounted(w, 0), balanceLost)
	case w.Null:
		v.ran(w)
		v.least(CheckMoved, readBytes(w.Run), 1)
		if w.Level.Job.RateIOPS > 0 { // memory is never too slow for it
			v.least(CheckRate, rateRatio(w), rateLimit(w))
		}
		v.most(CheckBalance, unaccounted(w, 0), balanceLost)
		v.least(CheckReads, float64(w.Seen.Reads), readsLeast)
		v.most(CheckNoLift, nullLift(w), halfLift)
	default:
		v.ran(w)
		v.contended(w)
		v.most(CheckBalance, unaccounted(w, readBytes(w.Run)), balanceLost)
		v.least(CheckReads, float64(w.Seen.Reads), readsLeast)
		v.least(CheckLift, lift(w.Idle, w.Seen, w), halfLift)
	}
	return v.done()
}

// ran checks that fio was at work through the whole window, at no more than its
// rate.
func (v *verifier) ran(w Window) {
	v.least(CheckLoads, present(w.Run), 1)
	faults, cover, stall, over := math.NaN(), math.NaN(), math.NaN(), math.NaN()
	if w.Run != nil {
		faults = 0
		if w.Run.Fault != "" {
			faults = 1
		}
		cover, stall, over = covered(w), stalled(w), rateRatio(w)
	}
	v.most(CheckFaults, faults, 0)
	v.least(CheckCover, cover, 1)
	v.most(CheckStall, stall, stallLimit(w).Seconds())
	if w.Level.Job.RateIOPS > 0 {
		v.most(CheckRateOver, over, max(rateOver, 1+rateNoise(w)))
	}
}

// contended checks the strength of the load: its rate or its depth.
func (v *verifier) contended(w Window) {
	job := w.Level.Job
	queue := w.AquSz / float64(job.Depth)
	if job.RateIOPS > 0 {
		limit, ratio := rateLimit(w), rateRatio(w)
		if ratio < limit && queue >= halfQueue {
			v.least(CheckFull, queue, halfQueue)
			return
		}
		v.least(CheckRate, ratio, limit)
		return
	}
	v.least(CheckQueue, queue, halfQueue)
	// Threads of depth 1 are the depth of an engine that cannot queue.
	if w.Run == nil || w.Run.Fio.Engine != EnginePsync {
		v.least(CheckDepth, depthShare(w.Run, job), halfDepth)
	}
}

func present(r *Run) float64 {
	if r == nil {
		return 0
	}
	return 1
}

func readBytes(r *Run) float64 {
	if r == nil {
		return math.NaN()
	}
	return float64(r.Result.Read.Bytes)
}

// unaccounted is the share of the device's bytes that the others and fio's
// bytes there do not explain, or that they claim too much.
func unaccounted(w Window, fio float64) float64 {
	return math.Abs(fio+w.OtherBytes-w.DeviceBytes) / max(w.DeviceBytes, balanceLeast)
}

// lift is how much of the calibrated lift of the probe from `from` to seen a
// window shows. Compared are the logarithms of the 0.95 quantiles. Logarithms,
// because a device that is twice as fast today halves every latency, loaded or
// not. The upper end, because below saturation most reads meet no other: a load
// leaves their median where it was, or lowers it, since a busy machine sleeps
// less deeply, and lengthens the few that have to wait.
func lift(from, seen Victim, w Window) float64 {
	if w.Idle.P95 <= 0 || w.Level.Victim.P95 <= w.Idle.P95 || from.P95 <= 0 || seen.P95 <= 0 {
		return math.NaN()
	}
	return logRatio(from.P95, seen.P95) / logRatio(w.Idle.P95, w.Level.Victim.P95)
}

func logRatio(from, to time.Duration) float64 { return math.Log(float64(to) / float64(from)) }

func nullLift(w Window) float64 {
	if w.Unloaded.Reads > 0 {
		return lift(w.Unloaded, w.Seen, w)
	}
	return lift(w.Idle, w.Seen, w)
}

// depthShare is the share of I/Os that found at least the depth that each
// thread was to keep; fio counts in powers of two up to 64.
func depthShare(r *Run, job *Job) float64 {
	if r == nil || len(r.Result.DepthShare) == 0 {
		return math.NaN()
	}
	each := max(1, job.Depth/max(1, job.Threads))
	bucket := 1
	for bucket*2 <= min(each, 64) {
		bucket *= 2
	}
	share := 0.0
	for depth, s := range r.Result.DepthShare {
		if depth >= bucket {
			share += s
		}
	}
	return share
}

// verifier gathers checks.
type verifier struct{ checks []Check }

func (v *verifier) least(name string, value, limit float64) {
	v.add(name, value, limit, value >= limit)
}

func (v *verifier) most(name string, value, limit float64) { v.add(name, value, limit, value <= limit) }

func (v *verifier) add(name string, value, limit float64, ok bool) {
	c := Check{Name: name, Limit: limit}
	if !math.IsNaN(value) && !math.IsInf(value, 0) {
		c.Value, c.OK = &value, ok
	}
	v.checks = append(v.checks, c)
}

func (v *verifier) done() Verification {
	ok := true
	for _, c := range v.checks {
		ok = ok && c.OK
	}
	return Verification{OK: ok, Checks: v.checks}
}
