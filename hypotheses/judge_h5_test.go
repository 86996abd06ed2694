package hypotheses

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// h5Truth is a planted run of H5, by condition and number of adapters.
type h5Truth struct {
	of func(condition string, n int) cell
}

// but changes what one condition does.
func (h *h5Truth) but(condition string, edit func(n int, c *cell)) {
	of := h.of
	h.of = func(at string, n int) cell {
		c := of(at, n)
		if at == condition {
			edit(n, &c)
		}
		return c
	}
}

func TestJudgeH5OnPlantedTruth(t *testing.T) {
	const storm, sticky, base = analysis.ConditionStorm, analysis.ConditionSticky, analysis.ConditionBase
	noReads := func(h *h5Truth) { h.but(storm, func(_ int, c *cell) { c.reads = 0.003 }) }
	flatTail := func(h *h5Truth) { h.but(storm, func(_ int, c *cell) { c.ms = 12 }) }
	slots := func(n int) func(*analysis.Experiment) {
		return func(e *analysis.Experiment) { e.Plan.LoRA.Slots = n }
	}
	for _, c := range []loraRow[h5Truth]{
		{"tail and reads grow with the set of a storm", nil, nil, analysis.Supported, nil, ""},
		{
			"reads proven, and the tail does not mind: shown to be flat", flatTail, nil,
			analysis.Refuted,
			[]string{"FLAT"},
			"over 64 adapters over that over 4",
		},
		{
			"a flat tail, but a quarter of the reads that the misses ask for: shows nothing about reads", func(h *h5Truth) {
				flatTail(h)
				h.but(storm, func(_ int, c *cell) { c.reads /= 4 })
			}, nil, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "storm over 64 adapters, in adapters",
		},
		{
			"pinned: the server says that all adapters fit", func(h *h5Truth) { noReads(h); flatTail(h) }, slots(plantedAdapters),
			analysis.Inconclusive,
			[]string{"FITS"},
			"slope of ln TTFT",
		},
		{"all sets fit, whatever the tail does", noReads, slots(plantedAdapters), analysis.Inconclusive, []string{"FITS"}, ""},
		{
			"a page cache that stayed warm", noReads, func(e *analysis.Experiment) {
				under(e, storm, func(a *analysis.Measured) { a.LoRA.Cold.Before.Resident = a.LoRA.Cold.Before.Pages })
			}, analysis.Invalid, []string{"NOT_COLD", "NOT_STORAGE"}, "before a cold arm",
		},
		{
			"one arm whose coldness nobody proved", nil, func(e *analysis.Experiment) { conditionArms(e, sticky, 16)[2].LoRA.Cold = nil },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"before a cold arm",
		},
		{
			"one arm whose page cache nobody looked at", nil, func(e *analysis.Experiment) { conditionArms(e, storm, 16)[2].LoRA.Cold.Before = nil },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"before a cold arm",
		},
		{
			"the base model needs no proof", nil, func(e *analysis.Experiment) {
				under(e, base, func(a *analysis.Measured) { a.LoRA.Cold = nil })
			}, analysis.Supported, nil, "",
		},
		{"bytes flat while the tail rises: it is not the disk", noReads, nil, analysis.Inconclusive, []string{"NOT_STORAGE"}, "storm over 64 adapters, in adapters"},
		{
			"bytes flat because everybody reads, the base model too", func(h *h5Truth) {
				h.but(base, func(_ int, c *cell) { c.reads = 0.9 })
			}, nil, analysis.Inconclusive, []string{"NOT_STORAGE"}, "storm over 64 adapters, in adapters",
		},
		{
			"neither bytes nor the tail move", func(h *h5Truth) { noReads(h); flatTail(h) }, nil,
			analysis.Inconclusive,
			[]string{"NO_READS"},
			"storm over 64 adapters, in adapters",
		},
		{
			"twice the bytes that the misses explain", func(h *h5Truth) { h.but(storm, func(_ int, c *cell) { c.reads *= 2 }) }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"storm over 64 adapters, in adapters",
		},
		{
			"a set that fits reads all the same", func(h *h5Truth) {
				h.but(storm, func(n int, c *cell) {
					if n == 4 {
						c.reads = 0.3
					}
				})
			}, nil, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "all fit",
		},
		{
			"sticky users rise as fast as the storm: it is the number, not the churn", func(h *h5Truth) {
				h.but(sticky, func(n int, c *cell) { c.ms = claimedH5(storm, n).ms })
			}, nil, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "less the one with sticky users",
		},
		{
			"the tail rises by a tenth: real and too small", func(h *h5Truth) {
				h.but(storm, func(n int, c *cell) { c.ms = 12 * math.Pow(float64(n)/4, 0.04) })
			}, nil, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "over 64 adapters over that over 4",
		},
		{"nobody knows how many adapters fit", nil, slots(0), analysis.Inconclusive, []string{"SLOTS_UNKNOWN"}, "storm over 4 adapters, in adapters"},
		{
			"nobody knows how many fit, and a flat tail: the misses are unknown too", flatTail, slots(0),
			analysis.Inconclusive,
			[]string{"SLOTS_UNKNOWN"},
			"storm over 4 adapters, in adapters",
		},
		{"nobody counted the device's reads", nil, func(e *analysis.Experiment) { each(e, unseen) }, analysis.Inconclusive, []string{"READS_UNKNOWN"}, "storm over 4 adapters, in adapters"},
		{
			"nobody counted the reads of one storm over the largest set", nil, func(e *analysis.Experiment) { unseen(conditionArms(e, storm, 64)[3]) },
			analysis.Inconclusive,
			[]string{"READS_UNKNOWN"},
			"storm over 64 adapters, in adapters",
		},
		{
			"nobody counted the reads of one storm over the smallest", nil, func(e *analysis.Experiment) { unseen(conditionArms(e, storm, 4)[3]) },
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"all fit",
		},
		{
			"nobody counted what the base model reads", nil, func(e *analysis.Experiment) { unseen(conditionArms(e, base, 0)[0]) },
			analysis.Inconclusive,
			[]string{"READS_UNKNOWN"},
			"storm over 64 adapters, in adapters",
		},
		{
			"unseen reads and a flat tail are not REFUTED", flatTail, func(e *analysis.Experiment) { each(e, unseen) },
			analysis.Inconclusive,
			[]string{"READS_UNKNOWN"},
			"over 64 adapters over that over 4",
		},
		{
			"the server gives one answer whatever it is asked for", nil, func(e *analysis.Experiment) { e.Plan.LoRA.Check.Ignored = true },
			analysis.Invalid,
			[]string{"ADAPTERS_IGNORED"},
			"byte-identical",
		},
		{
			"nobody could compare two answers", nil, func(e *analysis.Experiment) { e.Plan.LoRA.Check.Compared = 0 },
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
			"no sticky users", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.LoRA.Condition == sticky })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"one set alone", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.LoRA.Adapters > 4 })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"sticky users and storms over other sets", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.LoRA.Condition == sticky && a.LoRA.Adapters == 64 })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			truth := h5Truth{claimedH5}
			if c.truth != nil {
				c.truth(&truth)
			}
			e := plantedH5(31, truth.of)
			if c.run != nil {
				c.run(e)
			}
			judgeRow(t, H5(), e, c.outcome, c.reasons, c.fails)
		})
	}
}

func TestJudgeH5RecoversThePlantedTruth(t *testing.T) {
	v := H5().Judge(plantedH5(32, claimedH5)).Verdict
	require.Equal(t, "ADAPTER_READ", v.Mechanism)
	slope, interaction := claimWith(t, v, "slope of ln TTFT"), claimWith(t, v, "less the one with sticky users")
	for _, c := range []analysis.Claim{slope, interaction} { // sticky users do not rise
		require.InDelta(t, 0.25*math.Ln2, *c.Value, 0.02)
		require.Less(t, *c.Lo, 0.25*math.Ln2)
		require.Greater(t, *c.Hi, 0.25*math.Ln2)
	}
	require.InDelta(t, 2, *claimWith(t, v, "over 64 adapters over that over 4").Value, 0.1)
	large := claimWith(t, v, "storm over 64 adapters, in adapters")
	require.InDelta(t, 1.02*missed(64), *large.Value, 1e-9, "what a storm reads beyond the base model")
	require.InDelta(t, missed(64), *large.Limit, 1e-9)
}

// With sticky users that rise as the storm does, all claims but one hold.
func TestJudgeH5ErrorRates(t *testing.T) {
	const runs = 40
	require.LessOrEqual(t, supported(t, "no interaction", runs, func(seed uint64) Judgement {
		return H5().Judge(plantedH5(seed, func(condition string, n int) cell {
			c := claimedH5(condition, n)
			if condition == analysis.ConditionSticky {
				c.ms = claimedH5(analysis.ConditionStorm, n).ms
			}
			return c
		}))
	}), runs/20)
	require.Zero(t, supported(t, "no effect", runs/8, func(seed uint64) Judgement {
		return H5().Judge(plantedH5(seed, func(condition string, n int) cell {
			c := claimedH5(condition, n)
			c.ms = 12
			return c
		}))
	}))
	require.GreaterOrEqual(t, supported(t, "half as much again at 64", runs/8, func(seed uint64) Judgement {
		return H5().Judge(plantedH5(seed, func(condition string, n int) cell {
			c := claimedH5(condition, n)
			if condition == analysis.ConditionStorm {
				c.ms = 12 * math.Pow(1.5, math.Log2(float64(n)/4)/4)
			}
			return c
		}))
	}), runs/8-1)
}
