package v25

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

// Group is the runs of one hypothesis that may stand beside each other: one
// model, one machine, one API. Groups are never averaged.
type Group struct {
	Hypothesis string
	Model      string // as asked for
	Machine    string // disk and kernel, as far as the files tell
	API        string // "openai" or "triton"; "" if unknown
	Runs       []*Run
	Quantile   string // the highest that its runs carry: "p99", "p95", "p50"
	Distrust   []Distrust
	Verdict    analysis.Verdict // INVALID, always
	Arms       []Arm
}

// Arm is the runs of a group that were made alike.
type Arm struct {
	Label string
	Cells []any // under the group's own columns
	X     float64
	Runs  []*Run
	// Unproven says that the load that gives the arm its name cannot be shown to
	// have been there.
	Unproven bool
}

// groups puts runs together. Runs whose hypothesis is unknown are in none.
func groups(runs []*Run) []*Group {
	var out []*Group
	find := func(r *Run, h, api string, loose bool) *Group {
		var found []*Group
		for _, g := range out {
			same := g.Hypothesis == h && g.Model == modelOf(r) && g.Machine == r.machine()
			if same && (g.API == api || loose && api == "") {
				found = append(found, g)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
		return nil
	}
	add := func(r *Run, h string, loose bool) {
		api := ""
		if r.Summary != nil {
			api = r.Summary.API
		}
		g := find(r, h, api, loose)
		if g == nil {
			g = &Group{Hypothesis: h, Model: modelOf(r), Machine: r.machine(), API: api}
			out = append(out, g)
		}
		g.Runs = append(g.Runs, r)
	}
	known := slices.DeleteFunc(slices.Clone(runs), func(r *Run) bool { return r.Hypothesis == "" })
	// Runs without a summary do not tell their API; they go last, to their like.
	slices.SortStableFunc(known, func(a, b *Run) int { return cmp.Compare(noSummary(a), noSummary(b)) })
	for _, r := range known {
		add(r, r.Hypothesis, true)
	}
	for _, r := range known { // what the analytical hypotheses look at
		switch r.Hypothesis {
		case "H2":
			add(r, "H3", true)
			add(r, "H8", true)
		case "H4":
			add(r, "H8", true)
		case "H1", "H5", "H6":
			add(r, "H7", true)
		}
	}
	for _, g := range out {
		slices.SortStableFunc(g.Runs, func(a, b *Run) int { return cmp.Compare(a.ID, b.ID) })
		g.settle()
	}
	slices.SortStableFunc(out, func(a, b *Group) int {
		return cmp.Or(cmp.Compare(a.Hypothesis, b.Hypothesis), cmp.Compare(a.Model, b.Model), cmp.Compare(a.Machine, b.Machine), cmp.Compare(a.API, b.API))
	})
	return out
}

func noSummary(r *Run) int {
	if r.Summary == nil {
		return 1
	}
	return 0
}

func modelOf(r *Run) string {
	switch m := r.Manifest; {
	case m.ModelHandle == "" && m.ModelTag == "":
		return "model not recorded"
	case m.ModelTag == "":
		return m.ModelHandle
	case m.ModelHandle == "":
		return m.ModelTag
	}
	return r.Manifest.ModelTag + " (" + r.Manifest.ModelHandle + ")"
}

// Name is the group in a few words.
func (g *Group) Name() string {
	name := g.Hypothesis + ", " + g.Model + ", " + g.Machine
	if g.API != "" {
		name += ", " + g.API + " API"
	}
	return name
}

// settle decides what the group shows, once its runs are there.
func (g *Group) settle() {
	g.Quantile = "p50"
	for _, q := range []string{"p99", "p95"} {
		carry, some := 0, 0
		for _, r := range g.Runs {
			if r.Good() >= leastForP95 {
				some++
			}
			if r.Good() >= leastFor(q) {
				carry++
			}
		}
		if carry > 0 && carry == some {
			g.Quantile = q
			break
		}
	}
	lists := [][]Distrust{ofHypothesis(g.Hypothesis)}
	if g.analytical() {
		lists = append(lists, analytical(g.Hypothesis))
		for _, r := range g.Runs {
			lists = append(lists, ofHypothesis(r.Hypothesis))
		}
	}
	for _, r := range g.Runs {
		lists = append(lists, ofRun(r))
	}
	g.Distrust = merged(append(lists, everywhere())...)
	g.Arms = g.arms()
	g.Verdict = g.verdict()
}

func (g *Group) analytical() bool {
	return g.Hypothesis == "H3" || g.Hypothesis == "H7" || g.Hypothesis == "H8"
}

// arms are the group's runs by what was asked of them.
func (g *Group) arms() []Arm {
	var arms []Arm
	base := g.baseReads()
	for _, r := range g.Runs {
		a := armOf(g.Hypothesis, r, base)
		i := slices.IndexFunc(arms, func(o Arm) bool { return o.Label == a.Label })
		if i < 0 {
			arms, i = append(arms, a), len(arms)
		}
		arms[i].Unproven = arms[i].Unproven || a.Unproven
		if name, ok := a.Cells[0].(string); ok && len(arms[i].Runs) > 0 { // one file may have two names
			if all, _ := arms[i].Cells[0].(string); !slices.Contains(strings.Split(all, ", "), name) {
				arms[i].Cells[0] = all + ", " + name
			}
		}
		arms[i].Runs = append(arms[i].Runs, r)
	}
	slices.SortStableFunc(arms, func(a, b Arm) int { return cmp.Or(cmp.Compare(a.X, b.X), cmp.Compare(a.Label, b.Label)) })
	return arms
}

// armOf is the arm of one run under a hypothesis, with its place among the
// others. H7 and H8 look at the arms of other hypotheses.
func armOf(hypothesis string, r *Run, base float64) Arm {
	m := r.Manifest
	phase := m.Phase
	if phase == "" {
		phase = "not recorded"
	}
	order := func(names ...string) float64 {
		return float64(1 + (slices.Index(names, m.Phase)+len(names)+1)%(len(names)+1))
	}
	switch hypothesis {
	case "H0":
		return Arm{Label: strconv.Itoa(m.Users), Cells: []any{count(m.Users)}, X: float64(m.Users)}
	case "H1":
		return Arm{Label: phase, Cells: []any{phase, count(m.Users)}, X: order("COLD", "WARM")}
	case "H2", "H3":
		name := m.Context
		if name == "" {
			name = "prompt not recorded"
		}
		x := float64(r.Tokens)
		of := fmt.Sprintf("%d tokens", r.Tokens)
		if r.Tokens == 0 {
			of = name
		}
		label := fmt.Sprintf("%s + %d out, %d users", of, m.MaxTokens, m.Users)
		return Arm{Label: label, Cells: []any{name, count(r.Tokens), count(m.MaxTokens), count(m.Users)}, X: x}
	case "H4":
		return armH4(r, phase, base, order("BASELINE", "MODERATE", "HEAVY"))
	case "H5":
		session := map[string]string{"sticky": analysis.ConditionSticky, "random": analysis.ConditionStorm}[m.Session]
		if session == "" {
			session = "not recorded"
		}
		return Arm{Label: fmt.Sprintf("%d %s", m.Adapters, session), Cells: []any{count(m.Adapters), session, count(m.Users)}, X: float64(m.Adapters)}
	case "H6":
		return Arm{Label: phase, Cells: []any{phase, count(m.Users)}, X: order("BASELINE", "LORA")}
	}
	a := armOf(r.Hypothesis, r, base)
	a.Label = r.Hypothesis + " " + a.Label
	a.Cells = []any{a.Label}
	a.X += float64(r.Hypothesis[1]) * 1e9
	return a
}

// armH4 keeps the repeats after fio's end apart from the one that it covers.
func armH4(r *Run, phase string, base, x float64) Arm {
	load := "none asked for"
	a := Arm{Label: phase, X: x}
	if phase == "MODERATE" || phase == "HEAVY" {
		const fioReads = 1000 // per second more than without; both phases ask for at least five times as many
		more := r.Number(numHostReads).Value/r.Delta.Seconds - base
		switch {
		case r.Repeat != 1:
			load, a.Label, a.X = "fio had ended", phase+" after fio", x+3
		case more >= fioReads:
			load = fmt.Sprintf("yes: %.0f reads/s more than BASELINE", more)
		default:
			load, a.Label, a.Unproven = "not shown by SMART", phase+" unproven", true
		}
	}
	a.Cells = []any{phase, load, count(r.Manifest.Users)}
	return a
}

// baseReads are the read commands per second of H4's BASELINE, its median.
func (g *Group) baseReads() float64 {
	var rates []float64
	for _, r := range g.Runs {
		if r.Hypothesis == "H4" && r.Manifest.Phase == "BASELINE" {
			rates = append(rates, r.Number(numHostReads).Value/r.Delta.Seconds)
		}
	}
	return median(rates)
}

// count is a number of a table, absent where it is 0.
func count(n int) any {
	if n == 0 {
		return nil
	}
	return n
}
