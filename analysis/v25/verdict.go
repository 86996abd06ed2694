package v25

import (
	"slices"

	"github.com/spark-harness/harness/analysis"
)

// analytical is what may not be trusted in the three hypotheses without runs of
// their own.
func analytical(h string) []Distrust {
	d := []Distrust{{"old " + h + " figure", "one run picked by the script, curves above each other; no lag, correlation or test", 28, "all runs, and no claim either"}}
	if h == "H7" {
		d = append(d, Distrust{"old H7 table: read_gb", "Data Units × 512 ÷ 1024³, called GB: a unit is 1000 × 512 bytes, so that it is 1000 times too small", 11, "× 512,000 bytes, in GB of 10^9"})
	}
	if h == "H3" {
		d = append(d, Distrust{"telemetry: page-in, page-out, swap cache", "the hypothesis asks for them and they were never recorded", 4, "absent"})
	}
	return d
}

// titles and claims of the plan.
func (g *Group) title() string {
	return map[string]string{
		"H0": "H0 Queue knee", "H1": "H1 Cold and warm adapters", "H2": "H2 UMA pressure", "H3": "H3 Memory before the knee",
		"H4": "H4 Storage QoS sensitivity", "H5": "H5 Adapter working set", "H6": "H6 Adapter storm",
		"H7": "H7 What the disk counted", "H8": "H8 iowait and tail latency",
	}[g.Hypothesis]
}

func (g *Group) claim() string {
	return map[string]string{
		"H0": "Queueing saturates before the hardware.",
		"H1": "An adapter's first load from the disk costs time that a cached one does not.",
		"H2": "Context beyond the memory's headroom pages, and the tail rises sharply.",
		"H3": "Memory and paging counters signal before latency does.",
		"H4": "While paging, the tail scales with the disk's read latency.",
		"H5": "The tail and the reads grow with adapters and churn.",
		"H6": "Switching adapters at random is the worst case.",
		"H7": "Host read commands and Data Units scale with the access pattern.",
		"H8": "iowait tracks storage-bound stalls.",
	}[g.Hypothesis]
}

// verdict is INVALID, and says why: most important first.
func (g *Group) verdict() analysis.Verdict {
	v := analysis.Verdict{
		Hypothesis: g.Hypothesis, Title: g.title(), Claim: g.claim(), Outcome: analysis.Invalid, Quantile: g.Quantile,
		Target: analysis.Target{Kind: "earlier harness (v2.5)", Model: g.Model},
	}
	blocks := 0
	for _, a := range g.Arms {
		if blocks == 0 || len(a.Runs) < blocks {
			blocks = len(a.Runs)
		}
	}
	v.Power.Blocks = blocks
	for _, r := range g.Runs {
		if r.Summary != nil && r.Summary.URL != "" {
			v.Target.URL = r.Summary.URL
			break
		}
	}
	for _, c := range g.codes() {
		v.Reasons = append(v.Reasons, string(c))
	}
	return v
}

// codes are the reasons that hold, most important first.
func (g *Group) codes() []Code {
	good, failed, errors, few, undecided, unknownLength := 0, false, false, false, false, false
	budgets := map[int]bool{}
	for _, r := range g.Runs {
		good += r.Good()
		budgets[r.Manifest.MaxTokens] = true
		undecided = undecided || r.Telemetry != nil && r.Layout == LayoutUnknown
		unknownLength = unknownLength || r.Tokens == 0
		if r.Summary != nil {
			f := r.Failed()
			failed = failed || f > 0
			errors = errors || f > mostFailedPart*r.Summary.Requests
			few = few || r.Good() < leastFor(g.Quantile)
		}
	}
	oneRepeat := slices.ContainsFunc(g.Arms, func(a Arm) bool { return len(a.Runs) == 1 })
	h := g.Hypothesis
	var out []Code
	for _, c := range []struct {
		code  Code
		holds bool
	}{
		{CodeEarlier, true},
		{CodeNoRequests, good == 0},
		{CodeErrors, errors},
		{CodeFailures, failed},
		{CodeContention, h == "H4"},
		{CodeAdapters, h == "H1" || h == "H5" || h == "H6" || h == "H7"},
		{CodeNotCold, h == "H1" || h == "H5"},
		{CodeFits, h == "H6"},
		{CodeShared, h == "H2" || h == "H3"},
		{CodeConfounded, (h == "H2" || h == "H3") && len(budgets) > 1},
		{CodeLength, (h == "H2" || h == "H3") && unknownLength},
		{CodeTyped, h != "H0"},
		{CodeOneRepeat, oneRepeat},
		{CodeFixedOrder, true},
		{CodeFewRequests, few},
		{CodeSparse, true},
		{CodeUndecided, undecided},
	} {
		if c.holds {
			out = append(out, c.code)
		}
	}
	return out
}

// Explain says in plain words what a code means.
func (c Code) Explain() string {
	return map[Code]string{
		CodeEarlier:     "made by the earlier harness, which kept no record of single requests: nothing can be recomputed or tested",
		CodeFailures:    "failed requests are among its times to first byte; they are withheld",
		CodeErrors:      "more than 1 % of some run's requests failed",
		CodeOneRepeat:   "some arm ran only once: nothing is known about its spread",
		CodeFixedOrder:  "all arms ran in one order: warmth and heat cannot be told from the effect",
		CodeTyped:       "the number of users and the context were typed in, not taken from H0 and H2",
		CodeShared:      "the nonce stands at the end of the prompt, so that all users share their KV and demand does not grow with them",
		CodeConfounded:  "the output budget falls as the prompt grows, and with it the end-to-end latency",
		CodeLength:      "the length of some prompt in tokens is not known",
		CodeContention:  "one fio ran for three repeats and ended during the second, at depth 1 in both phases",
		CodeNotCold:     "nothing proves that caches were cold",
		CodeAdapters:    "nothing proves that adapters were applied, and the server's configuration did not mount them",
		CodeFits:        "four adapters fit in memory: there is nothing to storm",
		CodeSparse:      "telemetry has one row in three seconds, from three moments each",
		CodeUndecided:   "the version of sysstat cannot be told by some run's values: its columns of iostat are withheld",
		CodeNoRequests:  "no request succeeded in any run",
		CodeFewRequests: "some run has too few requests for the quantile shown; it is left out there",
	}[c]
}
