package analysis

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchGolden(t *testing.T) {
	h := syntheticH2()
	h.Arms = h.Arms[2:4]
	b, err := h.Bench([]BenchConfig{
		{"goos", "linux"}, {"goarch", "amd64"}, {"cpu", "2 vCPU VM"}, {"target", "embedded emulator"}, {"model", "L70B"}, {"profile", "quick"},
	}).Bytes()
	require.NoError(t, err)
	requireGolden(t, "bench.txt", b)
	requireBenchFormat(t, string(b))
	require.NotContains(t, strings.Split(string(b), "BenchmarkH2/users=9/context=1536")[0][200:], " r_await-ns ", "absent values are left out")
}

// requireBenchFormat holds every line to the grammar of golang.org/design/14313.
func requireBenchFormat(t *testing.T, s string) {
	t.Helper()
	line := regexp.MustCompile(`^([a-z][^A-Z\s:]*: \S.*|Unit \S+ better=(higher|lower)|Benchmark[^a-z\s]\S* [1-9]\d*( -?[0-9.]+(e[+-]\d+)? \S+)+)$`)
	for l := range strings.SplitSeq(strings.TrimSuffix(s, "\n"), "\n") {
		require.Regexp(t, line, l)
	}
}

func TestBenchSanitises(t *testing.T) {
	b, err := Bench{
		Config: []BenchConfig{{"Model Name", "a\nBenchmarkX 1 2 ns\x00"}, {"empty", " \n"}},
		Lines: []BenchLine{{
			Name: "h4/heavy load", Runs: 7, Params: []BenchParam{{"model", "llama 3/8"}, {"level", "gpt-8"}},
			Values: []BenchValue{{1, "p99 TTFT ns", "lower"}, {math.NaN(), "x", ""}, {math.Inf(1), "y", ""}},
		}, {Name: "H5", Runs: 1, Values: []BenchValue{{math.NaN(), "x", ""}}}},
	}.Bytes()
	require.NoError(t, err)
	require.Equal(t, "model-name: a BenchmarkX 1 2 ns\nUnit p99-TTFT-ns better=lower\n"+
		"BenchmarkH4_heavy_load/model=llama_3_8/level=gpt_8 7 1 p99-TTFT-ns\n", string(b))
	requireBenchFormat(t, string(b))
}

func TestBenchDeclines(t *testing.T) {
	value := []BenchValue{{1, "ns", ""}}
	for why, b := range map[string]Bench{
		"no name":       {Lines: []BenchLine{{Runs: 1, Values: value}}},
		"no runs":       {Lines: []BenchLine{{Name: "H0", Values: value}}},
		"no key":        {Lines: []BenchLine{{Name: "H0", Runs: 1, Params: []BenchParam{{"", "x"}}, Values: value}}},
		"no unit":       {Lines: []BenchLine{{Name: "H0", Runs: 1, Values: []BenchValue{{1, " ", ""}}}}},
		"odd direction": {Lines: []BenchLine{{Name: "H0", Runs: 1, Values: []BenchValue{{1, "ns", "up"}}}}},
		"two directions": {Lines: []BenchLine{
			{Name: "H0", Runs: 1, Values: []BenchValue{{1, "ns", "lower"}}},
			{Name: "H0", Runs: 1, Values: value},
		}},
		"bad config key": {Config: []BenchConfig{{"9x", "y"}}},
		"colon in a key": {Config: []BenchConfig{{"a:b", "y"}}},
	} {
		_, err := b.Bytes()
		require.Error(t, err, why)
	}
}
