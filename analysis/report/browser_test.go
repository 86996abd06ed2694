//go:build browser

package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/analysis/report"
	"github.com/spark-harness/harness/hypotheses"
)

// The report in a real browser: go test -tags browser ./analysis/report. It
// needs Chromium (apt-get install chromium). SPARK_SHOTS names a directory to
// leave pictures in.

// recordedReport is the report of the recorded runs.
var recordedReport = sync.OnceValues(func() (report.Report, error) {
	dir, err := os.MkdirTemp("", "report")
	if err != nil {
		return report.Report{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "hypotheses", "testdata", "runs"))); err != nil {
		return report.Report{}, err
	}
	return hypotheses.CollectReport(dir)
})

// browser is the one that all tests open tabs in.
var browser context.Context

func TestMain(m *testing.M) {
	alloc, end := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU)...)
	ctx, cancel := chromedp.NewContext(alloc)
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "no browser (apt-get install chromium):", err)
		os.Exit(1)
	}
	browser = ctx
	code := m.Run()
	cancel()
	end()
	os.Exit(code)
}

// tab is a page in a browser, with all that it complained of or asked for.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	requests []string
	said     func() []string
}

// open loads r, as a file, in a tab of its own.
func open(t *testing.T, r report.Report, width int) *tab {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	b, err := r.HTML()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, b, 0o644))

	own, cancel := chromedp.NewContext(browser)
	ctx, stop := context.WithTimeout(own, time.Minute)
	p := &tab{t: t, ctx: ctx}
	t.Cleanup(func() { stop(); cancel() })

	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(int64(width), 900)))
	_, err = chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	require.NoError(t, chromedp.Listen(ctx, func(ev any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSent:
			p.requests = append(p.requests, ev.Request.URL)
		}
	}))
	messages := chromedp.Console(ctx)
	var lines []string
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			p.mu.Lock()
			lines = append(lines, m.String())
			p.mu.Unlock()
		}
	}()
	p.said = func() []string { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(lines) }
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate((&url.URL{Scheme: "file", Path: path}).String())))
	return p
}

// requireQuiet: no complaint, and nothing was asked of a network.
func (p *tab) requireQuiet() {
	p.t.Helper()
	require.Empty(p.t, p.said(), "the console is silent")
	p.mu.Lock()
	defer p.mu.Unlock()
	require.NotEmpty(p.t, p.requests, "the page itself was asked for")
	for _, u := range p.requests {
		require.True(p.t, strings.HasPrefix(u, "file://") && strings.HasSuffix(u, "/report.html") || strings.HasPrefix(u, "data:"), "asked for %s", u)
	}
}

func eval[T any](p *tab, expression string, args ...any) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](fmt.Sprintf(expression, args...)))
	require.NoError(p.t, err)
	return v
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, steps...))
}

// place is where a point of the first figure in the article stands on screen.
func (p *tab) place(article string, x, y float64) (float64, float64) {
	p.t.Helper()
	at := eval[[]float64](p, `(() => {
		const svg = document.querySelector('article[id^="%s"] svg.plot');
		svg.scrollIntoView({block: 'center'});
		const q = new DOMPoint(%g, %g).matrixTransform(svg.getScreenCTM());
		return [q.x, q.y];
	})()`, article, x, y)
	return at[0], at[1]
}

func (p *tab) shot(name string) {
	dir := os.Getenv("SPARK_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(p.t, err)
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644))
}

func recorded(t *testing.T) report.Report {
	t.Helper()
	r, err := recordedReport()
	require.NoError(t, err)
	require.Len(t, r.Sections, len(hypotheses.All())-countMissing(r))
	return r
}

// countMissing are the hypotheses that have no recorded run.
func countMissing(r report.Report) int {
	missing := 0
	for _, h := range hypotheses.All() {
		if !slices.ContainsFunc(r.Sections, func(s report.Section) bool { return s.Verdict.Hypothesis == h.ID }) {
			missing++
		}
	}
	return missing
}

func find(t *testing.T, r report.Report, id string) report.Section {
	t.Helper()
	i := slices.IndexFunc(r.Sections, func(s report.Section) bool { return s.Verdict.Hypothesis == id })
	require.GreaterOrEqual(t, i, 0)
	return r.Sections[i]
}

// column is a column of a section's table.
func column(t *testing.T, s report.Section, name string) []string {
	t.Helper()
	b, err := s.Table.CSV()
	require.NoError(t, err)
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	require.NoError(t, err)
	i := slices.Index(rows[0], name)
	require.GreaterOrEqual(t, i, 0, rows[0])
	var out []string
	for _, r := range rows[1:] {
		out = append(out, r[i])
	}
	return out
}

func TestBrowserLoadsQuietly(t *testing.T) {
	r := recorded(t)
	p := open(t, r, 1200)
	require.Equal(t, len(r.Sections), eval[int](p, `document.querySelectorAll('article svg.plot').length`))
	p.shot("light")
	p.requireQuiet()
}

// The point of H0 at 16 users shows what its table says, in the panel that the
// pointer is over and in those that share its axis.
func TestBrowserHover(t *testing.T) {
	r := recorded(t)
	h0 := find(t, r, "H0")
	spots, err := h0.Figure.Spots()
	require.NoError(t, err)
	i := slices.IndexFunc(spots, func(s analysis.FigureSpot) bool {
		return s.Panel == 0 && s.Marked && s.At == "concurrent users 16" && s.Interval != ""
	})
	require.GreaterOrEqual(t, i, 0)
	p := open(t, r, 1200)
	x, y := p.place("H0-", spots[i].X, spots[i].Y)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x+1, y+1))
	require.False(t, eval[bool](p, `document.getElementById('tip').hidden`))
	tip := eval[string](p, `document.getElementById('tip').innerText`)
	row := slices.Index(column(t, h0, "users"), "16")
	four := func(s string) string { v, _ := parseFloat(s); return fmt.Sprintf("%.4g", v) }
	require.Contains(t, tip, "concurrent users 16")
	require.Contains(t, tip, four(column(t, h0, "p50 TTFT (ms)")[row])+" ms")
	require.Contains(t, tip, four(column(t, h0, "p50 TTFT low (ms)")[row])+" to ")
	require.Contains(t, tip, "requests/s: "+four(column(t, h0, "requests (1/s)")[row]), "the panels beneath are linked")
	require.Equal(t, 3, eval[int](p, `document.querySelectorAll('article[id^="H0-"] line.cross').length`), "a crosshair through all panels")
	p.shot("hover")

	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 3, 3))
	require.True(t, eval[bool](p, `document.getElementById('tip').hidden`))
	require.Equal(t, 0, eval[int](p, `document.querySelectorAll('line.cross').length`))

	// By keyboard: the first point, then its neighbour, said aloud.
	eval[any](p, `document.querySelector('article[id^="H0-"] .stage').focus()`)
	p.do(chromedp.KeyEvent("\u0303")) // ArrowRight
	first := eval[string](p, `document.querySelector('article[id^="H0-"] .said').textContent`)
	p.do(chromedp.KeyEvent("\u0303"))
	second := eval[string](p, `document.querySelector('article[id^="H0-"] .said').textContent`)
	require.Contains(t, first, "p50 TTFT (ms), concurrent users")
	require.NotEqual(t, first, second)
	p.requireQuiet()
}

func TestBrowserZoom(t *testing.T) {
	p := open(t, recorded(t), 1200)
	box := func() string {
		return eval[string](p, `document.querySelector('article[id^="H2-"] svg.plot').getAttribute('viewBox')`)
	}
	wheel := func(x, y float64) {
		_, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: input.DispatchMouseEventTypeMouseWheel, X: x, Y: y, DeltaX: 0.001, DeltaY: -240})
		require.NoError(t, err)
		time.Sleep(100 * time.Millisecond)
	}
	home := box()
	x, y := p.place("H2-", 120, 120)
	before := eval[float64](p, `scrollY`)
	wheel(x, y)
	require.Equal(t, home, box(), "a wheel over the page scrolls the page")
	require.Less(t, eval[float64](p, `scrollY`), before)

	x, y = p.place("H2-", 120, 120)
	p.do(chromedp.MouseClickXY(x, y))
	wheel(x, y)
	zoomed := box()
	require.NotEqual(t, home, zoomed)
	nx, ny := p.place("H2-", 120, 120)
	require.InDelta(t, x, nx, 1.5, "the point under the pointer stays there")
	require.InDelta(t, y, ny, 1.5)

	drag := func(typ input.DispatchMouseEventType, x, y float64) {
		_, err := chromedp.Call(p.ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{Type: typ, X: x, Y: y, Button: input.MouseButtonLeft, Buttons: 1, ClickCount: 1})
		require.NoError(t, err)
	}
	drag(input.DispatchMouseEventTypeMousePressed, x, y)
	drag(input.DispatchMouseEventTypeMouseMoved, x+30, y+20)
	drag(input.DispatchMouseEventTypeMouseReleased, x+30, y+20)
	nx, ny = p.place("H2-", 120, 120)
	require.InDelta(t, x+30, nx, 1.5, "dragging moves it along")
	require.InDelta(t, y+20, ny, 1.5)
	p.shot("zoomed")

	p.do(chromedp.Click(chromedp.CSS(`article[id^="H2-"] button[data-do="reset"]`)))
	require.Equal(t, strings.Fields(home), strings.Fields(box()))
	p.do(chromedp.Click(chromedp.CSS(`article[id^="H2-"] button[data-do="in"]`)))
	require.NotEqual(t, home, box())
	p.do(chromedp.Click(chromedp.CSS(`article[id^="H2-"] button[data-do="out"]`)))
	require.Equal(t, home, box())
	p.requireQuiet()
}

func TestBrowserSort(t *testing.T) {
	r := recorded(t)
	p := open(t, r, 1200)
	h4 := find(t, r, "H4")
	want := column(t, h4, "p50 TTFT (ms)")
	const table = `document.querySelector('article[id^="H4-"] table.numbers')`
	at := eval[int](p, `[...%s.tHead.rows[0].cells].findIndex(c => c.textContent === 'p50 TTFT (ms)')`, table)
	got := func() []string {
		return eval[[]string](p, `[...%s.tBodies[0].rows].map(r => r.cells[%d].textContent)`, table, at)
	}
	click := func() { eval[any](p, `%s.tHead.rows[0].cells[%d].querySelector('button').click()`, table, at) }
	require.Equal(t, want, got())
	click()
	up := slices.Clone(want)
	slices.SortStableFunc(up, func(a, b string) int {
		x, xok := parseFloat(a)
		y, yok := parseFloat(b)
		if xok != yok {
			return map[bool]int{true: -1, false: 1}[xok]
		}
		return int(1e6 * (x - y))
	})
	require.Equal(t, up, got())
	require.Equal(t, "ascending", eval[string](p, `%s.tHead.rows[0].cells[%d].getAttribute('aria-sort')`, table, at))
	click()
	require.NotEqual(t, up, got())
	click()
	require.Equal(t, want, got(), "as it was")
	p.requireQuiet()
}

func TestBrowserNarrowAndDark(t *testing.T) {
	p := open(t, recorded(t), 360)
	require.LessOrEqual(t, eval[int](p, `document.documentElement.scrollWidth`), 360, "nothing sticks out")
	eval[any](p, `document.querySelectorAll('details').forEach(d => { d.open = true; })`)
	require.LessOrEqual(t, eval[int](p, `document.documentElement.scrollWidth`), 360, "nor with all open")
	p.shot("mobile")

	light := eval[string](p, `getComputedStyle(document.querySelector('svg.plot path')).fill + getComputedStyle(document.body).backgroundColor`)
	require.Equal(t, "rgb(255, 255, 255)rgb(255, 255, 255)", light)
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	require.NoError(t, err)
	dark := eval[string](p, `getComputedStyle(document.querySelector('svg.plot path')).fill + getComputedStyle(document.body).backgroundColor`)
	require.Equal(t, "rgb(22, 24, 27)rgb(22, 24, 27)", dark)
	p.shot("dark-mobile")
	p.requireQuiet()
}

func TestBrowserPrintsEverything(t *testing.T) {
	r := recorded(t)
	p := open(t, r, 1200)
	require.Positive(t, eval[int](p, `[...document.querySelectorAll('details')].filter(d => !d.open).length`), "on the screen, what is long is closed")
	opened := eval[int](p, `(() => { dispatchEvent(new Event('beforeprint')); const n = [...document.querySelectorAll('details')].filter(d => !d.open).length; dispatchEvent(new Event('afterprint')); return n; })()`)
	require.Zero(t, opened, "for printing, nothing is")
	pdf, err := chromedp.Run(p.ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPrintBackground(), chromedp.PDFOutlineAndTagged()))
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(pdf, []byte("%PDF-")))
	pages := bytes.Count(pdf, []byte("/Type /Page\n")) + bytes.Count(pdf, []byte("/Type /Page/")) + bytes.Count(pdf, []byte("/Type /Page "))
	require.Greater(t, pages, len(r.Sections), "each hypothesis begins a page")
	for _, s := range r.Sections {
		require.Contains(t, string(pdf), "/Title ("+s.Verdict.Hypothesis+" "+s.Verdict.Title+" "+s.Key().Model+")")
	}
	if dir := os.Getenv("SPARK_SHOTS"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "report.pdf"), pdf, 0o644))
	}
	p.requireQuiet()
}

func TestBrowserRunsNoHostileScript(t *testing.T) {
	p := open(t, report.Hostile(), 1200)
	require.True(t, eval[bool](p, `window.pwned === undefined`))
	eval[any](p, `document.querySelectorAll('details').forEach(d => { d.open = true; })`)
	eval[any](p, `[...document.querySelectorAll(".stage")].at(-1).focus()`)
	p.do(chromedp.KeyEvent("\u0303"))
	require.Contains(t, eval[string](p, `document.getElementById('tip').textContent`), "</script>", "the tip shows it as text")
	require.True(t, eval[bool](p, `window.pwned === undefined`))
	require.LessOrEqual(t, eval[int](p, `document.documentElement.scrollWidth`), 1200)
	p.shot("hostile")
	p.requireQuiet()
}

// A page that holds a foreign script does not run it either: the policy names
// the one that may.
func TestBrowserPolicyHolds(t *testing.T) {
	p := open(t, recorded(t), 1200)
	eval[any](p, `(() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.body.append(s); const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i); })()`)
	time.Sleep(100 * time.Millisecond)
	require.True(t, eval[bool](p, `window.pwned === undefined`))
	require.NotEmpty(t, p.said(), "the browser says what it refused")
}

func parseFloat(s string) (v float64, ok bool) {
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}
