package analysis

import (
	"fmt"
	"math"
	"slices"
)

// exactLevels is the most levels whose orders are enumerated (8! = 40,320).
const exactLevels = 8

// Page is Page's test for an increasing trend over ordered levels:
// blocks[i][j] is what block i measured at level j. L is the sum over levels
// of level number (from 1) times the sum of within-block ranks, ties at
// mid-ranks; p is the permutation probability of an L at least as large when
// the values of every block are in random order (Page 1963). It is exact to 8
// levels, by convolving the blocks' distributions, and Monte Carlo above (r).
// ErrTooFew for no block or fewer than 2 levels, ErrInput for ragged blocks,
// NaN or infinity.
func Page(blocks [][]float64, r Resampling) (l, p float64, err error) {
	if err := r.Validate(); err != nil {
		return math.NaN(), math.NaN(), err
	}
	if len(blocks) == 0 || len(blocks[0]) < 2 {
		return math.NaN(), math.NaN(), fmt.Errorf("analysis: test trend: %w: it needs a block of 2 levels", ErrTooFew)
	}
	if err := finite("test trend", blocks...); err != nil {
		return math.NaN(), math.NaN(), err
	}
	ranks := make([][]float64, len(blocks))
	for i, block := range blocks {
		if len(block) != len(blocks[0]) {
			return math.NaN(), math.NaN(), fmt.Errorf("analysis: test trend: %w: block %d has %d levels, block 0 has %d", ErrInput, i, len(block), len(blocks[0]))
		}
		ranks[i] = midRanks(block)
		l += pageOf(ranks[i])
	}
	if len(blocks[0]) <= exactLevels {
		return l, exactPage(ranks, l), nil
	}
	return l, sampledPage(ranks, l, r), nil
}

func pageOf(ranks []float64) (l float64) {
	for j, rank := range ranks {
		l += float64(j+1) * rank
	}
	return l
}

// exactPage convolves the blocks' distributions of 2 L, an integer.
func exactPage(ranks [][]float64, l float64) float64 {
	known := map[string][]float64{}
	total := []float64{1}
	for _, block := range ranks {
		sorted := slices.Sorted(slices.Values(block))
		ties := fmt.Sprint(sorted)
		if known[ties] == nil {
			known[ties] = pageDistribution(sorted)
		}
		total = convolve(total, known[ties])
	}
	p := 0.0
	for doubled := int(math.Round(2 * l)); doubled < len(total); doubled++ {
		p += total[doubled]
	}
	return min(1, p)
}

// pageDistribution is the probability of each value of 2 L over all orders of
// one block's ranks, by a walk over levels and the ranks already used.
func pageDistribution(ranks []float64) []float64 {
	most := int(math.Round(2*pageOf(ranks))) + 1
	byUsed := make([][]float64, 1<<len(ranks)) // [set of ranks used][2 L so far]
	byUsed[0] = make([]float64, most)
	byUsed[0][0] = 1
	for used, soFar := range byUsed {
		level := 1
		for i := range ranks {
			level += used >> i & 1
		}
		for i, rank := range ranks {
			if used>>i&1 == 1 {
				continue
			}
			next := used | 1<<i
			if byUsed[next] == nil {
				byUsed[next] = make([]float64, most)
			}
			step := int(math.Round(2 * rank * float64(level)))
			for v, share := range soFar {
				if share > 0 {
					byUsed[next][v+step] += share / float64(len(ranks)-level+1)
				}
			}
		}
	}
	return byUsed[len(byUsed)-1]
}

func convolve(a, b []float64) []float64 {
	out := make([]float64, len(a)+len(b)-1)
	for i, x := range a {
		for j, y := range b {
			out[i+j] += x * y
		}
	}
	return out
}

func sampledPage(ranks [][]float64, l float64, r Resampling) float64 {
	rng, hits := r.rng(streamTrend), 0
	order := slices.Clone(ranks)
	for i := range order {
		order[i] = slices.Clone(order[i])
	}
	for range r.draws() {
		sum := 0.0
		for _, block := range order {
			shuffle(rng, block)
			sum += pageOf(block)
		}
		if sum >= l-1e-9 {
			hits++
		}
	}
	return float64(1+hits) / float64(1+r.draws())
}

// midRanks is the rank of each value from 1, equal values sharing their mean.
func midRanks(values []float64) []float64 {
	sorted := slices.Sorted(slices.Values(values))
	ranks := make([]float64, len(values))
	for i, v := range values {
		first, _ := slices.BinarySearch(sorted, v)
		last := first
		for last < len(sorted) && sorted[last] == v {
			last++
		}
		ranks[i] = float64(first+1+last) / 2
	}
	return ranks
}
