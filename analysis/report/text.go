package report

import (
	"math"
	"strconv"
	"strings"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/oneline"
)

// Most characters of one string. A name that needs more is no name.
const (
	nameLength = 120
	textLength = 600
)

func name(s string) string { return oneline.Of(s, nameLength) }
func text(s string) string { return oneline.Of(s, textLength) }

// absent stands where there is no value.
const absent = "–"

// number writes v to four significant digits, without an exponent from 1e-4 to
// 1e9.
func number(v *float64) string {
	if v == nil || math.IsNaN(*v) {
		return absent
	}
	size := math.Abs(*v)
	switch {
	case math.IsInf(*v, 0), size != 0 && (size < 1e-4 || size >= 1e9):
		return strconv.FormatFloat(*v, 'g', 4, 64)
	case size >= 1e4:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	}
	return strconv.FormatFloat(*v, 'g', 4, 64)
}

// interval is "[lo, hi]", with … for an end that is absent or unbounded; "" for
// no interval.
func interval(c analysis.Claim) string {
	if c.Lo == nil && c.Hi == nil {
		return ""
	}
	end := func(p *float64) string {
		if p == nil {
			return "…"
		}
		return number(p)
	}
	return "[" + end(c.Lo) + ", " + end(c.Hi) + "]"
}

// probability writes a p-value.
func probability(p float64) string {
	switch {
	case math.IsNaN(p):
		return absent
	case p < 0.0001:
		return "< 0.0001"
	}
	return strconv.FormatFloat(p, 'g', 2, 64)
}

// validityPrefix begins the claims that say whether the data may be used.
const validityPrefix = "validity:"

// split parts the claims of the hypothesis from the checks of the data.
func split(v analysis.Verdict) (claims, checks []analysis.Claim) {
	for _, c := range v.Claims {
		if rest, ok := strings.CutPrefix(c.Text, validityPrefix); ok {
			c.Text = strings.TrimSpace(rest)
			checks = append(checks, c)
			continue
		}
		claims = append(claims, c)
	}
	return claims, checks
}

// familyLevel is the level that Holm's correction keeps over a group.
const familyLevel = 0.05

// adjusted are the Holm-adjusted p of a group's sections, NaN where a verdict
// has none, and over how many tests. A verdict without p is not part of the
// family: its rule does not test by one.
func (g Group) adjusted() (p []float64, tests int) {
	p = make([]float64, len(g.Sections))
	var family []float64
	var at []int
	for i, s := range g.Sections {
		p[i] = math.NaN()
		if v := s.Verdict.P; v != nil && *v >= 0 && *v <= 1 {
			family, at = append(family, *v), append(at, i)
		}
	}
	for i, a := range analysis.Holm(family) {
		p[at[i]] = a
	}
	return p, len(family)
}

// sign is a mark that says the outcome without its colour.
func sign(o analysis.Outcome) string {
	switch o {
	case analysis.Supported:
		return "✓"
	case analysis.Refuted:
		return "✗"
	case analysis.Inconclusive:
		return "?"
	}
	return "!"
}
