package hypotheses

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// Every judge gives the p value of its primary claim: one that passes the first
// step of Holm's correction over nine where the claim is true, one that passes
// nothing where it is not, and none of a run that must not be used.
func TestVerdictsCarryTheirP(t *testing.T) {
	flatCell := func(condition string, n int) cell {
		c := claimedH5(condition, n)
		c.ms = 10
		return c
	}
	still := plantedDisks()
	still[analysis.ConditionPaging] = disk{func(float64) float64 { return 40 }, still[analysis.ConditionPaging].awaitMs, 500}
	same := claimedH1()
	same.coldMs = same.warmMs
	equal := claimedH6()
	equal.storm.ms = equal.hot.ms
	for _, c := range []struct {
		h          Hypothesis
		true, null *analysis.Experiment
	}{
		{H0(), plantedH0(1, queue), plantedH0(1, power)},
		{H1(), plantedH1(1, claimedH1()), plantedH1(1, same)},
		{H2(), each(plantedH2(1, stick(1)), tiered(1)), each(plantedH2(1, noisy(slope, 0.15, 1)), tiered(1))},
		{H4(), plantedH4(1, plantedDisks()), plantedH4(1, still)},
		{H5(), plantedH5(1, claimedH5), plantedH5(1, flatCell)},
		{H6(), plantedH6(1, claimedH6()), plantedH6(1, equal)},
	} {
		t.Run(c.h.ID, func(t *testing.T) {
			v := c.h.Judge(c.true).Verdict
			require.NotNil(t, v.P)
			require.LessOrEqual(t, *v.P, 0.05/9)
			require.Positive(t, *v.P, "no permutation test gives 0")
			v = c.h.Judge(c.null).Verdict
			require.NotNil(t, v.P)
			require.Greater(t, *v.P, 0.05)

			c.true.Arms[0].Quiet.OK = false
			v = c.h.Judge(c.true).Verdict
			require.Equal(t, analysis.Invalid, v.Outcome)
			require.Nil(t, v.P)
			c.true.Arms = c.true.Arms[:1]
			require.Nil(t, c.h.Judge(c.true).Verdict.P, "nothing to apply the rule to")
		})
	}
}
