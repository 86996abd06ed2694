package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/hypotheses"
)

func result(id string, outcome analysis.Outcome, err error) hypotheses.Result {
	return hypotheses.Result{
		Hypothesis: hypotheses.Hypothesis{ID: id, Title: "of " + id}, Err: err,
		Judgement: hypotheses.Judgement{Verdict: analysis.Verdict{Hypothesis: id, Outcome: outcome}},
	}
}

func TestRunEnds(t *testing.T) {
	boom := errors.New("the server went away")
	for _, c := range []struct {
		why  string
		all  []hypotheses.Result
		exit int // 0 for none, -1 for a plain error
		out  string
	}{
		{"one that holds: no table", []hypotheses.Result{result("H0", analysis.Supported, nil)}, 0, ""},
		{"two that hold", []hypotheses.Result{result("H0", analysis.Supported, nil), result("H2", analysis.Supported, nil)}, 0, "SUPPORTED"},
		{"the worst decides", []hypotheses.Result{result("H0", analysis.Refuted, nil), result("H2", analysis.Inconclusive, nil)}, 4, "REFUTED"},
		{"skipped is not supported", []hypotheses.Result{result("H0", analysis.Supported, nil), result("H4", "", hypotheses.ErrLacking)}, 3, "SKIPPED"},
		{"an error goes before any verdict", []hypotheses.Result{result("H0", analysis.Refuted, nil), result("H2", "", boom)}, -1, "FAILED"},
	} {
		var out, errs strings.Builder
		err := runCmd{}.end(streams{&out, &errs}, c.all)
		var own exitError
		switch c.exit {
		case 0:
			require.NoError(t, err, c.why)
		case -1:
			require.ErrorIs(t, err, boom, c.why)
			require.False(t, errors.As(err, &own), c.why)
		default:
			require.ErrorAs(t, err, &own, c.why)
			require.Equal(t, c.exit, own.code, c.why)
		}
		require.Contains(t, out.String(), c.out, c.why)
		require.Equal(t, c.out != "", out.Len() > 0, c.why)
	}
}

func TestRunPrintsLinesForPrograms(t *testing.T) {
	var out, errs strings.Builder
	s := streams{&out, &errs}
	for _, r := range []hypotheses.Result{result("H0", analysis.Supported, nil), result("H4", "", hypotheses.ErrLacking), result("H2", "", errors.New("boom"))} {
		require.NoError(t, runCmd{JSON: true}.print(s, r))
	}
	var outcomes []string
	for line := range strings.Lines(out.String()) {
		var v struct{ Hypothesis, Outcome string }
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		outcomes = append(outcomes, v.Hypothesis+" "+v.Outcome)
	}
	require.Equal(t, []string{"H0 SUPPORTED", "H4 SKIPPED", "H2 FAILED"}, outcomes)
	require.Empty(t, errs.String())
	require.NoError(t, runCmd{JSON: true}.end(s, []hypotheses.Result{result("H0", analysis.Supported, nil), result("H2", analysis.Supported, nil)}))
	require.NotContains(t, out.String(), "Verdicts", "nothing but JSON")
}

func TestRunTakesFlagsBeforeTheEnvironment(t *testing.T) {
	cfg, err := runCmd{Profile: "smoke", Results: "/r", Dir: "/d"}.config([]string{"SPARK_PROFILE=full", "SPARK_DIR=/other", "SPARK_SEED=7"})
	require.NoError(t, err)
	require.Equal(t, []string{"smoke", "/r", "/d"}, []string{cfg.Profile, cfg.Results, cfg.Dir})
	require.EqualValues(t, 7, cfg.Seed)
}

func TestRunPlansAll(t *testing.T) {
	plan, err := runCmd{}.plan()
	require.NoError(t, err)
	require.Len(t, plan, len(hypotheses.All()))
}

// A hypothesis that cannot be measured is told at the end, and the exit says so.
func TestRunFailsLoudly(t *testing.T) {
	t.Setenv("SPARK_BASELINE_URL", "http://127.0.0.1:1")
	t.Setenv("SPARK_FORCE", "1") // the race detector is no reason here
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir) // a lock of its own: somebody may be measuring here
	got := command(t.Context(), "run", "H0", "H2", "--profile", "smoke", "--results", filepath.Join(dir, "r"), "--dir", dir)
	require.Equal(t, 1, got.exit, got.err)
	require.Contains(t, got.err, "measuring H0 (")
	require.Contains(t, got.err, "H0 could not be measured")
	require.Contains(t, got.err, "spark: H0: ")
	require.Contains(t, got.err, "127.0.0.1:1")
	require.Regexp(t, `H0 .* FAILED`, got.out)
	require.Regexp(t, `H2 .* FAILED`, got.out)
}

func TestJudgePrintsLinesForPrograms(t *testing.T) {
	dir, want := recorded(t, "H0")
	got := command(t.Context(), "judge", dir, "--json")
	require.Equal(t, exits[want.Outcome], got.exit, got.err)
	var v struct {
		Outcome, Dir string
		Verdict      analysis.Verdict
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &v), got.out)
	require.Equal(t, dir, v.Dir)
	require.Equal(t, string(want.Outcome), v.Outcome)
	require.Equal(t, want.Title, v.Verdict.Title)
}
