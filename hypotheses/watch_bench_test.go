package hypotheses

import (
	"io"
	"math"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/hypotheses/watch"
	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/loadgen"
)

// BenchmarkWatchedLoad is the same short load unwatched and watched, with one
// page open, turn by turn: the ratios are medians over the pairs, of the TTFT
// and of this process's time per request, the toy server's and the page's reader's
// included. They end near 1 on a
// quiet machine; the spread (sd, of ln ratio) says how near they can be told.
//
//	go test -run '^$' -bench WatchedLoad -benchtime 20x ./hypotheses
func BenchmarkWatchedLoad(b *testing.B) {
	server := stranger(b, nil)
	s, err := watch.Open("127.0.0.1:0")
	require.NoError(b, err)
	defer func() { require.NoError(b, s.Close()) }()
	r, err := http.Get(s.URL() + "events")
	require.NoError(b, err)
	defer r.Body.Close()
	go func() { // a page that reads; it ends with the server
		_, _ = io.Copy(io.Discard, r.Body)
	}()
	load := func(h *watch.Hub) (p50, p95, cpu float64) {
		epoch := clock.New().Now()
		t := loadgen.Target{BaseURL: server.URL, Model: "theirs", Dialect: loadgen.OpenAICompletions, Epoch: epoch, InFlight: h.InFlight()}
		p := loadgen.Plan{
			Arrivals: loadgen.Users(4), Workload: loadgen.Workload{PromptTokens: 64, OutputTokens: 32},
			Warmup: 50 * time.Millisecond, Measure: 500 * time.Millisecond, Drain: time.Second,
		}
		h.Load(p)
		sum, err := loadgen.Run(b.Context(), t, p, h.Records(epoch, func(*loadgen.Record) error { return nil }))
		require.NoError(b, err)
		n := float64(sum.Requests.Warmup + sum.Requests.Due + sum.Requests.Drain)
		return float64(sum.TTFT.P50), float64(sum.TTFT.P95), sum.Client.Process.CPU.Seconds() / n
	}
	var at50, at95, cpu []float64
	for i := 0; b.Loop(); i++ {
		var v [2][3]float64
		for _, k := range []int{i % 2, 1 - i%2} { // who goes first alternates
			var h *watch.Hub
			if k == 1 {
				h = s.Hub()
			}
			v[k][0], v[k][1], v[k][2] = load(h)
		}
		at50, at95, cpu = append(at50, math.Log(v[1][0]/v[0][0])), append(at95, math.Log(v[1][1]/v[0][1])), append(cpu, math.Log(v[1][2]/v[0][2]))
	}
	for name, x := range map[string][]float64{"p50": at50, "p95": at95, "cpu": cpu} {
		slices.Sort(x)
		var mean, ss float64
		for _, v := range x {
			mean += v / float64(len(x))
		}
		for _, v := range x {
			ss += (v - mean) * (v - mean)
		}
		b.ReportMetric(math.Exp(x[len(x)/2]), name+"-ratio")
		b.ReportMetric(math.Sqrt(ss/float64(max(len(x)-1, 1))), name+"-sd")
	}
}
