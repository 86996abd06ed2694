package analysis

import (
	"encoding/csv"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sampleTable() Table {
	p := 2.5
	return Table{Title: "T", Columns: []TableColumn{{"arm", ""}, {"p99 TTFT", "ms"}, {"n", ""}}, Rows: [][]any{
		{"a,\"b\"\nc", 1234.56789, 12345678}, {"x|y", math.NaN(), nil}, {"<b>\x1b", &p, int64(3)}, {"", (*float64)(nil), math.Inf(1)},
	}}
}

func TestTableCSV(t *testing.T) {
	b, err := sampleTable().CSV()
	require.NoError(t, err)
	require.Equal(t, "arm,p99 TTFT (ms),n\r\n\"a,\"\"b\"\"\r\nc\",1234.57,12345678\r\nx|y,,\r\n<b>\x1b,2.5,3\r\n,,inf\r\n", string(b))
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 5)
}

func TestTableMarkdown(t *testing.T) {
	s, err := sampleTable().Markdown()
	require.NoError(t, err)
	require.Equal(t, "**T**\n\n| arm | p99 TTFT (ms) | n |\n| --- | ---: | ---: |\n| a,\"b\" c | 1235 | 12345678 |\n| x\\|y | – | – |\n| &lt;b> | 2.5 | 3 |\n| – | – | inf |\n", s)
}

func TestTableDeclines(t *testing.T) {
	for why, table := range map[string]Table{
		"no columns": {}, "short row": {Columns: make([]TableColumn, 2), Rows: [][]any{{1}}},
		"odd type": {Columns: make([]TableColumn, 1), Rows: [][]any{{[]int{1}}}},
	} {
		_, err := table.CSV()
		require.Error(t, err, why)
		_, err = table.Text()
		require.Error(t, err, why)
		_, err = table.Markdown()
		require.Error(t, err, why)
	}
}

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		v      float64
		digits int
		want   string
	}{
		{0, 4, "0"},
		{1e6, 4, "1000000"},
		{1234567, 4, "1234567"},
		{0.00012345678, 4, "0.0001235"},
		{-2.5, 6, "-2.5"},
		{99.99999, 4, "100"},
		{1e-9, 6, "1e-09"},
		{1e20, 6, "1e+20"},
		{math.NaN(), 4, ""},
		{math.Inf(-1), 4, "-inf"},
		{0.1 + 0.2, 6, "0.3"},
	} {
		require.Equal(t, c.want, decimal(c.v, c.digits))
	}
}

func TestHypothesisTables(t *testing.T) {
	b, err := syntheticH2().Table().CSV()
	require.NoError(t, err)
	rows, err := csv.NewReader(strings.NewReader(string(b))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 9)
	require.Equal(t, "p99 TTFT (ms)", rows[0][5])
	require.Equal(t, []string{"9", "256"}, rows[1][:2])
	require.Empty(t, rows[1][11], "no reads, so no r_await")
	require.NotEmpty(t, rows[8][11])

	h := syntheticH0(16)
	h.Quantile, h.Arms[0].TTFT = "p95", Estimate{}
	b, err = h.Table().CSV()
	require.NoError(t, err)
	rows, err = csv.NewReader(strings.NewReader(string(b))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 15)
	require.Equal(t, "p95 TTFT (ms)", rows[0][3])
	require.NotEmpty(t, rows[1][3], "the median stands in for an absent estimate")
	require.Empty(t, rows[1][4])
	require.Equal(t, "5005", rows[1][2], "requests over all repeats")
}

func ExampleTable() {
	t := Table{
		Columns: []TableColumn{{"users", ""}, {"p99 TTFT", "ms"}},
		Rows:    [][]any{{1, 50.25}, {256, 803.7}, {512, nil}},
	}
	s, err := t.Text()
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(s)
	// Output:
	// users  p99 TTFT (ms)
	// --------------------
	//     1          50.25
	//   256          803.7
	//   512              –
}
