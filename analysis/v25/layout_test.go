package v25

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rows is a telemetry file with these seconds of a disk under a layout.
func rows(t testing.TB, disk []second, l Layout) *Telemetry {
	t.Helper()
	var b strings.Builder
	b.WriteString(telemetryHeader + "\n")
	for i, s := range disk {
		fmt.Fprintf(&b, "%d,1,0,5,1,90,4,1000,1000,%s,50,[N/A],[N/A],40.0\n", i*3050, s.columns(l))
	}
	read, err := ReadTelemetry(strings.NewReader(b.String()))
	require.NoError(t, err)
	require.Equal(t, len(disk), read.Rows)
	return read
}

func TestLayoutIsToldByTheValues(t *testing.T) {
	disk := seconds(t) // of iostat 12.6, as it printed them
	var reads, awaits []float64
	ticks, alone := 0.0, 0.0
	for _, s := range disk {
		reads, awaits = append(reads, s.r), append(awaits, s.rAwait)
		if s.w == 0 {
			ticks, alone = ticks+s.r*s.rAwait, alone+s.r
		}
	}
	for l, want := range map[Layout]float64{Layout11: ticks / alone, Layout12: median(awaits), Layout121: median(awaits)} {
		t.Run(l.String(), func(t *testing.T) {
			tel := rows(t, disk, l)
			got, evidence := DetectLayout(tel)
			require.Equalf(t, l, got, "%s", evidence)
			io := readIO(tel, got)
			require.InDelta(t, want, io.ReadAwaitMillis, 0.006)
			if l == Layout11 {
				require.InDelta(t, mean(reads), io.ReadsPerSec, 0.01)
				return
			}
			require.True(t, math.IsNaN(io.ReadsPerSec) && math.IsNaN(io.AquSz), "fields that were not kept")
		})
	}
}

// What the earlier harness's own script recorded on sysstat 12.6.
func TestTelemetryOfTheScriptItself(t *testing.T) {
	f, err := os.Open("testdata/sysmon-12.6.csv")
	require.NoError(t, err)
	defer f.Close()
	tel, err := ReadTelemetry(f)
	require.NoError(t, err)
	require.Equal(t, 19, tel.Rows)
	require.Empty(t, tel.Broken)
	require.InDelta(t, 3.05, tel.Pace.Seconds(), 0.01, "not the second that it is called")
	l, evidence := DetectLayout(tel)
	require.Equalf(t, Layout121, l, "%s", evidence)
	require.InDelta(t, 0.12, readIO(tel, l).ReadAwaitMillis, 1e-9)
	require.True(t, tel.TextOnly("gpu_mem_used_MiB"))
}

// A layout may be left open, but never taken for another.
func TestLayoutIsNeverMistaken(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	told := map[Layout]int{}
	const draws = 60
	for range draws {
		var disk []second
		busy, merging := math.Pow(10, rng.Float64()*5-1), rng.Float64() < 0.3
		for range 20 + rng.IntN(80) {
			disk = append(disk, drawn(rng, busy, merging))
		}
		for l := Layout11; l <= Layout121; l++ {
			got, evidence := DetectLayout(rows(t, disk, l))
			require.Containsf(t, []Layout{l, LayoutUnknown}, got, "%v: %s", l, evidence)
			if got == l {
				told[l]++
			}
		}
	}
	for l := Layout11; l <= Layout121; l++ {
		require.Greaterf(t, told[l], draws*3/5, "%v", l)
	}
}

// drawn is a second that obeys the kernel's accounts, rounded as iostat does.
func drawn(rng *rand.Rand, busy float64, merging bool) (s second) {
	whole := func(mean float64) float64 { return math.Floor(mean * rng.ExpFloat64()) }
	s.r, s.w = whole(busy), whole(busy/4)
	side := func(n float64) (mb, size, await, merges, share float64) {
		if n == 0 {
			return
		}
		kb := 4 * math.Pow(2, float64(rng.IntN(6)))
		if merging && rng.IntN(2) == 0 {
			merges = whole(n / 8)
			share = 100 * merges / (merges + n)
		}
		return n * kb / 1024, kb, 0.05 + rng.ExpFloat64()*0.3, merges, share
	}
	s.rMB, s.rSize, s.rAwait, s.rrqm, s.rrqmPct = side(s.r)
	s.wMB, _, s.wAwait, s.wrqm, s.wrqmPct = side(s.w)
	s.aqu = (s.r*s.rAwait + s.w*s.wAwait) / 1000
	s.util = min(100, s.aqu*100)
	return s
}

func TestLayoutStaysOpen(t *testing.T) {
	disk := seconds(t)
	for why, tel := range map[string]*Telemetry{
		"an idle disk":             rows(t, make([]second, 90), Layout121),
		"too few rows":             rows(t, disk[:2], Layout121),
		"columns under new names":  renamed(rows(t, disk, Layout121)),
		"every column is constant": constant(rows(t, disk, Layout121)),
	} {
		got, evidence := DetectLayout(tel)
		require.Equalf(t, LayoutUnknown, got, "%s: %s", why, evidence)
		io := readIO(tel, got)
		require.Truef(t, math.IsNaN(io.ReadAwaitMillis), "%s: withheld", why)
		require.NotEmpty(t, io.AwaitHow)
	}
}

func renamed(t *Telemetry) *Telemetry {
	for _, c := range iostatColumns() {
		delete(t.values, c)
	}
	return t
}

func constant(t *Telemetry) *Telemetry {
	for _, c := range iostatColumns() {
		for i := range t.values[c] {
			t.values[c][i] = 7
		}
	}
	return t
}
