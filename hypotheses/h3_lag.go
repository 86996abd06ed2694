package hypotheses

import (
	"math"

	"github.com/spark-harness/harness/analysis"
)

// lagReach is how far two series are turned against each other, in seconds.
const lagReach = 60.0

// lagBehind is by how much TTFT follows a counter inside the runs: the slices of
// each run in the order of time, all arms of it, as one series. step is the
// length of one sample in seconds. NaN where the series are too short.
func lagBehind(e *analysis.Experiment, c analysis.Counter, seed uint64) (lag analysis.Lag, step float64) {
	none := analysis.Lag{R: math.NaN(), P: math.NaN()}
	var runs []analysis.SeriesPair
	shortest := math.MaxInt
	for _, run := range e.Runs() {
		var s analysis.SeriesPair
		for _, a := range inTime(run.Arms) {
			for _, slice := range a.Slices {
				if y := slice.Counters[c]; !math.IsNaN(y) && slice.TTFTMs > 0 {
					s.X, s.Y = append(s.X, y), append(s.Y, slice.TTFTMs)
					step = (slice.To - slice.From).Seconds()
				}
			}
		}
		if len(s.X) > 0 {
			runs, shortest = append(runs, s), min(shortest, len(s.X))
		}
	}
	if len(runs) == 0 {
		return none, step
	}
	// A twelfth of the series either way leaves most of it for the null.
	reach := min(int(lagReach/step), shortest/12)
	lag, err := analysis.ShiftLag(runs, reach, analysis.Resampling{B: 1000, Seed: seed})
	if err != nil || reach < 1 {
		return none, step
	}
	return lag, step
}
