package hypotheses

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

func TestJudgeH6OnPlantedTruth(t *testing.T) {
	const storm, hot, base = analysis.ConditionStorm, analysis.ConditionHot, analysis.ConditionBase
	flatTail := func(h *h6Truth) { h.storm.ms = h.hot.ms }
	noReads := func(h *h6Truth) { h.storm.reads = 0.003 }
	slots := func(n int) func(*analysis.Experiment) {
		return func(e *analysis.Experiment) { e.Plan.LoRA.Slots = n }
	}
	for _, c := range []loraRow[h6Truth]{
		{"the storm waits for what it reads", nil, nil, analysis.Supported, nil, ""},
		{"reads proven, and the tail does not mind: shown to be flat", flatTail, nil, analysis.Refuted, []string{"FLAT"}, "TTFT under a storm"},
		{
			"a flat tail, but both arms read: shows nothing about reads", func(h *h6Truth) { flatTail(h); h.hot.reads = h.storm.reads }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"bytes read per request",
		},
		{
			"LoRA itself is slow, and switching costs nothing: reported apart", func(h *h6Truth) {
				h.hot.ms = 2 * h.base.ms
				flatTail(h)
			}, nil, analysis.Refuted, []string{"FLAT"}, "TTFT under a storm",
		},
		{
			"LoRA itself is slow, and nothing is read: it is compute", func(h *h6Truth) {
				h.hot.ms = 2 * h.base.ms
				flatTail(h)
				noReads(h)
			}, nil, analysis.Inconclusive, []string{"NO_READS"}, "TTFT under a storm",
		},
		{"a storm over less than twice the cache", nil, slots(33), analysis.Inconclusive, []string{"FITS"}, ""},
		{"a storm over exactly twice the cache is one", func(h *h6Truth) { h.storm.reads = 0.5 }, slots(32), analysis.Supported, nil, ""},
		{
			"pinned: the server says that all adapters fit", func(h *h6Truth) { flatTail(h); noReads(h) }, slots(plantedAdapters),
			analysis.Inconclusive,
			[]string{"FITS"},
			"bytes read per request",
		},
		{
			"a page cache that stayed warm: the storm reads nothing", func(h *h6Truth) { flatTail(h); noReads(h) }, nil,
			analysis.Inconclusive,
			[]string{"NO_READS"},
			"bytes read per request",
		},
		{"the storm's tail rises and it reads nothing: it is not the disk", noReads, nil, analysis.Inconclusive, []string{"NOT_STORAGE"}, "bytes read per request"},
		{
			"the storm reads 4 times what the hot adapter does", func(h *h6Truth) { h.hot.reads = h.storm.reads / 4 }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"bytes read per request",
		},
		{
			"the tail rises by 15 %: real and too small", func(h *h6Truth) { h.storm.ms = 1.15 * h.hot.ms }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"TTFT under a storm",
		},
		{
			"whatever comes second is a third slower", func(h *h6Truth) { h.last = 1.33 }, nil,
			analysis.Inconclusive,
			[]string{"ORDER_EFFECT"},
			"order: the second arm",
		},
		{
			"the storm leaves the hot adapter half as slow again", func(h *h6Truth) { h.carry = 1.5 }, nil,
			analysis.Inconclusive,
			[]string{"ORDER_EFFECT"},
			"carry-over: pairs",
		},
		{
			"a pair's second arm is 3 % slower: silent, whatever its p", func(h *h6Truth) { h.last = 1.03 }, nil,
			analysis.Supported, nil, "",
		},
		{
			"an order effect beside a tail that is flat on average: not REFUTED", func(h *h6Truth) { flatTail(h); h.last = 1.13 }, nil,
			analysis.Inconclusive,
			[]string{"ORDER_EFFECT"},
			"order: the second arm",
		},
		{
			"six pairs cannot show an order effect, so none is excluded", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.Block >= 6 })
			}, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "order: the second arm",
		},
		{
			"all pairs in one order", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.Block%2 == 1 })
			}, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "carry-over: pairs",
		},
		{"nobody knows how many adapters fit", nil, slots(0), analysis.Inconclusive, []string{"SLOTS_UNKNOWN"}, ""},
		{"nobody counted the device's reads", nil, func(e *analysis.Experiment) { each(e, unseen) }, analysis.Inconclusive, []string{"READS_UNKNOWN"}, "bytes read per request"},
		{
			"nobody counted the reads of one storm", nil, func(e *analysis.Experiment) { unseen(conditionArms(e, storm, -1)[3]) },
			analysis.Inconclusive,
			[]string{"READS_UNKNOWN"},
			"bytes read per request",
		},
		{
			"nobody counted the reads of one hot arm", nil, func(e *analysis.Experiment) { unseen(conditionArms(e, hot, -1)[3]) },
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"bytes read per request",
		},
		{
			"unseen reads and a flat tail are not REFUTED", flatTail, func(e *analysis.Experiment) { each(e, unseen) },
			analysis.Inconclusive,
			[]string{"READS_UNKNOWN"},
			"TTFT under a storm",
		},
		{
			"the server gives one answer whatever it is asked for", nil, func(e *analysis.Experiment) { e.Plan.LoRA.Check.Ignored = true },
			analysis.Invalid,
			[]string{"ADAPTERS_IGNORED"},
			"byte-identical",
		},
		{
			"nobody could compare two answers", nil, func(e *analysis.Experiment) { e.Plan.LoRA.Check.Compared = 1 },
			analysis.Invalid,
			[]string{"ADAPTERS_IGNORED"},
			"byte-identical",
		},
		{"nobody knows how large the files are", nil, func(e *analysis.Experiment) { e.Plan.LoRA.AdapterBytes = 0 }, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied"},
		{
			"no arms of the base model", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.LoRA.Condition == base })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"no storm", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.LoRA.Condition == storm })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"hot and storm never in one block", nil, func(e *analysis.Experiment) {
				under(e, storm, func(a *analysis.Measured) { a.Block += 100 })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"the base model in other blocks: nothing to say beside the verdict, which stands", nil, func(e *analysis.Experiment) {
				under(e, base, func(a *analysis.Measured) { a.Block += 100 })
			}, analysis.Supported, nil, "",
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			truth := claimedH6()
			if c.truth != nil {
				c.truth(&truth)
			}
			e := plantedH6(41, truth)
			if c.run != nil {
				c.run(e)
			}
			judgeRow(t, H6(), e, c.outcome, c.reasons, c.fails)
		})
	}
}

// What LoRA costs without any switching stands beside the verdict and moves
// nothing in it.
func TestJudgeH6ReportsComputeApart(t *testing.T) {
	slow := claimedH6()
	slow.hot.ms, slow.storm.ms = 2*slow.base.ms, 2*slow.base.ms
	v := H6().Judge(plantedH6(42, slow)).Verdict
	require.NotEqual(t, analysis.Supported, v.Outcome)
	require.InDelta(t, 1, *claimWith(t, v, "TTFT under a storm").Value, 0.03)
	apart := claimWith(t, v, "LoRA compute, beside the verdict")
	require.InDelta(t, 2, *apart.Value, 0.05)
	require.Nil(t, apart.Limit, "no limit: it decides nothing")
}

func TestJudgeH6RecoversThePlantedTruth(t *testing.T) {
	truth := claimedH6()
	truth.carry = 1.2
	v := H6().Judge(plantedH6(43, truth)).Verdict
	require.Equal(t, "ADAPTER_READ", v.Mechanism)
	// The storm goes first in half of the pairs, and what it leaves behind slows
	// the hot arms of those alone.
	require.InDelta(t, 1.2, *claimWith(t, v, "carry-over: pairs").Value, 0.05)
	require.InDelta(t, math.Sqrt(1.2), *claimWith(t, v, "order: the second arm").Value, 0.03)
	require.InDelta(t, 2/math.Sqrt(1.2), *claimWith(t, v, "TTFT under a storm").Value, 0.06)
	require.InDelta(t, 1.02*missed(plantedAdapters)*100, *claimWith(t, v, "bytes read per request").Value, 1e-6,
		"the hot adapter reads less than a hundredth, which counts as one")
}

// At the limit of the claim, where all else holds.
func TestJudgeH6ErrorRates(t *testing.T) {
	const runs = 60
	count := func(truth string, ratio float64, runs int) int {
		return supported(t, truth, runs, func(seed uint64) Judgement {
			truth := claimedH6()
			truth.storm.ms = ratio * truth.hot.ms
			return H6().Judge(plantedH6(seed, truth))
		})
	}
	require.LessOrEqual(t, count("a ratio of exactly 1.2", stormRatio, runs), runs/20)
	require.Zero(t, count("no effect", 1, runs/4))
	require.GreaterOrEqual(t, count("a ratio of 1.35", 1.35, runs/6), runs/6-1)
}
