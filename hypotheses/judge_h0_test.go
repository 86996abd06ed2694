package hypotheses

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

func TestPlantedTruthsOfH0(t *testing.T) {
	for _, c := range []struct {
		why     string
		e       *analysis.Experiment
		outcome analysis.Outcome
		reasons []string
	}{
		{"a queue behind 16 users", plantedH0(1, queue), analysis.Supported, nil},
		{"users cost nothing: the data show it", plantedH0(2, free), analysis.Refuted, []string{"FLAT"}},
		{"growth without a bend", plantedH0(3, power), analysis.Inconclusive, []string{"NO_KNEE"}},
		{
			"the queue begins where the batch is full: a setting",
			limited(plantedH0(4, queue), 16), analysis.Inconclusive,
			[]string{"CONFIG_LIMIT"},
		},
		{"a batch limit elsewhere is none of the knee's", limited(plantedH0(5, queue), 256), analysis.Supported, nil},
		{"the server tells no batch limit", unlimited(plantedH0(6, queue)), analysis.Supported, nil},
		{
			"latency bends and throughput goes on growing: not saturated",
			plantedH0(7, elastic), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
		},
		{
			"users are not where throughput × time says: not a closed loop",
			each(plantedH0(8, queue), func(a *analysis.Measured) { a.Cycle *= 1.2 }), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
		},
		{
			"the disk is at its plateau before the knee: not a queue of the server's",
			each(plantedH0(9, queue), func(a *analysis.Measured) { a.Telemetry.ReadMBPerSec = 900 }), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			j := judged(t, H0(), c.e)
			require.Equal(t, c.outcome, j.Verdict.Outcome, j.Verdict.String())
			require.Equal(t, c.reasons, j.Verdict.Reasons)
			require.Equal(t, 5, j.Verdict.Power.Blocks)
			require.Equal(t, "p95", j.Verdict.Quantile)
			switch c.outcome {
			case analysis.Supported:
				require.GreaterOrEqual(t, j.Handover.UWorkUsers, 8, "0.65 of a knee at 16")
				require.LessOrEqual(t, j.Handover.UWorkUsers, 10)
			case analysis.Refuted:
				require.Zero(t, j.Handover, "no knee, nothing to hand on")
			}
			require.Zero(t, j.Handover.CkTokens, "that is H2's to find")
		})
	}
}

// A broken condition must show in its own claim, not in another one's.
func TestClaimsOfH0BreakOneByOne(t *testing.T) {
	broken := func(e *analysis.Experiment) []string {
		var texts []string
		for _, c := range H0().Judge(e).Verdict.Claims {
			if !c.Holds {
				texts = append(texts, c.Text)
			}
		}
		return texts
	}
	require.Empty(t, broken(plantedH0(1, queue)))
	for _, c := range []struct {
		e    *analysis.Experiment
		want string
	}{
		{plantedH0(7, elastic), "throughput at twice the knee"},
		{each(plantedH0(8, queue), func(a *analysis.Measured) { a.Cycle *= 1.2 }), "Little's law"},
		{each(plantedH0(9, queue), func(a *analysis.Measured) { a.Telemetry.ReadMBPerSec = 900 }), "disk reads at the knee"},
	} {
		got := broken(c.e)
		require.Len(t, got, 1, c.want)
		require.Contains(t, got[0], c.want)
	}
}

// Where there is no knee a judge must hardly ever say that there is: at most
// one null in twenty, at the noise of a fair machine. Throughput does not grow,
// so that nothing but the shape of the curve speaks against these.
func TestNullsDoNotSupportH0(t *testing.T) {
	const seeds = 200
	for name, null := range map[string]func(float64) truth{"flat": free, "power": power} {
		supported := 0
		for seed := range uint64(seeds) {
			e := plantedH0(seed, noisy(capped(null), 0.15, seed))
			// Being found at all is a claim of the rule and needs no bootstrap:
			// only what passes it is judged in full.
			points, _ := kneePoints(analysis.Levels(e.Arms, func(a *analysis.Measured) float64 { return float64(a.Users) }), e.Plan.Profile.Quantile)
			fit, err := analysis.FitKnee(points, analysis.Resampling{B: 1})
			require.NoError(t, err)
			if fit.HasKnee() && H0().Judge(e).Verdict.Outcome == analysis.Supported {
				supported++
			}
		}
		require.LessOrEqual(t, supported, seeds/20, name)
		t.Logf("%s: %d of %d nulls were SUPPORTED", name, supported, seeds)
	}
}

// The screen of the test above must let true knees through.
func TestTrueKneesInNoiseSupportH0(t *testing.T) {
	for seed := range uint64(5) {
		v := H0().Judge(plantedH0(seed, noisy(queue, 0.1, seed))).Verdict
		require.Equal(t, analysis.Supported, v.Outcome, v.String())
	}
}

func limited(e *analysis.Experiment, maxNumSeqs int64) *analysis.Experiment {
	e.Manifest.Facts.MaxNumSeqs = &maxNumSeqs
	return e
}

func unlimited(e *analysis.Experiment) *analysis.Experiment {
	e.Manifest.Facts.MaxNumSeqs = nil
	return e
}

// elastic is a queue's latency, but past the knee throughput still grows with
// the root of the users.
func elastic(users float64) truth {
	of := queue(users)
	of.perSec *= math.Sqrt(math.Max(1, users/saturatedAt))
	of.cycleMs = 1000 * users / of.perSec
	return of
}

// capped keeps the latency and takes the growth of throughput away.
func capped(of func(float64) truth) func(float64) truth {
	return func(users float64) truth {
		tr := of(users)
		tr.perSec, tr.cycleMs = 200, 1000*users/200
		return tr
	}
}
