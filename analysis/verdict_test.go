package analysis

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func goodVerdict() Verdict {
	return Verdict{
		Hypothesis: "H2", Title: "UMA pressure hockey stick",
		Claim:   "Context times concurrency beyond memory pages KV blocks to the disk and the tail rises sharply.",
		Outcome: Supported, Mechanism: "KV_TIER", Quantile: "p95",
		Target: Target{Kind: "emulator", URL: "http://127.0.0.1:8355", Model: "L8B", Emulated: true},
		Claims: []Claim{
			NewClaim("slope rise lower bound > 0.3", Estimate{0.83, 0.61, 1.02}, 0.3, "", true),
			NewClaim("knee contains the pool-full point", Estimate{1.04, 0.93, math.Inf(1)}, 1, "of the pool", true),
		},
		Power: Power{Blocks: 5, Needed: 5},
	}
}

// The keys are a contract with readers in other languages.
func TestVerdictJSON(t *testing.T) {
	got, err := json.Marshal(goodVerdict())
	require.NoError(t, err)
	require.JSONEq(t, `{
		"hypothesis": "H2", "title": "UMA pressure hockey stick",
		"claim": "Context times concurrency beyond memory pages KV blocks to the disk and the tail rises sharply.",
		"outcome": "SUPPORTED", "reasons": [], "mechanism": "KV_TIER", "quantile": "p95",
		"target": {"kind": "emulator", "url": "http://127.0.0.1:8355", "model": "L8B", "emulated": true},
		"claims": [
			{"text": "slope rise lower bound > 0.3", "value": 0.83, "lo": 0.61, "hi": 1.02, "limit": 0.3, "unit": "", "holds": true},
			{"text": "knee contains the pool-full point", "value": 1.04, "lo": 0.93, "hi": null, "limit": 1, "unit": "of the pool", "holds": true}
		],
		"power": {"blocks": 5, "needed": 5}}`, string(got))

	var back Verdict
	require.NoError(t, json.Unmarshal(got, &back))
	again, err := json.Marshal(back)
	require.NoError(t, err)
	require.Equal(t, string(got), string(again), "reading loses nothing")

	empty, err := json.Marshal(Verdict{})
	require.NoError(t, err)
	require.Contains(t, string(empty), `"reasons":[]`, "lists are never null")
	require.Contains(t, string(empty), `"claims":[]`)
	require.Contains(t, string(empty), `"power":{"blocks":0}`, "a count not computed is absent, not 0")
	require.NotContains(t, string(empty), "quantile")
}

func TestVerdictValidate(t *testing.T) {
	require.NoError(t, goodVerdict().Validate())
	for _, row := range []struct {
		why   string
		spoil func(*Verdict)
		want  string
	}{
		{"outcome of no kind", func(v *Verdict) { v.Outcome = "MAYBE" }, "none of"},
		{"empty outcome is no outcome", func(v *Verdict) { v.Outcome = "" }, "none of"},
		{"support needs a claim", func(v *Verdict) { v.Claims = nil }, "without a claim"},
		{"what stands beside is no support", func(v *Verdict) { v.Claims[0].Beside, v.Claims[1].Beside = true, true }, "without a claim"},
		{"refutation needs a claim", func(v *Verdict) { v.Outcome, v.Claims = Refuted, nil }, "without a claim"},
		{"support with a failed claim", func(v *Verdict) { v.Claims[0].Holds = false }, "does not hold"},
		{"invalid must say why", func(v *Verdict) { v.Outcome = Invalid }, "without a reason"},
		{"inconclusive must say why", func(v *Verdict) { v.Outcome = Inconclusive }, "without a reason"},
		{"reasons are codes", func(v *Verdict) { v.Reasons = []string{"too noisy"} }, "not an upper-case code"},
		{"a code starts with a letter", func(v *Verdict) { v.Reasons = []string{"_X"} }, "not an upper-case code"},
		{"mechanisms are codes", func(v *Verdict) { v.Mechanism = "kv tier" }, "not an upper-case code"},
		{"which hypothesis", func(v *Verdict) { v.Hypothesis = "" }, "not a code"},
		{"what was claimed", func(v *Verdict) { v.Claim = "" }, "title and claim"},
		{"interval upside down", func(v *Verdict) { v.Claims[0].Lo = Num(2) }, "upside down"},
		{"JSON has no NaN", func(v *Verdict) { nan := math.NaN(); v.Claims[0].Value = &nan }, "use Num"},
		{"a claim says what", func(v *Verdict) { v.Claims[1].Text = "" }, "no text"},
		{"negative counts", func(v *Verdict) { v.Power.Needed = -1 }, "negative"},
	} {
		v := goodVerdict()
		row.spoil(&v)
		err := v.Validate()
		require.ErrorIs(t, err, ErrVerdict, row.why)
		require.ErrorContains(t, err, row.want, row.why)
	}
	v := Verdict{Outcome: Invalid}
	require.GreaterOrEqual(t, strings.Count(v.Validate().Error(), "\n"), 2, "all faults at once")
}

func TestVerdictString(t *testing.T) {
	v := goodVerdict()
	v.Reasons = []string{"KNEE_AT_POOL_FULL"}
	require.Equal(t, `H2  UMA pressure hockey stick                                        SUPPORTED
    Context times concurrency beyond memory pages KV blocks to the disk and
        the tail rises sharply.
    target emulator (emulated) L8B http://127.0.0.1:8355, endpoint p95,
        mechanism KV_TIER, 5 blocks of 5 needed
    because KNEE_AT_POOL_FULL
  yes slope rise lower bound > 0.3: 0.83 [0.61, 1.02] (limit 0.3)
  yes knee contains the pool-full point: 1.04 of the pool [0.93, …] (limit 1)
`, v.String())
	v.Claim = strings.Repeat("wörter ", 60)
	for line := range strings.Lines(v.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 78, line)
	}
	require.NotContains(t, Verdict{}.String(), "%!", "a zero verdict prints")
}

func TestClaimsBesideTheVerdictDecideNothing(t *testing.T) {
	v := goodVerdict()
	v.Claims = append(v.Claims, Claim{Text: "the second lever", Beside: true})
	require.NoError(t, v.Validate(), "SUPPORTED although it does not hold")
	require.Contains(t, v.String(), "\n  - the second lever\n", "it neither holds nor fails")
	require.NotContains(t, goodVerdict().String(), "\n  - ")
}

func TestNum(t *testing.T) {
	require.Equal(t, 0.0, *Num(0), "0 is a number")
	for _, absent := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		require.Nil(t, Num(absent))
	}
}
