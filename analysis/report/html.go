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
	"slices"
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

// Bounds of what is kept inside the page, so that nine hypotheses stay under
// 5 MB whatever their strings and tables hold. What is beyond them is linked
// beside its run instead.
const (
	pageBytes = 4_800_000 // of the whole page, pictures included
	svgBytes  = 200_000   // of one drawing kept a second time, as a file
	fileBytes = 400_000   // of one table, or one bench.txt
)

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
	NoTable        string

	section Section // what it is a view of
}

type claimView struct {
	Text, Value, Interval, Limit, Unit string
	Holds, Aside                       bool // Aside: it stands beside the verdict
}

type tableView struct {
	Header []string
	Rows   [][]string
	Long   bool // closed at first where the page can open it
}

// download is a file inside the page or, with Beside, next to its run.
type download struct {
	Label, Name string
	URL         template.URL
	Beside      string
}

// HTML is the whole page. It fails only where a template does.
func (r Report) HTML() ([]byte, error) {
	t, err := template.New("report").Parse(page)
	if err != nil {
		return nil, fmt.Errorf("report: read template: %w", err)
	}
	sum := sha256.Sum256([]byte(script))
	v := pageView{
		Policy: "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		Style:  template.CSS(style), Script: template.JS(script),
		Made: r.Made.UTC().Format("2006-01-02 15:04 UTC"), Build: buildName(r.Build),
	}
	for _, u := range r.Unjudged {
		v.Unjudged = append(v.Unjudged, Unjudged{text(u.Run), text(u.Reason)})
	}
	for _, g := range r.Groups() {
		view := g.view()
		if view.Emulated {
			v.Emulated = emulatedText
		}
		v.Groups = append(v.Groups, view)
	}
	b, err := v.write(t)
	if err != nil {
		return nil, err
	}
	v.addPictures(pageBytes - len(b)) // they get what room the rest leaves
	return v.write(t)
}

func (v pageView) write(t *template.Template) ([]byte, error) {
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report: write page: %w", err)
	}
	return b.Bytes(), nil
}

// addPictures adds each figure's PNG: at print resolution while all of them fit
// into room, coarser where they do not; else they are linked.
func (v pageView) addPictures(room int) {
	for _, dpi := range []int{300, 150} {
		pictures, fit := v.pictures(dpi, room)
		for g, group := range v.Groups {
			for i := range group.Sections {
				s := &v.Groups[g].Sections[i]
				if fit {
					s.download("PNG", ".png", "image/png", pictures[g][i], len(pictures[g][i]))
				} else if dpi == 150 && s.Figure != nil {
					s.beside("PNG", ".png")
				}
			}
		}
		if fit {
			return
		}
	}
}

// pictures draws every figure, by group and section; nil for one that cannot be
// drawn. It stops when they no longer fit.
func (v pageView) pictures(dpi, room int) (all [][][]byte, fit bool) {
	for g, group := range v.Groups {
		all = append(all, make([][]byte, len(group.Sections)))
		for i, s := range group.Sections {
			if s.Figure == nil {
				continue
			}
			png := s.section.PNG
			if png == nil || dpi != 300 {
				png, _ = s.section.Figure.PNG(dpi) // its SVG was drawn, so it can be
			}
			all[g][i] = png
			if room -= base64.StdEncoding.EncodedLen(len(png)) + 200; room < 0 {
				return nil, false
			}
		}
	}
	return all, true
}

func (g Group) view() groupView {
	adjusted, tests := g.adjusted()
	v := groupView{Title: g.title(), Emulated: g.emulated(), Holm: holmText(tests), Machine: g.machine()}
	for i, s := range g.Sections {
		sv := s.view(adjusted[i])
		sv.Group = v.Title
		v.Rows, v.Sections = append(v.Rows, sv.row), append(v.Sections, sv)
	}
	return v
}

func (s Section) view(adjusted float64) sectionView {
	claims, checks := split(s.Verdict)
	v := sectionView{
		row: s.row(adjusted), Claim: text(s.Verdict.Claim), Finding: text(s.Figure.Subtitle), Emulated: s.Verdict.Target.Emulated,
		Facts: s.facts(), Server: s.server(), Claims: claimViews(claims), Checks: claimViews(checks), Notes: s.notes(),
		Run: text(s.Run), Judge: "spark judge " + text(s.Run), Bench: lines(s.Bench), section: s,
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
	v.download("SVG", ".svg", "image/svg+xml", svg, svgBytes)
	v.download("CSV", ".csv", "text/csv;charset=utf-8", csvBytes, fileBytes)
	v.download("bench.txt", "-bench.txt", "text/plain;charset=utf-8", s.Bench, fileBytes)
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
		out.WriteString(text(l) + "\n")
	}
	return out.String()
}

// download adds a file that is kept inside the page, or a link where it is
// larger than most.
func (v *sectionView) download(label, suffix, kind string, b []byte, most int) {
	if len(b) == 0 {
		return
	}
	if len(b) > most {
		v.beside(label, suffix)
		return
	}
	v.add(download{
		Label: label, Name: v.Anchor + suffix,
		URL: template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(b)),
	})
}

// beside links a file that lies with the run.
func (v *sectionView) beside(label, suffix string) {
	file := v.section.Verdict.Hypothesis + suffix
	if suffix == "-bench.txt" {
		file = "bench.txt"
	}
	v.add(download{Label: label, Beside: v.section.file(file)})
}

// add puts the PNG, which comes last, behind the SVG.
func (v *sectionView) add(d download) {
	if d.Label == "PNG" && len(v.Downloads) > 0 {
		v.Downloads = slices.Insert(v.Downloads, 1, d)
		return
	}
	v.Downloads = append(v.Downloads, d)
}

func claimViews(claims []analysis.Claim) (views []claimView) {
	for _, c := range claims {
		views = append(views, claimView{Text: text(c.Text), Value: number(c.Value), Interval: interval(c), Limit: number(c.Limit), Unit: name(c.Unit), Holds: c.Holds, Aside: c.Beside})
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
// and bottom; spots are panel, series, x, y, marked, at, value,
// interval and whether it is one run of several.
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
		v.Data.Spots = append(v.Data.Spots, []any{s.Panel, name(s.Series), round(s.X), round(s.Y), s.Marked, name(s.At), name(s.Value), name(s.Interval), s.Single})
	}
	return v, svg, nil
}

// round keeps hundredths of a point.
func round(v float64) float64 { return float64(int64(v*100+0.5)) / 100 }

// inline is an SVG file as a page holds it: without the head of a file, its size
// left to the page, and ink and paper in the page's own colours, so that dark
// pages have dark figures; the darkest two colours of data are lifted there. Quotes in text are escaped,
// so what looks like a style attribute is one.
func inline(svg []byte, label string) string {
	at := bytes.Index(svg, []byte("<svg"))
	s := string(svg[max(at, 0):])
	s = regexp.MustCompile(`^<svg width="[^"]*" height="[^"]*" `).ReplaceAllString(s, `<svg class="plot" role="img" preserveAspectRatio="xMidYMid meet" `)
	s = strings.Replace(s, "<svg ", `<svg aria-label="`+html.EscapeString(label)+`" `, 1)
	s = regexp.MustCompile(`(?s)<title>.*?</title>\s*<desc>.*?</desc>`).ReplaceAllString(s, "")
	colours := strings.NewReplacer("#FFFFFF", "var(--figure-paper)", "#1A1A1A", "var(--figure-ink)", "#404040", "var(--figure-dim)", "#000000", "var(--figure-black)", "#D0D0D0", "var(--figure-grid)", "#A0A0A0", "var(--figure-rule)", "#0072B2", "var(--figure-blue)", "#666666", "var(--figure-grey)")
	return regexp.MustCompile(`style="[^"]*"`).ReplaceAllStringFunc(s, colours.Replace)
}
