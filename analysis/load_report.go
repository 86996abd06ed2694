package analysis

import (
	"fmt"
	"strings"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// Load is one load by hand, with what it was of.
type Load struct {
	Model, Server string
	Plan          loadgen.Plan
	Summary       loadgen.Summary
}

const (
	serveWidth = 50 // of the block that serving benchmarks print
	serveLabel = 40
)

// ServeText is the load as serving benchmarks of LLMs print theirs, under the
// names that people and scripts look for: counts, rates, then mean, median and
// p99 of each latency. What the names mean here, where benchmarks differ, stands
// below it. A latency without samples is left out.
func (l Load) ServeText() string {
	s := l.Summary
	var b strings.Builder
	rule := func(title, with string) {
		left := (serveWidth - len(title)) / 2
		b.WriteString(strings.Repeat(with, left) + title + strings.Repeat(with, serveWidth-len(title)-left) + "\n")
	}
	line := func(label, format string, v any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-*s %-10s", serveLabel, label+":", fmt.Sprintf(format, v)), " ") + "\n")
	}
	rule(" Serving Benchmark Result ", "=")
	line("Successful requests", "%d", s.Requests.OK)
	line("Failed requests", "%d", s.Requests.Due-s.Requests.OK)
	if a := l.Plan.Arrivals; a.Closed() {
		line("Maximum request concurrency", "%d", a.Users)
	} else {
		line("Request rate configured (RPS)", "%.2f", a.PerSec)
	}
	line("Benchmark duration (s)", "%.2f", s.Window.Length().Seconds())
	line("Total input tokens", "%d", s.Tokens.Input)
	line("Total generated tokens", "%d", s.Tokens.Output+s.Tokens.Estimated)
	if r := s.Rates; r != nil {
		out := r.OutputTokensPerSec
		if r.EstimatedTokensPerSec != nil {
			out += *r.EstimatedTokensPerSec
		}
		line("Request throughput (req/s)", "%.2f", r.RequestsPerSec)
		line("Output token throughput (tok/s)", "%.2f", out)
		line("Total token throughput (tok/s)", "%.2f", out+r.InputTokensPerSec)
	}
	itl, itlTitle := s.ITL, "Inter-token Latency"
	if itl == nil {
		itl, itlTitle = s.ICL, "Inter-token Latency (between events)"
	}
	for _, sec := range []struct {
		title, name string
		l           *loadgen.Latency
	}{
		{"Time to First Token", "TTFT", s.TTFT},
		{"Time per Output Token (excl. 1st token)", "TPOT", s.TPOT},
		{itlTitle, "ITL", itl},
		{"End-to-end Latency", "E2EL", s.E2E},
		{"Load generator: sent after due", "lag", s.Client.Lag},
	} {
		if sec.l == nil {
			continue
		}
		rule(sec.title, "-")
		line("Mean "+sec.name+" (ms)", "%.2f", float64(sec.l.Mean))
		line("Median "+sec.name+" (ms)", "%.2f", float64(sec.l.P50))
		line("P99 "+sec.name+" (ms)", "%s", strings.TrimSpace(fmt.Sprintf("%-8.2f %s", float64(sec.l.P99), p99Note(sec.l))))
	}
	rule("", "=")
	return b.String() + l.definitions()
}

// p99Note marks a p99 that rests on too few.
func p99Note(l *loadgen.Latency) string {
	if l.P99Flag == "" {
		return ""
	}
	return "(n = " + fmt.Sprint(l.N) + ")"
}

// definitions say what the names mean, and what a reader must know of these
// numbers.
func (l Load) definitions() string {
	s := l.Summary
	lines := []string{
		"TTFT and E2EL count from the moment a request was due, successes only; a first",
		"token is text of the model, not the first bytes. Rates count what arrived in the",
		"window; the warm-up before it is in no number.",
	}
	if l.Server == string(spark.FlavorEmulator) {
		lines = append(lines, "EMULATED: the server is spark's emulator, whose compute is modelled.")
	}
	if s.ITL == nil && s.ICL != nil {
		lines = append(lines, "ITL is the gap between events: the server does not tell how many tokens each holds.")
	}
	if s.Tokens.Estimated > 0 {
		lines = append(lines, fmt.Sprintf("%d generated tokens are counted by events, not by the server.", s.Tokens.Estimated))
	}
	if s.TTFT != nil && s.TTFT.P99Flag != "" {
		lines = append(lines, fmt.Sprintf("A p99 of fewer than %d requests is marked: below %d it has no 95 %% interval at all.", loadgen.QuotableP99, loadgen.MinP99))
	}
	if n := s.Tokens.InputOff; n > 0 {
		lines = append(lines, fmt.Sprintf("%d prompts were more than 2 %% off the length asked for.", n))
	}
	if n := s.Tokens.OutputOff; n > 0 {
		lines = append(lines, fmt.Sprintf("%d answers were more than 2 %% off the %d tokens asked for.", n, l.Plan.Workload.OutputTokens))
	}
	return strings.Join(lines, "\n") + "\n"
}

// Row is the load as one line of a table, named after its test as llama-bench
// names its own: pp for the prompt's tokens, tg for those generated.
func (l Load) Row() Table {
	s, w := l.Summary, l.Plan.Workload
	load := fmt.Sprintf("%d users", l.Plan.Arrivals.Users)
	if !l.Plan.Arrivals.Closed() {
		load = fmt.Sprintf("%g/s", l.Plan.Arrivals.PerSec)
	}
	prompt := fmt.Sprint(w.PromptTokens)
	if w.PromptTokens == 0 {
		prompt = "?"
		if m := s.Tokens.InputMean; m != nil {
			prompt = fmt.Sprintf("%.0f", *m)
		}
	}
	t := Table{Columns: []TableColumn{{"model", ""}, {"server", ""}, {"load", ""}, {"test", ""}, {"ok", ""}, {"failed", ""}}}
	row := []any{l.Model, l.Server, load, fmt.Sprintf("pp%s+tg%d", prompt, w.OutputTokens), s.Requests.OK, s.Requests.Due - s.Requests.OK}
	add := func(name, unit string, v any) {
		t.Columns = append(t.Columns, TableColumn{name, unit})
		row = append(row, v)
	}
	var req, out any
	if s.Rates != nil {
		req, out = s.Rates.RequestsPerSec, s.Rates.OutputTokensPerSec
		if e := s.Rates.EstimatedTokensPerSec; e != nil {
			out = s.Rates.OutputTokensPerSec + *e
		}
	}
	add("req/s", "", req)
	add("tg t/s", "", out)
	for _, c := range []struct {
		name string
		l    *loadgen.Latency
	}{{"TTFT", s.TTFT}, {"TPOT", s.TPOT}, {"E2E", s.E2E}} {
		var p50, p99 any
		if c.l != nil {
			p50, p99 = float64(c.l.P50), float64(c.l.P99)
		}
		add(c.name+" p50", "ms", p50)
		add(c.name+" p99", "ms", p99)
	}
	t.Rows = [][]any{row}
	return t
}
