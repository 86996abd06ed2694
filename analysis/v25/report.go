package v25

import (
	"fmt"
	"slices"
	"strings"
)

// report is report.md: groups with their figure, table, reasons and distrust,
// then runs and problems.
func (r *Result) report(dirs map[*Group]string, drawn map[*Group]bool) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Results of the earlier harness (v2.5)\n\n%d runs in %d groups. "+
		"Every verdict is INVALID: the numbers are shown as what they are, and nothing is concluded from them. "+
		"Groups differ in model, machine or API and are never averaged. Each number of each run, with what became of it, is in `numbers.csv`; "+
		"summaries with a right `avg` block are in `summaries/`.\n\n", len(r.Runs), len(r.Groups))
	common, err := distrustTable("Not to be trusted in any run", everywhere()).Markdown()
	if err != nil {
		return "", err
	}
	b.WriteString(common + "\nDefects are numbered as in `docs/earlier-harness.md`.\n\n")
	for _, g := range r.Groups {
		dir := dirs[g]
		fmt.Fprintf(&b, "## %s\n\n%s. %s\n", escaped(g.title()), escaped(g.Name()), "*"+escaped(g.claim())+"* **INVALID**, because:\n\n"+reasons(g.Verdict.Reasons))
		if drawn[g] {
			fmt.Fprintf(&b, "![%s](%s/figure.png)\n\n", escaped(g.title()), dir)
		} else {
			b.WriteString("No run has a number that can be drawn.\n\n")
		}
		table, err := g.Table().Markdown()
		if err != nil {
			return "", err
		}
		list, err := distrustTable("Not to be trusted in these runs, besides", without(g.Distrust, everywhere())).Markdown()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s\n%s\n", table, list)
	}
	runs, err := runsTable(r.Runs).Markdown()
	if err != nil {
		return "", err
	}
	b.WriteString("## Runs\n\n" + runs)
	if problems := r.Problems(); len(problems) > 0 {
		b.WriteString("\n## Files that could not be read\n\n")
		for _, p := range problems {
			b.WriteString("- " + escaped(oneLine(p.Error())) + "\n")
		}
	}
	return b.String(), nil
}

// without is what stands in list and not in others.
func without(list, others []Distrust) (out []Distrust) {
	for _, d := range list {
		if !slices.Contains(others, d) {
			out = append(out, d)
		}
	}
	return out
}

func reasons(codes []string) string {
	var b strings.Builder
	for _, c := range codes {
		fmt.Fprintf(&b, "- `%s`: %s\n", c, Code(c).Explain())
	}
	return b.String()
}

// escaped is text of unknown origin as one line of markdown.
func escaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "&", "&amp;", "*", `\*`, "_", `\_`, "`", "\\`", "[", `\[`, "]", `\]`, "#", `\#`).Replace(oneLine(s))
}
