package fioctl

import (
	"iter"
	"math"
	"slices"
	"time"
)

// Victim is a probe's samples reduced: the time from start to end. Quantiles
// are of the nearest rank upward, so each is a read that happened. The zero
// value is a victim without reads.
type Victim struct {
	Reads  int           `json:"reads"`
	Late   int           `json:"late"`   // started more than one period after due
	Missed int           `json:"missed"` // periods between two reads that got none: a read took that long
	P50    time.Duration `json:"p50_ns"`
	P95    time.Duration `json:"p95_ns"`
	P99    time.Duration `json:"p99_ns"`
	Mean   time.Duration `json:"mean_ns"`
	// Trimmed is the mean without the slowest twentieth, by which levels are told
	// apart.
	// Below saturation most reads meet no other, so that a load lifts the upper
	// half and leaves the median; the mean itself hangs on single hiccups.
	Trimmed time.Duration `json:"trimmed_ns"`
}

// Reduce sums samples up, in any order. The period is the probe's; 0 counts
// nothing as late or missed.
func Reduce(samples iter.Seq[Sample], period time.Duration) Victim {
	var v Victim
	var took []float64
	sum, first, last := 0.0, time.Duration(math.MaxInt64), time.Duration(math.MinInt64)
	for s := range samples {
		d := float64(s.End - s.Start)
		took = append(took, d)
		sum += d
		if period > 0 && s.Start-s.Due > period {
			v.Late++
		}
		first, last = min(first, s.Due), max(last, s.Due)
	}
	v.Reads = len(took)
	if v.Reads == 0 {
		return v
	}
	slices.Sort(took)
	v.P50, v.P95, v.P99 = quantile(took, 0.50), quantile(took, 0.95), quantile(took, 0.99)
	v.Mean = time.Duration(math.Round(sum / float64(v.Reads)))
	v.Trimmed = trimmed(took)
	if period > 0 {
		v.Missed = max(0, int(math.Round(float64(last-first)/float64(period)))+1-v.Reads)
	}
	return v
}

// Between keeps the samples that were due in [from, to): by due time, so that a
// read which the load held back still counts for the window that held it.
func Between(samples iter.Seq[Sample], from, to time.Duration) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for s := range samples {
			if s.Due >= from && s.Due < to && !yield(s) {
				return
			}
		}
	}
}

// trimmed is the mean of ascending, non-empty values without the top twentieth.
func trimmed(sorted []float64) time.Duration {
	kept := sorted[:len(sorted)-len(sorted)/20]
	sum := 0.0
	for _, v := range kept {
		sum += v
	}
	return time.Duration(math.Round(sum / float64(len(kept))))
}

// quantile is the nearest rank upward of ascending, non-empty values.
func quantile(sorted []float64, q float64) time.Duration {
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	return time.Duration(sorted[min(len(sorted), max(1, rank))-1])
}
