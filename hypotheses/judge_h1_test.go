package hypotheses

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/pagecache"
)

// loraRow is one planted run and the verdict that it must get.
type loraRow[T any] struct {
	why     string
	truth   func(*T)
	run     func(*analysis.Experiment)
	outcome analysis.Outcome
	reasons []string
	fails   string // part of a claim that must not hold
}

// judgeRow checks a row's verdict and its artefacts.
func judgeRow(t *testing.T, h Hypothesis, e *analysis.Experiment, outcome analysis.Outcome, reasons []string, fails string) {
	t.Helper()
	j := judged(t, h, e)
	t.Log("\n" + j.Verdict.String())
	require.Equal(t, outcome, j.Verdict.Outcome)
	require.Equal(t, reasons, j.Verdict.Reasons)
	require.Zero(t, j.Handover, "hands nothing on")
	if fails != "" {
		c := claimWith(t, j.Verdict, fails)
		require.False(t, c.Holds, c.Text)
	}
}

// claimWith is the one claim of a verdict with that text in it.
func claimWith(t *testing.T, v analysis.Verdict, text string) analysis.Claim {
	t.Helper()
	var found []analysis.Claim
	for _, c := range v.Claims {
		if strings.Contains(c.Text, text) {
			found = append(found, c)
		}
	}
	require.Len(t, found, 1, "claims with %q", text)
	return found[0]
}

// supported counts the verdicts that say SUPPORTED over so many seeded runs of
// one truth.
func supported(t *testing.T, truth string, runs int, judge func(seed uint64) Judgement) (n int) {
	t.Helper()
	for i := range runs {
		if judge(uint64(1000+i)).Verdict.Outcome == analysis.Supported {
			n++
		}
	}
	t.Logf("%s: SUPPORTED in %d of %d runs", truth, n, runs)
	return n
}

func TestJudgeH1OnPlantedTruth(t *testing.T) {
	for _, c := range []loraRow[h1Truth]{
		{"the first touch waits for its file", nil, nil, analysis.Supported, nil, ""},
		{
			"reads proven, and nobody waits for them: shown to be flat", func(h *h1Truth) { h.coldMs = h.warmMs }, nil,
			analysis.Refuted,
			[]string{"FLAT"},
			"first touch over",
		},
		{
			"pinned: the first touch reads nothing, whatever it costs", func(h *h1Truth) { h.coldBytes = 0 }, nil,
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"worst of 10",
		},
		{
			"pinned, while somebody else reads as much", nil, func(e *analysis.Experiment) {
				each(e, func(a *analysis.Measured) { a.Server.AdapterInBytes = new(0.0) })
			}, analysis.Invalid, []string{"NOT_COLD"}, "worst of 10",
		},
		{
			"the server counts the same as the device", nil, func(e *analysis.Experiment) {
				each(e, func(a *analysis.Measured) { a.Server.AdapterInBytes = new(a.Telemetry.ReadBytes) })
			}, analysis.Supported, nil, "",
		},
		{
			"a page cache that stayed warm", nil, func(e *analysis.Experiment) {
				under(e, analysis.ConditionCold, func(a *analysis.Measured) { a.LoRA.Cold.Before.Resident = a.LoRA.Cold.Before.Pages })
			}, analysis.Invalid, []string{"NOT_COLD"}, "worst of 10",
		},
		{
			"one cycle in which 2 % stayed in the page cache", nil, func(e *analysis.Experiment) {
				p := e.Arms[4].LoRA.Cold.Before
				p.Resident = p.Pages / 50
			}, analysis.Invalid, []string{"NOT_COLD"}, "worst of 10",
		},
		{
			"one cycle whose coldness nobody proved", nil, func(e *analysis.Experiment) { e.Arms[4].LoRA.Cold = nil },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"worst of 10",
		},
		{
			"one cycle whose server nobody restarted", nil, func(e *analysis.Experiment) { e.Arms[4].LoRA.Cold.Means = "" },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"worst of 10",
		},
		{
			"one cycle whose page cache nobody looked at", nil, func(e *analysis.Experiment) { e.Arms[4].LoRA.Cold.Before = nil },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"worst of 10",
		},
		{
			"files without a page prove nothing", nil, func(e *analysis.Experiment) { e.Arms[4].LoRA.Cold.Before.Pages = 0 },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"worst of 10",
		},
		{
			"7 restarts are too few", func(h *h1Truth) { h.cycles, h.adapters = 7, 12 }, nil,
			analysis.Inconclusive,
			[]string{"TOO_FEW_LOADS"},
			"",
		},
		{
			"10 restarts of 6 loads are too few", func(h *h1Truth) { h.adapters = 6 }, nil,
			analysis.Inconclusive,
			[]string{"TOO_FEW_LOADS"},
			"",
		},
		{
			"8 restarts of 8 loads are enough", func(h *h1Truth) { h.cycles = 8 }, nil, analysis.Supported, nil, "",
		},
		{
			"the device read twice the files: somebody else's reads are in it", func(h *h1Truth) { h.coldBytes = 2 }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"in a cold window",
		},
		{
			"one cycle read half of its files", nil, func(e *analysis.Experiment) { e.Arms[4].Telemetry.ReadBytes /= 2 },
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"in a cold window",
		},
		{
			"the next touch reads too", func(h *h1Truth) { h.warmBytes = 0.2 }, nil,
			analysis.Inconclusive,
			[]string{"NOT_WARM"},
			"in a warm window",
		},
		{
			"both touches read and take as long: alike, but not because reads cost nothing",
			func(h *h1Truth) { h.warmBytes, h.warmMs = 1, h.coldMs }, nil,
			analysis.Inconclusive,
			[]string{"NOT_WARM"},
			"in a warm window",
		},
		{
			"before every warm window 2 % of the files are gone", nil, func(e *analysis.Experiment) {
				under(e, analysis.ConditionWarm, func(a *analysis.Measured) { a.LoRA.Cold.Before = &pagecache.Residency{Pages: 100, Resident: 98} })
			}, analysis.Inconclusive, []string{"NOT_WARM"}, "before a warm window",
		},
		{
			"before one warm window the kernel had taken a tenth back, and the server did not miss it", nil, func(e *analysis.Experiment) {
				e.Arms[5].LoRA.Cold.Before = &pagecache.Residency{Pages: 100, Resident: 90}
			}, analysis.Supported, nil, "",
		},
		{
			"nobody looked before one warm window", nil, func(e *analysis.Experiment) { e.Arms[5].LoRA.Cold.Before = nil },
			analysis.Inconclusive,
			[]string{"NOT_WARM"},
			"before a warm window",
		},
		{
			"the excess is a fifth of what reading takes: it is not the reading", func(h *h1Truth) { h.coldMs = h.warmMs + plantedReadMs/5 }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"excess of the first touch",
		},
		{
			"the excess is a little more than half of what reading takes, and may be less", func(h *h1Truth) { h.coldMs = h.warmMs + 0.52*plantedReadMs }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"excess of the first touch",
		},
		{
			"alike, but the first touch read only half: not shown to be flat", func(h *h1Truth) { h.coldMs, h.coldBytes = h.warmMs, 0.5 }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"in a cold window",
		},
		{
			"nobody measured how fast files are read", nil, func(e *analysis.Experiment) {
				each(e, func(a *analysis.Measured) { a.LoRA.Cold.ReadBytesPerSec = 0 })
			}, analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}, "excess of the first touch",
		},
		{
			"the first touch is the faster one: odd, and not flat", func(h *h1Truth) { h.coldMs = h.warmMs / 2 }, nil,
			analysis.Inconclusive,
			[]string{"CLAIM_NOT_SHOWN"},
			"first touch over",
		},
		{
			"nobody counted the device's reads", nil, func(e *analysis.Experiment) { each(e, unseen) },
			analysis.Invalid,
			[]string{"NOT_COLD", "NOT_WARM"},
			"in a cold window",
		},
		{
			"nobody counted the reads of one cold window", nil, func(e *analysis.Experiment) { unseen(e.Arms[4]) },
			analysis.Invalid,
			[]string{"NOT_COLD"},
			"in a cold window",
		},
		{
			"nobody counted the reads of one warm window", nil, func(e *analysis.Experiment) { unseen(e.Arms[5]) },
			analysis.Inconclusive,
			[]string{"NOT_WARM"},
			"in a warm window",
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
		{
			"the run knows nothing of adapters", nil, func(e *analysis.Experiment) { e.Plan.LoRA = nil },
			analysis.Invalid,
			[]string{"ADAPTERS_IGNORED"},
			"byte-identical",
		},
		{
			"nobody knows how large the files are", nil, func(e *analysis.Experiment) {
				each(e, func(a *analysis.Measured) { a.LoRA.AdapterBytes = 0 })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"a cycle without its warm window", nil, func(e *analysis.Experiment) { e.Arms = append(e.Arms[:5:5], e.Arms[6:]...) },
			analysis.Invalid,
			[]string{"NO_FIT"},
			"the rule can be applied",
		},
		{
			"no cold window at all", nil, func(e *analysis.Experiment) {
				without(e, func(a *analysis.Measured) bool { return a.LoRA.Condition == analysis.ConditionCold })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"no adapter was touched twice", nil, func(e *analysis.Experiment) {
				under(e, analysis.ConditionWarm, func(a *analysis.Measured) { a.Touches = nil })
			}, analysis.Invalid, []string{"NO_FIT"}, "the rule can be applied",
		},
		{
			"a touch that took no time at all", nil, func(e *analysis.Experiment) { e.Arms[5].Touches[0].TTFTMs = 0 },
			analysis.Invalid,
			[]string{"NO_FIT"},
			"the rule can be applied",
		},
		{
			"a touch without its time", nil, func(e *analysis.Experiment) { e.Arms[4].Touches[0].TTFTMs = math.NaN() },
			analysis.Invalid,
			[]string{"NO_FIT"},
			"the rule can be applied",
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			truth := claimedH1()
			if c.truth != nil {
				c.truth(&truth)
			}
			e := plantedH1(21, truth)
			if c.run != nil {
				c.run(e)
			}
			judgeRow(t, H1(), e, c.outcome, c.reasons, c.fails)
		})
	}
}

func TestJudgeH1RecoversThePlantedTruth(t *testing.T) {
	v := H1().Judge(plantedH1(22, claimedH1())).Verdict
	require.Equal(t, "p50", v.Quantile)
	require.Equal(t, "ADAPTER_READ", v.Mechanism)
	ratio, excess := claimWith(t, v, "first touch over"), claimWith(t, v, "excess of the first touch")
	require.InDelta(t, 40.0/22, *ratio.Value, 0.1)
	require.Less(t, *ratio.Lo, 40.0/22)
	require.Greater(t, *ratio.Hi, 40.0/22)
	require.InDelta(t, 18, *excess.Value, 1.5)
	require.InDelta(t, plantedReadMs/2, *excess.Limit, 1e-9)
}

func TestCyclesThatWouldDecideH1(t *testing.T) {
	few := claimedH1()
	few.cycles, few.adapters = 4, 4
	require.Equal(t, 16, H1().Judge(plantedH1(23, few)).Verdict.Power.Needed, "16 cycles of 4 are 64 loads")
	shaky := h1Data{cycles: make([]h1Cycle, 10)}
	shaky.cycles[0].pairs = make([]h1Pair, 80)
	require.Equal(t, 40, shaky.needed(analysis.Estimate{Value: 1.1 * 1.1, Lo: 1.1 * 1.1 / 1.21, Hi: 1.1 * 1.1 * 1.21}), "twice as wide as there is room for: four times the cycles")
	require.Zero(t, shaky.needed(analysis.Estimate{Value: 1.05, Lo: 1, Hi: 1.2}), "more cycles would not bring it over the limit")
	require.Zero(t, shaky.needed(absent()))
}

func TestPairsOf(t *testing.T) {
	touches := func(names ...string) *analysis.Measured {
		m := &analysis.Measured{}
		for i, n := range names {
			m.Touches = append(m.Touches, analysis.Touch{Adapter: n, TTFTMs: float64(10 * (i + 1)), LoadMs: float64(i)})
		}
		return m
	}
	for _, c := range []struct {
		why        string
		cold, warm *analysis.Measured
		want       []h1Pair
	}{
		{"each with its own, whatever the order", touches("a", "b"), touches("b", "a"), []h1Pair{{"a", 10, 20, 0}, {"b", 20, 10, 1}}},
		{"the first of several next touches", touches("a"), touches("b", "a", "a"), []h1Pair{{"a", 10, 20, 0}}},
		{"a second touch in the cold window is no first one", touches("a", "a"), touches("a"), []h1Pair{{"a", 10, 10, 0}}},
		{"one that was never touched again", touches("a", "b"), touches("b"), []h1Pair{{"b", 20, 10, 1}}},
		{"the base model is no adapter", touches("", "a"), touches("", "a"), []h1Pair{{"a", 20, 20, 1}}},
		{"nothing", touches(), touches("a"), nil},
	} {
		require.Equal(t, c.want, pairsOf(c.cold, c.warm), c.why)
	}
}

// At the limit of the claim, where all else holds, the rule must hardly ever say
// SUPPORTED; without any effect never; with one that is not large mostly.
func TestJudgeH1ErrorRates(t *testing.T) {
	const runs = 80
	count := func(truth string, ratio float64, runs int) int {
		return supported(t, truth, runs, func(seed uint64) Judgement {
			truth := claimedH1()
			truth.coldMs = truth.warmMs * ratio
			e := plantedH1(seed, truth)
			each(e, func(a *analysis.Measured) { a.LoRA.Cold.ReadBytesPerSec = 100 * plantedRate }) // any excess is enough
			return H1().Judge(e)
		})
	}
	require.LessOrEqual(t, count("a ratio of exactly 1.10", h1Ratio, runs), runs/20)
	require.Zero(t, count("no effect", 1, runs/4))
	require.GreaterOrEqual(t, count("a ratio of 1.25", 1.25, runs/8), runs/8-1)
}
