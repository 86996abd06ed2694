package loadgen

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestValidateNamesFieldAndRemedy(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(*Plan)
		want  []string // parts of the message
	}{
		{"nothing to measure", func(p *Plan) { p.Measure = 0 }, []string{"Measure: 0s is too short"}},
		{"negative warm-up", func(p *Plan) { p.Warmup = -1 }, []string{"Warmup"}},
		{"a year", func(p *Plan) { p.Drain = 365 * 24 * time.Hour }, []string{"Drain", "too long"}},
		{"cap below window", func(p *Plan) { p.MaxMeasure = time.Second }, []string{"MaxMeasure", "raise it"}},
		{"negative requests", func(p *Plan) { p.MinRequests = -1 }, []string{"MinRequests"}},
		{"negative in flight", func(p *Plan) { p.MaxInFlight = -1 }, []string{"MaxInFlight"}},
		{"no kind", func(p *Plan) { p.Arrivals.Kind = "" }, []string{"Arrivals.Kind", `"closed"`}},
		{"no users", func(p *Plan) { p.Arrivals.Users = 0 }, []string{"Arrivals.Users"}},
		{"rate 0", func(p *Plan) { p.Arrivals = Poisson(0) }, []string{"Arrivals.PerSec"}},
		{"rate NaN", func(p *Plan) { p.Arrivals = Constant(math.NaN()) }, []string{"Arrivals.PerSec", "NaN"}},
		{"rate infinite", func(p *Plan) { p.Arrivals = Constant(math.Inf(1)) }, []string{"Arrivals.PerSec"}},
		{"shape 0", func(p *Plan) { p.Arrivals = Gamma(1, 0) }, []string{"Arrivals.Shape"}},
		{"ramp of nothing", func(p *Plan) { p.Arrivals = Ramp(0, 0) }, []string{"Arrivals.ToPerSec", "give one end a rate"}},
		{"empty trace", func(p *Plan) { p.Arrivals = Trace(nil) }, []string{"Arrivals.Trace", "at least one"}},
		{"trace backwards", func(p *Plan) { p.Arrivals = Trace([]time.Duration{2, 1}) }, []string{"Arrivals.Trace", "sort it"}},
		{"trace before the start", func(p *Plan) { p.Arrivals = Trace([]time.Duration{-1, 1}) }, []string{"Arrivals.Trace"}},
		{"thinking in an open loop", func(p *Plan) {
			p.Arrivals = Poisson(1)
			p.Arrivals.Think = Think{Kind: ThinkConstant, Mean: time.Second}
		}, []string{"Arrivals.Think", "use Users"}},
		{"turns in an open loop", func(p *Plan) { p.Arrivals = Poisson(1); p.Arrivals.Turns = 1 }, []string{"Arrivals.Turns", "use Users"}},
		{"negative turns", func(p *Plan) { p.Arrivals.Turns = -1 }, []string{"Arrivals.Turns"}},
		{"unknown thought", func(p *Plan) { p.Arrivals.Think.Kind = "deep" }, []string{"Arrivals.Think.Kind", `"deep"`}},
		{"starts after the window", func(p *Plan) { p.Arrivals.StartSpread = time.Hour }, []string{"Arrivals.StartSpread"}},
		{"no prompt", func(p *Plan) { p.Workload.PromptTokens = 0 }, []string{"Workload.PromptTokens"}},
		{"prompt too long", func(p *Plan) { p.Workload.PromptTokens = 1 << 20 }, []string{"Workload.PromptTokens", "131072"}},
		{"prompt too short for its parts", func(p *Plan) {
			p.Workload = Workload{PromptTokens: 20, SuffixTokens: 16, OutputTokens: 1, Nonce: Nonce{Position: NonceStart}}
		}, []string{"Workload.PromptTokens", "at least 24"}},
		{"no output", func(p *Plan) { p.Workload.OutputTokens = 0 }, []string{"Workload.OutputTokens"}},
		{"share above 1", func(p *Plan) { p.Workload.PrefixShare = 1.1 }, []string{"Workload.PrefixShare"}},
		{"unknown position", func(p *Plan) { p.Workload.Nonce.Position = "middle" }, []string{"Nonce.Position"}},
		{"unknown scope", func(p *Plan) { p.Workload.Nonce.Scope = "run" }, []string{"Nonce.Scope"}},
		{"cold", func(p *Plan) { p.Workload.Temperature = -1 }, []string{"Temperature"}},
		{"length of given prompts", func(p *Plan) { p.Workload.Prompts = []string{"hello"} }, []string{"Workload.Prompts", "PromptTokens"}},
		{"blank prompt", func(p *Plan) {
			p.Workload = Workload{OutputTokens: 1, Prompts: []string{"a", " "}}
		}, []string{"Workload.Prompts", "remove it"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := planOf(Users(4))
			require.NoError(t, p.Validate())
			row.spoil(&p)
			err := p.Validate()
			require.Error(t, err)
			require.True(t, strings.HasPrefix(err.Error(), "loadgen: plan: "), err)
			for _, part := range row.want {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func TestValidateReportsAllFaults(t *testing.T) {
	err := Plan{}.Validate()
	var joined interface{ Unwrap() []error }
	require.True(t, errors.As(err, &joined))
	require.Len(t, joined.Unwrap(), 4, "Measure, Arrivals.Kind, PromptTokens, OutputTokens: %v", err)
}

func TestPlanSurvivesJSON(t *testing.T) {
	p := planOf(Gamma(12.5, 0.7))
	p.MinRequests, p.MaxInFlight, p.Seed = 1000, 64, math.MaxUint64
	p.SLO = SLO{TTFT: time.Second}
	p.Workload.Nonce = Nonce{NonceStart, ScopeUser}
	b, err := json.Marshal(p)
	require.NoError(t, err)
	require.Contains(t, string(b), `"warmup_ns":5000000000`)
	var back Plan
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, p, back)
}

func TestWindowEndLiesOnItsGrid(t *testing.T) {
	p := planOf(Users(1)) // warm-up 5 s, measure 20 s
	require.Equal(t, 25*time.Second, p.WindowEnd(time.Hour), "no MinRequests, no extension")

	p.MinRequests = 1000
	step := p.WindowStep()
	require.Equal(t, 25*time.Second, p.WindowEnd(0))
	require.Equal(t, 25*time.Second, p.WindowEnd(25*time.Second))
	require.Equal(t, 25*time.Second+step, p.WindowEnd(25*time.Second+1), "rounded up")
	require.Equal(t, 25*time.Second+3*step, p.WindowEnd(25*time.Second+3*step), "an end stays")
	require.Equal(t, 205*time.Second, p.WindowEnd(time.Hour), "10 × Measure by default")
	p.MaxMeasure = 30 * time.Second
	require.Equal(t, 35*time.Second, p.WindowEnd(math.MaxInt64))
	require.Equal(t, 40*time.Second, p.Horizon())
}

func TestPhaseIsByDueTime(t *testing.T) {
	p := planOf(Users(1))
	end := p.WindowEnd(0)
	for _, row := range []struct {
		due  time.Duration
		want Phase
	}{{0, PhaseWarmup}, {p.Warmup - 1, PhaseWarmup}, {p.Warmup, PhaseMeasure}, {end - 1, PhaseMeasure}, {end, PhaseDrain}} {
		require.Equal(t, row.want, p.PhaseOf(row.due, end), "due %v", row.due)
	}
}
