package hypotheses

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

func TestPlantedTruthsOfH2(t *testing.T) {
	const noPaging = "MEMORY_KNEE_NO_PAGING"
	pastFull := 0 // the first context whose sessions do not fit the pool
	p, err := ProfileByName("quick")
	require.NoError(t, err)
	for _, c := range h2Contexts(p, 1<<20) {
		if pastFull == 0 && plantedUsers*(c+h2Output) > plantedPool {
			pastFull = c
		}
	}
	unknownPool := func(e *analysis.Experiment) *analysis.Experiment {
		e.Manifest.Facts.KVPoolTokens = nil
		return e
	}
	vast := func(e *analysis.Experiment) *analysis.Experiment {
		e.Manifest.Facts.KVPoolTokens = new(int64(1 << 20))
		return e
	}
	for _, c := range []struct {
		why       string
		e         *analysis.Experiment
		outcome   analysis.Outcome
		reasons   []string
		mechanism string
		ck        int
	}{
		{
			"KV comes back from the server's disk tier, and both sides count it",
			each(plantedH2(1, stick(1)), tiered(1.005)), analysis.Supported, nil, "KV_TIER", pastFull,
		},
		{
			"the server counts nothing, but the device read what the pool cannot hold",
			each(plantedH2(2, stick(1)), func(a *analysis.Measured) { busyDisk(a, pagedIn(a)) }), analysis.Supported, nil, "KV_TIER", pastFull,
		},
		{
			"anonymous pages came back from swap",
			each(plantedH2(3, stick(1)), func(a *analysis.Measured) {
				busyDisk(a, pagedIn(a))
				a.Telemetry.SwapInBytes = pagedIn(a)
			}), analysis.Supported, nil, "SWAP", pastFull,
		},
		{
			"mapped pages were faulted in again",
			each(plantedH2(4, stick(1)), func(a *analysis.Measured) {
				busyDisk(a, pagedIn(a))
				a.Telemetry.RefaultBytes = pagedIn(a)
			}), analysis.Supported, nil, "REFAULT", pastFull,
		},
		{
			"what did not fit was dropped and computed again: no disk in it",
			each(plantedH2(5, stick(1)), recomputed), analysis.Inconclusive,
			[]string{noPaging},
			"RECOMPUTE", 0,
		},
		{
			"the same knee, and nothing was moved or recomputed",
			plantedH2(6, stick(1)), analysis.Inconclusive,
			[]string{noPaging},
			"QUEUE", 0,
		},
		{
			"bytes came back and nobody waited for the device",
			each(plantedH2(7, stick(1)), func(a *analysis.Measured) {
				aqu, await := a.Telemetry.AquSz, a.Telemetry.ReadAwaitMs
				tiered(1)(a)
				a.Telemetry.AquSz, a.Telemetry.ReadAwaitMs = aqu, await
			}), analysis.Inconclusive,
			[]string{noPaging},
			"KV_TIER", 0,
		},
		{
			"the device read 5 % more than the server says it asked for",
			each(plantedH2(8, stick(1)), tiered(1.05)), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"KV_TIER", 0,
		},
		{
			"the device read 5 % less: some of it never came from the disk",
			each(plantedH2(9, stick(1)), tiered(0.95)), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"KV_TIER", 0,
		},
		{
			"the knee stands far below the full pool",
			each(plantedH2(10, stick(0.55)), tiered(1)), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"KV_TIER", 0,
		},
		{
			"the knee stands far above the full pool",
			each(plantedH2(11, stick(2.2)), tiered(1)), analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"KV_TIER", 0,
		},
		{
			"everything fits at every context",
			vast(plantedH2(12, stick(1e6))), analysis.Inconclusive,
			[]string{"NEVER_FULL"},
			"", 0,
		},
		{
			"the pool overflows and nobody notices",
			each(plantedH2(13, stick(1e6)), tiered(1)), analysis.Refuted,
			[]string{"FLAT"},
			"", 0,
		},
		{
			"a smooth rise is none of a full pool's",
			each(plantedH2(14, slope), tiered(1)), analysis.Inconclusive,
			[]string{"NO_KNEE"},
			"", 0,
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			j := judged(t, H2(), c.e)
			require.Equal(t, c.outcome, j.Verdict.Outcome, j.Verdict.String())
			require.Equal(t, c.reasons, j.Verdict.Reasons)
			require.Equal(t, c.mechanism, j.Verdict.Mechanism)
			require.Equal(t, 5, j.Verdict.Power.Blocks)
			require.Equal(t, c.ck, j.Handover.CkTokens, "what is not shown is not handed on")
			require.Zero(t, j.Handover.UWorkUsers, "that is H0's to find")
		})
	}
	t.Run("the server does not tell its pool", func(t *testing.T) {
		j := judged(t, H2(), unknownPool(each(plantedH2(15, stick(1)), tiered(1))))
		require.Equal(t, analysis.Inconclusive, j.Verdict.Outcome)
		require.Contains(t, j.Verdict.Reasons, "POOL_UNKNOWN")
		for _, claim := range j.Verdict.Claims {
			if !claim.Holds {
				require.NotContains(t, claim.Text, "validity", "the run itself is good")
			}
		}
	})
}

// No null may become a finding: not flat, not smooth, whatever the disk does.
func TestNullsDoNotSupportH2(t *testing.T) {
	const seeds = 200
	for name, null := range map[string]func(float64) truth{"flat": stick(1e6), "power": slope} {
		supported := 0
		for seed := range uint64(seeds) {
			e := each(plantedH2(seed, noisy(null, 0.15, seed)), tiered(1))
			points, _ := kneePoints(analysis.Levels(e.Arms, func(a *analysis.Measured) float64 { return float64(a.ContextTokens) }), e.Plan.Profile.Quantile)
			fit, err := analysis.FitKnee(points, analysis.Resampling{B: 1})
			require.NoError(t, err)
			// Found over contexts is found over demand, but for 32 tokens of
			// output: screen with a margin.
			if max(fit.Margin, fit.Queue.Margin) > analysis.KneeMargin-5 && H2().Judge(e).Verdict.Outcome == analysis.Supported {
				supported++
			}
		}
		require.LessOrEqual(t, supported, seeds/20, name)
		t.Logf("%s: %d of %d nulls were SUPPORTED", name, supported, seeds)
	}
}

func TestTrueKneesInNoiseSupportH2(t *testing.T) {
	for seed := range uint64(5) {
		v := H2().Judge(each(plantedH2(seed, noisy(stick(1), 0.1, seed)), tiered(1))).Verdict
		require.Equal(t, analysis.Supported, v.Outcome, v.String())
	}
}

// recomputed: a session finds in the cache only its share of the pool.
func recomputed(a *analysis.Measured) {
	a.Server.DiskInBytes = new(0.0)
	a.CachedTokensMean -= beyond(a) / plantedPerToken / float64(a.Users)
}

// slope is a latency that grows smoothly with the demand, as computing longer
// contexts does.
func slope(demand float64) truth {
	ttft := firstMs * math.Pow(demand, 0.8)
	return truth{ttftMs: ttft, cycleMs: ttft + aloneMs, perSec: 1000 * plantedUsers / (ttft + aloneMs)}
}
