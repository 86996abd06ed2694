package analysis

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

// side is an experiment of two conditions, five runs each; scale multiplies the
// second condition's TTFT.
func side(seed uint64, scale, sd float64) *Experiment {
	rng := rand.New(rand.NewPCG(seed, 1))
	e := &Experiment{Dir: fmt.Sprint("run", seed)}
	e.Plan.Profile.Name, e.Plan.Profile.Quantile = "quick", 0.95
	e.Manifest.Target.Model = "m"
	n := 0
	for block := range 5 {
		for i, users := range []int{4, 64} {
			m := &Measured{Arm: Arm{Name: fmt.Sprintf("%03d-u%d-r%d", n, users, block), Block: block, Users: users, Summary: loadgen.Summary{Window: loadgen.Window{End: time.Second}}}}
			at := 20.0
			if i == 1 {
				at = 100 * scale
			}
			at *= math.Exp(sd * rng.NormFloat64())
			for range 100 {
				m.TTFT = append(m.TTFT, at)
			}
			e.Arms = append(e.Arms, m)
			n++
		}
	}
	return e
}

func verdictOf(value float64) Verdict {
	return Verdict{Hypothesis: "H0", Title: "Queue knee", Quantile: "p95", Outcome: Supported, Claims: []Claim{
		NewClaim("knee at 12 users", Estimate{value, value - 1, value + 1}, 2, "users", true),
		NewClaim("validity: errors", Estimate{0, 0, 0}, 0.01, "share", true),
	}}
}

func TestCompare(t *testing.T) {
	a, b := side(1, 1, 0.02), side(2, 1.5, 0.02)
	b.Manifest.Control = "no-paging"
	vb := verdictOf(20)
	vb.Claims[0].Text = "knee at 20 users"
	c, err := Compare(a, b, verdictOf(12), vb)
	require.NoError(t, err)
	require.Equal(t, []string{"control: none against no-paging"}, c.Differs)
	require.Len(t, c.Arms, 2)
	require.Equal(t, "u4", c.Arms[0].Condition)
	require.Equal(t, "the same within 10 %", c.Arms[0].Words())
	require.Equal(t, "slower on B", c.Arms[1].Words())
	require.InDelta(t, 1.5, c.Arms[1].Ratio.Value, 0.08)
	require.Less(t, c.Arms[1].Ratio.Lo, 1.5)
	require.Greater(t, c.Arms[1].Ratio.Hi, 1.5)
	require.Len(t, c.Claims, 1, "the same claim of other data; validity is each run's own")
	text := c.String()
	require.Contains(t, text, "SUPPORTED on both")
	require.Contains(t, text, "slower on B")
	require.Contains(t, text, "A 12 users [11, 13]")

	back, err := Compare(b, a, vb, verdictOf(12))
	require.NoError(t, err)
	require.InDelta(t, 1/c.Arms[1].Ratio.Value, back.Arms[1].Ratio.Value, 1e-12, "the other way round is the inverse")
	require.Equal(t, "faster on B", back.Arms[1].Words())
}

func TestCompareRefuses(t *testing.T) {
	for _, c := range []struct {
		why   string
		spoil func(b *Experiment, v *Verdict)
		say   string
	}{
		{"another hypothesis", func(_ *Experiment, v *Verdict) { v.Hypothesis = "H2" }, "hypotheses"},
		{"another model", func(b *Experiment, _ *Verdict) { b.Manifest.Target.Model = "x" }, `models are "m" and "x"`},
		{"another profile", func(b *Experiment, _ *Verdict) { b.Plan.Profile.Name = "full" }, "profiles"},
		{"another endpoint", func(_ *Experiment, v *Verdict) { v.Quantile = "p99" }, "endpoints"},
		{"the same run", func(b *Experiment, _ *Verdict) { b.Dir = "run1" }, "both are the run"},
	} {
		b, v := side(2, 1, 0.02), verdictOf(1)
		c.spoil(b, &v)
		_, err := Compare(side(1, 1, 0.02), b, verdictOf(1), v)
		require.ErrorIs(t, err, ErrNotComparable, c.why)
		require.ErrorContains(t, err, c.say)
	}
}

// Welch's example of two small samples with unequal variances, worked by hand.
func TestCompareRunsKnownAnswer(t *testing.T) {
	c := compareRuns([]float64{1, 2, 3}, []float64{2, 4, 6, 8})
	// means 2 and 5, variances 1 and 20/3: se² = 1/3 + 5/3 = 2, df = 4/(1/18 + 25/27)
	require.InDelta(t, math.Exp(3), c.Ratio.Value, 1e-9)
	require.InDelta(t, 4/(1.0/18+25.0/27), 4.075, 1e-3)
	require.InDelta(t, 0.1003, c.P, 2e-3)
	require.Equal(t, "no difference shown", c.Words())
}

func TestCompareRunsWithLittle(t *testing.T) {
	one := compareRuns([]float64{1}, []float64{1, 2})
	require.Equal(t, "too few runs to tell", one.Words())
	require.True(t, math.IsNaN(one.P))
	same := compareRuns([]float64{1, 1}, []float64{1, 1})
	require.Equal(t, "the same within 10 %", same.Words())
	require.Equal(t, 1.0, same.P)
}

// Two sides alike differ in no more than 5 of 100 comparisons, whatever their noise.
func TestCompareRunsLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const n = 4000
	draw := func(k int, sd float64) (v []float64) {
		for range k {
			v = append(v, sd*rng.NormFloat64())
		}
		return v
	}
	wrong := 0
	for range n {
		if compareRuns(draw(5, 0.1), draw(8, 0.3)).P <= 0.05 {
			wrong++
		}
	}
	require.InDelta(t, 0.05, float64(wrong)/n, 0.012)
}

func TestCompareNeedsNothingInOrder(t *testing.T) {
	a, b := side(1, 1, 0.02), side(2, 1, 0.02)
	slices.Reverse(b.Arms)
	c, err := Compare(a, b, verdictOf(1), verdictOf(1))
	require.NoError(t, err)
	require.Equal(t, []string{"u4", "u64"}, []string{c.Arms[0].Condition, c.Arms[1].Condition})
}
