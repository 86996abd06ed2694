package analysis

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// ErrNotComparable means that two runs of a hypothesis asked different
// questions, so that their numbers must not stand side by side.
var ErrNotComparable = errors.New("not comparable")

// Comparison is one hypothesis measured twice: on two machines, two disks, or
// before and after a change. Whatever else differs is named in Differs.
type Comparison struct {
	Hypothesis string            `json:"hypothesis"`
	Title      string            `json:"title"`
	Quantile   string            `json:"quantile"`
	A          Verdict           `json:"a"`
	B          Verdict           `json:"b"`
	Differs    []string          `json:"differs"` // "machine: ... against ...", one line each
	Arms       []ArmComparison   `json:"arms"`
	Claims     []ClaimComparison `json:"claims"`
}

// ArmComparison is the endpoint of one condition on both sides.
type ArmComparison struct {
	Condition    string // "u8", "c1024", "paging-HEAVY"
	RunsA, RunsB int
	// A and B are the geometric means over runs of the endpoint, in ms.
	A, B float64
	// Ratio is B over A with its 95 % interval over runs, and P its two-sided
	// p-value after Holm over the arms of the comparison; NaN without two runs
	// on either side.
	Ratio Estimate
	P     float64
	Same  bool // shown to differ by less than 10 % (90 % interval)
}

// ClaimComparison is one claim that both verdicts make.
type ClaimComparison struct {
	Text string `json:"text"`
	A    Claim  `json:"a"`
	B    Claim  `json:"b"`
}

// Compare holds a run against another of the same hypothesis. Runs are the
// unit: the interval of a ratio is Welch's on ln of each run's quantile, so that
// a run counts once however many requests it has. It fails with
// ErrNotComparable for runs of different hypotheses, models, profiles or
// endpoints, and for a run held against itself.
func Compare(a, b *Experiment, va, vb Verdict) (Comparison, error) {
	c := Comparison{Hypothesis: va.Hypothesis, Title: va.Title, Quantile: va.Quantile, A: va, B: vb}
	for _, must := range []struct{ what, a, b string }{
		{"hypotheses", va.Hypothesis, vb.Hypothesis},
		{"models", a.Target().Model, b.Target().Model},
		{"profiles", a.Plan.Profile.Name, b.Plan.Profile.Name},
		{"endpoints", va.Quantile, vb.Quantile},
	} {
		if must.a != must.b {
			return c, fmt.Errorf("analysis: compare %s: %w: the %s are %q and %q", va.Hypothesis, ErrNotComparable, must.what, must.a, must.b)
		}
	}
	if a.Dir == b.Dir || a.Manifest.Epoch != 0 && a.Manifest.Epoch == b.Manifest.Epoch && a.Manifest.Started.Equal(b.Manifest.Started) {
		return c, fmt.Errorf("analysis: compare %s: %w: both are the run in %s, or a copy of it", va.Hypothesis, ErrNotComparable, a.Dir)
	}
	c.Differs = apart(a, b)
	c.Arms = compareArms(endpoints(a), endpoints(b))
	for _, x := range va.Claims {
		for _, y := range vb.Claims {
			if sameClaim(x.Text, y.Text) && !strings.HasPrefix(x.Text, "validity") && x.Value != nil && y.Value != nil {
				c.Claims = append(c.Claims, ClaimComparison{Text: stem(x.Text), A: x, B: y})
				break
			}
		}
	}
	return c, nil
}

// number is what two verdicts may spell differently in the same claim.
var number = regexp.MustCompile(`[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?`)

// sameClaim reports whether two texts make the same claim of different data.
func sameClaim(a, b string) bool {
	return number.ReplaceAllString(stem(a), "#") == number.ReplaceAllString(stem(b), "#")
}

// stem is a claim's text without what it adds about one run alone.
func stem(text string) string {
	text, _, _ = strings.Cut(text, ";")
	text, _, _ = strings.Cut(text, " (the first")
	return text
}

// apart names what else than the numbers differs.
func apart(a, b *Experiment) []string {
	var out []string
	for _, d := range []struct{ what, a, b string }{
		{"machine", a.Manifest.Platform(), b.Manifest.Platform()},
		{"kernel", a.Manifest.Machine.Kernel, b.Manifest.Machine.Kernel},
		{"server", a.Target().Kind, b.Target().Kind},
		{"control", a.Manifest.Control, b.Manifest.Control},
		{"harness", a.Manifest.Build.Revision, b.Manifest.Build.Revision},
	} {
		if d.a != d.b {
			out = append(out, fmt.Sprintf("%s: %s against %s", d.what, orNone(d.a), orNone(d.b)))
		}
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// armName is an arm's directory: its place in the run, its condition, its
// repeat.
var armName = regexp.MustCompile(`^\d+-(.+)-r\d+$`)

// endpoints are ln of the runs' endpoints in ms by condition, in the order of
// first appearance after sorting by what the arms asked for.
func endpoints(e *Experiment) []condition {
	var out []condition
	arms := slices.Clone(e.Arms)
	slices.SortStableFunc(arms, func(x, y *Measured) int {
		return (x.Users-y.Users)*1e6 + x.ContextTokens - y.ContextTokens
	})
	for _, a := range arms {
		name := a.Name
		if m := armName.FindStringSubmatch(a.Name); m != nil {
			name = m[1]
		}
		v, ok := a.QuantileMs(e.Plan.Profile.Quantile)
		if !ok || !(v > 0) {
			continue
		}
		i := slices.IndexFunc(out, func(c condition) bool { return c.name == name })
		if i < 0 {
			i, out = len(out), append(out, condition{name: name})
		}
		out[i].ln = append(out[i].ln, math.Log(v))
	}
	return out
}

type condition struct {
	name string
	ln   []float64
}

func compareArms(a, b []condition) []ArmComparison {
	var out []ArmComparison
	var p []float64
	for _, x := range a {
		i := slices.IndexFunc(b, func(c condition) bool { return c.name == x.name })
		if i < 0 {
			continue
		}
		c := compareRuns(x.ln, b[i].ln)
		c.Condition = x.name
		out, p = append(out, c), append(p, c.P)
	}
	if !slices.ContainsFunc(p, math.IsNaN) {
		for i, adjusted := range Holm(p) {
			out[i].P = adjusted
		}
	}
	return out
}

// compareRuns is Welch's unequal-variances t test on ln values, with
// Satterthwaite's degrees of freedom (Welch 1947).
func compareRuns(a, b []float64) ArmComparison {
	ma, va := stat.MeanVariance(a, nil)
	mb, vb := stat.MeanVariance(b, nil)
	c := ArmComparison{RunsA: len(a), RunsB: len(b), A: math.Exp(ma), B: math.Exp(mb), P: math.NaN()}
	c.Ratio = Estimate{Value: math.Exp(mb - ma), Lo: math.NaN(), Hi: math.NaN()}
	if len(a) < 2 || len(b) < 2 {
		return c
	}
	na, nb := va/float64(len(a)), vb/float64(len(b))
	se := math.Sqrt(na + nb)
	if se == 0 {
		c.Ratio.Lo, c.Ratio.Hi, c.P = c.Ratio.Value, c.Ratio.Value, 1
		if ma != mb {
			c.P = 0
		}
		c.Same = math.Abs(mb-ma) < SESOI(0)
		return c
	}
	df := (na + nb) * (na + nb) / (na*na/float64(len(a)-1) + nb*nb/float64(len(b)-1))
	t := distuv.StudentsT{Sigma: 1, Nu: df}
	half := func(conf float64) float64 { return t.Quantile((1+conf)/2) * se }
	c.Ratio.Lo, c.Ratio.Hi = math.Exp(mb-ma-half(0.95)), math.Exp(mb-ma+half(0.95))
	c.P = 2 * (1 - t.CDF(math.Abs(mb-ma)/se))
	c.Same = math.Abs(mb-ma)+half(0.90) < SESOI(0)
	return c
}

// Words says what the comparison of one arm shows.
func (c ArmComparison) Words() string {
	switch {
	case math.IsNaN(c.Ratio.Lo):
		return "too few runs to tell"
	case c.Same: // even where a difference is shown, it is too small to matter
		return "the same within 10 %"
	case c.P <= 0.05 && c.Ratio.Value > 1:
		return "slower on B"
	case c.P <= 0.05:
		return "faster on B"
	}
	return "no difference shown"
}
