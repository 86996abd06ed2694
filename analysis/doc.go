// Package analysis turns a run bundle on disk into estimates, claims, a
// verdict, and the figures and tables that show it.
//
// Its statistics are pure functions over slices: nothing here measures, reads
// a clock, an environment variable or a flag. Whatever is random takes a seed
// and draws from PCG (math/rand/v2), so one bundle gives one verdict anywhere,
// its numbers equal but for the rounding of the architecture. All functions
// may be called concurrently as long as the caller does not modify their
// arguments meanwhile; none keeps or modifies an argument.
//
// Units: latencies enter as the caller's unit and leave in it; effects are
// natural logarithms of ratios; quantiles, probabilities and confidence levels
// are in [0,1]; durations are time.Duration. Absent is never 0: an estimate
// that the data cannot carry is an error, a false ok, or NaN, and the
// documentation of each function says which. +Inf is a legal latency, it
// stands for a failed request.
//
// What it refuses: an interval from too few samples (a p99 needs 368 for any
// interval), a knee without points on both sides, an average of quantiles, and
// an i.i.d. bootstrap inside a run, whose 95 % intervals cover about 57 %
// because requests of one run share its fate. The unit of inference is the
// run, grouped in blocks (repeats); everything here that resamples resamples
// blocks first.
package analysis
