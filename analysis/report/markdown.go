package report

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spark-harness/harness/analysis"
)

// escape takes the meaning of every character that GitHub's Markdown or HTML
// would give one, and of what makes a link by itself.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]#+!|~$@", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == ':': // no bare URL
			b.WriteString("&#58;")
		default:
			b.WriteRune(r)
		}
	}
	return strings.ReplaceAll(b.String(), "www.", "www&#46;")
}

// Markdown is the report in GitHub's dialect. Images are linked beneath the
// results directory, where each run keeps its own.
func (r Report) Markdown() []byte {
	var b strings.Builder
	b.WriteString("# Results\n\n")
	if len(r.Sections) == 0 {
		b.WriteString("No run is judged yet.\n\n")
	}
	for _, g := range r.Groups() {
		g.markdown(&b)
	}
	if len(r.Unjudged) > 0 {
		b.WriteString("## Runs that are not judged\n\n")
		for _, u := range r.Unjudged {
			fmt.Fprintf(&b, "- %s: %s\n", escape(text(u.Run)), escape(text(u.Reason)))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Written %s by spark %s.\n", r.Made.UTC().Format(time.DateTime+" UTC"), escape(buildName(r.Build)))
	return []byte(b.String())
}

func (g Group) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n", escape(g.title()))
	if g.emulated() {
		fmt.Fprintf(b, "> **EMULATED.** %s\n\n", emulatedText)
	}
	b.WriteString(g.verdictMarkdown())
	adjusted, tests := g.adjusted()
	fmt.Fprintf(b, "\n%s\n\n", escape(holmText(tests)))
	for i, s := range g.Sections {
		if fails := s.fails(adjusted[i]); fails != "" {
			fmt.Fprintf(b, "**%s: %s.**\n\n", s.Verdict.Hypothesis, escape(fails))
		}
	}
	for _, s := range g.Sections {
		s.markdown(b)
	}
}

func (g Group) verdictMarkdown() string {
	adjusted, _ := g.adjusted()
	t := analysis.Table{}
	for _, n := range []string{"", "hypothesis", "model", "outcome", "endpoint", "effect", "blocks", "reasons", "p", "Holm p"} {
		t.Columns = append(t.Columns, analysis.TableColumn{Name: n})
	}
	for i, s := range g.Sections {
		row := s.row(adjusted[i])
		cells := []string{row.ID, row.Title, row.Model, row.Sign + " " + row.Outcome, row.Endpoint, row.Effect, row.Blocks, strings.Join(row.Reasons, ", "), row.P, row.Holm}
		t.Rows = append(t.Rows, anys(cells))
	}
	return tableMarkdown(t)
}

func anys(cells []string) []any {
	out := make([]any, len(cells))
	for i, c := range cells {
		out[i] = c
	}
	return out
}

func tableMarkdown(t analysis.Table) string {
	s, err := t.Markdown()
	if err != nil {
		return "The table cannot be written: " + escape(text(err.Error())) + "\n"
	}
	// GitHub makes links of bare addresses too.
	return strings.NewReplacer("://", "&#58;//", "](", `\](`, "www.", "www&#46;").Replace(s)
}

func (s Section) markdown(b *strings.Builder) {
	v := s.Verdict
	fmt.Fprintf(b, "### %s %s (%s)\n\n", escape(name(v.Hypothesis)), escape(name(v.Title)), escape(name(s.Key().Model)))
	fmt.Fprintf(b, "*%s*\n\n", escape(text(v.Claim)))
	fmt.Fprintf(b, "**%s %s**", sign(v.Outcome), escape(name(string(v.Outcome))))
	for _, part := range s.facts() {
		fmt.Fprintf(b, " · %s", escape(part))
	}
	b.WriteString("\n\n")
	if len(s.Figure.Panels) > 0 {
		fmt.Fprintf(b, "![%s](%s)\n\n", escape(name(s.Figure.Title+": "+s.Figure.Subtitle)), s.file(s.Verdict.Hypothesis+".png"))
	}
	claims, checks := split(v)
	b.WriteString(claimsMarkdown("claim", claims))
	b.WriteString(claimsMarkdown("validity check", checks))
	if len(s.Table.Columns) > 0 {
		t := s.Table
		t.Title = ""
		fmt.Fprintf(b, "<details><summary>Numbers</summary>\n\n%s\n</details>\n\n", tableMarkdown(t))
	}
	for _, n := range s.notes() {
		fmt.Fprintf(b, "- %s\n", escape(n))
	}
	fmt.Fprintf(b, "- run %s; judge it again with: spark judge %s\n\n", escape(text(s.Run)), escape(text(s.Run)))
}

func claimsMarkdown(title string, claims []analysis.Claim) string {
	if len(claims) == 0 {
		return ""
	}
	t := analysis.Table{}
	for _, n := range []string{title, "value", "interval", "limit", "unit", "holds"} {
		t.Columns = append(t.Columns, analysis.TableColumn{Name: n})
	}
	for _, c := range claims {
		t.Rows = append(t.Rows, anys([]string{text(c.Text), number(c.Value), interval(c), number(c.Limit), name(c.Unit), holds(c)}))
	}
	return tableMarkdown(t) + "\n"
}

func holds(c analysis.Claim) string {
	switch {
	case c.Beside:
		return "– beside"
	case c.Holds:
		return "✓ yes"
	}
	return "✗ no"
}

// file is the address of a derived file, relative to the report.
func (s Section) file(base string) string {
	var parts []string
	for p := range strings.SplitSeq(s.base+s.Run+"/derived/"+base, "/") {
		parts = append(parts, url.PathEscape(p))
	}
	return strings.NewReplacer("(", "%28", ")", "%29", ":", "%3A").Replace(strings.Join(parts, "/"))
}
