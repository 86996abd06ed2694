package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// SeriesPair is one run of two series sampled at the same instants, and of
// others to be allowed for.
type SeriesPair struct {
	X, Y     []float64
	Controls [][]float64
}

// ShiftedMean is a mean rank correlation within runs with a circular-shift p.
type ShiftedMean struct {
	Rho  []float64 // of each run: PartialSpearman of X and Y given its controls
	Mean float64   // tanh of the mean Fisher z
	P    float64
}

// ShiftMean tests whether X and Y go together inside runs: the statistic is the
// mean Fisher z over runs, as in FisherMean, and the null turns each run's Y
// round by a shift of its own, drawn (r) with equal chance from all there are.
// Turned series keep their memory and lose their relation. Controls are taken
// out of the ranks before. P is (1 + hits)/(1 + B), in side's direction.
//
// All shifts take part, short ones and 0 too: together they are a group, which
// is what makes a permutation test keep its level (Lehmann and Romano 2005,
// 15.2). Leaving out those within two decorrelation times, as CorrelateShifted
// does for the power of a single series, makes 10 to 20 % of unrelated runs of
// 30 to 60 samples significant at .05 (phi .7), because the correlations at all
// shifts sum to 0; all shifts keep 4 to 7 %, and over several runs lose no power.
//
// Runs of which a series is constant, or nothing but the controls, hold no
// evidence and are for the caller to leave out (ErrDegenerate). ErrTooFew when
// the runs together have fewer than 20 arrangements; errors as for
// PartialSpearman otherwise.
func ShiftMean(runs []SeriesPair, side Side, r Resampling) (ShiftedMean, error) {
	s, err := newShifts(runs, r)
	if err != nil {
		return ShiftedMean{}, err
	}
	at := make([]int, len(runs))
	mean := s.meanZ(at, 0)
	out := ShiftedMean{Mean: math.Tanh(mean)}
	for _, z := range s.turned {
		out.Rho = append(out.Rho, math.Tanh(z[0]))
	}
	rng, hits := r.rng(streamShifts), 0
	for range r.draws() {
		s.draw(rng, at)
		if beyond(side, s.meanZ(at, 0), mean) {
			hits++
		}
	}
	out.P = float64(1+hits) / float64(1+r.draws())
	return out, nil
}

// beyond says that a statistic under the null is at least as far out.
func beyond(side Side, null, observed float64) bool {
	const tiny = 1e-12
	switch side {
	case Greater:
		return null >= observed-tiny
	case Less:
		return null <= observed+tiny
	}
	return math.Abs(null) >= math.Abs(observed)-tiny
}

// shifts is every run's correlation at every circular shift, as Fisher z.
type shifts struct {
	turned [][]float64 // [run][shift]
}

func newShifts(runs []SeriesPair, r Resampling) (*shifts, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	s, ways := &shifts{}, 1.0
	for i, run := range runs {
		z, err := turn(run)
		if err != nil {
			return nil, fmt.Errorf("analysis: shift run %d of %d: %w", i, len(runs), err)
		}
		s.turned = append(s.turned, z)
		ways *= float64(len(z))
	}
	if ways < 20 {
		return nil, fmt.Errorf("analysis: shift series: %w: %d runs have %.0f arrangements, it needs 20", ErrTooFew, len(runs), ways)
	}
	return s, nil
}

// turn is the Fisher z of a run's residual ranks at every shift.
func turn(run SeriesPair) ([]float64, error) {
	if _, err := Spearman(run.X, run.Y); err != nil {
		return nil, err
	}
	x, y, err := residualRanks(run.X, run.Y, run.Controls)
	if err != nil {
		return nil, err
	}
	z, err := circular(x, y)
	for i, rho := range z {
		z[i] = fisherZ(rho, len(z))
	}
	return z, err
}

// draw gives every run a shift.
func (s *shifts) draw(rng *rand.Rand, at []int) {
	for run, z := range s.turned {
		at[run] = rng.IntN(len(z))
	}
}

// meanZ is the mean over runs, each lag samples beyond its shift, weighed as
// FisherMean does.
func (s *shifts) meanZ(at []int, lag int) float64 {
	var sum, total float64
	for run, z := range s.turned {
		n := len(z)
		w := float64(max(1, n-3))
		sum += w * z[((at[run]+lag)%n+n)%n]
		total += w
	}
	return sum / total
}

// ShiftLag finds the lag of largest |mean correlation| between X and Y within
// ±reach samples, over several runs together: the statistic is the largest
// |mean Fisher z| over those lags, the null the same when each run is turned by
// a shift of its own (r), as in ShiftMean, so that looking at many lags is paid
// for (Westfall and Young 1993, the max-statistic). R is the mean rank
// correlation at the lag. The turn is circular: at a lag of l, l of a run's n
// pairs hold its two ends against each other. Errors as for ShiftMean, ErrInput
// for a negative reach or one of half the shortest run or more.
func ShiftLag(runs []SeriesPair, reach int, r Resampling) (Lag, error) {
	s, err := newShifts(runs, r)
	if err != nil {
		return Lag{}, err
	}
	for i, z := range s.turned {
		if reach < 0 || 2*reach >= len(z) {
			return Lag{}, fmt.Errorf("analysis: find lag over runs: %w: reach %d in the %d samples of run %d", ErrInput, reach, len(z), i)
		}
	}
	at := make([]int, len(runs))
	largest := func() (lag int, z float64) {
		for l := -reach; l <= reach; l++ {
			if v := s.meanZ(at, l); math.Abs(v) > math.Abs(z) {
				lag, z = l, v
			}
		}
		return lag, z
	}
	lag, z := largest()
	rng, hits := r.rng(streamShifts), 0
	for range r.draws() {
		s.draw(rng, at)
		if _, null := largest(); beyond(TwoSided, null, z) {
			hits++
		}
	}
	return Lag{Samples: lag, R: math.Tanh(z), P: float64(1+hits) / float64(1+r.draws())}, nil
}
