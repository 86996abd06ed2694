package sysmon

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// smallMeta has the time columns and those named, all counters.
func smallMeta(kind Kind, names ...string) Meta {
	m := Meta{Schema: SchemaVersion, Interval: 100 * time.Millisecond, CPUs: 4, Columns: timeColumns(), Missing: map[string]string{"x": "because, \"so\""}}
	for _, n := range names {
		m.Columns = append(m.Columns, Column{n, "u", kind, "test", "doc"})
	}
	return m
}

// filled is a table of rows every 100 ms with the given values of one column.
func filled(t *testing.T, kind Kind, name string, values ...float64) *Table {
	t.Helper()
	tab := newTable(smallMeta(kind, name))
	for i, v := range values {
		row := make([]float64, timeCount+1)
		row[colT], row[timeCount] = float64(i)*1e8, v
		require.NoError(t, tab.add(Row{T: time.Duration(i) * 100 * time.Millisecond, Values: row}))
	}
	return tab
}

func TestDeltaKnownAnswers(t *testing.T) {
	ms := time.Millisecond
	up := []float64{100, 110, 130, 160, 200}
	for _, tt := range []struct {
		why      string
		kind     Kind
		v        []float64
		from, to time.Duration
		want     float64
		ok       bool
	}{
		{"tick to tick", KindCounter, up, 0, 400 * ms, 100, true},
		{"one tick", KindCounter, up, 100 * ms, 200 * ms, 20, true},
		{"half of a tick", KindCounter, up, 50 * ms, 100 * ms, 5, true},
		{"both edges within ticks", KindCounter, up, 50 * ms, 350 * ms, 5 + 20 + 30 + 20, true},
		{"both edges within one tick", KindCounter, up, 320 * ms, 340 * ms, 8, true},
		{"nothing", KindCounter, up, 150 * ms, 150 * ms, 0, true},
		{"backwards", KindCounter, up, 200 * ms, 100 * ms, 0, false},
		{"before the record", KindCounter, up, -1, 100 * ms, 0, false},
		{"after the record", KindCounter, up, 0, 401 * ms, 0, false},
		{"a gap inside does no harm", KindCounter, []float64{1, nan, 5, 9, 10}, 0, 300 * ms, 8, true},
		{"an edge in a gap", KindCounter, []float64{1, nan, 5, 9, 10}, 50 * ms, 300 * ms, 0, false},
		{"a reset inside", KindCounter, []float64{9, 1, 5, 9, 10}, 0, 300 * ms, 0, false},
		{"a reset outside", KindCounter, []float64{9, 1, 5, 9, 10}, 100 * ms, 300 * ms, 8, true},
		{"a wrap of 32 bits", KindCounter32, []float64{1<<32 - 4, 6, 7, 8, 9}, 0, 200 * ms, 11, true},
		{"half before the wrap", KindCounter32, []float64{1<<32 - 4, 6, 7, 8, 9}, 50 * ms, 100 * ms, 5, true},
		{"a reset is not a wrap", KindCounter32, []float64{5000, 6, 7, 8, 9}, 0, 200 * ms, 0, false},
		{"idle time that gave a little back", KindSlack, []float64{10, 9, 12, 12, 12}, 0, 200 * ms, 2, true},
		{"never less than nothing", KindSlack, []float64{10, 9, 12, 12, 12}, 0, 100 * ms, 0, true},
		{"a gauge has no growth", KindGauge, up, 0, 100 * ms, 0, false},
	} {
		tab := filled(t, tt.kind, "c", tt.v...)
		got, ok := tab.Delta("c", tt.from, tt.to)
		require.Equal(t, tt.ok, ok, tt.why)
		require.InDelta(t, tt.want, got, 1e-9, tt.why)
	}
	_, ok := filled(t, KindCounter, "c", up...).Delta("none", 0, 100*ms)
	require.False(t, ok, "an absent column is not 0")
}

// TestDeltaIsAdditive: cutting a window anywhere changes nothing.
func TestDeltaIsAdditive(t *testing.T) {
	tab := filled(t, KindCounter, "c", 0, 3, 3, 10, 11, 40)
	whole, ok := tab.Delta("c", 10*time.Millisecond, 490*time.Millisecond)
	require.True(t, ok)
	for cut := 10 * time.Millisecond; cut <= 490*time.Millisecond; cut += 7 * time.Millisecond {
		a, ok1 := tab.Delta("c", 10*time.Millisecond, cut)
		b, ok2 := tab.Delta("c", cut, 490*time.Millisecond)
		require.True(t, ok1 && ok2)
		require.InDelta(t, whole, a+b, 1e-9, "%v", cut)
	}
}

func TestWaitsArePooledNotAveraged(t *testing.T) {
	tab := newTable(smallMeta(KindCounter, "raw_rd_ios", "raw_rd_ticks_ms", "raw_rd_sectors", "raw_weighted_ms"))
	for i, v := range [][4]float64{{0, 0, 0, 0}, {1, 100, 8, 100}, {100, 199, 800, 250}} {
		row := append(make([]float64, timeCount), v[:]...)
		require.NoError(t, tab.add(Row{T: time.Duration(i) * time.Second, Values: row}))
	}
	d, ok := tab.RAwait(0, 2*time.Second)
	require.True(t, ok)
	require.Equal(t, 1990*time.Microsecond, d, "199 ms over 100 reads; the mean of 100 ms and 1 ms would be 50")
	q, ok := tab.AquSz(0, 2*time.Second)
	require.True(t, ok)
	require.InDelta(t, 0.125, q, 1e-12)
	n, ok := tab.ReadBytes(0, time.Second)
	require.True(t, ok)
	require.Equal(t, 4096.0, n)
	_, ok = tab.RAwait(time.Second, time.Second)
	require.False(t, ok, "no reads, no wait")
	_, ok = tab.WAwait(0, time.Second)
	require.False(t, ok, "no such column")
}

func TestLevelIsWeightedByTime(t *testing.T) {
	tab := filled(t, KindGauge, "g", 1, 5, nan, 9)
	m, ok := tab.Level("g", 50*time.Millisecond, 150*time.Millisecond)
	require.True(t, ok)
	require.InDelta(t, 3, m, 1e-12)
	_, ok = tab.Level("g", 200*time.Millisecond, 300*time.Millisecond)
	require.False(t, ok, "absent all the while")
}

// written is a record of n rows as text, by way of a file.
func written(t *testing.T, name string, n int, closeIt bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	w, err := NewWriter(path, smallMeta(KindCounter, "a", "b"))
	require.NoError(t, err)
	for i := range n {
		row := make([]float64, timeCount+2)
		row[colT], row[timeCount], row[timeCount+1] = float64(i)*1e8, 1<<53-1, math.NaN()
		r := Row{T: time.Duration(i) * 100 * time.Millisecond, Values: row}
		if i == 3 {
			r.Faults = []Fault{{T: r.T, Group: "disk", Column: "a", Reason: "gone\n# column, \"x\""}}
		}
		require.NoError(t, w.Write(r))
	}
	if closeIt {
		require.NoError(t, w.Close())
		return path
	}
	// The process dies here: what was flushed is all there is.
	cut := path + ".cut" + filepath.Ext(path)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cut, b, 0o644))
	require.NoError(t, w.Close())
	return cut
}

func TestRecordRoundTrip(t *testing.T) {
	for _, name := range []string{"t.csv", "t.csv.zst"} {
		tab, err := ReadTable(written(t, name, 25, true))
		require.NoError(t, err, name)
		require.False(t, tab.Truncated)
		require.Len(t, tab.T, 25)
		require.Equal(t, smallMeta(KindCounter, "a", "b"), tab.Meta)
		a, _ := tab.Column("a")
		require.Equal(t, float64(1<<53-1), a[24], "counters are exact")
		b, _ := tab.Column("b")
		require.True(t, math.IsNaN(b[0]), "absent stays absent")
		require.Equal(t, "gone\n# column, \"x\"", tab.Faults[0].Reason, "a reason cannot break the format")
	}
}

func TestKilledWriterLeavesAReadableRecord(t *testing.T) {
	tab, err := ReadTable(written(t, "t.csv.zst", 25, false))
	require.NoError(t, err)
	require.True(t, tab.Truncated)
	require.GreaterOrEqual(t, len(tab.T), 21, "at most the last second is lost")
	require.True(t, tab.Completeness(0, time.Second).Truncated)
}

func TestRecordIsNeverOverwritten(t *testing.T) {
	path := written(t, "t.csv", 1, true)
	_, err := NewWriter(path, smallMeta(KindCounter))
	require.ErrorIs(t, err, os.ErrExist)
	_, err = NewWriter(filepath.Join(t.TempDir(), "no", "t.csv"), smallMeta(KindCounter))
	require.ErrorIs(t, err, os.ErrNotExist)
	w, err := NewWriter(filepath.Join(t.TempDir(), "t.csv"), smallMeta(KindCounter, "a"))
	require.NoError(t, err)
	require.ErrorContains(t, w.Write(Row{Values: make([]float64, 2)}), "2 values for 9 columns")
	require.NoError(t, w.Close())
}

func TestDamagedRecordsAreRefused(t *testing.T) {
	raw, err := os.ReadFile(written(t, "t.csv", 2, true))
	require.NoError(t, err)
	good := string(raw)
	lines := strings.SplitAfter(good, "\n")
	row := lines[len(lines)-2]
	for _, tt := range []struct {
		why, text, says string
		is              error
	}{
		{"empty", "", "no header", ErrRecord},
		{"preamble only", lines[0], "no header", ErrRecord},
		{"a later version", strings.Replace(good, `"schema":1`, `"schema":2`, 1), "unknown schema 2: this version reads 1", ErrSchema},
		{"header of another record", strings.Replace(good, ",a,b\n", ",a,c\n", 1), "in the header", ErrRecord},
		{"a row too short", good + "1,2\n", "2 fields for 10 columns", ErrRecord},
		{"a word", good + strings.Replace(row, "9007199254740991", "soon", 1), "time", ErrRecord},
		{"time stands still", good + row, "does not follow", ErrRecord},
		{"broken comment", "# sysmon {\n" + good, "line 1", ErrRecord},
		{"a foreign file", "time,value\n1,2\n", "declared columns", ErrRecord},
		{"one endless line", strings.Repeat("x", maxLine+1), "longer than", ErrRecord},
	} {
		_, err := Decode(strings.NewReader(tt.text))
		require.ErrorIs(t, err, tt.is, tt.why)
		require.ErrorContains(t, err, tt.says, tt.why)
	}
	tab, err := Decode(strings.NewReader(good + row[:5]))
	require.NoError(t, err)
	require.True(t, tab.Truncated, "half a row at the end is a cut, not damage")
	_, err = ReadTable(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
	bad := filepath.Join(t.TempDir(), "bad.csv.zst")
	require.NoError(t, os.WriteFile(bad, []byte("not zstd"), 0o644))
	_, err = ReadTable(bad)
	require.ErrorIs(t, err, ErrRecord)
}

func TestCompleteness(t *testing.T) {
	fill := func(n int, late float64, skip int) *Table {
		tab := newTable(smallMeta(KindCounter, "raw_sampler_cpu_us"))
		for i := range n {
			if i%10 == 5 && i/10 < skip {
				continue
			}
			row := make([]float64, timeCount+1)
			row[colLate], row[timeCount] = late, float64(i)*100
			require.NoError(t, tab.add(Row{T: time.Duration(i) * 100 * time.Millisecond, Values: row}))
		}
		return tab
	}
	c := fill(201, 1e6, 0).Completeness(0, 20*time.Second)
	require.NoError(t, c.Err())
	require.Equal(t, 200, c.Expected)
	require.Equal(t, 201, c.Ticks)
	require.Equal(t, time.Millisecond, c.LateP99)
	require.InDelta(t, 0.001, c.CPUShare, 1e-9)
	require.True(t, c.Cheap())
	require.NoError(t, fill(201, 1e6, 3).Completeness(0, 20*time.Second).Err(), "198 of 200 are 99 %")
	require.ErrorContains(t, fill(201, 1e6, 4).Completeness(0, 20*time.Second).Err(), "197 of 200 ticks")
	require.ErrorContains(t, fill(201, 2e7, 0).Completeness(0, 20*time.Second).Err(), "20ms late")
	require.ErrorContains(t, fill(0, 0, 0).Completeness(0, time.Second).Err(), "0 of 10 ticks")
	half := fill(101, 0, 0).Completeness(0, 20*time.Second)
	require.ErrorContains(t, half.Err(), "101 of 200 ticks", "the record ends before the window")
	require.Equal(t, 10*time.Second, half.LongestDt)
}

func FuzzDecode(f *testing.F) {
	var b bytes.Buffer
	b.WriteString("# sysmon {\"schema\":1,\"interval_ns\":100000000}\n")
	var heads []string
	for _, c := range append(timeColumns(), Column{"raw_rd_ios", "I/Os", KindCounter, "disk", ""}) {
		fmt.Fprintf(&b, "# column {\"name\":%q,\"kind\":%q}\n", c.Name, c.Kind)
		heads = append(heads, c.Name)
	}
	b.WriteString(strings.Join(heads, ",") + "\n1,2,,4,5,6,7,8,9\n2,2,1,4,5,6,7,8,19\n# fault {\"t_ns\":3}\n")
	f.Add(b.String())
	f.Add("# missing {}\n")
	f.Add("# sysmon null\n# column null\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		tab, err := Decode(strings.NewReader(s))
		if err != nil {
			return
		}
		for _, c := range tab.Meta.Columns {
			v, ok := tab.Column(c.Name)
			if !ok || len(v) != len(tab.T) {
				t.Fatalf("%s: %d values for %d rows", c.Name, len(v), len(tab.T))
			}
			for i := 1; i < len(tab.T); i++ {
				if d, ok := tab.Delta(c.Name, tab.T[i-1], tab.T[i]); ok && d < 0 {
					t.Fatalf("%s shrinks by %v", c.Name, d)
				}
			}
		}
		if len(tab.T) > 0 {
			_ = tab.Completeness(tab.T[0], tab.T[len(tab.T)-1]).Err()
		}
	})
}

func TestParseValueIsParseFloat(t *testing.T) {
	for _, field := range []string{
		"0", "7", "00012", "123456789012345", "1234567890123456", "9007199254740993", "-3", "-0", "1.5", "6.709833", "1e3", "2.5e-07",
		"+4", "1_000", "0x10", "Inf", "nan", " 1", "1 ", ".", "1.", "९",
	} {
		want, wantErr := strconv.ParseFloat(field, 64)
		got, err := parseValue([]byte(field))
		require.Equal(t, wantErr == nil, err == nil, field)
		require.Equal(t, math.Float64bits(want), math.Float64bits(got), field)
	}
}
