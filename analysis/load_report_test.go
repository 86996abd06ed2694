package analysis

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

func aLoad() Load {
	lat := func(n int64, mean float64) *loadgen.Latency {
		l := &loadgen.Latency{N: n, Mean: loadgen.Millis(mean), P50: loadgen.Millis(mean * 0.9), P99: loadgen.Millis(mean * 3)}
		if n < loadgen.MinP99 {
			l.P99Flag = "n<368"
		}
		return l
	}
	rate := 0.04
	return Load{
		Model: "meta|llama", Server: "vllm",
		Plan: loadgen.Plan{Arrivals: loadgen.Users(4), Workload: loadgen.Workload{PromptTokens: 256, OutputTokens: 64}},
		Summary: loadgen.Summary{
			Window:   loadgen.Window{Start: time.Second, End: 11 * time.Second},
			Requests: loadgen.Requests{Due: 100, OK: 96, ErrorRate: &rate},
			TTFT:     lat(96, 41.5), TPOT: lat(96, 1.25), ITL: lat(6000, 1.25), E2E: lat(96, 125),
			Tokens: loadgen.Tokens{Input: 24576, Output: 6144},
			Rates:  &loadgen.Rates{RequestsPerSec: 9.6, OutputTokensPerSec: 614.4, InputTokensPerSec: 2457.6},
			Client: loadgen.Client{Lag: lat(100, 0.1)},
		},
	}
}

// UPDATE_LOAD=1 rewrites the file.
func TestServeText(t *testing.T) {
	golden := filepath.Join("testdata", "load", "serve.txt")
	got := aLoad().ServeText()
	if os.Getenv("UPDATE_LOAD") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	for line := range strings.Lines(got) {
		require.Equal(t, strings.TrimRight(line, " \n"), strings.TrimRight(line, "\n"), "no blanks at the end")
	}
}

func TestServeTextSaysWhatItDoesNotKnow(t *testing.T) {
	for _, c := range []struct {
		why          string
		change       func(*Load)
		want, absent []string
	}{
		{"an open loop", func(l *Load) { l.Plan.Arrivals = loadgen.Poisson(2.5) }, []string{"Request rate configured (RPS):           2.50"}, []string{"concurrency"}},
		{"events that do not tell their tokens", func(l *Load) { l.Summary.ICL, l.Summary.ITL = l.Summary.ITL, nil }, []string{"(between events)", "does not tell how many tokens"}, nil},
		{"the emulator", func(l *Load) { l.Server = "emulator" }, []string{"EMULATED"}, nil},
		{"tokens that the server did not count", func(l *Load) { l.Summary.Tokens.Estimated, l.Summary.Tokens.Output = 6144, 0 }, []string{"Total generated tokens:                  6144", "counted by events"}, nil},
		{"nothing succeeded", func(l *Load) {
			s := &l.Summary
			s.TTFT, s.TPOT, s.ITL, s.E2E, s.Rates, s.Requests.OK = nil, nil, nil, nil, nil, 0
		}, []string{"Failed requests:                         100"}, []string{"TTFT (ms)", "throughput", "NaN"}},
		{"enough for a p99", func(l *Load) { l.Summary.TTFT.P99Flag = "" }, nil, []string{"is marked", "P99 TTFT (ms):                           124.50   ("}},
		{"lengths that are off", func(l *Load) { l.Summary.Tokens.InputOff, l.Summary.Tokens.OutputOff = 3, 5 }, []string{"3 prompts were", "5 answers were more than 2 % off the 64"}, nil},
	} {
		l := aLoad()
		c.change(&l)
		got := l.ServeText()
		for _, w := range c.want {
			require.Contains(t, got, w, c.why)
		}
		for _, w := range c.absent {
			require.NotContains(t, got, w, c.why)
		}
	}
}

func TestLoadRow(t *testing.T) {
	text, err := aLoad().Row().Markdown()
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	require.Len(t, lines, 3)
	require.Equal(t, `| meta\|llama | vllm | 4 users | pp256+tg64 | 96 | 4 | 9.6 | 614.4 | 37.35 | 124.5 | 1.125 | 3.75 | 112.5 | 375 |`, lines[2])

	l := aLoad()
	l.Plan.Workload.PromptTokens = 0 // files, of the server's count
	mean := 1234.4
	l.Summary.Tokens.InputMean, l.Summary.TTFT, l.Summary.Rates = &mean, nil, nil
	l.Summary.E2E.P99 = loadgen.Millis(math.Inf(1))
	text, err = l.Row().Markdown()
	require.NoError(t, err)
	require.Contains(t, text, "pp1234+tg64 | 96 | 4 | – | – | – | – |")
	require.Contains(t, text, "| inf |")
}
