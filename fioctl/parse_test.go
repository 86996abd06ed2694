package fioctl

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

const good = `{"fio version":"fio-3.33","jobs":[{"error":0,"read":{"io_bytes":4096,"io_kbytes":4,"total_ios":1,"runtime":1}}]}`

// In a stream that has something wrong, what is right is still read.
func TestParseOutputBesideFaults(t *testing.T) {
	pretty := "{\n  \"fio version\" : \"fio-3.33\",\n  \"jobs\" : [\n    {\n      \"error\" : 0\n    }\n  ]\n}\n"
	for _, c := range []struct {
		in   string
		good int
		errs []error
		why  string
	}{
		{"", 0, []error{ErrNoDocument}, "killed before its first document"},
		{"\n \x00\x00\n", 0, []error{ErrNoDocument}, "blanks, and the zeros of a file cut by a crash"},
		{"fio: engine nosuch not loadable\n", 0, []error{ErrNoDocument}, "notes only"},
		{`{"msg":"hello"}`, 0, []error{ErrNoDocument}, "JSON, but not fio's"},
		{"[1,2]", 0, []error{ErrNoDocument}, "JSON, but no object"},
		{"{}\n{\n{word}\n" + good, 1, nil, "braces in notes"},
		{"note\n\n" + good + "\nnote\n" + good + "note", 2, nil, "notes everywhere"},
		{good + good + " " + good, 3, nil, "nothing between documents"},
		{"Jobs: 1 (f=1)\r" + good, 1, nil, "a progress line before"},
		{"\r\n" + good + "\r\n", 1, nil, "CRLF"},
		{"{", 0, []error{ErrTruncated}, "cut behind the brace"},
		{good + "\n" + good[:60], 1, []error{ErrTruncated}, "the last one cut"},
		{good[:60] + "\n" + good, 1, []error{ErrMalformed}, "cut, and another run's behind it"},
		{pretty[:40] + "\n" + pretty, 1, []error{ErrMalformed}, "cut in an array"},
		{pretty[:30] + "\n" + pretty, 1, []error{ErrMalformed}, "cut in a string"},
		{pretty + pretty[:50] + pretty + pretty, 2, []error{ErrMalformed}, "cut in a line: what goes on in it is lost"},
		{"{\n  \"fio version\" : 1,\n  \"x\" : [ fio: note\n{\n" + pretty[2:], 1, []error{ErrMalformed}, "a note inside"},
		{strings.Replace(good, ",", ";", 1) + "\n" + good, 1, []error{ErrMalformed}, "no comma"},
		{strings.Replace(good, ":", "=", 1) + "\n" + good, 1, []error{ErrMalformed}, "no colon"},
		{`{"jobs":[],}` + "\n" + good, 1, []error{ErrMalformed}, "a comma too many"},
		{`{"jobs":[,]}`, 0, []error{ErrMalformed}, "nothing where a value should be"},
		{`{"jobs":]}`, 0, []error{ErrMalformed}, "a bracket there"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in))} {
			n, errs := 0, []error(nil)
			for _, err := range ParseOutput(r) {
				if err != nil {
					errs = append(errs, err)
				} else {
					n++
				}
			}
			require.Equal(t, c.good, n, "%q: %s: %v", c.in, c.why, errs)
			require.Len(t, errs, len(c.errs), "%q: %s: %v", c.in, c.why, errs)
			for i, want := range c.errs {
				require.ErrorIs(t, errs[i], want, "%q: %s", c.in, c.why)
			}
		}
	}
}

func TestParseOutputQuotesTheFirstNote(t *testing.T) {
	_, errs := parseAll([]byte("\n\n  fio: engine nosuch not loadable\nfio: failed to load engine\n"))
	require.ErrorContains(t, errs[0], `"fio: engine nosuch not loadable"`)
	_, errs = parseAll(bytes.Repeat([]byte{0xff}, 1<<20))
	require.Less(t, len(errs[0].Error()), 1000, "a note may be long and no text")
}

// Numbers that are none: counts void a document, the rest is absent.
func TestParseOutputNumbers(t *testing.T) {
	read := func(body string) string { return `{"jobs":[{"read":{"io_kbytes":0,` + body + `}}]}` }
	for _, c := range []struct{ in, why string }{
		{read(`"io_bytes":-1`), "negative"},
		{read(`"io_bytes":nan`), "no number"},
		{read(`"total_ios":9223372036854775808`), "2⁶³"},
		{read(`"total_ios":1e19`), "more, as a float"},
		{read(`"runtime":9223372036855`), "longer than 292 years"},
		{read(`"io_bytes":"7"`), "a string"},
		{read(`"io_bytes":[7]`), "an array"},
		{read(`"clat_ns":{"bins":{"-5":1}}`), "a bin below 0"},
		{read(`"clat_ns":{"bins":{"x":1}}`), "a bin of no value"},
		{read(`"clat_ns":{"bins":{"5":-1}}`), "a negative bin"},
		{read(`"clat_ns":{"bins":{"5":9223372036854775807,"6":1}}`), "bins past 2⁶³"},
		{`{"jobs":[{"read":{"io_bytes":9223372036854775807}}]}`, "KiB past 2⁶³"},
		{`{"jobs":[{"error":-3}]}`, "a negative error"},
		{`{"jobs":[{"read":{"io_kbytes":0,"total_ios":9223372036854775807}},{"read":{"io_kbytes":0,"total_ios":1}}]}`, "a sum past 2⁶³"},
	} {
		all, errs := parseAll([]byte(c.in + "\n" + good))
		require.Len(t, errs, 1, c.why)
		require.ErrorIs(t, errs[0], ErrMalformed, c.why)
		require.Len(t, all, 1, "%s: the next one is read", c.why)
	}

	all, errs := parseAll([]byte(`{"timestamp_ms":9223372036854775807,"jobs":[{"eta":2147483647,"usr_cpu":-nan,"sys_cpu":inf,
		"read":{"io_kbytes":0,"io_bytes":1e3,"runtime":2,"total_ios":12.0,"slat_ns":null,"lat_ns":[],
		"clat_ns":{"min":-1,"max":18446744073709551615,"mean":nan,"stddev":-1e400,"N":1,"percentile":{"99.000000":-7,"x":1,"50.000000":9,"101.0":3}}}}],
		"disk_util":[{"name":"sd\"a","util":-nan}]}`))
	require.Empty(t, errs)
	d := all[0].Read
	require.Equal(t, []int64{1000, 12}, []int64{d.Bytes, d.IOs})
	require.Equal(t, map[float64]time.Duration{0.5: 9}, d.Clat.Percentiles)
	require.Zero(t, [...]float64{float64(d.Clat.Min), float64(d.Clat.Max), d.Clat.Mean, d.Clat.Stddev, all[0].UserCPU, all[0].SystemCPU, all[0].Disks[0].UtilPct})
	require.Zero(t, all[0].At, "no year of our calendar")
}

func TestParseOutputBins(t *testing.T) {
	all, errs := parseAll([]byte(`{"jobs":[{"read":{"clat_ns":{"N":10,"bins":{"300":1,"100":2,"200":0,"300":4,"150":3}}}}]}`))
	require.Empty(t, errs)
	require.Equal(t, []Bin{{100, 2}, {150, 3}, {300, 5}}, all[0].Read.Clat.Bins, "any order, repeated, empty")
}

func TestParseOutputMergesJobs(t *testing.T) {
	all, errs := parseAll(readFixture(t, "jobs.json"))
	require.Empty(t, errs)
	docs := oracle(t, readFixture(t, "jobs.json"))
	a, b, w := docs[0].Jobs[0].Read, docs[0].Jobs[1].Read, docs[0].Jobs[2].Write
	r := all[0]
	require.Equal(t, 3, r.Jobs)
	require.Equal(t, a.Bytes+b.Bytes, r.Read.Bytes)
	require.Equal(t, a.IOs+b.IOs, r.Read.IOs)
	require.Equal(t, a.Clat.N+b.Clat.N, r.Read.Clat.N)
	require.Equal(t, min(a.Clat.Min, b.Clat.Min), int64(r.Read.Clat.Min))
	require.Equal(t, max(a.Clat.Max, b.Clat.Max), int64(r.Read.Clat.Max))
	require.InDelta(t, (a.Clat.Mean*float64(a.Clat.N)+b.Clat.Mean*float64(b.Clat.N))/float64(a.Clat.N+b.Clat.N), r.Read.Clat.Mean, 1e-6)
	require.Nil(t, r.Read.Clat.Percentiles, "of two jobs there are none")
	require.Len(t, r.Write.Clat.Percentiles, len(w.Clat.Percentile), "one job wrote: its own hold")
	sum := int64(0)
	for _, bin := range r.Read.Clat.Bins {
		v := fmt.Sprint(int64(bin.Value))
		require.Equal(t, a.Clat.Bins[v]+b.Clat.Bins[v], bin.Count)
		sum += bin.Count
	}
	require.Equal(t, r.Read.Clat.N, sum)
	total := 0.0
	for _, share := range r.DepthShare {
		total += share
	}
	require.InDelta(t, 1, total, 1e-3)
}

func TestMergedDeviationIsThatOfAllSamples(t *testing.T) {
	// {1,2,3} and {10,20}: mean 7.2, deviation √(258.8/4).
	a := Latency{N: 3, Mean: 2, Stddev: 1}
	a.merge(&scanner{}, &Latency{N: 2, Mean: 15, Stddev: 7.0710678118654755})
	require.InDelta(t, 7.2, a.Mean, 1e-12)
	require.InDelta(t, 7.981227975693966, a.Stddev, 1e-12)
}

func TestParseOutputTakesTheFirstError(t *testing.T) {
	all, errs := parseAll([]byte(`{"jobs":[{"error":0},{"error":5},{"error":28}]}`))
	require.Empty(t, errs)
	require.Equal(t, 5, all[0].Errno)
}

// Documents come as they end, not when the next one begins.
func TestParseOutputFollowsAPipe(t *testing.T) {
	pr, pw := io.Pipe()
	ready := make(chan struct{})
	go func() {
		for range 3 {
			_, _ = io.WriteString(pw, good)
			<-ready
			_, _ = io.WriteString(pw, "\n")
		}
		_ = pw.Close()
	}()
	n := 0
	for _, err := range ParseOutput(pr) {
		require.NoError(t, err)
		n++
		ready <- struct{}{}
	}
	require.Equal(t, 3, n)
}

func TestParseOutputStopsWhenTold(t *testing.T) {
	for range ParseOutput(strings.NewReader(good + good + "{")) {
		break
	}
}

func TestParseOutputReportsTheReader(t *testing.T) {
	bad := errors.New("disk on fire")
	for _, c := range []struct{ in, why string }{
		{good, "behind a document"},
		{good + good[:50], "inside one"},
	} {
		var last error
		n := 0
		for _, err := range ParseOutput(io.MultiReader(strings.NewReader(c.in), iotest.ErrReader(bad))) {
			if last = err; err == nil {
				n++
			}
		}
		require.Equal(t, 1, n, c.why)
		require.ErrorIs(t, last, bad, c.why)
	}
	for _, err := range ParseOutput(stuck{}) {
		require.ErrorIs(t, err, io.ErrNoProgress)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }
