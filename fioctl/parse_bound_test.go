package fioctl

import (
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Cut anywhere, whole documents stay, and nothing but their end is lost.
func TestParseOutputCutAnywhere(t *testing.T) {
	b := readFixture(t, "sigint.json")
	whole, errs := parseAll(b)
	require.Empty(t, errs)
	var ends []int
	for i := range b {
		if b[i] == '}' && (i == 0 || b[i-1] == '\n') {
			ends = append(ends, i+1)
		}
	}
	require.Len(t, ends, len(whole))
	for cut := 0; cut < len(b); cut += 37 {
		n := 0
		for n < len(ends) && ends[n] <= cut {
			n++
		}
		got, errs := parseAll(b[:cut])
		require.Len(t, got, n, "cut at %d", cut)
		for i := range got {
			require.Equal(t, whole[i], got[i], "cut at %d", cut)
		}
		for _, err := range errs {
			if n == 0 && len(bytes.TrimSpace(b[:cut])) == 0 {
				require.ErrorIs(t, err, ErrNoDocument)
			} else {
				require.ErrorIs(t, err, ErrTruncated, "cut at %d", cut)
			}
		}
	}
}

// endless repeats a piece up to a size.
type endless struct {
	piece string
	left  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && e.left > 0 {
		k := copy(p[n:], e.piece)
		n += k
		e.left -= k
	}
	return n, nil
}

func TestParseOutputIsBounded(t *testing.T) {
	const limit = 1 << 20
	for _, c := range []struct {
		head, piece string
		good        int
		err         error
		why         string
	}{
		{"", "fio: a note without end ", 0, ErrNoDocument, "a line without end"},
		{"", " ", 0, ErrNoDocument, "blanks without end"},
		{good + `{"a":`, "[", 1, ErrTooLarge, "brackets without end"},
		{good + `{"a":"`, "x", 1, ErrTooLarge, "a string without end"},
		{good + `{"jobs":[{"error":`, "7", 1, ErrTooLarge, "a number without end"},
		{good + "{", " ", 1, ErrTooLarge, "blanks behind a brace"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n := 0
		var errs []error
		r := io.MultiReader(strings.NewReader(c.head), &endless{c.piece, limit + limit/4}, strings.NewReader("\n"+good))
		for _, err := range parseOutput(r, limit) {
			if err != nil {
				errs = append(errs, err)
			} else {
				n++
			}
		}
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4*limit), c.why)
		if c.err == ErrNoDocument {
			require.Empty(t, errs, c.why)
			require.Equal(t, c.good+1, n, "%s: the document behind it", c.why)
			continue
		}
		require.Len(t, errs, 1, c.why)
		require.ErrorIs(t, errs[0], c.err, c.why)
		require.Equal(t, c.good+1, n, "%s: the document behind it", c.why)
	}
}

// A document of a status interval costs what it keeps, whatever its length.
func TestParseOutputAllocations(t *testing.T) {
	b := bytes.Repeat(readFixture(t, "status.json"), 20)
	documents := 0
	n := testing.AllocsPerRun(5, func() {
		documents = 0
		for _, err := range ParseOutput(bytes.NewReader(b)) {
			require.NoError(t, err)
			documents++
		}
	})
	per := n / float64(documents)
	t.Logf("%.1f allocations a document", per)
	require.Less(t, per, 24.0)
}

func BenchmarkParseOutput(b *testing.B) {
	for _, name := range []string{"status.json", "group-randrw.json", "psync.json"} {
		b.Run(name, func(b *testing.B) {
			in := bytes.Repeat(readFixture(b, name), 1+(1<<20)/len(readFixture(b, name)))
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range ParseOutput(bytes.NewReader(in)) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkQuantile(b *testing.B) {
	all, _ := parseAll(readFixture(b, "group-randrw.json"))
	for b.Loop() {
		all[0].Read.Clat.Quantile(0.99)
	}
}
