package fioctl

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// alikeP is the most that chance may have in two levels' order.
	alikeP = 0.01
	// shuffles of a permutation test: its least p is a tenth of alikeP.
	shuffles = 999
)

// told refuses levels of which the probe does not see one as slower than the
// one before.
func told(levels []Level, samples [][]Sample) error {
	for i := 1; i < len(levels); i++ {
		a, b := levels[i-1], levels[i]
		p := slowerP(samples[i-1], samples[i])
		if b.Victim.Trimmed <= a.Victim.Trimmed || !(p < alikeP) {
			return fmt.Errorf("%w: %s and %s: the probe takes %v and %v, p = %.2g (set them farther apart, or measure longer)",
				ErrLevelsAlike, a.Name, b.Name, a.Victim.Trimmed.Round(time.Microsecond), b.Victim.Trimmed.Round(time.Microsecond), p)
		}
	}
	return nil
}

// slowerP is the one-sided p of a permutation test that reads b take longer on
// average than reads a, all capped at the 0.95 quantile of both together, so
// that no single hiccup decides. 1 without reads. Always the same for the same
// reads.
func slowerP(a, b []Sample) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 1
	}
	var all []float64
	for _, s := range slices.Concat(a, b) {
		all = append(all, float64(s.End-s.Start))
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	top := float64(quantile(sorted, 0.95))
	for i, v := range all {
		all[i] = min(v, top)
	}
	// The total is fixed, so the sum of one side orders the differences.
	sum := func(v []float64) (s float64) {
		for _, x := range v {
			s += x
		}
		return s
	}
	seen, n := sum(all[:len(a)]), 1
	r := rand.New(rand.NewPCG(1, 2))
	for range shuffles {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if sum(all[:len(a)]) <= seen {
			n++
		}
	}
	return float64(n) / (shuffles + 1)
}
