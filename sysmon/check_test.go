package sysmon

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

// parseRecorded runs recorded output through a tool's parser.
func parseRecorded(t *testing.T, name, file string) []report {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	require.NoError(t, err)
	for _, tl := range checkTools("vda", 4) {
		if tl.name != name {
			continue
		}
		now := time.Duration(0)
		p := reportParser{tool: tl}
		// One byte at a time: lines do not arrive whole.
		require.NoError(t, p.readAll(iotest.OneByteReader(bytes.NewReader(b)), func() time.Duration { now++; return now }))
		return p.reports
	}
	t.Fatalf("no tool %s", name)
	return nil
}

func TestRecordedReportsAreReadByHeader(t *testing.T) {
	r := parseRecorded(t, "iostat", "iostat.txt")
	require.Len(t, r, 4)
	require.Equal(t, 12931.0, r[1].fields["w/s"])
	require.Equal(t, 0.06, r[1].fields["w_await"])
	require.Equal(t, 0.73, r[1].fields["aqu-sz"])
	require.Equal(t, 68.40, r[1].fields["%util"])
	require.Greater(t, r[1].at, r[0].at)

	r = parseRecorded(t, "vmstat", "vmstat.txt")
	require.Len(t, r, 4)
	require.Equal(t, 828224.0, r[1].fields["bo"])
	require.Equal(t, 29823.0, r[1].fields["cs"])

	r = parseRecorded(t, "mpstat", "mpstat.txt")
	require.Len(t, r, 4, "the average at the end is no second")
	require.Equal(t, 69.39, r[0].fields["%usr"])
	require.Equal(t, 5.61, r[0].fields["%soft"])
}

func TestColumnsMayMove(t *testing.T) {
	p := reportParser{tool: checkTools("sda", 2)[0]}
	p.line("Device:  r_await  r/s  w/s", 1)
	p.line("sdb  9 9 9", 2)
	p.line("sda  0.50 100.00 7.00", 3)
	p.line("sda  0.50 100.00", 4)
	require.Len(t, p.reports, 1, "another disk and a short row are not taken")
	require.Equal(t, map[string]float64{"r_await": 0.5, "r/s": 100, "w/s": 7}, p.reports[0].fields)
}

// steady is a table of one second and a half at 100 Hz, in which the disk does
// 1000 reads of 8 sectors a second, each waiting 2 ms.
func steady(t *testing.T) *Table {
	t.Helper()
	tab := newTable(smallMeta(KindCounter, "raw_rd_ios", "raw_rd_ticks_ms", "raw_rd_sectors"))
	for i := range 400 {
		row := make([]float64, timeCount+3)
		row[timeCount], row[timeCount+1], row[timeCount+2] = float64(10*i), float64(20*i), float64(80*i)
		require.NoError(t, tab.add(Row{T: time.Duration(i) * 10 * time.Millisecond, Values: row}))
	}
	return tab
}

func TestCompareLineCountsSeconds(t *testing.T) {
	tab := steady(t)
	rep := func(at time.Duration, rps, await float64) report {
		return report{at: at, fields: map[string]float64{"r/s": rps, "r_await": await}}
	}
	sec := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	cols := iostatColumns()
	rs, await := cols[0], cols[6]
	l := compareLine(tab, "iostat", rs, []report{rep(sec(0.1), 7, 7), rep(sec(1.1), 1010, 2.02), rep(sec(2.1), 1030, 2.2), rep(sec(3.3), 5, 5)})
	require.Equal(t, 2, l.Seconds, "the first report only opens a window")
	require.Equal(t, 1, l.Unsure, "1.2 s apart: one of the two was late")
	require.Equal(t, 1, l.Within, "1 % is inside, 3 % is not")
	require.InDelta(t, 100*30/1030.0, l.Worst, 0.01)
	require.False(t, l.OK())

	l = compareLine(tab, "iostat", await, []report{rep(sec(0.1), 7, 7), rep(sec(1.1), 1010, 2.02), rep(sec(2.1), 1030, 2.2)})
	require.Equal(t, 2, l.Seconds)
	require.Equal(t, 1, l.Within, "2 against 2.2 ms is 9 %")

	l = compareLine(tab, "iostat", cols[1], []report{rep(0, 1, 1), rep(sec(1), 1, 1)})
	require.Equal(t, CheckLine{Tool: "iostat", Column: "w/s", Ours: cols[1].formula, Limit: 2}, l, "a column the tool lacks")
	require.True(t, l.OK())
}

func TestGapsInOurTicksMakeASecondUnsure(t *testing.T) {
	tab := newTable(smallMeta(KindCounter, "raw_rd_ios"))
	for _, at := range []time.Duration{0, 990, 1060, 2000, 2010, 3000} {
		require.NoError(t, tab.add(Row{T: at * time.Millisecond, Values: make([]float64, timeCount+1)}))
	}
	require.False(t, sure(tab, 0, time.Second), "70 ms between the ticks around 1 s")
	require.True(t, sure(tab, 990*time.Millisecond, 2*time.Second), "ticks stand close around both edges")
	require.False(t, sure(tab, 2500*time.Millisecond, 3500*time.Millisecond), "past the record")
}

func TestReportErr(t *testing.T) {
	good := func(tool string) CheckLine {
		return CheckLine{Tool: tool, Column: "c", Limit: 2, Seconds: 60, Within: 60}
	}
	r := CheckReport{Device: "vda", Lines: []CheckLine{good("iostat"), good("vmstat"), good("mpstat")}}
	require.NoError(t, r.Err())
	require.Contains(t, r.Text(), "iostat  c")
	r.Lines[0].Within = 56
	require.ErrorIs(t, r.Err(), ErrDisagree, "56 of 60 is under 95 %")
	require.Contains(t, r.Text(), "DIFFERS")
	r.Lines[0].Within, r.Lines[0].Median = 60, 1.5
	require.ErrorIs(t, r.Err(), ErrDisagree, "a bias inside the limit")
	r.Lines[0].Seconds, r.Lines[0].Within = 2, 2
	require.NoError(t, r.Err(), "two bursts inside the limit are no bias")
	r.Lines[0] = CheckLine{Tool: "iostat", Column: "r/s", Idle: 60}
	require.ErrorContains(t, r.Err(), "nothing of iostat could be compared")
	r.Lines[0] = CheckLine{Tool: "iostat", Column: "r/s", Limit: 2, Seconds: 20, Within: 20, Unsure: 40}
	require.ErrorContains(t, r.Err(), "40 of 60 seconds are unsure")
}

func TestCheckRefusesBadInput(t *testing.T) {
	_, err := Check(t.Context(), CheckConfig{})
	require.ErrorIs(t, err, ErrConfig)
	t.Setenv("PATH", t.TempDir())
	_, err = Check(t.Context(), CheckConfig{Device: "vda"})
	require.ErrorIs(t, err, ErrNoTool)
	require.ErrorContains(t, err, "apt-get install sysstat")
	_, err = (&CheckLoad{Dir: t.TempDir(), BlockBytes: 5000}).prepare()
	require.ErrorIs(t, err, ErrConfig)
	_, err = (&CheckLoad{Dir: filepath.Join(t.TempDir(), "none")}).prepare()
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzReports(f *testing.F) {
	f.Add("Device r/s r_await\nvda 1 2\n")
	f.Add("12:00:00 CPU %usr\n12:00:01 all 5\nAverage: all 5\n")
	f.Add(" r b swpd\n 1 2 3\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, tl := range checkTools("vda", 1) {
			p := reportParser{tool: tl}
			if err := p.readAll(bytes.NewReader([]byte(s)), func() time.Duration { return 1 }); err != nil {
				return
			}
			for _, r := range p.reports {
				if len(r.fields) == 0 || r.at != 1 {
					t.Fatalf("report %v at %v", r.fields, r.at)
				}
			}
		}
	})
}
