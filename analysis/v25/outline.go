package v25

import "github.com/spark-harness/harness/analysis"

// Outline is a result in a form that json.Marshal can carry.
type Outline struct {
	From     string         `json:"from"`
	Out      string         `json:"out"`
	Runs     int            `json:"runs"`
	Groups   []GroupOutline `json:"groups"`
	Files    []string       `json:"files"`
	Problems []string       `json:"problems"`
}

// GroupOutline is one group of an Outline.
type GroupOutline struct {
	Hypothesis string           `json:"hypothesis"`
	Model      string           `json:"model"`
	Machine    string           `json:"machine"`
	API        string           `json:"api"`
	Quantile   string           `json:"quantile"`
	Outcome    analysis.Outcome `json:"outcome"`
	Reasons    []string         `json:"reasons"`
	Arms       []string         `json:"arms"`
	Runs       []string         `json:"runs"`
	Distrusted []string         `json:"distrusted"`
}

// Outline lists what was found, for scripts; numbers are in the files.
func (r Result) Outline() Outline {
	o := Outline{From: r.From, Out: r.Out, Runs: len(r.Runs), Groups: []GroupOutline{}, Files: r.Files, Problems: []string{}}
	for _, p := range r.Problems() {
		o.Problems = append(o.Problems, oneLine(p.Error()))
	}
	for _, g := range r.Groups {
		s := GroupOutline{
			Hypothesis: g.Hypothesis, Model: g.Model, Machine: g.Machine, API: g.API,
			Quantile: g.Quantile, Outcome: g.Verdict.Outcome, Reasons: g.Verdict.Reasons,
		}
		for _, a := range g.Arms {
			s.Arms = append(s.Arms, a.Label)
		}
		for _, run := range g.Runs {
			s.Runs = append(s.Runs, oneLine(run.ID))
		}
		for _, d := range g.Distrust {
			s.Distrusted = append(s.Distrusted, d.Field)
		}
		o.Groups = append(o.Groups, s)
	}
	return o
}
