package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/bundle"
)

// dom is a parsed page with a few questions to ask of it.
type dom struct {
	t    *testing.T
	root *html.Node
	src  []byte
}

func parse(t *testing.T, r Report) dom {
	t.Helper()
	b, err := r.HTML()
	require.NoError(t, err)
	root, err := html.Parse(bytes.NewReader(b))
	require.NoError(t, err)
	return dom{t, root, b}
}

func (d dom) all(tag string) (found []*html.Node) {
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode && n.Data == tag {
			found = append(found, n)
		}
	}
	return found
}

func attr(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (d dom) byID(id string) *html.Node {
	for n := range d.root.Descendants() {
		if n.Type == html.ElementNode && attr(n, "id") == id {
			return n
		}
	}
	require.Failf(d.t, "no element", "%s", id)
	return nil
}

// requireSelfContained: nothing in the page asks for anything outside it, the
// script that runs is ours alone, and no attribute is a handler.
func (d dom) requireSelfContained() {
	for n := range d.root.Descendants() {
		for _, a := range n.Attr {
			require.False(d.t, n.Type == html.ElementNode && strings.HasPrefix(a.Key, "on"), "handler %s on %s", a.Key, n.Data)
			if a.Key == "href" || a.Key == "src" || a.Key == "action" || a.Key == "srcset" || a.Key == "data" {
				u, err := url.Parse(a.Val)
				require.NoError(d.t, err)
				inside := u.Scheme == "data" || u.Scheme == "" && u.Host == ""
				require.True(d.t, inside, "%s of %s leads to %.80q", a.Key, n.Data, a.Val)
			}
		}
		switch n.Data {
		case "iframe", "object", "embed", "base", "form", "img", "audio", "video":
			require.False(d.t, n.Type == html.ElementNode, "a page has no %s", n.Data)
		}
	}
	require.NotContains(d.t, style, "url(")
	require.NotContains(d.t, style, "@import")
	running := 0
	for _, s := range d.all("script") {
		if attr(s, "type") == "application/json" {
			continue
		}
		running++
		sum := sha256.Sum256([]byte(s.FirstChild.Data))
		for _, m := range d.all("meta") {
			if attr(m, "http-equiv") == "Content-Security-Policy" {
				require.Contains(d.t, attr(m, "content"), "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
				require.Contains(d.t, attr(m, "content"), "default-src 'none'")
			}
		}
	}
	require.Equal(d.t, 1, running)
}

func TestPage(t *testing.T) {
	d := parse(t, sample())
	d.requireSelfContained()

	verdicts := d.byID("verdicts")
	var rows []string
	for n := range verdicts.Descendants() {
		if n.Type == html.ElementNode && n.Data == "tr" {
			rows = append(rows, textOf(n))
		}
	}
	require.Len(t, rows, 4)
	require.Equal(t, "H0 Title of H0 L8B ✓ SUPPORTED KV_TIER p99 TTFT × 1.812 [1.5, …] TTFT at HEAVY over BASELINE (lower bound) 8 of 12 0.001 0.003", rows[1])
	require.Contains(t, rows[2], "? INCONCLUSIVE KV_TIER TOO_NOISY")
	require.Contains(t, rows[3], "0.03 0.06")
	require.Contains(t, rows[3], "does not survive Holm's correction (adjusted p 0.06 > 0.05)")
	require.NotContains(t, rows[1]+rows[2], "does not survive", "only a SUPPORTED can lose")

	article := d.byID("H4-20261123T101502Z-3f9c1a")
	all := textOf(article)
	for _, want := range []string{"Claim of H4.", "BIC 25 10 ✓ yes", "TTFT at HEAVY over BASELINE (lower bound) 1.812 ratio [1.5, …] 1.2 ✓ yes", "Validity checks: all 1 hold", "failed requests 0 share 0.01 ✓ yes", "users p99 TTFT (ms) level", "001-u1-r0", "spark judge H4/20261123T101502Z-3f9c1a", "U_work = 8 users", "EMULATED"} {
		require.Contains(t, all, want)
	}
	require.NotContains(t, all, "validity:", "checks stand apart")
	require.Contains(t, textOf(d.byID("unjudged")), "the disk is full")

	order := []string{"id=\"verdicts\"", "id=\"measured\"", "id=\"H0-", "id=\"H2-", "id=\"H4-", "id=\"unjudged\""}
	last := -1
	for _, s := range order {
		at := bytes.Index(d.src, []byte(s))
		require.Greater(t, at, last, s)
		last = at
	}
}

// What is kept inside the page is what the files hold.
func TestDownloads(t *testing.T) {
	s := planted("H4", analysis.Supported, 0.03)
	csv, err := s.Table.CSV()
	require.NoError(t, err)
	svg, err := s.Figure.SVG()
	require.NoError(t, err)
	png, err := s.Figure.PNG(300)
	require.NoError(t, err)
	want := map[string][]byte{".csv": csv, ".svg": svg, ".png": png, "-bench.txt": s.Bench}
	d := parse(t, Report{Sections: []Section{s}})
	for _, a := range d.all("a") {
		file := attr(a, "download")
		if file == "" {
			continue
		}
		suffix := strings.TrimPrefix(file, "H4-20261123T101502Z-3f9c1a")
		_, data, _ := strings.Cut(attr(a, "href"), ";base64,")
		got, err := base64.StdEncoding.DecodeString(data)
		require.NoError(t, err)
		require.Equal(t, want[suffix], got, suffix)
		delete(want, suffix)
	}
	require.Empty(t, want)
}

func TestHostileStringsAreEscapedAndCut(t *testing.T) {
	d := parse(t, hostile())
	d.requireSelfContained()
	require.Less(t, len(d.src), 1<<20, "a million characters are cut")
	require.Equal(t, 3, len(d.all("script")), "the page's own, and the data of two figures")
	require.Len(t, d.all("svg"), 2)
	require.Len(t, d.all("article"), 2)
	require.Len(t, d.all("style"), 1)
	for _, r := range []string{"\x00", "\x1b", "\u202e", "\u2066", "\u200b", "\ufeff", "\ufffd"} {
		require.NotContains(t, string(d.src), r, "%q is gone", r)
	}
	require.Contains(t, textOf(d.root), "title</script><script>window.pwned=1</script>", "it is shown as text")

	md := string(hostile().Markdown())
	require.Less(t, len(md), 1<<20)
	for _, bad := range []string{"<script", "<img", "](http:", "<http", "https://evil", "\u202e", "\x00", "\n# heading"} {
		require.NotContains(t, md, bad)
	}
}

// Sections of different machines, controls or profiles are never one family,
// and models keep their names.
func TestGroups(t *testing.T) {
	other := planted("H0", analysis.Supported, 0.04)
	other.Manifest.Machine.Product = "DGX Spark"
	other.Manifest.Started = other.Manifest.Started.Add(time.Hour)
	other.Run = "H0/other"
	control := planted("H2", analysis.Inconclusive, 0.9)
	control.Manifest.Control = "no-paging"
	big := planted("H4", analysis.Supported, 0.01)
	big.Manifest.Target.Model, big.Run = "L70B", "H4/big"
	r := sample()
	r.Sections = append(r.Sections, other, control, big)
	groups := r.Groups()
	require.Len(t, groups, 3)
	require.Equal(t, "DGX Spark", groups[0].Key.Platform, "the newest first")
	p, tests := groups[0].adjusted()
	require.Equal(t, 1, tests)
	require.InDelta(t, 0.04, p[0], 1e-12, "alone it is not corrected")

	d := parse(t, r)
	var captions []string
	for _, c := range d.all("caption") {
		captions = append(captions, textOf(c))
	}
	require.Len(t, captions, 3)
	require.Contains(t, captions, "arm64 20 x Cortex-X925 · emulator · control no-paging · profile quick EMULATED")
	require.Contains(t, textOf(d.byID("H4-big")), "L70B")
}

func TestHolmLeavesOutVerdictsWithoutP(t *testing.T) {
	r := sample()
	r.Sections[1].Verdict.P = nil
	p, tests := r.Groups()[0].adjusted()
	require.Equal(t, 2, tests)
	require.True(t, math.IsNaN(p[0]))
	require.InDelta(t, 0.06, p[2], 1e-12)
}

// Nine hypotheses with fuller figures and tables than the plan has stay under
// 5 MB with every picture inside; more of them give up pictures, not the bound.
func TestSize(t *testing.T) {
	for sections, inside := range map[int]int{9: 9, 16: 0} {
		var r Report
		for i := range sections {
			s := planted("H"+string(rune('0'+i)), analysis.Supported, 0.001)
			s.PNG = bytes.Repeat([]byte{byte(i)}, 288_000) // the largest of the recorded runs has 286 kB
			if sections > 9 {
				s.PNG = bytes.Repeat([]byte{byte(i)}, 3_000_000)
				s.Figure.Title = strings.Repeat("W", 900)
			}
			layer := &s.Figure.Panels[0].Layers[0]
			for x := range 200 {
				layer.Points = append(layer.Points, analysis.FigurePoint{X: 1 + float64(x)/80, Estimate: analysis.Estimate{Value: 10 + float64(x%37), Lo: 9, Hi: 60}})
			}
			for range 100 {
				s.Table.Rows = append(s.Table.Rows, s.Table.Rows[0])
			}
			r.Sections = append(r.Sections, s)
		}
		b, err := r.HTML()
		require.NoError(t, err)
		t.Logf("%d sections: %d bytes", sections, len(b))
		require.Less(t, len(b), 5_000_000)
		require.Equal(t, sections, bytes.Count(b, []byte(`data:image/png;base64,`))+bytes.Count(b, []byte(`>PNG</a> (beside`)))
		if inside > 0 {
			require.Equal(t, inside, bytes.Count(b, []byte(`data:image/png;base64,`)))
		}
	}
}

func TestWithoutFigureOrTable(t *testing.T) {
	s := planted("H4", analysis.Invalid, 0.5)
	s.Verdict.Claims, s.Figure, s.Table, s.Arms, s.Bench = nil, analysis.Figure{}, analysis.Table{}, analysis.Table{}, nil
	bad := planted("H5", analysis.Invalid, 0.5)
	bad.Table.Rows = [][]any{{struct{}{}, 1, 2}}
	bad.Figure.Panels[0].Layers[0].Points, bad.Figure.Panels[1].Layers = nil, nil
	d := parse(t, Report{Sections: []Section{s, bad}})
	require.Contains(t, textOf(d.root), "No figure: the run could not be drawn")
	require.Contains(t, textOf(d.root), "nothing to draw")
	require.Contains(t, textOf(d.root), "A table cannot be written")
	require.Contains(t, string(Report{Sections: []Section{bad}}.Markdown()), "The table cannot be written")

	d = parse(t, Report{})
	require.Contains(t, textOf(d.root), "No run is judged yet")
	require.Contains(t, string(Report{}.Markdown()), "No run is judged yet")
}

// The Markdown as a whole; UPDATE_REPORT=1 rewrites it.
func TestMarkdownGolden(t *testing.T) {
	path := filepath.Join("testdata", "report.md")
	got := sample().Markdown()
	if os.Getenv("UPDATE_REPORT") != "" {
		require.NoError(t, bundle.WriteFile(path, got))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	p, err := Write(dir, sample())
	require.NoError(t, err)
	for _, path := range []string{p.HTML, p.Markdown, p.Bench} {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotEmpty(t, b)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3, "nothing temporary is left")

	r := sample()
	r.Results = filepath.Join(dir, "of mine")
	out := filepath.Join(dir, "paper", "a")
	require.NoError(t, os.MkdirAll(out, 0o755))
	p, err = Write(out, r)
	require.NoError(t, err)
	md, err := os.ReadFile(p.Markdown)
	require.NoError(t, err)
	require.Contains(t, string(md), "](../../of%20mine/H4/20261123T101502Z-3f9c1a/derived/H4.png)", "links lead to the runs")
	require.Empty(t, r.Sections[0].base)

	_, err = Write(filepath.Join(dir, "missing"), sample())
	require.Error(t, err)
}

func TestNumbers(t *testing.T) {
	for want, v := range map[string]float64{"0": 0, "1.812": 1.8125, "0.0003": 0.0003, "1e-05": 1e-5, "123456": 123456, "1e+09": 1e9, "-2.5": -2.5, "–": math.NaN(), "+Inf": math.Inf(1)} {
		require.Equal(t, want, number(&v))
	}
	require.Equal(t, "–", number(nil))
	require.Equal(t, "< 0.0001", probability(1e-9))
	require.Equal(t, "0.0039", probability(1.0/256))
}
