//go:build browser

package hypotheses

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
)

// The live page in headless Chromium (apt-get install chromium), with a real
// run of the emulator behind it:
//
//	go test -tags browser -run LivePage -artifacts -v ./hypotheses
//
// leaves pictures of it in the artifacts directory.

// browser opens Chromium and gathers what it complains about, but for a server
// that is not there, which the page is made for.
func browser(t *testing.T) (ctx context.Context, complaints func() []string) {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.WindowSize(1280, 1100))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox)
	}
	var mu sync.Mutex
	var lines []string
	add := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if line := fmt.Sprintf(format, args...); !strings.Contains(line, "net::ERR_") {
			lines = append(lines, line)
		}
	}
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(alloc, chromedp.WithListener(func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			add("exception: %v", ev.ExceptionDetails)
		case *runtime.EventConsoleAPICalled:
			add("console: %v", ev.Args)
		case *cdplog.EventEntryAdded:
			add("log: %s %s", ev.Entry.Text, ev.Entry.URL)
		}
	}))
	t.Cleanup(cancel)
	return ctx, func() []string { mu.Lock(); defer mu.Unlock(); return lines }
}

// do takes steps on the page.
func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	require.NoError(t, chromedp.Do(ctx, steps...))
}

// eval is what an expression on the page comes to.
func eval[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js))
	require.NoError(t, err, js)
	return v
}

// await waits until an expression on the page is true.
func await(t *testing.T, ctx context.Context, js, why string) {
	t.Helper()
	require.Eventually(t, func() bool { return eval[bool](t, ctx, js) }, 25*time.Second, 100*time.Millisecond, why)
}

// picture keeps what the page looks like.
func picture(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	do(t, ctx, chromedp.Sleep(150*time.Millisecond))
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(t.ArtifactDir(), name+".png"), png, 0o644))
}

// slower is a toy whose arms last long enough to be looked at.
func slower(t *testing.T) Config {
	c := toy(t)
	c.profile.Warmup, c.profile.Window, c.profile.Quantile = 600*time.Millisecond, 2500*time.Millisecond, 0.95
	return c
}

func TestLivePageShowsARun(t *testing.T) {
	addr := freeAddr(t)
	p, end, err := Watch(addr, Progress{})
	require.NoError(t, err)
	ctx, complaints := browser(t)
	do(t, ctx, chromedp.Navigate("http://"+addr+"/"))

	c := slower(t)
	c.Model = "L8B"
	type ended struct {
		dir string
		err error
	}
	done := make(chan ended, 1)
	p.Watch.Queue("H0", "H2")
	go func() {
		_, dir, err := Execute(t.Context(), c, H0(), time.Time{}, p)
		done <- ended{dir, err}
	}()
	const p95 = `document.querySelector('#chart-ttft b[data-field=ttft_p95_ms]').dataset.value`
	const curve = `document.querySelector('#chart-ttft canvas').toDataURL()`
	await(t, ctx, `Number(`+p95+`) > 0`, "a first value")
	before := eval[string](t, ctx, curve)
	await(t, ctx, `model.state.runs[0].arms.filter(a => a.state === 'done').length >= 2`, "arms end")
	require.NotEqual(t, before, eval[string](t, ctx, curve), "the curve moves")
	require.True(t, eval[bool](t, ctx, `!document.getElementById('emulated').hidden`))
	require.Contains(t, eval[string](t, ctx, `document.getElementById('eta').textContent`), "left")

	looksAround(t, ctx)
	e := <-done
	require.NoError(t, e.err)
	await(t, ctx, `model.state.runs[0].outcome !== undefined`, "the verdict falls")
	theSameAsTheBundle(t, ctx, e.dir)
	picture(t, ctx, "4-done")
	end()
	await(t, ctx, `document.getElementById('link').textContent === 'the run is over'`, "it says so")
	require.Empty(t, complaints())

	// Another run on the same address: the page finds it by itself.
	p, end, err = Watch(addr, Progress{})
	require.NoError(t, err)
	defer end()
	const evil = `<img src=x onerror="document.title='owned'">`
	p.Watch.Begin("H2", evil, evil)
	p.logf("%s", evil)
	await(t, ctx, `document.getElementById('id').textContent === 'H2'`, "it comes back")
	require.Equal(t, evil, eval[string](t, ctx, `document.getElementById('title').textContent`))
	require.Zero(t, eval[int](t, ctx, `document.images.length`))
	require.NotContains(t, eval[string](t, ctx, `document.title`), "owned")
	require.Equal(t, 1, eval[int](t, ctx, `model.state.runs.length`), "what was of the other run is gone")
	picture(t, ctx, "5-another-run")
	require.Empty(t, complaints())
}

// looksAround uses what the page has for people.
func looksAround(t *testing.T, ctx context.Context) {
	t.Helper()
	picture(t, ctx, "1-light")
	box := eval[struct{ X, Y float64 }](t, ctx, `(() => { window.scrollTo(0, 0); const a = drawn[0].area, r = drawn[0].canvas.getBoundingClientRect(), f = model.fields.indexOf('ttft_p95_ms');
		const at = [...model.fine.bins.keys()].filter(i => model.fine.bins.get(i)[f] !== null).pop() + 0.5;
		return {X: r.left + a.x0 + (at - a.from) / (a.to - a.from) * (a.x1 - a.x0), Y: r.top + 60}; })()`)
	hover := chromedp.MouseEvent(chromedp.MouseMoved, box.X, box.Y)
	do(t, ctx, hover)
	await(t, ctx, `document.getElementById('note').textContent.startsWith('At ')`, "the crosshair says where it is")
	require.True(t, eval[bool](t, ctx, `(() => { const i = Math.floor(cross), v = model.fine.bins.get(i)[model.fields.indexOf('mem_available_bytes')] / 2**30;
		const shown = document.querySelector('#chart-memory b').dataset.value; return v === null ? shown === '' : Math.abs(Number(shown) - v) < 1e-9; })()`), "every chart shows the same second")
	do(t, ctx, chromedp.Click("#theme"))
	// A picture moves the pointer away, so the crosshair is put there by hand.
	eval[bool](t, ctx, `(hover([...model.fine.bins.keys()].filter(i => model.fine.bins.get(i)[1] !== null).pop() - 1.5), true)`)
	picture(t, ctx, "2-dark")
	do(t, ctx, chromedp.Click("#theme"), chromedp.Click("#span"))
	require.Equal(t, "true", eval[string](t, ctx, `document.getElementById('span').getAttribute('aria-pressed')`))

	do(t, ctx, chromedp.Click("#pause"))
	await(t, ctx, `document.getElementById('link').textContent === 'paused'`, "it says so")
	still := eval[string](t, ctx, `document.querySelector('#chart-flight canvas').toDataURL()`)
	seen := eval[float64](t, ctx, `model.now`)
	await(t, ctx, fmt.Sprintf(`model.now > %f + 1.5`, seen), "what comes meanwhile is kept")
	require.Equal(t, still, eval[string](t, ctx, `document.querySelector('#chart-flight canvas').toDataURL()`), "paused curves stand still")
	do(t, ctx, chromedp.Click("#pause"), chromedp.Click("#span"), chromedp.EmulateViewport(390, 844, chromedp.EmulateScale(2)))
	require.False(t, eval[bool](t, ctx, `document.documentElement.scrollWidth > 391`), "nothing hangs over a phone's edge")
	picture(t, ctx, "3-phone")
	do(t, ctx, chromedp.EmulateViewport(1280, 1100))
}

// theSameAsTheBundle holds what the page shows against the run's files.
func theSameAsTheBundle(t *testing.T, ctx context.Context, dir string) {
	t.Helper()
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	rows := eval[[][]string](t, ctx, `[...document.querySelectorAll('#arms tbody tr')].map(r => [...r.cells].map(c => c.textContent))`)
	require.Len(t, rows, len(e.Arms))
	var first float64
	for i, a := range e.Arms {
		ms := func(m loadgen.Millis) string {
			b, err := m.MarshalJSON()
			require.NoError(t, err)
			return string(b)
		}
		l := a.Summary.TTFT
		require.Equal(t, []string{
			a.Name, fmt.Sprint(a.Block), fmt.Sprint(a.Users), fmt.Sprint(a.ContextTokens),
			fmt.Sprintf("%d / %d", a.Summary.Requests.OK, a.Summary.Requests.Due),
			ms(l.P50), ms(l.P95), ms(l.P99), fmt.Sprintf("%.1f", a.Summary.Rates.OutputTokensPerSec),
		}, rows[i])
		for rec, err := range loadgen.ReadRecords(filepath.Join(dir, "raw", a.Name, "requests.jsonl.zst")) {
			require.NoError(t, err)
			if _, has := rec.FirstToken.Get(); has && rec.Outcome.OK() {
				first++
			}
		}
	}
	await(t, ctx, fmt.Sprintf(`[...model.whole.bins.values()].reduce((n, b) => n + b[model.fields.indexOf('first_tokens')], 0) === %g`, first), "the curve holds every first token of the records")
	require.Contains(t, eval[string](t, ctx, `document.querySelector('#runs tbody').textContent`), filepath.Base(dir))
}
