package analysis

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAUC(t *testing.T) {
	for _, row := range []struct {
		why      string
		score    []float64
		positive []bool
		want     float64
	}{
		{"of four pairs three are in order", []float64{0.1, 0.4, 0.35, 0.8}, []bool{false, false, true, true}, 0.75},
		{"perfect", []float64{1, 2, 3, 4}, []bool{false, false, true, true}, 1},
		{"upside down", []float64{4, 3, 2, 1}, []bool{false, false, true, true}, 0},
		{"a constant score knows nothing", []float64{7, 7, 7}, []bool{true, false, true}, 0.5},
		{"a tie is half a pair: 1, 1/2", []float64{1, 2, 2}, []bool{false, false, true}, 0.75},
	} {
		got, err := AUC(row.score, row.positive)
		require.NoError(t, err, row.why)
		require.InDelta(t, row.want, got, 1e-12, row.why)
	}
	_, err := AUC([]float64{1, 2}, []bool{true, true})
	require.ErrorIs(t, err, ErrDegenerate)
	_, err = AUC([]float64{1, math.NaN()}, []bool{true, false})
	require.ErrorIs(t, err, ErrInput)
	_, err = AUC([]float64{1}, []bool{true, false})
	require.ErrorIs(t, err, ErrInput)
}

func TestLeaveOneOutAUC(t *testing.T) {
	falls := Scored{[]float64{5, 4, 1, 0}, []bool{false, false, true, true}}
	got, err := LeaveOneOutAUC([]Scored{falls, falls, {}, falls})
	require.NoError(t, err)
	require.Equal(t, HeldOutAUC{AUC: 1, Within: 1, Groups: 3}, got, "a score that falls with the outcome is read that way")

	// Each group has an offset of its own: within a group the score is perfect,
	// one threshold for all is not.
	at := func(offset float64) Scored {
		return Scored{[]float64{offset, offset + 1, offset + 2, offset + 3}, []bool{false, false, true, true}}
	}
	got, err = LeaveOneOutAUC([]Scored{at(0), at(2), at(4)})
	require.NoError(t, err)
	require.InDelta(t, 1, got.Within, 1e-12)
	// Of 36 pairs (3 groups of 2 × 2 by 3) the positives of 0 lose 2 + 4 and tie 0
	// against later negatives; counted by hand below.
	var u float64
	for i := range 3 {
		for j := range 3 {
			for _, pos := range []float64{2, 3} {
				for _, neg := range []float64{0, 1} {
					switch d := pos + 2*float64(i) - neg - 2*float64(j); {
					case d > 0:
						u++
					case d == 0:
						u += 0.5
					}
				}
			}
		}
	}
	require.InDelta(t, u/36, got.AUC, 1e-12)

	_, err = LeaveOneOutAUC([]Scored{falls})
	require.ErrorIs(t, err, ErrTooFew)
	_, err = LeaveOneOutAUC(nil)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = LeaveOneOutAUC([]Scored{falls, {[]float64{1, 2}, []bool{true, true}}})
	require.ErrorIs(t, err, ErrDegenerate, "nothing to learn from outside the first group")
}

// A score that knows nothing must not gain from being turned: the direction is
// learned elsewhere.
func TestLeaveOneOutAUCOfNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	const trials = 300
	mean, high := 0.0, 0
	for range trials {
		var groups []Scored
		for range 8 {
			g := Scored{normals(rng, 8), make([]bool, 8)}
			for i := range g.Positive {
				g.Positive[i] = i >= 4
			}
			groups = append(groups, g)
		}
		got, err := LeaveOneOutAUC(groups)
		require.NoError(t, err)
		mean += got.AUC / trials
		if got.AUC >= 0.8 {
			high++
		}
	}
	require.InDelta(t, 0.47, mean, 0.04)
	require.Zero(t, high)
}
