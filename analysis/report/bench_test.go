package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
)

func TestBenchIsAllSectionsInOrder(t *testing.T) {
	section := func(id, lines string) Section {
		return Section{Verdict: analysis.Verdict{Hypothesis: id}, Bench: []byte(lines)}
	}
	r := Report{Sections: []Section{section("H4", "goos: linux\n\nBenchmarkH4 1 2 ms\n\n\n"), section("H8", ""), section("H0", "goos: linux\n\nBenchmarkH0 1 3 ms\n")}}
	require.Equal(t, "goos: linux\n\nBenchmarkH0 1 3 ms\n\ngoos: linux\n\nBenchmarkH4 1 2 ms\n\n", string(r.Bench()))
	require.False(t, strings.Contains(string(r.Bench()), "\n\n\n"))
}
