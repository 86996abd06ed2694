package hypotheses

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// early are counters as somebody would wish for: two that warn, one that does not
// care, and one that is not there.
func early() map[analysis.Counter]curve {
	return map[analysis.Counter]curve{
		analysis.CounterPageIn:   onset(1, 0.7, 300),
		analysis.CounterKVTier:   onset(0, 0.75, 320),
		analysis.CounterPageOut:  func(float64) float64 { return 3 },
		analysis.CounterRefaults: func(float64) float64 { return math.NaN() },
	}
}

func TestPlantedTruthsOfH3(t *testing.T) {
	t.Parallel() // beside toy runs that wait
	with := func(set map[analysis.Counter]curve) map[analysis.Counter]curve {
		all := map[analysis.Counter]curve{analysis.CounterPageOut: func(float64) float64 { return 3 }}
		for c, s := range set {
			all[c] = s
		}
		return all
	}
	for _, c := range []struct {
		why     string
		e       *analysis.Experiment
		outcome analysis.Outcome
		reasons []string
	}{
		{"two counters warn before latency does", plantedH3(1, 8, stick(1), early()), analysis.Supported, nil},
		{
			"memory falls before latency rises", plantedH3(2, 8, stick(1), with(map[analysis.Counter]curve{
				analysis.CounterMemAvailable: func(demand float64) float64 { return 100 - onset(0, 0.6, 20)(demand) },
			})), analysis.Supported, nil,
		},
		{
			"the counters come after", plantedH3(3, 8, stick(0.75), with(map[analysis.Counter]curve{
				analysis.CounterKVTier: onset(0, 1.15, 400), analysis.CounterPageIn: onset(1, 1.15, 380),
			})), analysis.Refuted, []string{"LAGGING"},
		},
		{
			"a counter that begins with latency is no warning", plantedH3(12, 8, stick(1), with(map[analysis.Counter]curve{
				analysis.CounterKVTier: onset(0, 1, 300),
			})), analysis.Inconclusive, []string{"COINCIDES"},
		},
		{
			"nor does a ceiling make it one", plantedH3(13, 8, stick(1), with(map[analysis.Counter]curve{
				analysis.CounterKVTier: saturating(1, 300),
			})), analysis.Inconclusive, []string{"COINCIDES"},
		},
		{"nothing moves at all", plantedH3(4, 8, stick(1), nil), analysis.Inconclusive, []string{"SILENT"}},
		{
			"counters move, and no knee is in them", plantedH3(5, 8, stick(1), with(map[analysis.Counter]curve{
				analysis.CounterPageIn: func(demand float64) float64 { return 50 * math.Pow(demand, 0.3) },
			})), analysis.Inconclusive, []string{"NO_SIGNAL"},
		},
		{"latency has no knee to warn of", plantedH3(6, 8, stick(1e6), early()), analysis.Inconclusive, []string{"NO_KNEE"}},
		{"five repeats cannot decide", plantedH3(7, 5, stick(1), early()), analysis.Inconclusive, []string{"TOO_FEW_REPEATS"}},
		{
			"a gate of one run voids all", func() *analysis.Experiment {
				e := plantedH3(8, 8, stick(1), early())
				e.Sources[1].Arms[3].Quiet.OK = false
				return e
			}(), analysis.Invalid, []string{"NOT_QUIET"},
		},
		{
			"a run without a sweep has no knee to find", func() *analysis.Experiment {
				e := plantedH3(9, 5, stick(1), early())
				e.Sources[0].Arms = e.Sources[0].Arms[:4]
				return e
			}(), analysis.Invalid, []string{"NO_FIT"},
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			j := judged(t, H3(), c.e)
			t.Log("\n" + j.Verdict.String())
			require.Equal(t, c.outcome, j.Verdict.Outcome)
			require.Equal(t, c.reasons, j.Verdict.Reasons)
		})
	}
}

func TestH3SaysWhatDecidesAndWhatStandsBeside(t *testing.T) {
	v := judged(t, H3(), plantedH3(1, 8, stick(1), early())).Verdict
	require.Equal(t, 8, v.Power.Blocks)
	require.InDelta(t, float64(analysis.CounterSignals)/256, *v.P, 1e-9, "8 of 8, first of eleven by Holm")
	text := v.String()
	require.Contains(t, text, "before in 8,")
	silent := v.Claims[len(v.Claims)-1]
	require.True(t, silent.Beside)
	for _, name := range []string{"pswpin (constant)", "SwapCached (constant)", "workingset refaults (absent)"} {
		require.Contains(t, silent.Text, name)
	}
	require.NotContains(t, silent.Text, "pgpgin")
	require.NotContains(t, silent.Text, "pgpgout", "it moves, if only by noise")
	for _, c := range v.Claims {
		require.NotContains(t, c.Text, "pswpin: ", "a silent counter is never a claim")
	}
	few := judged(t, H3(), plantedH3(7, 5, stick(1), early())).Verdict
	require.Equal(t, 8, few.Power.Needed)
	require.True(t, strings.Contains(few.String(), "before in 5,"), few.String())
}

// Repeats of two runs whose users differ stay apart: each is held against itself.
func TestH3PoolsRunsOfDifferentUsers(t *testing.T) {
	e := plantedH3(11, 8, stick(1), early())
	d, err := h3DataOf(e)
	require.NoError(t, err)
	require.Len(t, d.repeats, 8)
	require.Equal(t, []int{0, 0, 0, 0, 0, 1, 1, 1}, func() (runs []int) {
		for _, r := range d.repeats {
			runs = append(runs, r.run)
		}
		return runs
	}())
	for _, r := range d.repeats {
		require.Len(t, r.arms, 8)
		for i := 1; i < len(r.arms); i++ {
			require.Less(t, r.arms[i-1].x, r.arms[i].x)
		}
	}
	for _, k := range d.knees {
		require.InDelta(t, 1, k, 0.1, "the planted knee, in every repeat")
	}
}

// On the same data a hinge lies left of a queue curve: knees of two curves must
// not be held against each other where one curve shows both.
func TestKneesAreComparedByOneCurve(t *testing.T) {
	d, err := h3DataOf(plantedH3(1, 8, stick(1), early()))
	require.NoError(t, err)
	var raw []analysis.Point
	for i, r := range d.repeats {
		for _, a := range r.arms {
			raw = append(raw, analysis.Point{X: a.x, Y: a.Counters[analysis.CounterPageIn], Block: i})
		}
	}
	points, err := analysis.OnsetPoints(raw, false)
	require.NoError(t, err)
	fit, err := analysis.FitKnee(analysis.OnsetFoot(points), analysis.Resampling{B: 1})
	require.NoError(t, err)
	require.True(t, fit.KneeBy("hinge") && fit.KneeBy("queue"), "this counter shows its knee by both")

	for _, curve := range []string{"hinge", "queue"} {
		d.curve = curve
		d.knees, err = analysis.BlockKnees(d.latency, curve)
		require.NoError(t, err)
		got, latency := d.sameCurve(fit)
		require.Equal(t, curve, got)
		require.Equal(t, d.knees, latency)
	}
	smooth := *fit
	smooth.Found, d.curve = false, "hinge" // only the queue curve shows it
	if _, name := smooth.Location(); name == "queue" {
		got, latency := d.sameCurve(&smooth)
		require.Equal(t, "queue", got)
		want, err := analysis.BlockKnees(d.latency, "queue")
		require.NoError(t, err)
		require.Equal(t, want, latency)
	}
}
