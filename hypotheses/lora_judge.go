package hypotheses

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spark-harness/harness/analysis"
)

const (
	// Reads of less than this part of an adapter's file are none: directories,
	// logs, other programs.
	readNothing = 0.05
	coldShare   = 0.01 // most of the files that a cold page cache may hold
	warmShare   = 0.99 // least of the files that a warm one holds
)

// setupOf is what the run knew of the adapters; a run without any is empty.
func setupOf(e *analysis.Experiment) analysis.LoRASetup {
	if e.Plan.LoRA == nil {
		return analysis.LoRASetup{}
	}
	return *e.Plan.LoRA
}

// conditionArms are the arms of one condition with so many adapters, any number
// where n is negative.
func conditionArms(e *analysis.Experiment, condition string, n int) []*analysis.Measured {
	var arms []*analysis.Measured
	for _, a := range e.Arms {
		if a.LoRA != nil && a.LoRA.Condition == condition && (n < 0 || a.LoRA.Adapters == n) {
			arms = append(arms, a)
		}
	}
	return arms
}

// errNoSize: without the size of a file no count of bytes says anything.
var errNoSize = errors.New("nobody knows how large the adapters' files are")

// adaptersApplied: a server that gives one answer whatever adapter it is asked
// for measures nothing about adapters. Where fewer than two answers could be
// compared nobody knows, and the gate fails.
func adaptersApplied(e *analysis.Experiment) analysis.Claim {
	check, same := setupOf(e).Check, 0.0
	switch {
	case check.Ignored:
		same = 1
	case check.Compared < 2:
		same = math.NaN()
	}
	return upTo(fmt.Sprintf("validity: different adapters that gave byte-identical answers at temperature 0, of %d compared", check.Compared), "", same, 0)
}

// adaptersCold: the server was made cold before every arm of the conditions
// named, and the page cache then held next to nothing of the arm's files. An arm
// without that proof fails the gate.
func adaptersCold(e *analysis.Experiment, conditions ...string) analysis.Claim {
	most, n := 0.0, 0
	for _, a := range e.Arms {
		if a.LoRA == nil || !slices.Contains(conditions, a.LoRA.Condition) {
			continue
		}
		n++
		share := cachedBefore(a)
		if p := a.LoRA.Cold; p == nil || p.Means == "" {
			share = math.NaN()
		}
		most = max(most, share) // NaN stays
	}
	c := upTo(fmt.Sprintf("validity: the adapters' files in the page cache before a cold arm, worst of %d", n), "share", most, coldShare)
	c.Holds = c.Holds && n > 0
	return c
}

// cachedBefore is the part of the arm's adapter files that the page cache held
// before its load; NaN where nobody looked.
func cachedBefore(a *analysis.Measured) float64 {
	p := a.LoRA.Cold
	if p == nil || p.Before == nil || p.Before.Pages == 0 {
		return math.NaN()
	}
	return p.Before.Share()
}

// stormReasons are the reason codes of a design that could not show what it is about: a
// storm that had no need to read, or read nothing although it should have. bytes
// is what a request of it reads beyond what others do, tail its effect.
func stormReasons(s analysis.LoRASetup, fits bool, bytes float64, tail effect) []string {
	switch {
	case slotsKnown(s) && fits:
		return []string{"FITS"}
	case math.IsNaN(bytes):
		return []string{"READS_UNKNOWN"}
	case bytes < readNothing*float64(s.AdapterBytes) && tail.ratio.Lo >= stormRatio:
		return []string{"NOT_STORAGE"}
	case bytes < readNothing*float64(s.AdapterBytes):
		return []string{"NO_READS"}
	case !slotsKnown(s):
		return []string{"SLOTS_UNKNOWN"}
	}
	return nil
}

// bytesPerRequest is what the watched device read in the arms' windows over
// their good requests; NaN where nobody saw.
func bytesPerRequest(arms []*analysis.Measured) float64 {
	bytes, requests := 0.0, 0
	for _, a := range arms {
		bytes += a.WindowReadBytes()
		requests += len(a.TTFT)
	}
	if requests == 0 {
		return math.NaN()
	}
	return bytes / float64(requests)
}

// slotsKnown says that the server or the user told how many adapters fit.
func slotsKnown(s analysis.LoRASetup) bool { return s.Slots > 0 }

// uniformMiss is the part of requests of a uniform storm over n adapters that
// find theirs gone: whatever is kept, it is as good as any other.
func uniformMiss(slots, n int) float64 { return max(0, 1-float64(slots)/float64(n)) }
