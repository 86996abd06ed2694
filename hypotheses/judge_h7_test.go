package hypotheses

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark/smart"
)

func TestJudgeH7OnPlantedTruth(t *testing.T) {
	const invalid, open = analysis.Invalid, analysis.Inconclusive
	standIn := func(h *h7Truth) { h.log = false }
	first := func(edit func(d *analysis.SmartDelta)) func(*h7Truth) {
		return func(h *h7Truth) {
			h.edit = func(i int, d *analysis.SmartDelta) {
				if i == 0 { // a cold window of H1
					edit(d)
				}
			}
		}
	}
	all := func(edit func(d *analysis.SmartDelta)) func(*h7Truth) {
		return func(h *h7Truth) { h.edit = func(_ int, d *analysis.SmartDelta) { edit(d) } }
	}
	both := func(edits ...func(*h7Truth)) func(*h7Truth) {
		return func(h *h7Truth) {
			for _, edit := range edits {
				edit(h)
			}
		}
	}
	onlyH1 := func(h *h7Truth) {
		h.measure = func(h1, _, _ *analysis.Experiment) []*analysis.Experiment { return []*analysis.Experiment{h1} }
	}
	onlyH6 := func(h *h7Truth) {
		h.measure = func(_, _, h6 *analysis.Experiment) []*analysis.Experiment { return []*analysis.Experiment{h6} }
	}
	split := func(times float64) func(*analysis.SmartDelta) {
		return func(d *analysis.SmartDelta) {
			d.MaxRequest, d.MaxCommand = 1<<20, 128<<10
			d.Reads = d.BlockReads + times*math.Ceil(d.BlockReadBytes/d.MaxCommand)
		}
	}
	for _, c := range []loraRow[h7Truth]{
		{"the disk reads what is loaded, and its log says so", nil, nil, analysis.Supported, nil, ""},
		{"no log: diskstats stands in", standIn, nil, analysis.Supported, nil, ""},
		{"the server counts nothing: the design predicts", func(h *h7Truth) { h.counts = false }, nil, analysis.Supported, nil, ""},
		{"H6 alone is enough", onlyH6, nil, analysis.Supported, nil, ""},
		{"a foreign reader of 5 MB past the block layer, in one arm", first(func(d *analysis.SmartDelta) { d.ReadBytes, d.Reads = d.ReadBytes+5e6, d.Reads+40 }), nil, invalid, []string{"FOREIGN_IO", "FOREIGN_COMMANDS"}, "closure"},
		{"1 % more than the block layer's is within the tolerance", first(func(d *analysis.SmartDelta) { d.ReadBytes = 1.009 * d.BlockReadBytes }), nil, analysis.Supported, nil, ""},
		{"as many bytes, and thousands of commands more", first(func(d *analysis.SmartDelta) { d.Reads *= 3 }), nil, invalid, []string{"FOREIGN_COMMANDS"}, "host read commands over"},
		{"another disk's log", all(func(d *analysis.SmartDelta) { d.Reads, d.ReadBytes = 0, 0 }), nil, invalid, []string{"WRONG_DEVICE"}, "closure"},
		{"units taken for 512 B", all(func(d *analysis.SmartDelta) { d.ReadBytes /= 1000 }), nil, invalid, []string{"WRONG_DEVICE", "COMMAND_SIZE"}, "closure"},
		{"commands split at the device's limit", all(split(1)), nil, analysis.Supported, nil, ""},
		{"more commands than splits explain", all(split(3)), nil, invalid, []string{"FOREIGN_COMMANDS"}, "host read commands over"},
		{"requests larger than the kernel makes", all(func(d *analysis.SmartDelta) { d.MaxRequest = 4096 }), nil, invalid, []string{"COMMAND_SIZE"}, "the arm with the largest"},
		{"nobody knows how large a request may be", all(func(d *analysis.SmartDelta) { d.MaxRequest = math.NaN() }), nil, open, []string{"CLAIM_NOT_SHOWN"}, "the arm with the largest"},
		{"no log, and another disk was read: it cannot be told apart", both(standIn, first(func(d *analysis.SmartDelta) { d.PagedInBytes += 5e6 })), nil, open, []string{"FOREIGN_IO"}, "closure"},
		{"no log and no second count", both(standIn, first(func(d *analysis.SmartDelta) { d.PagedInBytes = math.NaN() })), nil, open, []string{"CLAIM_NOT_SHOWN"}, "closure"},
		{"one log is missing: the stand-in is taken for all", first(func(d *analysis.SmartDelta) {
			d.Source, d.Reads, d.ReadBytes = smart.SourceDiskstats, math.NaN(), math.NaN()
		}), nil, analysis.Supported, nil, ""},
		{
			"the page cache gives what the server loads", func(h *h7Truth) {
				h.reads = func(_ *rand.Rand, loads float64) float64 { return loads * plantedSize / 100 }
			}, nil, open, []string{"PAGE_CACHE"}, "",
		},
		{
			"the disk reads as much, whatever is asked for", func(h *h7Truth) {
				h.reads = func(rng *rand.Rand, _ float64) float64 { return rng.Float64() * 40 * plantedSize }
			}, nil, analysis.Refuted, []string{"NOT_TRACKING"}, "rank correlation",
		},
		{"all adapters fit and none is ever loaded", func(h *h7Truth) {
			h.reads = func(*rand.Rand, float64) float64 { return 0 }
		}, func(e *analysis.Experiment) {
			for _, s := range e.Sources {
				each(s, func(a *analysis.Measured) { a.Server.AdapterInBytes = new(0.0) })
			}
		}, open, []string{"NO_READS"}, "rank correlation"},
		{"every arm asks for the same", nil, func(e *analysis.Experiment) {
			e.Sources = e.Sources[:1]
			cold := plantedH7(2, claimedH7()).Sources[0]
			e.Sources[0].Arms = append(e.Sources[0].Arms, cold.Arms...)
			without(e.Sources[0], func(a *analysis.Measured) bool { return a.LoRA.Condition != analysis.ConditionCold })
			e.Sources[0].Arms = append(e.Sources[0].Arms, e.Sources[0].Arms...)
		}, open, []string{"NO_VARIATION"}, "rank correlation"},
		{"20 arms", onlyH1, nil, open, []string{"TOO_FEW_ARMS"}, "arms"},
		{"one arm whose disk nobody saw", nil, func(e *analysis.Experiment) { e.Sources[2].Arms[3].Smart = nil }, open, []string{"READS_UNKNOWN"}, "closure"},
		{"nobody saw the disk at all", nil, func(e *analysis.Experiment) {
			for _, s := range e.Sources {
				each(s, func(a *analysis.Measured) { a.Smart = nil })
			}
		}, open, []string{"READS_UNKNOWN"}, "closure"},
		{"the client sent late", nil, func(e *analysis.Experiment) { e.Sources[1].Arms[0].Summary.Client.Dropped = 1 }, invalid, []string{"CLIENT_BOUND"}, "lag"},
		{"an arm of H5 with too few requests", nil, func(e *analysis.Experiment) { a := e.Sources[1].Arms[0]; a.TTFT = a.TTFT[:20] }, invalid, []string{"TOO_FEW_REQUESTS"}, "good requests"},
		{"requests failed", nil, func(e *analysis.Experiment) {
			e.Sources[1].Arms[0].Summary.Requests.ErrorRate = new(0.2)
		}, invalid, []string{"ERRORS"}, "failed requests"},
		{"a busy machine", nil, func(e *analysis.Experiment) { e.Sources[0].Arms[0].Quiet.OK = false }, invalid, []string{"NOT_QUIET"}, "busy machine"},
		{"nobody knows how large the files are", nil, func(e *analysis.Experiment) { e.Sources[0].Arms[0].LoRA.AdapterBytes = 0 }, invalid, []string{"NO_FIT"}, "the rule can be applied"},
		{"runs without adapters", nil, func(e *analysis.Experiment) {
			for _, s := range e.Sources {
				each(s, func(a *analysis.Measured) { a.LoRA = nil })
			}
		}, invalid, []string{"NO_FIT"}, "the rule can be applied"},
	} {
		t.Run(c.why, func(t *testing.T) {
			truth := claimedH7()
			if c.truth != nil {
				c.truth(&truth)
			}
			e := plantedH7(71, truth)
			if c.run != nil {
				c.run(e)
			}
			fails := c.fails
			if fails == "arms" { // part of every claim
				fails = ""
			}
			judgeRow(t, H7(), e, c.outcome, c.reasons, fails)
		})
	}
}

// A verdict on the stand-in says so wherever it is read.
func TestJudgeH7NamesItsSource(t *testing.T) {
	truth := claimedH7()
	j := H7().Judge(plantedH7(72, truth))
	require.Contains(t, claimWith(t, j.Verdict, "closure").Text, "source: nvme-ioctl")
	require.Contains(t, j.Figure.Subtitle, "source: nvme-ioctl")
	require.Equal(t, "ADAPTER_READ", j.Verdict.Mechanism)
	require.Less(t, *j.Verdict.P, 0.01)
	truth.log = false
	j = H7().Judge(plantedH7(72, truth))
	for _, text := range []string{"closure", "rank correlation"} {
		require.Contains(t, claimWith(t, j.Verdict, text).Text, "source: diskstats")
	}
	require.Contains(t, j.Figure.Subtitle, "source: diskstats")
	require.NotContains(t, j.Verdict.String(), "host read commands over", "without a log there are no commands")
}

func TestJudgeH7RecoversThePlantedTruth(t *testing.T) {
	e := plantedH7(73, claimedH7())
	kv := 400e9
	e.Sources[2].Arms[0].Server.DiskInBytes = &kv
	d, err := h7DataOf(e)
	require.NoError(t, err)
	require.Equal(t, "KV_TIER", d.mechanism(), "KV that came back is most of the bytes")
	require.Equal(t, 10+8+10, d.clusters)
	require.InDelta(t, 1.003, plantedShare(t, 74), 0.002)
	v := H7().Judge(plantedH7(74, claimedH7())).Verdict
	require.InDelta(t, 1, *claimWith(t, v, "rank correlation").Value, 0.05)
	closure := claimWith(t, v, "closure")
	require.True(t, *closure.Value > 0 && *closure.Value < 0.51, "a unit is half of the tolerance")
}

func plantedShare(t *testing.T, seed uint64) float64 {
	t.Helper()
	return *claimWith(t, H7().Judge(plantedH7(seed, claimedH7())).Verdict, "bytes read over bytes predicted").Value
}

func TestDesignPredictsLoads(t *testing.T) {
	arm := func(condition string, n, users int, cold bool) *analysis.Measured {
		a := &analysis.Measured{}
		a.Users = users
		a.LoRA = plantedUse(condition, n, map[bool]string{true: "process"}[cold], 0)
		a.Summary.Requests.Warmup, a.Summary.Requests.Due, a.Summary.Requests.Drain = 10, 80, 10
		return a
	}
	for _, row := range []struct {
		why  string
		a    *analysis.Measured
		want float64
	}{
		{"each adapter once", arm(analysis.ConditionCold, 8, 1, true), 8},
		{"all in memory", arm(analysis.ConditionWarm, 8, 1, false), 0},
		{"no adapter", arm(analysis.ConditionBase, 0, 8, true), 0},
		{"one hot adapter", arm(analysis.ConditionHot, 1, 8, false), 0},
		{"as many as users have, once", arm(analysis.ConditionSticky, 64, 8, true), 8},
		{"fewer adapters than users", arm(analysis.ConditionSticky, 4, 8, true), 4},
		{"more in use than fit: they miss as a storm does", arm(analysis.ConditionSticky, 64, 24, true), 24 + 100*0.5},
		{"a storm over what fits, cold", arm(analysis.ConditionStorm, 4, 8, true), 4},
		{"a storm from cold: what memory holds, then misses", arm(analysis.ConditionStorm, 48, 8, true), 12 + 100*0.75},
		{"a storm on a server that kept its share", arm(analysis.ConditionStorm, 48, 8, false), 12*0.75 + 100*0.75},
	} {
		require.InDelta(t, row.want, designLoads(row.a), 1e-9, row.why)
	}
	a := arm(analysis.ConditionStorm, 48, 8, true)
	a.LoRA.Slots = 0
	require.InDelta(t, 48, designLoads(a), 0, "nobody knows how many fit: no misses are made up")
	a.Server.AdapterLoads = new(5.0)
	require.Equal(t, predicted{5 * plantedSize, true}, predictedBytes(a))
	a.Server.AdapterInBytes, a.Server.DiskInBytes = new(7.0), new(3.0)
	require.Equal(t, predicted{10, true}, predictedBytes(a), "the server's bytes, and KV's")
}

// h7AtLimit is the sd of ln bytes under which planted reads have a rank
// correlation of 0.80 with their loads (0.802 over 40 runs).
const h7AtLimit = 1.0

// At the limit of the claim and with noise about it, hardly ever SUPPORTED; with
// an honest disk, always.
func TestJudgeH7ErrorRates(t *testing.T) {
	const runs = 9
	noisy := func(sd float64) func(uint64) Judgement {
		return func(seed uint64) Judgement {
			truth := claimedH7()
			truth.reads = func(rng *rand.Rand, loads float64) float64 {
				return (loads + 2) * plantedSize * math.Exp(sd*rng.NormFloat64())
			}
			return H7().Judge(plantedH7(seed, truth))
		}
	}
	require.LessOrEqual(t, supported(t, "reads that follow at the limit, a correlation of 0.8", runs, noisy(h7AtLimit)), 1)
	require.GreaterOrEqual(t, supported(t, "reads that follow", runs/3, noisy(0.1)), runs/3)
}

func TestGatherH7(t *testing.T) {
	g := Gathered{Runs: []Found{{Head: analysis.Head{Hypothesis: "H5"}}}}
	require.True(t, g.has("H5"))
	require.False(t, g.has("H6"))
	require.True(t, strings.HasPrefix(runName(&analysis.Experiment{Dir: "/a/b/H5/20261123"}), "H5/"))
}
