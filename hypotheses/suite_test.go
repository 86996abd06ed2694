package hypotheses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// kept copies the recorded run of H0 into a results directory.
func kept(t *testing.T, results string) Found {
	t.Helper()
	src := recorded(t, "H0")
	dir := filepath.Join(results, "H0", filepath.Base(src))
	if _, err := os.Stat(dir); err != nil {
		require.NoError(t, os.CopyFS(dir, os.DirFS(src)))
	}
	f, err := findRun(dir)
	require.NoError(t, err)
	return f
}

// resting is a hypothesis that measures nothing: it rests on a recorded run, and
// is judged as told.
func resting(t *testing.T, results, id string, outcome analysis.Outcome) Hypothesis {
	t.Helper()
	found := kept(t, results)
	return Hypothesis{
		ID: id, Title: "of " + id, Claim: "Something holds.",
		Gather: func(context.Context, Archive) (Gathered, error) { return Gathered{Runs: []Found{found}}, nil },
		Judge: func(e *analysis.Experiment) Judgement {
			v := Hypothesis{ID: id, Title: "of " + id, Claim: "Something holds."}.verdict(e, 8)
			v.Outcome = outcome
			v.Claims = []analysis.Claim{{Text: "it does", Holds: outcome == analysis.Supported}}
			if outcome != analysis.Supported {
				v.Reasons = []string{"FLAT"}
			}
			return Judgement{Verdict: v}
		},
	}
}

func needing(id string, err error) Hypothesis {
	return Hypothesis{ID: id, Title: "of " + id, Needs: func(context.Context, Config) error { return err }}
}

func TestASuiteGoesOnAfterAFailure(t *testing.T) {
	broken := errors.New("the server went away")
	var told []string
	results := t.TempDir()
	s := Suite{
		Config: Config{Results: results},
		Plan: []Hypothesis{
			needing("H11", broken),
			resting(t, results, "H12", analysis.Supported),
			needing("H13", fmt.Errorf("no fio: %w", ErrLacking)),
			resting(t, results, "H14", analysis.Refuted),
		},
		Done: func(r Result) { told = append(told, r.Hypothesis.ID+" "+r.Outcome()) },
	}
	all := s.Run(t.Context())
	require.Equal(t, []string{"H11 FAILED", "H12 SUPPORTED", "H13 SKIPPED", "H14 REFUTED"}, told)
	require.Len(t, all, 4)
	require.ErrorIs(t, all[0].Err, broken)
	require.NoError(t, all[1].Err)
	require.DirExists(t, all[1].Dir)

	text, err := VerdictTable(all).Text()
	require.NoError(t, err)
	for _, want := range []string{`H11 +of H11 +FAILED +the server went away`, `H12 +of H12 +SUPPORTED +–`, `H13 +of H13 +SKIPPED +no fio`, `H14 +of H14 +REFUTED +FLAT`} {
		require.Regexp(t, want, text)
	}
}

func TestACancelledSuiteEndsWithTheOneUnderWay(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	results := t.TempDir()
	second := Hypothesis{ID: "H12", Needs: func(ctx context.Context, _ Config) error { cancel(); return context.Cause(ctx) }}
	s := Suite{Config: Config{Results: results}, Plan: []Hypothesis{resting(t, results, "H11", analysis.Supported), second, needing("H13", nil)}}
	all := s.Run(ctx)
	require.Len(t, all, 2, "the third is not begun")
	require.NoError(t, all[0].Err)
	require.ErrorIs(t, all[1].Err, context.Canceled)
}

func TestResultsAsJSON(t *testing.T) {
	for _, c := range []struct {
		why  string
		r    Result
		want string
	}{
		{"failed", Result{Hypothesis: Hypothesis{ID: "H1"}, Err: errors.New("no"), Took: time.Second}, `{"hypothesis":"H1","outcome":"FAILED","took_seconds":1,"error":"no"}`},
		{"skipped", Result{Hypothesis: Hypothesis{ID: "H4"}, Err: ErrLacking}, `{"hypothesis":"H4","outcome":"SKIPPED","error":"this machine lacks what the hypothesis needs"}`},
	} {
		b, err := json.Marshal(c.r)
		require.NoError(t, err, c.why)
		require.JSONEq(t, c.want, string(b), c.why)
	}
	b, err := json.Marshal(Result{Hypothesis: Hypothesis{ID: "H0"}, Dir: "x", Judgement: Judgement{Verdict: analysis.Verdict{Hypothesis: "H0", Outcome: analysis.Invalid}}})
	require.NoError(t, err)
	require.Contains(t, string(b), `"outcome":"INVALID"`)
	require.Contains(t, string(b), `"verdict":{"hypothesis":"H0"`)
}

func TestAnalyticalOnesComeLast(t *testing.T) {
	gather := func(context.Context, Archive) (Gathered, error) { return Gathered{}, nil }
	plan := InOrder([]Hypothesis{{ID: "H0"}, {ID: "H3", Gather: gather}, {ID: "H4"}, {ID: "H7", Gather: gather}, {ID: "H5"}})
	var ids []string
	for _, h := range plan {
		ids = append(ids, h.ID)
	}
	require.Equal(t, []string{"H0", "H4", "H5", "H3", "H7"}, ids)
}

func TestTheSuiteSaysHowLongItTakes(t *testing.T) {
	c := Config{Results: t.TempDir(), Profile: "smoke"}
	s := Suite{Config: c, Plan: []Hypothesis{{ID: "H1"}, {ID: "H0"}, {ID: "H99"}}}
	usual := s.Expect()
	require.Equal(t, expected["H0"].quick/8, usual[1])
	require.Equal(t, analysed, usual[2])

	// A run that is there tells better.
	f := kept(t, c.Results)
	end := f.Manifest.Started.Add(77 * time.Second)
	require.NoError(t, os.Chtimes(filepath.Join(f.Dir, bundle.SumsFile), end, end))
	s.Config.Profile = f.Head.Profile.Name
	require.Equal(t, 77*time.Second, s.Expect()[1])
	require.Contains(t, s.Describe(), "H0 (1m17s)")
	require.Contains(t, s.Describe(), "in all")

	s.Config.Profile = "full"
	require.Equal(t, 70*fullArm, s.Expect()[1], "a run of another profile tells nothing")
	for _, h := range All() {
		_, known := expected[h.ID]
		require.True(t, known || h.Gather != nil, "%s: say in suite.go how long it takes", h.ID)
	}
}

func TestProgressOfASuite(t *testing.T) {
	var line string
	p := Progress{Live: func(l string) { line = l }, place: "2 of 3  ", later: time.Minute}
	p.livef("H2  %s", p.left(30*time.Second))
	require.Equal(t, "2 of 3  H2  30s left, 1m30s in all", line)
	p.livef("")
	require.Empty(t, line, "an empty line clears")
	require.Equal(t, "5.0s left", Progress{}.left(5*time.Second))
	require.Equal(t, "one line", clipped("one line\nand another"))
	require.Len(t, []rune(clipped(strings.Repeat("é", 200))), 60)
}
