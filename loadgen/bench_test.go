package loadgen

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// benchLoad is what a client process is told to do.
type benchLoad struct {
	URL       string
	Users     int
	Measure   time.Duration
	Spread    time.Duration
	Records   string // file
	UserClock bool
	Dialect   Dialect // "" is OpenAICompletions
}

// TestBenchClient is not a test: benchmarks run it in a process of its own.
func TestBenchClient(t *testing.T) {
	var load benchLoad
	spec := os.Getenv("LOADGEN_BENCH_CLIENT")
	if spec == "" {
		t.Skip("a helper process of the benchmarks")
	}
	require.NoError(t, json.Unmarshal([]byte(spec), &load))
	w, err := NewRecordWriter(load.Records)
	require.NoError(t, err)
	target := testTarget(load.URL)
	target.UserClock = load.UserClock
	target.Dialect = cmp.Or(load.Dialect, OpenAICompletions)
	target.Epoch = 1 // so that instants are CLOCK_MONOTONIC
	p := Plan{
		Arrivals: Users(load.Users), Warmup: load.Spread, Measure: load.Measure, Drain: 10 * time.Second,
		Workload: Workload{PromptTokens: 64, OutputTokens: benchTokens, Nonce: Nonce{Position: NonceStart}},
	}
	p.Arrivals.StartSpread = load.Spread
	s, err := Run(t.Context(), target, p, w.Write)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, json.NewEncoder(os.Stdout).Encode(s))
}

// onCore starts this test binary again as a helper, on one core alone.
func onCore(b *testing.B, core int, test string, env string) (*exec.Cmd, *bufio.Reader, io.Closer) {
	b.Helper()
	runtime.LockOSThread() // a child inherits the affinity of the thread that forks it
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	require.NoError(b, unix.SchedGetaffinity(0, &before))
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		b.Skipf("core %d cannot be had: %v", core, err)
	}
	defer func() { require.NoError(b, unix.SchedSetaffinity(0, &before)) }()
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), env)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	return cmd, bufio.NewReaderSize(out, 1<<20), in
}

// benchRun measures one load: server on core 0, client on core 1.
func benchRun(b *testing.B, pace pacing, load benchLoad) (Summary, []*Record, map[Hash]*truth) {
	b.Helper()
	server, out, stdin := onCore(b, 0, "TestBenchServer", "LOADGEN_BENCH_SERVER="+string(pace))
	defer func() {
		stdin.Close()
		_ = server.Wait()
	}()
	url, err := out.ReadString('\n')
	require.NoError(b, err)
	load.URL = strings.TrimSpace(url)
	load.Records = filepath.Join(b.TempDir(), "requests.jsonl.zst")
	spec, err := json.Marshal(load)
	require.NoError(b, err)
	client, out, _ := onCore(b, 1, "TestBenchClient", "LOADGEN_BENCH_CLIENT="+string(spec))
	said, err := io.ReadAll(out)
	require.NoError(b, err)
	require.NoError(b, client.Wait(), string(said))
	var s Summary
	require.NoError(b, json.Unmarshal(said[:slices.Index(said, '\n')], &s), string(said))
	truths, err := readTruths(load.URL)
	require.NoError(b, err)
	var records []*Record
	for r, err := range ReadRecords(load.Records) {
		require.NoError(b, err)
		records = append(records, r)
	}
	return s, records, truths
}

// rank is the nearest-rank quantile, in milliseconds.
func rank(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return math.NaN()
	}
	slices.Sort(d)
	return float64(d[int(math.Ceil(q*float64(len(d))))-1]) / 1e6
}

// report holds records against the truth.
func report(b *testing.B, s Summary, records []*Record, truths map[Hash]*truth) {
	b.Helper()
	var token, ttftErr, ttft, trueTTFT []time.Duration
	for _, r := range records {
		t := truths[r.PromptHash]
		if r.Phase != PhaseMeasure || r.Outcome != OutcomeOK || t == nil {
			continue
		}
		require.Len(b, r.Events, benchTokens)
		for i, e := range r.Events {
			token = append(token, max(e.At+1-t.Sent[i], t.Sent[i]-e.At-1))
		}
		seen, _ := r.FirstToken.Sub(r.Due)
		ttft = append(ttft, seen)
		trueTTFT = append(trueTTFT, t.Sent[0]-t.Begun)
		ttftErr = append(ttftErr, seen-(t.Sent[0]-t.Begun))
	}
	b.ReportMetric(rank(token, 0.5), "token-err-p50-ms")
	b.ReportMetric(rank(token, 0.99), "token-err-p99-ms")
	b.ReportMetric(rank(trueTTFT, 0.99), "true-ttft-p99-ms")
	b.ReportMetric(rank(ttft, 0.99), "ttft-p99-ms")
	b.ReportMetric(rank(ttftErr, 0.99), "ttft-err-p99-ms")
	b.ReportMetric(float64(s.Client.Process.PeakRSSBytes)/1e6, "peak-rss-MB")
	b.ReportMetric(s.Client.Process.CPU.Seconds()/(float64(s.Window.End)/1e9-float64(s.Window.Start)/1e9), "cpu-share")
	b.ReportMetric(float64(len(ttft)), "requests")
	b.ReportMetric(0, "ns/op")
	if s.Requests.OK != s.Requests.Due {
		b.Fatalf("outcomes: %v", s.Requests.Outcomes)
	}
}

// BenchmarkClient measures what the client reads against what the server did:
//
//	go test -run '^$' -bench Client -benchtime 1x ./loadgen
func BenchmarkClient(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs a core for the server and one for the client")
	}
	for _, way := range []struct {
		pace  pacing
		clock StampSource
	}{{paceSpread, StampKernel}, {paceLockstep, StampKernel}, {paceLockstep, StampUser}} {
		for _, users := range []int{64, 256, 1000} {
			b.Run(fmt.Sprintf("%s/clock=%s/users=%d", way.pace, way.clock, users), func(b *testing.B) {
				for b.Loop() {
					s, records, truths := benchRun(b, way.pace, benchLoad{
						Users: users, Spread: 3 * time.Second, Measure: 6 * time.Second, UserClock: way.clock == StampUser,
					})
					report(b, s, records, truths)
				}
			})
		}
	}
}

// BenchmarkClientUnpaced measures how many events a second of processor time
// takes in, with every record written to a compressed file:
//
//	go test -run '^$' -bench ClientUnpaced -benchtime 1x ./loadgen
func BenchmarkClientUnpaced(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs a core for the server and one for the client")
	}
	for _, users := range []int{16, 64} {
		b.Run(fmt.Sprintf("users=%d", users), func(b *testing.B) {
			for b.Loop() {
				s, records, _ := benchRun(b, paceNone, benchLoad{Users: users, Measure: 5 * time.Second})
				events := 0
				for _, r := range records {
					events += len(r.Events)
				}
				b.ReportMetric(float64(events)/s.Client.Process.CPU.Seconds(), "events/cpu-s")
				b.ReportMetric(*s.Client.EventsPerRead, "events/read")
				b.ReportMetric(float64(events)/5, "events/s")
				b.ReportMetric(float64(s.Client.Process.PeakRSSBytes)/1e6, "peak-rss-MB")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// BenchmarkClientTritonOverOpenAI measures what an event costs the whole client,
// socket, parsing, accounting and record, in Triton's form and in OpenAI's, by
// turns, and fails above 1.2:
//
//	go test -run '^$' -bench ClientTritonOverOpenAI -benchtime 1x ./loadgen
func BenchmarkClientTritonOverOpenAI(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs a core for the server and one for the client")
	}
	cost := func(d Dialect) float64 {
		s, records, _ := benchRun(b, paceNone, benchLoad{Users: 16, Measure: 600 * time.Millisecond, Dialect: d})
		require.Equal(b, s.Requests.Due, s.Requests.OK, s.Requests.Outcomes)
		events := 0
		for _, r := range records {
			events += len(r.Events)
		}
		return float64(s.Client.Process.CPU.Nanoseconds()) / float64(events)
	}
	for b.Loop() {
		var ratios, openai, triton []float64
		for range 7 {
			o, t := cost(OpenAICompletions), cost(TritonTRTLLM)
			ratios, openai, triton = append(ratios, t/o), append(openai, o), append(triton, t)
		}
		ratio := median(ratios)
		b.ReportMetric(ratio, "triton/openai")
		b.ReportMetric(median(openai), "openai-ns/event")
		b.ReportMetric(median(triton), "triton-ns/event")
		b.ReportMetric(0, "ns/op")
		if ratio > 1.2 {
			b.Fatalf("an event of Triton's costs the client %.2f times one of OpenAI's", ratio)
		}
	}
}
