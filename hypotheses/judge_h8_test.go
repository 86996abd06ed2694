package hypotheses

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

// eachSlice edits every slice of every run.
func eachSlice(e *analysis.Experiment, edit func(*analysis.Slice)) *analysis.Experiment {
	for _, run := range e.Sources {
		for _, a := range run.Arms {
			for i := range a.Slices {
				edit(&a.Slices[i])
			}
		}
	}
	return e
}

// cpuBound is a run in which both iowait and the tail come from the CPU.
func cpuBound(seed uint64) *analysis.Experiment {
	rng := rand.New(rand.NewPCG(seed, 5))
	return eachSlice(plantedH8(seed, plantedStalls()), func(s *analysis.Slice) {
		busy := s.Counters[analysis.CounterBusyCores] * s.Counters[analysis.CounterIOWaitCores]
		s.Counters[analysis.CounterBusyCores] = busy
		s.Counters[analysis.CounterIOWaitCores] = busy * math.Exp(0.2*rng.NormFloat64())
		s.TTFTMs = 20 * busy * math.Exp(0.2*rng.NormFloat64())
	})
}

func TestPlantedTruthsOfH8(t *testing.T) {
	edited := func(seed uint64, edit func(*stalls)) *analysis.Experiment {
		s := plantedStalls()
		edit(&s)
		return plantedH8(seed, s)
	}
	for _, c := range []struct {
		why     string
		e       *analysis.Experiment
		outcome analysis.Outcome
		reasons []string
	}{
		{"iowait and the tail follow the same stalls", edited(1, func(*stalls) {}), analysis.Supported, nil},
		{
			"the tail does not care", edited(2, func(s *stalls) { s.ttftMs = func(float64) float64 { return 20 } }),
			analysis.Refuted,
			[]string{"WEAK"},
		},
		{
			"readers spin: tasks wait and no CPU counts it", edited(3, func(s *stalls) {
				s.iowait = func(wait float64) float64 { return 0.001 * (1 + wait) }
			}), analysis.Inconclusive, []string{"IOWAIT_BLIND"},
		},
		{
			"nobody waits for the disk and iowait is silent: that is not blindness", edited(4, func(s *stalls) {
				s.iowait, s.psi = func(float64) float64 { return 0 }, func(float64) float64 { return 1 }
			}), analysis.Inconclusive, []string{"IOWAIT_SILENT"},
		},
		{"the CPU explains it all", cpuBound(5), analysis.Inconclusive, []string{"CLAIM_NOT_SHOWN"}},
		{
			"no slice has requests enough", eachSlice(edited(6, func(*stalls) {}), func(s *analysis.Slice) { s.TTFTMs = math.NaN() }),
			analysis.Inconclusive,
			[]string{"TOO_FEW_SLICES"},
		},
		{
			"nobody counted iowait", eachSlice(edited(7, func(*stalls) {}), func(s *analysis.Slice) { s.Counters[analysis.CounterIOWaitCores] = math.NaN() }),
			analysis.Inconclusive,
			[]string{"TOO_FEW_SLICES"},
		},
		{
			"a window of H4 lost its contention", func() *analysis.Experiment {
				e := edited(8, func(*stalls) {})
				e.Sources[1].Arms[2].Contention = nil
				return e
			}(), analysis.Invalid, []string{"CONTENTION_LOST"},
		},
		{
			"a window of H2 has no contention to lose", func() *analysis.Experiment {
				e := edited(9, func(*stalls) {})
				e.Sources = e.Sources[:1]
				return e
			}(), analysis.Supported, nil,
		},
		{
			"telemetry of one run has holes", func() *analysis.Experiment {
				e := edited(10, func(*stalls) {})
				e.Sources[0].Arms[7].Telemetry.Completeness, e.Sources[0].Arms[7].Telemetry.MissingTicks = 0.5, 15
				return e
			}(), analysis.Invalid, []string{"TELEMETRY_HOLES"},
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			j := judged(t, H8(), c.e)
			t.Log("\n" + j.Verdict.String())
			require.Equal(t, c.outcome, j.Verdict.Outcome)
			require.Equal(t, c.reasons, j.Verdict.Reasons)
		})
	}
}

func TestH8CountsBlocksAndSaysWhatStandsBeside(t *testing.T) {
	v := judged(t, H8(), plantedH8(1, plantedStalls())).Verdict
	require.Equal(t, 13, v.Power.Blocks, "5 of H2 and 8 of H4")
	require.Equal(t, "p95", v.Quantile)
	require.Less(t, *v.P, 0.001)
	beside := 0
	for _, c := range v.Claims {
		if c.Beside {
			beside++
		}
	}
	require.Equal(t, 6, beside)
	require.True(t, v.Claims[len(v.Claims)-1].Holds, "io PSI predicts runs that it was not fitted to")

	d := h8DataOf(plantedH8(1, plantedStalls()))
	d.blocks[0].steps = d.blocks[0].steps[:h8Slices-1]
	r := d.relationOf(analysis.CounterIOWaitCores, false)
	require.Equal(t, 12, r.used)
	require.True(t, math.IsNaN(r.rhos[0]))
	for i := range d.blocks[1].steps {
		d.blocks[1].steps[i].Counters[analysis.CounterIOWaitCores] = 0
	}
	r = d.relationOf(analysis.CounterIOWaitCores, false)
	require.Equal(t, 12, r.used)
	require.Zero(t, r.rhos[1], "what does not move shows no relation, and is not left out")
}

func TestCPUBoundRunsDoNotSupportH8(t *testing.T) {
	supported := 0
	const seeds = 40
	for seed := range uint64(seeds) {
		if H8().Judge(cpuBound(seed)).Verdict.Outcome == analysis.Supported {
			supported++
		}
	}
	t.Logf("%d of %d", supported, seeds)
	require.LessOrEqual(t, supported, seeds/10)
}

// Stalls with memory that have nothing to do with TTFT must not support H8.
func TestNullsDoNotSupportH8(t *testing.T) {
	supported := 0
	const seeds = 12
	for seed := range uint64(seeds) {
		s := plantedStalls()
		s.memory = 0.9
		e := plantedH8(seed, s)
		for i, run := range plantedH8(seed+500, s).Sources { // TTFT of another machine
			for k, a := range run.Arms {
				for n := range a.Slices {
					e.Sources[i].Arms[k].Slices[n].TTFTMs = a.Slices[n].TTFTMs
				}
			}
		}
		if H8().Judge(e).Verdict.Outcome == analysis.Supported {
			supported++
		}
	}
	require.Zero(t, supported)
}
