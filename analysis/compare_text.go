package analysis

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
)

// String is the comparison in plain words, for a terminal; it ends in a newline.
func (c Comparison) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", c.Hypothesis, visible(c.Title))
	fmt.Fprintf(&b, "    %s\n", c.outcomes())
	for _, d := range c.Differs {
		wrap(&b, visible(d), "    ")
	}
	if len(c.Arms) > 0 {
		fmt.Fprintf(&b, "    %s TTFT of each condition, geometric mean over runs; ratio with its 95 %% interval:\n", c.Quantile)
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "    condition\tA ms\tB ms\tB ÷ A\t95 %\truns\t\t")
		for _, a := range c.Arms {
			fmt.Fprintf(w, "    %s\t%s\t%s\t%.2f\t%s\t%d, %d\t%-22s\t\n", visible(a.Condition), short(a.A), short(a.B), a.Ratio.Value, span(a.Ratio), a.RunsA, a.RunsB, a.Words())
		}
		_ = w.Flush() // a strings.Builder does not fail
	}
	for _, x := range c.Claims {
		wrap(&b, fmt.Sprintf("%s: A %s, B %s", visible(x.Text), strings.TrimPrefix(x.A.numbers(), ": "), strings.TrimPrefix(x.B.numbers(), ": ")), "    ")
	}
	return b.String()
}

func (c Comparison) outcomes() string {
	side := func(v Verdict) string {
		s := string(v.Outcome)
		if len(v.Reasons) > 0 {
			s += " (" + strings.Join(v.Reasons, ", ") + ")"
		}
		return s
	}
	a, b := side(c.A), side(c.B)
	if a == b {
		return a + " on both"
	}
	return "A " + a + ", B " + b
}

func short(v float64) string { return fmt.Sprintf("%.3g", v) }

func span(e Estimate) string {
	if math.IsNaN(e.Lo) || math.IsNaN(e.Hi) {
		return "–"
	}
	return fmt.Sprintf("%.2f–%.2f", e.Lo, e.Hi)
}

// MarshalJSON writes absent numbers as null and adds the words.
func (c ArmComparison) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"condition": c.Condition, "runs_a": c.RunsA, "runs_b": c.RunsB, "a_ms": Num(c.A), "b_ms": Num(c.B),
		"ratio": Num(c.Ratio.Value), "ratio_lo": Num(c.Ratio.Lo), "ratio_hi": Num(c.Ratio.Hi), "p": Num(c.P), "words": c.Words(),
	})
}
