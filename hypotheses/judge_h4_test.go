package hypotheses

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/spark"
)

// disk is the truth of one planted condition: what the tail and the reads do
// under a share of the disk's maximum.
type disk struct {
	ttftMs  func(share float64) float64
	awaitMs func(share float64) float64
	inMB    float64 // read by the server
}

// plantedDisks are the three conditions of a run in which all is as claimed.
func plantedDisks() map[string]disk {
	await := func(share float64) float64 { return 1 + 3*share }
	return map[string]disk{
		analysis.ConditionPaging:    {func(s float64) float64 { return 40 * (1 + 3*s) }, await, 500},
		analysis.ConditionComfy:     {func(float64) float64 { return 8 }, await, 0},
		analysis.ConditionNull:      {func(float64) float64 { return 40 }, func(float64) float64 { return 1 }, 500},
		analysis.ConditionComfyNull: {func(float64) float64 { return 8 }, func(float64) float64 { return 0.1 }, 0},
	}
}

// plantedH4 is the quick design with a planted truth by condition.
func plantedH4(seed uint64, disks map[string]disk) *analysis.Experiment {
	e := planted("H4", seed)
	e.Plan.Profile.Repeats = 8
	rng := rand.New(rand.NewPCG(seed, 0))
	add := func(block int, condition, level string, share float64) {
		d := disks[condition]
		at := share
		a := plantedArm(rng, block, plantedUsers, 1280, truth{ttftMs: d.ttftMs(at), cycleMs: 200, perSec: 40})
		a.Telemetry.ReadAwaitMs = d.awaitMs(at) * math.Exp(0.03*rng.NormFloat64())
		a.Server.DiskInBytes = new(d.inMB * 1e6)
		a.Storage = &analysis.Storage{Condition: condition, Level: fioctl.Level{Name: level, Aim: fioctl.Aim{Share: share}}}
		a.Contention = &analysis.Contention{ServerReadMs: d.awaitMs(at), Verification: fioctl.Verification{OK: true}}
		e.Arms = append(e.Arms, a)
	}
	for block := range e.Plan.Profile.Repeats {
		add(block, analysis.ConditionPaging, levelBaseline, 0)
		add(block, analysis.ConditionPaging, levelModerate, 0.4)
		add(block, analysis.ConditionPaging, levelHeavy, 1)
		add(block, analysis.ConditionComfy, levelBaseline, 0)
		add(block, analysis.ConditionComfy, levelHeavy, 1)
		add(block, analysis.ConditionNull, levelHeavy, 1)
		add(block, analysis.ConditionComfyNull, levelHeavy, 1)
	}
	return e
}

func TestJudgeH4OnPlantedTruth(t *testing.T) {
	flat := func(v float64) func(float64) float64 { return func(float64) float64 { return v } }
	for _, c := range []struct {
		why     string
		edit    func(disks map[string]disk)
		run     func(e *analysis.Experiment)
		outcome analysis.Outcome
		reasons []string
	}{
		{"the tail follows the disk", nil, nil, analysis.Supported, nil},
		{
			"a tail that the disk does not move is shown to be flat", func(d map[string]disk) {
				d[analysis.ConditionPaging] = disk{flat(40), d[analysis.ConditionPaging].awaitMs, 500}
			}, nil, analysis.Refuted, []string{"FLAT"},
		},
		{
			"the server reads nothing: whatever moves is not paging", func(d map[string]disk) {
				for _, c := range []string{analysis.ConditionPaging, analysis.ConditionNull} {
					p := d[c]
					p.inMB = 0
					d[c] = p
				}
			}, nil, analysis.Inconclusive, []string{"NOT_PAGING"},
		},
		{
			"comfy moves as well: fio takes the CPU, not only the disk", func(d map[string]disk) {
				d[analysis.ConditionComfy] = disk{func(s float64) float64 { return 8 * (1 + s) }, d[analysis.ConditionComfy].awaitMs, 0}
			}, nil, analysis.Inconclusive, []string{"CPU_CONFOUND"},
		},
		{
			"a load off the disk moves the tail too", func(d map[string]disk) {
				d[analysis.ConditionNull] = disk{func(s float64) float64 { return 40 * (1 + s) }, flat(1), 500}
			}, nil, analysis.Inconclusive, []string{"CPU_CONFOUND"},
		},
		{
			"a load off the disk moves the tail below the knee: it takes the CPU", func(d map[string]disk) {
				d[analysis.ConditionComfyNull] = disk{func(s float64) float64 { return 8 * (1 + s) }, flat(0.1), 0}
			}, nil, analysis.Inconclusive, []string{"CPU_CONFOUND"},
		},
		{
			"the tail moves no more under HEAVY than under the placebo, which moves it a little", func(d map[string]disk) {
				d[analysis.ConditionPaging] = disk{func(s float64) float64 { return 40 * (1 + 0.25*s) }, d[analysis.ConditionPaging].awaitMs, 500}
				d[analysis.ConditionNull] = disk{flat(44), flat(1), 500}
			}, nil, analysis.Inconclusive, []string{"PLACEBO_UNDECIDED"},
		},
		{
			"one window without its contention voids the run", nil, func(e *analysis.Experiment) {
				e.Arms[2].Contention.Verification = fioctl.Verification{Checks: []fioctl.Check{{Name: "fio ran through the window"}}}
			}, analysis.Invalid, []string{"CONTENTION_LOST"},
		},
		{"an arm without any storage record voids it too", nil, func(e *analysis.Experiment) { e.Arms[2].Contention = nil }, analysis.Invalid, []string{"CONTENTION_LOST"}},
		{
			"limits that did not stay in force void it too", nil, func(e *analysis.Experiment) {
				e.Arms[2].Contention.Throttle = &analysis.ThrottleRecord{Fault: "limit gone"}
			}, analysis.Invalid, []string{"CONTENTION_LOST"},
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			disks := plantedDisks()
			if c.edit != nil {
				c.edit(disks)
			}
			e := plantedH4(11, disks)
			if c.run != nil {
				c.run(e)
			}
			j := H4().Judge(e)
			t.Log("\n" + j.Verdict.String())
			require.NoError(t, j.Verdict.Validate())
			require.Equal(t, c.outcome, j.Verdict.Outcome)
			for _, r := range c.reasons {
				require.Contains(t, j.Verdict.Reasons, r)
			}
			require.NotEmpty(t, j.Figure.Panels)
			require.NoError(t, j.Figure.Validate())
		})
	}
}

func TestJudgeH4RecoversThePlantedSlope(t *testing.T) {
	disks := plantedDisks()
	p := disks[analysis.ConditionPaging]
	p.ttftMs = func(s float64) float64 { return 20 * math.Pow(p.awaitMs(s), 0.7) }
	disks[analysis.ConditionPaging] = p
	n := disks[analysis.ConditionNull]
	n.ttftMs = func(float64) float64 { return 20 }
	disks[analysis.ConditionNull] = n
	e := plantedH4(12, disks)
	s := h4DataOf(e).slope(h4DataOf(e).paging)
	require.InDelta(t, 0.7, s.slope.Value, 0.05)
	require.Less(t, s.slope.Lo, 0.7)
	require.Greater(t, s.slope.Hi, 0.7)
	p95 := math.Exp(1.645 * plantedRequests) // over the median
	require.InDelta(t, 20*p95*math.Pow(2, 0.7), s.at()(2), 2, "the line passes through the points")
}

// The second lever shows that the tail follows the reads' wait, not the
// device's: beside fio it decides nothing, alone it proves less than the claim.
func TestJudgeH4OnTheSecondLever(t *testing.T) {
	throttle := func(e *analysis.Experiment) {
		var kept []*analysis.Measured
		rank := int64(0)
		for _, a := range e.Arms {
			switch {
			case a.Storage.Condition == analysis.ConditionPaging && a.Storage.Level.Name != levelBaseline:
				rank = int64(1e9 * (1 - a.Storage.Level.Aim.Share/2))
				a.Storage.Condition, a.Storage.Limits = analysis.ConditionThrottled, &spark.IOLimits{ReadBytesPerSec: rank}
				a.Storage.Level = fioctl.Level{Name: "LIMIT"}
				a.Telemetry.ReadAwaitMs = 1
			case a.Storage.Null(), a.Storage.Level.Name == levelHeavy:
				continue
			}
			kept = append(kept, a)
		}
		e.Arms = kept
	}
	e := plantedH4(13, plantedDisks())
	throttle(e)
	v := H4().Judge(e).Verdict
	require.Equal(t, analysis.Inconclusive, v.Outcome)
	require.Equal(t, []string{"SECOND_LEVER_ONLY"}, v.Reasons)
	require.True(t, strings.Contains(v.String(), "the server's own wait"), v.String())
}

// A second lever that moves nothing stands beside a verdict that it does not
// change.
func TestTheSecondLeverDecidesNothing(t *testing.T) {
	e := plantedH4(14, plantedDisks())
	for block := range e.Plan.Profile.Repeats {
		a := plantedArm(rand.New(rand.NewPCG(uint64(block), 3)), block, plantedUsers, 1280, truth{ttftMs: 40, cycleMs: 200, perSec: 40})
		a.Storage = &analysis.Storage{Condition: analysis.ConditionThrottled, Level: fioctl.Level{Name: "LIMIT70"}, Limits: &spark.IOLimits{ReadBytesPerSec: 1e8}}
		a.Contention = &analysis.Contention{ServerReadMs: 1, Verification: fioctl.Verification{OK: true}}
		e.Arms = append(e.Arms, a)
	}
	v := H4().Judge(e).Verdict
	require.NoError(t, v.Validate())
	require.Equal(t, analysis.Supported, v.Outcome, v.String())
	last := v.Claims[len(v.Claims)-1]
	require.True(t, last.Beside && !last.Holds, last.Text)
}

// Under the null, with the noise that quick shows, the rule must hardly ever
// say SUPPORTED; with a real effect it must mostly.
func TestJudgeH4ErrorRates(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	count := func(runs int, edit func(map[string]disk, *rand.Rand)) (supported int) {
		for i := range runs {
			disks := plantedDisks()
			edit(disks, rand.New(rand.NewPCG(uint64(i), 5)))
			if H4().Judge(plantedH4(uint64(100+i), disks)).Verdict.Outcome == analysis.Supported {
				supported++
			}
		}
		return supported
	}
	const runs = 20
	noise := func(of func(float64) float64, rng *rand.Rand) func(float64) float64 {
		return func(s float64) float64 { return of(s) * math.Exp(0.05*rng.NormFloat64()) }
	}
	require.Zero(t, count(runs, func(d map[string]disk, rng *rand.Rand) {
		p := d[analysis.ConditionPaging]
		p.ttftMs = noise(func(float64) float64 { return 40 }, rng)
		d[analysis.ConditionPaging] = p
	}), "no effect of the disk")
	require.GreaterOrEqual(t, count(runs, func(d map[string]disk, rng *rand.Rand) {
		p := d[analysis.ConditionPaging]
		p.ttftMs = noise(func(s float64) float64 { return 40 * (1 + 0.5*s) }, rng)
		d[analysis.ConditionPaging] = p
	}), runs-3, "half as much again at HEAVY")
}
