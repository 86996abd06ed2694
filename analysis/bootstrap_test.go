package analysis

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lognormalRuns are runs of ten windows of a hundred requests whose ln
// latencies share a run effect (sd runs) and a window effect (sd windows), and
// differ with sd 0.6 beside.
func lognormalRuns(rng *rand.Rand, n int, runs, windows float64) [][][]float64 {
	out := make([][][]float64, n)
	for i := range out {
		run := runs * rng.NormFloat64()
		for range 10 {
			window := make([]float64, 100)
			shared := run + windows*rng.NormFloat64()
			for k := range window {
				window[k] = math.Exp(shared + 0.6*rng.NormFloat64())
			}
			out[i] = append(out[i], window)
		}
	}
	return out
}

// With runs that differ by 10 %, the interval that takes requests for
// independent covers the true p95 half the time; the two-stage interval keeps
// its promise. The truth is the quantile of one request of a random run.
func TestBootstrapQuantileCoversWhereIndependenceFails(t *testing.T) {
	const trials = 150
	truth := math.Exp(1.6448536 * math.Sqrt(0.6*0.6+0.1*0.1+0.1*0.1))
	rng := rand.New(rand.NewPCG(7, 2))
	twoStage, independent := 0, 0
	for i := range trials {
		runs := lognormalRuns(rng, 5, 0.1, 0.1)
		e, err := BootstrapQuantile(runs, 0.95, Resampling{B: 400, Seed: uint64(i)})
		require.NoError(t, err)
		if e.Lo <= truth && truth <= e.Hi {
			twoStage++
		}
		var all []float64
		for _, run := range runs {
			all = append(all, slices.Concat(run...)...)
		}
		slices.Sort(all)
		naive, ok := QuantileCI(all, 0.95, 0.95)
		require.True(t, ok)
		if naive.Lo <= truth && truth <= naive.Hi {
			independent++
		}
	}
	require.GreaterOrEqual(t, float64(twoStage)/trials, 0.92)
	require.LessOrEqual(t, float64(independent)/trials, 0.70)
}

// The walk over weighted samples against the plain way: copy every drawn
// window, sort, take the rank.
func TestPoolQuantileMatchesCopies(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for range 200 {
		var runs [][][]float64
		for range 2 + rng.IntN(4) {
			var run [][]float64
			for range 1 + rng.IntN(4) {
				window := make([]float64, 1+rng.IntN(6))
				for i := range window {
					window[i] = float64(rng.IntN(8)) // many ties
				}
				run = append(run, window)
			}
			runs = append(runs, run)
		}
		p, err := poolWindows(runs)
		require.NoError(t, err)
		windows := slices.Concat(runs...)
		weights := make([]int, len(windows))
		var copies []float64
		for w := range weights {
			weights[w] = rng.IntN(3)
			for range weights[w] {
				copies = append(copies, windows[w]...)
			}
		}
		slices.Sort(copies)
		for _, q := range []float64{0, 0.1, 0.5, 0.9, 0.99, 1} {
			if want, ok := Quantile(copies, q); ok {
				require.Equal(t, want, p.quantile(weights, q), "q %v of %v", q, copies)
			}
		}
	}
}

func TestBootstrapQuantileIsDeterministic(t *testing.T) {
	runs := lognormalRuns(rand.New(rand.NewPCG(1, 1)), 4, 0.1, 0.1)
	first, err := BootstrapQuantile(runs, 0.99, Resampling{B: 300, Seed: 9})
	require.NoError(t, err)
	again, err := BootstrapQuantile(runs, 0.99, Resampling{B: 300, Seed: 9})
	require.NoError(t, err)
	require.Equal(t, first, again, "same seed")
	other, err := BootstrapQuantile(runs, 0.99, Resampling{B: 300, Seed: 10})
	require.NoError(t, err)
	require.Equal(t, first.Value, other.Value, "the value draws nothing")
	require.NotEqual(t, first, other, "another seed, another interval")
	require.Less(t, first.Lo, first.Value)
	require.Less(t, first.Value, first.Hi)
}

func TestBootstrapQuantileRefuses(t *testing.T) {
	good := [][][]float64{{{1, 2}}, {{3}}}
	for _, row := range []struct {
		why  string
		runs [][][]float64
		q    float64
		r    Resampling
		want error
	}{
		{"one run says nothing of other runs", good[:1], 0.5, Resampling{}, ErrTooFew},
		{"no run", nil, 0.5, Resampling{}, ErrTooFew},
		{"a run without windows", [][][]float64{{{1}}, {}}, 0.5, Resampling{}, ErrTooFew},
		{"an empty window", [][][]float64{{{1}}, {{}}}, 0.5, Resampling{}, ErrTooFew},
		{"NaN has no rank", [][][]float64{{{1}}, {{math.NaN()}}}, 0.5, Resampling{}, ErrInput},
		{"q is a share", good, 95, Resampling{}, ErrInput},
		{"negative B", good, 0.5, Resampling{B: -1}, ErrInput},
		{"confidence is a share", good, 0.5, Resampling{Conf: 95}, ErrInput},
	} {
		e, err := BootstrapQuantile(row.runs, row.q, row.r)
		require.ErrorIs(t, err, row.want, row.why)
		require.True(t, math.IsNaN(e.Value), row.why)
	}
}

func TestBootstrapQuantileKeepsFailures(t *testing.T) {
	inf := math.Inf(1)
	run := [][]float64{{1, 2, 3, inf}}
	e, err := BootstrapQuantile([][][]float64{run, run, run}, 0.99, Resampling{B: 50})
	require.NoError(t, err)
	require.Equal(t, Estimate{inf, inf, inf}, e, "a quarter of failures is in every p99")
}

func TestWindows(t *testing.T) {
	s := time.Second
	at := []time.Duration{12 * s, 3 * s, 12*s + 999*time.Millisecond, 13 * s, 41 * s}
	values := []float64{2, 1, 3, 4, 5}
	want := [][]float64{{2, 1, 3}, {4}, {5}}
	require.Equal(t, want, Windows(at, values, 10*s), "windows start at the earliest, are half open, and gaps are left out")
	require.Nil(t, Windows(at, values[:2], 10*s), "unequal lengths")
	require.Nil(t, Windows(at, values, 0), "no width")
	require.Nil(t, Windows(nil, nil, s), "nothing")
}

// The expanded percentiles of Hesterberg (2015), from t quantiles in any
// table: 5 blocks t = 2.776, Phi(-2.776 sqrt(5/4)) = .00096; 8 blocks t =
// 2.365, Phi(-2.365 sqrt(8/7)) = .0057.
func TestIntervalWidensForFewBlocks(t *testing.T) {
	draws := make([]float64, 100_000)
	for i := range draws {
		draws[i] = float64(i+1) / 100_000
	}
	for _, row := range []struct {
		blocks int
		tail   float64
	}{{5, 0.00096}, {8, 0.0057}, {10_000, 0.025}} {
		lo, hi := Resampling{}.interval(slices.Clone(draws), row.blocks)
		require.InDelta(t, row.tail, lo, 0.00006, "%d blocks", row.blocks)
		require.InDelta(t, 1-row.tail, hi, 0.00006, "%d blocks", row.blocks)
	}
	lo, hi := Resampling{}.interval(draws, 1)
	require.True(t, math.IsInf(lo, -1) && math.IsInf(hi, 1), "one block bounds nothing")
}

func BenchmarkBootstrapQuantile(b *testing.B) {
	runs := lognormalRuns(rand.New(rand.NewPCG(1, 1)), 5, 0.1, 0.1)
	for b.Loop() {
		if _, err := BootstrapQuantile(runs, 0.99, Resampling{}); err != nil {
			b.Fatal(err)
		}
	}
}
