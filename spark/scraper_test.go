package spark

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/internal/jsonl"
)

// counting is a vLLM whose prompt counter grows by one with each page.
func counting(t *testing.T) (*Server, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("/", healthy())
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		if k := n.Add(1); k == 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else {
			fmt.Fprintf(w, "vllm:num_requests_running 0\nvllm:prompt_tokens_total %d\n", k)
		}
	})
	s, err := Attach(t.Context(), Endpoint{URL: serveHandler(t, mux)})
	require.NoError(t, err)
	return s, &n
}

func TestScraperStoresAndReadsBack(t *testing.T) {
	s, _ := counting(t) // attaching read page 1
	clk := clock.New()
	epoch := clk.Now()
	scraper, err := NewScraper(s, epoch)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "server.jsonl.zst")
	w, err := jsonl.Create(path)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, w.Write(scraper.Scrape(t.Context())))
	}
	require.NoError(t, w.Close())
	end := clk.Now() - epoch

	var points []Point
	var last time.Duration
	for p, err := range Points(jsonl.Read[Scrape](path)) {
		require.NoError(t, err)
		require.Greater(t, p.T, last, "instants count from the epoch and grow")
		require.Less(t, p.T, end)
		last = p.T
		points = append(points, p)
	}
	require.Len(t, points, 3)
	require.Equal(t, 2.0, *points[0].Counters.PromptTokens)
	require.Contains(t, points[1].Error, "status 503", "a gap shows")
	require.Nil(t, points[1].Counters.PromptTokens)
	require.Equal(t, 4.0, *points[2].Counters.PromptTokens)
	require.Equal(t, 2.0, *points[2].Counters.Since(points[0].Counters).PromptTokens)
}

func TestScraperRunTakesBothEdges(t *testing.T) {
	s, pages := counting(t)
	scraper, err := NewScraper(s, 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var got []Scrape
	err = scraper.Run(ctx, time.Hour, func(sc Scrape) error {
		got = append(got, sc)
		cancel() // after the first, an hour before the second
		return nil
	})
	require.NoError(t, err)
	require.Len(t, got, 2, "one at the start and one at the end")
	require.Empty(t, got[0].Error)
	require.EqualValues(t, 3, pages.Load())
}

func TestScraperRunKeepsItsPace(t *testing.T) {
	s, _ := counting(t)
	scraper, err := NewScraper(s, 0)
	require.NoError(t, err)
	enough := errors.New("enough")
	n := 0
	start := time.Now()
	err = scraper.Run(t.Context(), 20*time.Millisecond, func(Scrape) error {
		if n++; n == 6 {
			return enough
		}
		return nil
	})
	require.ErrorIs(t, err, enough, "the error of emit ends it")
	require.GreaterOrEqual(t, time.Since(start), 100*time.Millisecond, "the sixth is due after five intervals")
	require.Error(t, scraper.Run(t.Context(), 0, nil), "no pace, no run")
}

func TestNoMetricsNamesTheRemedy(t *testing.T) {
	f := healthy()
	f.server = "llama.cpp"
	s, err := Attach(t.Context(), Endpoint{URL: serve(t, f)})
	require.NoError(t, err)
	_, err = NewScraper(s, 0)
	require.ErrorIs(t, err, ErrNoMetrics)
	require.ErrorContains(t, err, "--metrics")
}

func TestPointsOfUnknownKind(t *testing.T) {
	require.Contains(t, Scrape{Kind: "xml", Raw: "<a/>"}.Point().Error, `unknown kind of metrics "xml"`)
	broken := Scrape{Kind: metricsPrometheus, Raw: "vllm:num_requests_running 2\nx{ 1\n"}.Point()
	require.Equal(t, 2.0, *broken.Counters.Running, "what is readable is used")
	require.Contains(t, broken.Error, "line 2")
}

// What is left out of a page changes no counter: on every page of metrics that
// the tests have.
func TestLinesOfLeavesTheCounters(t *testing.T) {
	pages, err := filepath.Glob("testdata/metrics/*")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, path := range pages {
		page, err := os.ReadFile(path)
		require.NoError(t, err)
		all, err := ParseMetrics(page)
		if err != nil {
			continue
		}
		some, err := ParseMetrics(linesOf(string(page), counterNames()))
		require.NoError(t, err, path)
		require.Equal(t, NewCounters(all), NewCounters(some), path)
		require.LessOrEqual(t, len(some), len(all))
	}
}
