package watch

import (
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

// scrape reads the endpoint as Prometheus does.
func scrape(t *testing.T, h *Hub) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	h.metrics(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Contains(t, w.Header().Get("Content-Type"), "text/plain; version=0.0.4")
	p := expfmt.NewTextParser(model.LegacyValidation)
	got, err := p.TextToMetricFamilies(w.Body)
	require.NoError(t, err)
	for name, f := range got {
		require.NotEmpty(t, f.GetHelp(), name)
		require.NotEmpty(t, f.Metric, name)
	}
	return got
}

// labels are a sample's.
func labels(m *dto.Metric) map[string]string {
	out := map[string]string{}
	for _, l := range m.Label {
		out[l.GetName()] = l.GetValue()
	}
	return out
}

func TestMetricsSayWhatHappened(t *testing.T) {
	h, now := fakeHub()
	h.Begin("H2", "knee", "claim")
	evil := "m\"\\\n<script>\xff"
	h.Target(Target{URL: "http://x", Model: evil, Emulated: true, Profile: "quick", Endpoint: "p95", Device: "vda"})
	h.Plan([]Arm{{Name: "000-u8", Users: 8}, {Name: "001-u16", Users: 16}})
	h.ArmBegin(0, time.Minute, 0)
	h.drain()
	h.ArmEnd(loadgen.Summary{})
	h.ArmBegin(1, 30*time.Second, time.Hour)
	h.Load(loadgen.Plan{})
	rows := h.Rows(meta(h.start), keepRow)
	sink := h.Records(h.start, keep)
	*now += 3 * time.Second
	require.NoError(t, rows(telemetry(1100*time.Millisecond, map[int]float64{colMemory: 4})))
	require.NoError(t, rows(telemetry(2*time.Second, map[int]float64{colReads: 4, colReadMs: 10, colSectors: 80, colWeightedMs: 900, colIdle: 3, colIOWait: 1, colPSIIO: 5e5, colPSIMem: 1e5, colMemory: 8})))
	require.NoError(t, sink(request(0, 200, 300, 4)))
	require.NoError(t, sink(request(0, 100, 300, 2)))
	require.NoError(t, sink(request(0, 2_000_000, 2_000_000, 1)))
	warm := request(0, 50, 60, 1)
	warm.Phase = loadgen.PhaseWarmup
	require.NoError(t, sink(warm))
	bad := request(0, 0, 60)
	bad.Outcome = loadgen.OutcomeReset
	require.NoError(t, sink(bad))
	running := 7.0
	h.Server(&running, nil)
	h.InFlight().Store(9)
	h.drain()
	got := scrape(t, h)

	ttft := got["spark_ttft_seconds"]
	require.Equal(t, dto.MetricType_HISTOGRAM, ttft.GetType())
	require.Len(t, ttft.Metric, 2)
	require.Equal(t, map[string]string{"phase": "measure"}, labels(ttft.Metric[0]))
	m := ttft.Metric[0].Histogram
	require.EqualValues(t, 3, m.GetSampleCount())
	require.InDelta(t, 2000.3, m.GetSampleSum(), 1e-9)
	cumulative := map[float64]uint64{}
	for _, b := range m.Bucket {
		cumulative[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	require.EqualValues(t, 0, cumulative[.075])
	require.EqualValues(t, 1, cumulative[.1], "a bound belongs to its bucket")
	require.EqualValues(t, 2, cumulative[.25])
	require.EqualValues(t, 2, cumulative[120], "the slow one is in +Inf alone")

	for name, want := range map[string]float64{
		"spark_requests_in_flight": 9, "spark_server_requests_running": 7, "spark_arms_planned": 2, "spark_arms_done": 1,
		"spark_remaining_seconds": 27, "spark_memory_available_bytes": 8192, "spark_disk_read_await_seconds": 0.0025,
		"spark_disk_queue_length": 1, "spark_cpu_iowait_ratio": 0.25, "spark_run_info": 1,
	} {
		require.Contains(t, got, name)
		require.Len(t, got[name].Metric, 1, name)
		require.InDelta(t, want, got[name].Metric[0].Gauge.GetValue(), 1e-9, name)
	}
	for name, want := range map[string]float64{
		"spark_disk_reads_completed_total": 4, "spark_disk_read_bytes_total": 80 * 512, "spark_disk_read_wait_seconds_total": 0.01,
		"spark_disk_queue_seconds_total": 0.9, "spark_watch_dropped_total": 0,
	} {
		require.InDelta(t, want, got[name].Metric[0].Counter.GetValue(), 1e-9, name)
	}
	require.NotContains(t, got, "spark_server_requests_waiting", "what the server does not tell is absent, not 0")
	require.Equal(t, map[string]string{
		"hypothesis": "H2", "arm": "001-u16", "users": "16", "target": "http://x", "model": "m\"\\\n<script>\uFFFD",
		"emulated": "true", "profile": "quick", "endpoint": "p95", "device": "vda",
	}, labels(got["spark_run_info"].Metric[0]), "hostile names survive the format")
	requests := map[string]float64{}
	for _, m := range got["spark_requests_total"].Metric {
		requests[labels(m)["phase"]+" "+labels(m)["outcome"]] = m.Counter.GetValue()
	}
	require.Equal(t, map[string]float64{"measure ok": 3, "measure reset": 1, "warmup ok": 1}, requests)
	for _, m := range got["spark_phase"].Metric {
		require.Equal(t, labels(m)["phase"] == PhaseMeasuring, m.Gauge.GetValue() == 1, labels(m)["phase"])
	}
	documented(t, got)
	stalled := got["spark_pressure_stalled_seconds_total"].Metric
	require.InDelta(t, 0.5, stalled[0].Counter.GetValue(), 1e-9)
	require.InDelta(t, 0.1, stalled[1].Counter.GetValue(), 1e-9)
}

// documented holds the names in docs/watch.md against those served; two of them
// show only at other times.
func documented(t *testing.T, got map[string]*dto.MetricFamily) {
	t.Helper()
	doc, err := os.ReadFile("../../docs/watch.md")
	require.NoError(t, err)
	table, _, _ := strings.Cut(string(doc), "Panels to begin with")
	names := regexp.MustCompile("`spark_[a-z_]+").FindAllString(table, -1)
	for i := range names {
		names[i] = names[i][1:]
	}
	slices.Sort(names)
	want := append(slices.Collect(maps.Keys(got)), "spark_verdict_info", "spark_server_requests_waiting")
	slices.Sort(want)
	require.Equal(t, want, slices.Compact(names))
}

func TestCountersNeverFall(t *testing.T) {
	h, now := fakeHub()
	sink := h.Records(h.start, keep)
	*now += time.Second
	var last uint64
	for _, id := range []string{"H0", "H2"} {
		h.Begin(id, "", "")
		require.NoError(t, sink(request(0, 100, 200, 1)))
		h.End(Result{Outcome: "SUPPORTED"})
		h.drain()
		got := scrape(t, h)
		n := got["spark_ttft_seconds"].Metric[0].Histogram.GetSampleCount()
		require.Greater(t, n, last)
		last = n
		require.NotContains(t, got, "spark_run_info", "nothing is measured now")
	}
	require.Len(t, scrape(t, h)["spark_verdict_info"].Metric, 2)
}

func TestAnEmptyHubHasMetrics(t *testing.T) {
	h, _ := fakeHub()
	require.Contains(t, scrape(t, h), "spark_phase")
	require.NotContains(t, scrape(t, h), "spark_memory_available_bytes")
}
