package sysmon

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/fixture"
)

var nan = math.NaN()

// same compares vectors in which NaN equals NaN.
func same(t *testing.T, want, got []float64, why string) {
	t.Helper()
	require.Len(t, got, len(want), why)
	for i := range want {
		if math.IsNaN(want[i]) {
			require.True(t, math.IsNaN(got[i]), "%s: slot %d is %v, not absent", why, i, got[i])
			continue
		}
		require.Equal(t, want[i], got[i], "%s: slot %d", why, i)
	}
}

func TestParseDiskStat(t *testing.T) {
	for _, tt := range []struct {
		in, why string
		want    []float64
	}{
		{" 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", "Linux 5.5 and later", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n", "Linux 4.18 to 5.4", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, nan, nan}},
		{"1 2 3 4 5 6 7 8 9 10 11", "before 4.18, no newline", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, nan, nan, nan, nan, nan, nan}},
		{"1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18\n", "a field of the future", []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}},
	} {
		got := make([]float64, 17)
		require.NoError(t, parseDiskStat([]byte(tt.in), got), tt.why)
		same(t, tt.want, got, tt.why)
	}
	for _, tt := range []struct {
		in, why string
		is      error
	}{
		{"", "empty: the device went away", errFields},
		{"1 2 3\n", "too short", errFields},
		{"1 2 3 4 5 6 7 8 9 10 11 12\n", "no kernel prints 12", errFields},
		{"1 2 x 4 5 6 7 8 9 10 11\n", "a word", errNumber},
		{"1 -2 3 4 5 6 7 8 9 10 11\n", "negative", errNumber},
		{"99999999999999999999999 2 3 4 5 6 7 8 9 10 11\n", "over 64 bits", errNumber},
		{"1 2 3 4 5 6 7 8 9 10 11\n1\n", "two lines", errShape},
	} {
		require.ErrorIs(t, parseDiskStat([]byte(tt.in), make([]float64, 17)), tt.is, tt.why)
	}
}

func TestParseStatSumsClusters(t *testing.T) {
	p := statParser{cluster: []int{0, 1, 0}}
	got := make([]float64, len(statColumns([]string{"a", "b"})))
	in := "cpu  10 1 5 100 7 2 3 4 0 0\ncpu0 1 1 1 50 2 1 1 1 0 0\ncpu1 8 0 3 20 4 1 1 2 0 0\ncpu2 1 0 1 30 1 0 1 1 0 0\n" +
		"cpu9 1 1 1 1 1 1 1 1 1 1\nintr 77 1 2\nctxt 88\nbtime 1\nprocesses 99\nprocs_running 3\nprocs_blocked 2\nsoftirq 5 5\n"
	require.NoError(t, p.parse([]byte(in), got))
	same(t, []float64{10, 1, 5, 100, 7, 2, 3, 4, 77, 88, 99, 3, 2, 6 + 4, 2 + 1, 50 + 30, 15, 4, 20}, got, "busy, iowait, idle by cluster")
	require.ErrorIs(t, p.parse([]byte("cpu  1 2\n"), got), errFields)
	require.ErrorIs(t, p.parse([]byte("intr 5\n"), got), errShape, "no cpu line")
	require.ErrorIs(t, p.parse([]byte("cpu  1 2 3 4 5 6 7 8\ncpu0 1\n"), got), errFields)
	require.ErrorIs(t, p.parse([]byte("cpu  1 2 3 4 5 6 7 8\nctxt x\n"), got), errNumber)
}

func TestParsePressure(t *testing.T) {
	got := make([]float64, 2)
	require.NoError(t, parsePressure([]byte("some avg10=0.75 avg60=0.93 avg300=2.31 total=25806830\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=12\n"), got))
	same(t, []float64{25806830, 12}, got, "totals")
	require.NoError(t, parsePressure([]byte("some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n"), got))
	same(t, []float64{5, nan}, got, "no full line for the CPU before 5.13")
	require.ErrorIs(t, parsePressure([]byte("some avg10=0.00\n"), got), errShape)
	require.ErrorIs(t, parsePressure(nil, got), errShape)
}

func TestKeyedFilesKeepAbsentApartFromZero(t *testing.T) {
	k := newKeyed(map[string]int{"a": 0, "b": 1, "c1": 2, "c2": 2, "gone": 3})
	got := make([]float64, 4)
	require.NoError(t, k.parse([]byte("x 1\na 0\nab 7\nc1 4\nb: 12 kB\nc2 5\n"), got))
	same(t, []float64{0, 12, 9, nan}, got, "keys sharing a slot are added; ab is not a")
	require.NoError(t, k.parse([]byte("b 2\na 1\n"), got))
	same(t, []float64{1, 2, nan, nan}, got, "another order is learned again")
	require.ErrorIs(t, k.parse([]byte("b x\na 1\n"), got), errNumber)
	require.ErrorIs(t, k.parse([]byte("\n"), got), errShape)
}

func TestParseCgroupIO(t *testing.T) {
	d := deviceLine{key: []byte("259:0 ")}
	got := make([]float64, 4)
	require.NoError(t, d.parseIOStat([]byte("1259:0 rbytes=9\n259:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=7\n"), got))
	same(t, []float64{1, 2, 3, 4}, got, "the device's own line")
	require.NoError(t, d.parseIOStat(nil, got))
	same(t, []float64{0, 0, 0, 0}, got, "the kernel prints no line before the first I/O: a true 0")
	require.ErrorIs(t, d.parseIOStat([]byte("259:0 rbytes=x\n"), got), errNumber)
	two := make([]float64, 2)
	require.NoError(t, d.parseThrottle([]byte("259:0 Read 10\n259:0 Write 20\n259:0 Sync 30\n8:0 Read 99\nTotal 30\n"), two))
	same(t, []float64{10, 20}, two, "version 1")
	require.ErrorIs(t, d.parseThrottle([]byte("259:0 Read\n"), two), errNumber)
}

func TestParsePidStat(t *testing.T) {
	got := make([]float64, pidSlots)
	tail := " S 1 77 77 0 -1 4194304 1000 0 321 0 5000 600 0 0 20 0 42 0 280693 3133440 65536"
	full := tail + strings.Repeat(" 1", 17) + " 12 0 0\n"
	require.NoError(t, parsePidStat([]byte("77 (a) b (c)"+full), got))
	same(t, []float64{321, 5000, 600, 42, 65536, 12}, got, "a name with parentheses")
	require.NoError(t, parsePidStat([]byte("77 (x)"+tail), got))
	same(t, []float64{321, 5000, 600, 42, 65536, nan}, got, "no block delay")
	require.ErrorIs(t, parsePidStat([]byte("77 (x) S 1 2"), got), errFields)
	require.ErrorIs(t, parsePidStat([]byte("77 x"), got), errShape)
}

func TestClustersOfAGB10(t *testing.T) {
	_, sys := fixture.Plant(t, "testdata/gb10.tree")
	c := readClusters(sys)
	require.Equal(t, 20, c.cpus)
	require.Equal(t, []string{"a725", "x925"}, c.names)
	require.Equal(t, []int{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1}, c.of)
	_, sys = fixture.Plant(t, "testdata/virtio.tree")
	c = readClusters(sys)
	require.Equal(t, clusters{cpus: 2}, c, "equal CPUs form no clusters")
}

// fuzzParser feeds arbitrary bytes: no panic, and every value it reports is
// absent or a number of the file's kind, never negative or infinite.
func fuzzParser(f *testing.F, slots int, parse func([]byte, []float64) error, seeds ...string) {
	for _, s := range append(seeds, "", "\n", " ", "\x00", "18446744073709551616") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		dst := make([]float64, slots)
		if parse(b, dst) != nil {
			return
		}
		for i, v := range dst {
			if v < 0 || math.IsInf(v, 0) {
				t.Fatalf("slot %d is %v", i, v)
			}
		}
	})
}

func FuzzDiskStat(f *testing.F) {
	fuzzParser(f, 17, parseDiskStat, "1 2 3 4 5 6 7 8 9 10 11\n")
}

func FuzzInflight(f *testing.F) { fuzzParser(f, 2, parseInflight, "       0        3\n") }

func FuzzStat(f *testing.F) {
	p := &statParser{cluster: []int{0, 1}}
	fuzzParser(f, statFixed+6, p.parse, "cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8\nctxt 5\n")
}

func FuzzPressure(f *testing.F) {
	fuzzParser(f, 2, parsePressure, "some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n")
}

func FuzzVmstat(f *testing.F) {
	fuzzParser(f, len(vmstatKeys()), parseVmstat(), "pgpgin 1\npgpgout 2\n")
}

func FuzzMeminfo(f *testing.F) {
	fuzzParser(f, len(meminfoKeys()), parseMeminfo(), "MemTotal: 1 kB\nHugePages_Total: 0\n")
}

func FuzzCgroupIO(f *testing.F) {
	fuzzParser(f, 4, deviceLine{key: []byte("8:0 ")}.parseIOStat, "8:0 rbytes=1 wios=2\n")
}

func FuzzThrottle(f *testing.F) {
	fuzzParser(f, 2, deviceLine{key: []byte("8:0 ")}.parseThrottle, "8:0 Read 1\n8:0 Write 2\n")
}

func FuzzPidStat(f *testing.F) {
	fuzzParser(f, pidSlots, parsePidStat, "1 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22\n")
}

func FuzzLevel(f *testing.F) { fuzzParser(f, 1, parseLevel, "42\n") }
