package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // style, script and page
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"html"
	"html/template"
	"regexp"
	"strings"

	"github.com/spark-harness/harness/analysis"
)

var (
	//go:embed report.css
	style string
	//go:embed report.js
	script string
	//go:embed report.html.tmpl
	page string
)

// imageBytes bounds the pictures inside the page, so that nine hypotheses, and
// a few more, stay under 5 MB. Beyond it they are left beside their runs.
const imageBytes = 2_600_000

// pageView is the page as the template sees it. Strings are one line each and
// cut; the template escapes them.
type pageView struct {
	Policy   string
	Style    template.CSS
	Script   template.JS
	Made     string
	Build    string
	Emulated string // what emulated means; "" where nothing is
	Groups   []groupView
	Unjudged []Unjudged
}

type groupView struct {
	Title    string
	Emulated bool
	Rows     []row
	Holm     string
	Machine  []fact
	Sections []sectionView
}

type sectionView struct {
	row
	Claim, Finding string
	Emulated       bool
	Group          string
	Facts          []string
	Server         []fact
	Figure         *figureView
	NoFigure       string
	Claims, Checks []claimView
	Failed         int // checks that do not hold
	Table, Arms    *tableView
	Notes          []string
	Run, Judge     string
	Downloads      []download
	Bench          string
	NoTable, NoPNG string
}

type claimView struct {
	Text, Value, Interval, Limit, Unit string
	Holds                              bool
}

type tableView struct {
	Header []string
	Rows   [][]string
	Long   bool // closed at first where the page can open it
}

type download struct {
	Label, Name string
	URL         template.URL
}

// HTML is the whole page. It fails only where a template does.
func (r Report) HTML() ([]byte, error) {
	sum := sha256.Sum256([]byte(script))
	v := pageView{
		Policy: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		Style:  template.CSS(style), Script: template.JS(script),
		Made: r.Made.UTC().Format("2006-01-02 15:04 UTC"), Build: buildName(r.Build),
	}
	for _, u := range r.Unjudged {
		v.Unjudged = append(v.Unjudged, Unjudged{text(u.Run), text(u.Reason)})
	}
	pictures := r.pictures()
	for _, g := range r.Groups() {
		view := g.view(pictures)
		if view.Emulated {
			v.Emulated = emulatedText
		}
		v.Groups = append(v.Groups, view)
	}
	t, err := template.New("report").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("report: read template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report: write page: %w", err)
	}
	return b.Bytes(), nil
}

// pictures draws each section's PNG, by run: at print resolution while all of
// them fit, coarser where they do not, and none where even that is too much.
func (r Report) pictures() map[string][]byte {
	for _, dpi := range []int{300, 150} {
		all, total := map[string][]byte{}, 0
		for _, s := range r.Sections {
			png, err := s.Figure.PNG(dpi)
			if err != nil {
				continue // the section says that it has no figure
			}
			all[s.Run] = png
			if total += len(png); total > imageBytes {
				break
			}
		}
		if total <= imageBytes {
			return all
		}
	}
	return nil
}

func (g Group) view(pictures map[string][]byte) groupView {
	adjusted, tests := g.adjusted()
	v := groupView{Title: g.title(), Emulated: g.emulated(), Holm: holmText(tests), Machine: g.machine()}
	for i, s := range g.Sections {
		sv := s.view(adjusted[i], pictures[s.Run])
		sv.Group = v.Title
		v.Rows, v.Sections = append(v.Rows, sv.row), append(v.Sections, sv)
	}
	return v
}

func (s Section) view(adjusted float64, png []byte) sectionView {
	claims, checks := split(s.Verdict)
	v := sectionView{
		row: s.row(adjusted), Claim: text(s.Verdict.Claim), Finding: text(s.Figure.Subtitle), Emulated: s.Verdict.Target.Emulated,
		Facts: s.facts(), Server: s.server(), Claims: claimViews(claims), Checks: claimViews(checks), Notes: s.notes(),
		Run: text(s.Run), Judge: "spark judge " + text(s.Run), Bench: lines(s.Bench),
	}
	for _, c := range checks {
		if !c.Holds {
			v.Failed++
		}
	}
	var svg []byte
	if f, raw, err := drawFigure(s.Figure); err != nil {
		v.NoFigure = text(err.Error())
	} else {
		v.Figure, svg = f, raw
	}
	csvBytes, table, err := readTable(s.Table)
	if err != nil {
		v.NoTable = text(err.Error())
	}
	v.Table = table
	if _, v.Arms, err = readTable(s.Arms); err != nil {
		v.NoTable = text(err.Error())
	}
	v.download("SVG", ".svg", "image/svg+xml", svg)
	if png == nil && v.Figure != nil {
		v.NoPNG = s.file(s.Verdict.Hypothesis + ".png")
	}
	v.download("PNG", ".png", "image/png", png)
	v.download("CSV", ".csv", "text/csv;charset=utf-8", csvBytes)
	v.download("bench.txt", "-bench.txt", "text/plain;charset=utf-8", s.Bench)
	return v
}

// lines is bench.txt as it is shown: without control characters but line ends.
func lines(b []byte) string {
	const most = 200_000
	if len(b) > most {
		b = b[:most]
	}
	var out strings.Builder
	for l := range strings.Lines(string(b)) {
		out.WriteString(line(l, textLength) + "\n")
	}
	return out.String()
}

// download adds a file that is kept inside the page.
func (v *sectionView) download(label, suffix, kind string, b []byte) {
	if len(b) == 0 {
		return
	}
	v.Downloads = append(v.Downloads, download{
		Label: label, Name: v.Anchor + suffix,
		URL: template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(b)),
	})
}

func claimViews(claims []analysis.Claim) (views []claimView) {
	for _, c := range claims {
		views = append(views, claimView{Text: text(c.Text), Value: number(c.Value), Interval: interval(c), Limit: number(c.Limit), Unit: name(c.Unit), Holds: c.Holds})
	}
	return views
}

// readTable is a table as its CSV has it, so that page and file agree.
func readTable(t analysis.Table) ([]byte, *tableView, error) {
	if len(t.Columns) == 0 {
		return nil, nil, nil
	}
	b, err := t.CSV()
	if err != nil {
		return nil, nil, err
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		return nil, nil, fmt.Errorf("report: read CSV: %w", err)
	}
	for _, r := range rows {
		for i := range r {
			r[i] = name(r[i])
		}
	}
	return b, &tableView{Header: rows[0], Rows: rows[1:], Long: len(rows) > 12}, nil
}

// figureView is a drawn figure with what hovering shows.
type figureView struct {
	SVG   template.HTML
	Label string // for those who do not see it
	Wide  bool   // a page wide, else a column
	Data  figureData
}

// figureData goes to the script: frames are section, label, left, right, top
// and bottom; spots are panel, series, x, y, marked, at, value and interval.
type figureData struct {
	Frames [][]any `json:"frames"`
	Spots  [][]any `json:"spots"`
}

// drawFigure draws f and finds its points. The second result is the SVG as a
// file.
func drawFigure(f analysis.Figure) (*figureView, []byte, error) {
	if len(f.Panels) == 0 {
		return nil, nil, fmt.Errorf("the run could not be drawn")
	}
	svg, err := f.SVG()
	if err != nil {
		return nil, nil, err
	}
	frames, err := f.Frames()
	if err != nil {
		return nil, nil, err
	}
	spots, err := f.Spots()
	if err != nil {
		return nil, nil, err
	}
	label := text(f.Title + ". " + f.Subtitle)
	v := &figureView{SVG: template.HTML(inline(svg, label)), Label: label, Wide: f.Width == analysis.FigurePage}
	for _, fr := range frames {
		v.Data.Frames = append(v.Data.Frames, []any{fr.Section, name(fr.Label), round(fr.Left), round(fr.Right), round(fr.Top), round(fr.Bottom)})
	}
	for _, s := range spots {
		v.Data.Spots = append(v.Data.Spots, []any{s.Panel, name(s.Series), round(s.X), round(s.Y), s.Marked, name(s.At), name(s.Value), name(s.Interval)})
	}
	return v, svg, nil
}

// round keeps hundredths of a point.
func round(v float64) float64 { return float64(int64(v*100+0.5)) / 100 }

// inline is an SVG file as a page holds it: without the head of a file, its size
// left to the page, and ink and paper in the page's own colours, so that dark
// pages have dark figures. The colours of data stay. Quotes in text are escaped,
// so what looks like a style attribute is one.
func inline(svg []byte, label string) string {
	at := bytes.Index(svg, []byte("<svg"))
	s := string(svg[max(at, 0):])
	s = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*" `).ReplaceAllString(s, `<svg class="plot" role="img" preserveAspectRatio="xMidYMid meet" `)
	s = strings.Replace(s, "<svg ", `<svg aria-label="`+html.EscapeString(label)+`" `, 1)
	s = regexp.MustCompile(`(?s)<title>.*?</title>\s*<desc>.*?</desc>`).ReplaceAllString(s, "")
	colours := strings.NewReplacer("#FFFFFF", "var(--figure-paper)", "#1A1A1A", "var(--figure-ink)", "#404040", "var(--figure-dim)", "#000000", "var(--figure-black)", "#D0D0D0", "var(--figure-grid)", "#A0A0A0", "var(--figure-rule)")
	return regexp.MustCompile(`style="[^"]*"`).ReplaceAllStringFunc(s, colours.Replace)
}
