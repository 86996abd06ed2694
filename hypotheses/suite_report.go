package hypotheses

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/spark-harness/harness/analysis"
)

// Skipped says that the machine lacks what the hypothesis needs.
func (r Result) Skipped() bool { return errors.Is(r.Err, ErrLacking) }

// Outcome is the verdict's, "SKIPPED" or "FAILED".
func (r Result) Outcome() string {
	switch {
	case r.Skipped():
		return "SKIPPED"
	case r.Err != nil:
		return "FAILED"
	}
	return string(r.Judgement.Verdict.Outcome)
}

// MarshalJSON writes one line for programs: the verdict of a hypothesis that was
// judged, the error of one that was not.
func (r Result) MarshalJSON() ([]byte, error) {
	line := struct {
		Hypothesis string            `json:"hypothesis"`
		Outcome    string            `json:"outcome"`
		Dir        string            `json:"dir,omitempty"`
		Seconds    float64           `json:"took_seconds,omitzero"`
		Verdict    *analysis.Verdict `json:"verdict,omitempty"`
		Error      string            `json:"error,omitempty"`
	}{Hypothesis: r.Hypothesis.ID, Outcome: r.Outcome(), Dir: r.Dir, Seconds: r.Took.Round(time.Millisecond).Seconds()}
	if r.Err != nil {
		line.Error = r.Err.Error()
	} else {
		line.Verdict = &r.Judgement.Verdict
	}
	return json.Marshal(line)
}

// VerdictTable is a line for each result.
func VerdictTable(results []Result) analysis.Table {
	t := analysis.Table{Title: "Verdicts"}
	for _, name := range []string{"id", "title", "verdict", "because", "took"} {
		t.Columns = append(t.Columns, analysis.TableColumn{Name: name})
	}
	for _, r := range results {
		v := r.Judgement.Verdict
		because := strings.Join(v.Reasons, ", ")
		if v.Mechanism != "" {
			because = strings.TrimPrefix(because+", "+v.Mechanism, ", ")
		}
		if r.Err != nil {
			because = clipped(r.Err.Error())
		}
		took := brief(r.Took)
		if r.Took == 0 {
			took = ""
		}
		t.Rows = append(t.Rows, []any{r.Hypothesis.ID, r.Hypothesis.Title, r.Outcome(), because, took})
	}
	return t
}

// clipped is an error's beginning, for a table that fits a terminal.
func clipped(text string) string {
	const most = 60
	text, _, _ = strings.Cut(text, "\n")
	if r := []rune(text); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return text
}
