package hypotheses

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/sysmon"
)

// freeAddr is a loopback address that nobody listens on.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// get reads a path of the live page.
func get(t *testing.T, url string) string {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get(url)
	require.NoError(t, err)
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

// sum adds the samples of a family whose labels hold all of want.
func sum(f *dto.MetricFamily, want ...string) (v float64) {
	for _, m := range f.GetMetric() {
		text := m.String()
		for _, w := range want {
			if !strings.Contains(text, `"`+w+`"`) {
				text = ""
			}
		}
		if text != "" {
			v += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return v
}

func TestAWatchedRunShowsWhatItsFilesHold(t *testing.T) {
	addr := freeAddr(t)
	var logged []string
	p, end, err := Watch(addr, Progress{Log: func(line string) { logged = append(logged, line) }})
	require.NoError(t, err)
	require.Contains(t, logged[0], "http://"+addr)
	c := toy(t)
	c.HTTP = addr // one page is open: no other is tried
	_, dir, err := Execute(t.Context(), c, H0(), time.Time{}, p)
	require.NoError(t, err)
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	var fams map[string]*dto.MetricFamily
	require.Eventually(t, func() bool { // the buffers are drained ten times a second
		text := get(t, "http://"+addr+"/metrics")
		p := expfmt.NewTextParser(model.LegacyValidation)
		fams, err = p.TextToMetricFamilies(strings.NewReader(text))
		require.NoError(t, err)
		return len(fams["spark_verdict_info"].GetMetric()) == 1
	}, 3*time.Second, 20*time.Millisecond)
	end()

	var first, tokens, reads, readMs float64
	all := map[string]float64{}
	for _, a := range e.Arms {
		raw := filepath.Join(dir, "raw", a.Name)
		for rec, err := range loadgen.ReadRecords(filepath.Join(raw, "requests.jsonl.zst")) {
			require.NoError(t, err)
			all[string(rec.Outcome)]++
			if _, has := rec.FirstToken.Get(); has && rec.Outcome.OK() {
				first++
			}
			switch { // this server counts at the end of a request, not by event
			case rec.OutputTokens != nil:
				tokens += float64(*rec.OutputTokens)
			default:
				tokens += float64(len(rec.Events))
			}
		}
		table, err := sysmon.ReadTable(filepath.Join(raw, "telemetry.csv.zst"))
		require.NoError(t, err)
		n, _ := table.ReadIOs(table.T[0], table.T[len(table.T)-1])
		ms, _ := table.Delta("raw_rd_ticks_ms", table.T[0], table.T[len(table.T)-1])
		reads, readMs = reads+n, readMs+ms
	}
	require.Positive(t, first)
	require.Equal(t, first, sum(fams["spark_ttft_seconds"]))
	require.InDelta(t, tokens, sum(fams["spark_output_tokens_total"]), 1e-6)
	for outcome, n := range all {
		require.Equal(t, n, sum(fams["spark_requests_total"], outcome), outcome)
	}
	require.InDelta(t, reads, sum(fams["spark_disk_reads_completed_total"]), 1e-6)
	require.InDelta(t, readMs/1e3, sum(fams["spark_disk_read_wait_seconds_total"]), 1e-6)
	require.Zero(t, sum(fams["spark_watch_dropped_total"]))
	nothingLeft(t, c)
	_, err = net.DialTimeout("tcp", addr, time.Second)
	require.ErrorIs(t, err, unix.ECONNREFUSED, "the page ends with the run")
}

func TestATakenAddressIsRefusedBeforeAnythingIsMeasured(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c := toy(t)
	c.HTTP = l.Addr().String()
	_, _, err = Execute(t.Context(), c, H0(), time.Time{}, Progress{})
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.ErrorContains(t, err, "SPARK_HTTP")
	require.NoDirExists(t, c.Results)
}

func TestAnAddressBeyondLoopbackIsWarnedOf(t *testing.T) {
	var logged []string
	_, end, err := Watch("0.0.0.0:0", Progress{Log: func(line string) { logged = append(logged, line) }})
	require.NoError(t, err)
	end()
	require.Contains(t, strings.Join(logged, "\n"), "WARNING")
}
