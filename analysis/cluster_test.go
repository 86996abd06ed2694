package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClusteredMedianKnownAnswers(t *testing.T) {
	inf := math.Inf(1)
	for _, row := range []struct {
		why      string
		clusters [][]float64
		want     Estimate
	}{
		{"an odd number has one middle", [][]float64{{3, 1, 2}}, Estimate{2, -inf, inf}},
		{"an even number has the mean of two", [][]float64{{1, 4, 2, 10}}, Estimate{3, -inf, inf}},
		{"values are pooled: a large cluster weighs more", [][]float64{{5, 5, 5, 5, 5}, {1}, {2}}, Estimate{5, -inf, inf}},
		{"five clusters bound nothing: 2 × 2^-5 > 0.05", [][]float64{{1}, {2}, {3}, {4}, {5}}, Estimate{3, -inf, inf}},
		{"six do, from end to end", [][]float64{{1, 1}, {1, 1}, {1, 1}, {3, 3}, {3, 3}, {3, 3}}, Estimate{2, 1, 3}},
		{"an empty one is not a sixth", [][]float64{{1}, {2}, {3}, {4}, {5}, nil}, Estimate{3, -inf, inf}},
		{"equal clusters leave no doubt", [][]float64{{7}, {7}, {7}, {7}, {7}, {7, 7}}, Estimate{7, 7, 7}},
	} {
		e, err := ClusteredMedian(row.clusters, 0.95, Resampling{B: 500})
		require.NoError(t, err, row.why)
		require.Equal(t, row.want, e, row.why)
	}
}

// A draw by weights is the median of the drawn clusters' copies.
func TestWeightedMedianMatchesCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 6))
	for range 500 {
		values, weights := make([]float64, 1+rng.IntN(9)), []int{}
		for i := range values {
			values[i] = float64(rng.IntN(6)) // ties on purpose
		}
		slices.Sort(values)
		var copies []float64
		for _, v := range values {
			weights = append(weights, rng.IntN(3))
			copies = append(copies, slices.Repeat([]float64{v}, weights[len(weights)-1])...)
		}
		got := weightedMedian(len(values), func(i int) (float64, int) { return values[i], weights[i] })
		require.InDelta(t, 1, same(Median(copies), got), 0, "%v × %v", values, weights)
	}
}

// With cycles that differ as much as their touches do, the interval of all
// touches taken for independent misses the truth half the time; the clustered
// one keeps its promise. A restart cycle has 8 adapters, a run 8 cycles.
func TestClusteredMedianCoversWhereIndependenceFails(t *testing.T) {
	const trials, truth = 400, 0.3
	rng := rand.New(rand.NewPCG(8, 8))
	clustered, independent, missed := 0, 0, 0
	for i := range trials {
		var clusters [][]float64
		for range 8 {
			shared := 0.1 * rng.NormFloat64()
			touches := make([]float64, 8)
			for k := range touches {
				touches[k] = truth + shared + 0.1*rng.NormFloat64()
			}
			clusters = append(clusters, touches)
		}
		e, err := ClusteredMedian(clusters, 0.95, Resampling{B: 400, Seed: uint64(i)})
		require.NoError(t, err)
		if e.Lo <= truth && truth <= e.Hi {
			clustered++
		}
		if e.Lo > truth {
			missed++
		}
		all := slices.Concat(clusters...)
		slices.Sort(all)
		naive, _ := QuantileCI(all, 0.5, 0.95)
		if naive.Lo <= truth && truth <= naive.Hi {
			independent++
		}
	}
	require.GreaterOrEqual(t, float64(clustered)/trials, 0.93)
	require.LessOrEqual(t, float64(missed)/trials, 0.04, "the lower bound is what H1 is judged by")
	require.LessOrEqual(t, float64(independent)/trials, 0.75)
}

func TestClusteredMedianIsDeterministic(t *testing.T) {
	clusters := [][]float64{{1, 2, 9}, {2.5, 3}, {4, 4.5}, {0.5, 7}, {3.5, 3.75}, {2.25, 8}}
	first, err := ClusteredMedian(clusters, 0, Resampling{B: 200, Seed: 3})
	require.NoError(t, err)
	again, err := ClusteredMedian(clusters, 0.95, Resampling{B: 200, Seed: 3, Conf: 0.5})
	require.NoError(t, err)
	require.Equal(t, first, again, "0 is r's level, whose default is 0.95; any other goes before it")
	narrow, err := ClusteredMedian(clusters, 0.5, Resampling{B: 200, Seed: 3})
	require.NoError(t, err)
	require.Greater(t, narrow.Lo, first.Lo)
}

func TestClusteredMedianRefuses(t *testing.T) {
	for _, row := range []struct {
		why      string
		clusters [][]float64
		conf     float64
		r        Resampling
		want     error
	}{
		{"nothing", nil, 0, Resampling{}, ErrTooFew},
		{"empty clusters alone", [][]float64{{}, {}}, 0, Resampling{}, ErrTooFew},
		{"NaN has no rank", [][]float64{{1}, {math.NaN()}}, 0, Resampling{}, ErrInput},
		{"a failure has no ratio", [][]float64{{1}, {math.Inf(1)}}, 0, Resampling{}, ErrInput},
		{"confidence is a share", [][]float64{{1}}, 95, Resampling{}, ErrInput},
		{"negative B", [][]float64{{1}}, 0, Resampling{B: -1}, ErrInput},
	} {
		e, err := ClusteredMedian(row.clusters, row.conf, row.r)
		require.ErrorIs(t, err, row.want, row.why)
		require.True(t, math.IsNaN(e.Value), row.why)
	}
}
