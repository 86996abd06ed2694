package analysis

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSignTest(t *testing.T) {
	for _, row := range []struct {
		holds, n int
		want     float64
	}{
		{8, 8, 1. / 256},
		{7, 8, 9. / 256},
		{4, 8, (70. + 56 + 28 + 8 + 1) / 256},
		{0, 5, 1},
		{1, 1, 0.5},
		{100, 100, math.Exp2(-100)},
	} {
		p, err := SignTest(row.holds, row.n)
		require.NoError(t, err)
		require.InEpsilon(t, row.want, p, 1e-9, "%d of %d", row.holds, row.n)
	}
	_, err := SignTest(0, 0)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = SignTest(9, 8)
	require.ErrorIs(t, err, ErrInput)
}

func TestProportion(t *testing.T) {
	none, err := Proportion(0, 10, 0.95)
	require.NoError(t, err)
	require.Zero(t, none.Lo)
	require.InDelta(t, 1-math.Pow(0.025, 0.1), none.Hi, 1e-9)
	all, err := Proportion(10, 10, 0.95)
	require.NoError(t, err)
	require.InDelta(t, math.Pow(0.025, 0.1), all.Lo, 1e-9)
	require.Equal(t, 1., all.Hi)
	half, err := Proportion(5, 10, 0.95)
	require.NoError(t, err)
	require.InDelta(t, 0.1871, half.Lo, 5e-5) // tables of Clopper and Pearson
	require.InDelta(t, 0.8129, half.Hi, 5e-5)
	_, err = Proportion(1, 0, 0.95)
	require.ErrorIs(t, err, ErrTooFew)
	_, err = Proportion(3, 2, 0.95)
	require.ErrorIs(t, err, ErrInput)
}
