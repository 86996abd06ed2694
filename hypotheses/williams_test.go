package hypotheses

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWilliamsSquaresBalanceWhatFollowsWhat(t *testing.T) {
	for k := 2; k <= 8; k++ {
		rows := square(k)
		follows := map[[2]int]int{}
		for _, row := range rows {
			sorted := slices.Sorted(slices.Values(row))
			for i, v := range sorted {
				require.Equal(t, i, v, "every treatment once a block")
			}
			for i := 1; i < k; i++ {
				follows[[2]int{row[i-1], row[i]}]++
			}
		}
		require.Len(t, follows, k*(k-1), "every ordered pair occurs")
		for pair, n := range follows {
			require.Equal(t, len(rows)/k, n, "%v of %d", pair, k)
		}
	}
}

func TestWilliamsIsFixedByItsSeed(t *testing.T) {
	draw := func(seed uint64) [][]int { return williams(6, 8, rand.New(rand.NewPCG(seed, 0))) }
	require.Len(t, draw(1), 8)
	require.Equal(t, draw(1), draw(1))
	require.NotEqual(t, draw(1), draw(2))
}
