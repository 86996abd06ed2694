package fioctl

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// alikeP is the most that chance may have in two levels' order.
const alikeP = 0.01

// told refuses levels of which the probe does not see one as slower than the
// one before.
func told(levels []Level, samples [][]Sample) error {
	for i := 1; i < len(levels); i++ {
		a, b := levels[i-1], levels[i]
		p := slowerP(samples[i-1], samples[i])
		if b.Victim.P50 <= a.Victim.P50 || !(p < alikeP) {
			return fmt.Errorf("%w: %s and %s: the probe's median is %v and %v, p = %.2g (set them farther apart, or measure longer)",
				ErrLevelsAlike, a.Name, b.Name, a.Victim.P50.Round(time.Microsecond), b.Victim.P50.Round(time.Microsecond), p)
		}
	}
	return nil
}

// slowerP is the one-sided p of the Mann-Whitney test that reads b take longer
// than reads a: normal approximation with corrections for ties and continuity
// (Lehmann 1975, section 1.2 and appendix 3). 1 without reads.
func slowerP(a, b []Sample) float64 {
	type read struct {
		took float64
		of   int
	}
	var all []read
	for _, s := range a {
		all = append(all, read{float64(s.End - s.Start), 0})
	}
	for _, s := range b {
		all = append(all, read{float64(s.End - s.Start), 1})
	}
	n, m := float64(len(a)), float64(len(b))
	if n == 0 || m == 0 {
		return 1
	}
	slices.SortFunc(all, func(x, y read) int { return cmp.Compare(x.took, y.took) })
	ranks, ties := 0.0, 0.0 // of b
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].took == all[i].took {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		mean := float64(i+j+1) / 2 // ranks count from 1
		for ; i < j; i++ {
			ranks += mean * float64(all[i].of)
		}
	}
	u, total := ranks-m*(m+1)/2, n+m
	variance := n * m / 12 * (total + 1 - ties/(total*(total-1)))
	if !(variance > 0) { // every read took the same
		return 1
	}
	return math.Erfc((u-n*m/2-0.5)/math.Sqrt(2*variance)) / 2
}
