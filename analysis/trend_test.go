package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPageKnownAnswers(t *testing.T) {
	up3, up4 := []float64{1, 2, 3}, []float64{10, 20, 30, 40}
	for _, row := range []struct {
		why    string
		blocks [][]float64
		l, p   float64
	}{
		{"two perfect blocks of three: 1/6 each", [][]float64{up3, up3}, 28, 1. / 36},
		{"one neighbour swapped: 1·1 perfect pairs + 2·2 with one swap, of 36", [][]float64{up3, {2, 1, 3}}, 27, 5. / 36},
		{"perfectly wrong is reached by everything", [][]float64{{3, 2, 1}}, 10, 1},
		{"eight perfect blocks of four", slices.Repeat([][]float64{up4}, 8), 240, math.Pow(24, -8)},
		{"a tie takes mid-ranks: 1.5, 1.5, 3 has L 13.5, reached by 2 of 6 orders", [][]float64{{5, 5, 9}}, 13.5, 2. / 6},
		{"all tied says nothing", [][]float64{{7, 7, 7}, {7, 7, 7}}, 24, 1},
	} {
		l, p, err := Page(row.blocks, Resampling{})
		require.NoError(t, err, row.why)
		require.Equal(t, row.l, l, row.why)
		require.InEpsilon(t, row.p, p, 1e-9, row.why)
	}
}

// Page's table (1963): the critical L is the least whose p is within the level.
func TestPageTable(t *testing.T) {
	for _, row := range []struct {
		blocks, levels int
		level          float64
		critical       float64
	}{
		{2, 3, 0.05, 28},
		{3, 3, 0.05, 41},
		{5, 3, 0.05, 66},
		{10, 3, 0.05, 128},
		{10, 3, 0.01, 131},
		{3, 4, 0.05, 84},
		{5, 4, 0.05, 137},
		{5, 4, 0.01, 141},
		{8, 5, 0.05, 384},
		{8, 5, 0.01, 393},
	} {
		ranks := make([]float64, row.levels)
		for i := range ranks {
			ranks[i] = float64(i + 1)
		}
		blocks := slices.Repeat([][]float64{ranks}, row.blocks)
		require.LessOrEqual(t, exactPage(blocks, row.critical), row.level, "%+v", row)
		require.Greater(t, exactPage(blocks, row.critical-1), row.level, "%+v", row)
	}
}

// Sampled and counted probabilities agree, with ties.
func TestPageSamplesAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	var ranks [][]float64
	l := 0.0
	for range 6 {
		block := make([]float64, 5)
		for j := range block {
			block[j] = float64(j + rng.IntN(6))
		}
		ranks = append(ranks, midRanks(block))
		l += pageOf(ranks[len(ranks)-1])
	}
	exact := exactPage(ranks, l)
	sampled := sampledPage(ranks, l, Resampling{B: 20000})
	require.InDelta(t, exact, sampled, 4*math.Sqrt(exact/20000)+1e-4)

	wide := make([]float64, 10)
	for j := range wide {
		wide[j] = float64(j)
	}
	_, p, err := Page([][]float64{wide, wide}, Resampling{B: 999})
	require.NoError(t, err)
	require.Equal(t, 0.001, p, "ten levels are sampled, and p is never 0")
}

func TestMidRanks(t *testing.T) {
	require.Equal(t, []float64{3, 1.5, 1.5, 4}, midRanks([]float64{5, 2, 2, 9}))
}

func TestPageRefuses(t *testing.T) {
	for _, row := range []struct {
		why    string
		blocks [][]float64
		want   error
	}{
		{"nothing", nil, ErrTooFew},
		{"one level has no trend", [][]float64{{1}}, ErrTooFew},
		{"ragged", [][]float64{{1, 2}, {1, 2, 3}}, ErrInput},
		{"an empty block", [][]float64{{1, 2}, {}}, ErrTooFew},
		{"NaN", [][]float64{{1, math.NaN()}}, ErrInput},
	} {
		_, _, err := Page(row.blocks, Resampling{})
		require.ErrorIs(t, err, row.want, row.why)
	}
}
