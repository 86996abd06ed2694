package smart

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

// page is a log page with these counters; all others are 0.
func page(units, reads uint64) []byte {
	b := make([]byte, PageBytes)
	binary.LittleEndian.PutUint16(b[1:], 300) // K
	b[3], b[5] = 100, 7
	for at, v := range map[int]uint64{32: units, 48: 11, 64: reads, 80: 12, 96: 13, 112: 14, 128: 15, 144: 16, 160: 17} {
		binary.LittleEndian.PutUint64(b[at:], v)
	}
	for at, v := range map[int]uint32{192: 18, 196: 19, 216: 20, 220: 21, 224: 22, 228: 23} {
		binary.LittleEndian.PutUint32(b[at:], v)
	}
	return b
}

func TestParsePageByTheSpecification(t *testing.T) {
	b := page(9, 10)
	b[79] = 0x80 // the top bit of 128
	l, err := ParsePage(b)
	require.NoError(t, err)
	for _, row := range []struct {
		why  string
		got  *Counter
		want Counter
	}{
		{"data units read", l.UnitsRead, Counter{0, 9}},
		{"data units written", l.UnitsWritten, Counter{0, 11}},
		{"host reads, all 128 bits", l.HostReads, Counter{1 << 63, 10}},
		{"host writes", l.HostWrites, Counter{0, 12}},
		{"controller busy time", l.BusyMinutes, Counter{0, 13}},
		{"power cycles", l.PowerCycles, Counter{0, 14}},
		{"power-on hours", l.PowerOnHours, Counter{0, 15}},
		{"unsafe shutdowns", l.UnsafeOffs, Counter{0, 16}},
		{"media errors", l.MediaErrors, Counter{0, 17}},
	} {
		require.Equal(t, row.want, *row.got, row.why)
	}
	for i, got := range []*int64{l.WarmMinutes, l.HotMinutes, l.Throttles1, l.Throttles2, l.ThrottledSec1, l.ThrottledSec2} {
		require.EqualValues(t, 18+i, *got)
	}
	require.EqualValues(t, 27, *l.TempCelsius)
	require.EqualValues(t, 7, *l.PercentUsed)

	_, err = ParsePage(b[:511])
	require.ErrorIs(t, err, ErrShape)
	_, err = ParsePage(make([]byte, PageBytes))
	require.ErrorIs(t, err, ErrShape, "an empty page is no page of zeros")
}

// The layout is the kernel's: 72 bytes, of which the ioctl's number speaks too.
func TestTheOneCommandThatIsSent(t *testing.T) {
	var buf [PageBytes]byte
	c := getSMART(&buf)
	require.EqualValues(t, 72, unsafe.Sizeof(c))
	require.EqualValues(t, 72, ioctlAdmin>>16&0x3fff, "the size within the ioctl's number")
	require.EqualValues(t, 24, unsafe.Offsetof(c.addr))
	require.EqualValues(t, 36, unsafe.Offsetof(c.dataLen))
	require.EqualValues(t, 40, unsafe.Offsetof(c.cdw10))
	require.EqualValues(t, 64, unsafe.Offsetof(c.timeoutMs))
	require.EqualValues(t, 2, c.opcode, "Get Log Page")
	require.EqualValues(t, 0x007f0002, c.cdw10, "128 words of page 02h")
	require.EqualValues(t, 0xffffffff, c.namespace)
}

func TestParseSmartctl(t *testing.T) {
	l, err := ParseSmartctl(read(t, "smartctl-nvme.json"))
	require.NoError(t, err)
	require.EqualValues(t, 111303174, l.HostReads.Lo)
	require.EqualValues(t, 83170961, l.HostWrites.Lo)
	require.EqualValues(t, 9511859, l.UnitsRead.Lo)
	require.EqualValues(t, 7773431, l.UnitsWritten.Lo)
	require.EqualValues(t, 3060, l.BusyMinutes.Lo)
	require.EqualValues(t, 43, l.UnsafeOffs.Lo)
	require.EqualValues(t, 36, *l.TempCelsius)
	require.EqualValues(t, 3, *l.PercentUsed)
	require.EqualValues(t, 2, *l.WarmMinutes)
	require.EqualValues(t, 1, *l.HotMinutes)

	l, err = ParseSmartctl(read(t, "smartctl-wide.json"))
	require.NoError(t, err)
	require.EqualValues(t, 9007199254740993, l.UnitsRead.Lo, "not rounded to a float")
	require.Equal(t, Counter{math.MaxUint64, math.MaxUint64}, *l.HostReads)
	require.Nil(t, l.HostWrites, "1e3 is not a counter: absent, not guessed")
	require.Nil(t, l.MediaErrors)

	for name, says := range map[string]string{
		"smartctl-virtio.json": "Unable to detect device type",
		"smartctl-denied.json": "Permission denied",
		"nvme-cli.json":        "no nvme_smart_health_information_log",
	} {
		_, err := ParseSmartctl(read(t, name))
		require.ErrorIs(t, err, ErrShape)
		require.ErrorContains(t, err, says)
		require.Equal(t, name == "smartctl-denied.json", errors.Is(err, ErrNotRoot), "the remedy is the right one")
		require.Equal(t, name != "smartctl-denied.json", errors.Is(err, ErrNoLog))
	}
}

func TestParseNVMeCLI(t *testing.T) {
	l, err := ParseNVMeCLI(read(t, "nvme-cli.json"))
	require.NoError(t, err)
	require.EqualValues(t, 9347931143, l.HostReads.Lo)
	require.EqualValues(t, 51493840602, l.HostWrites.Lo)
	require.EqualValues(t, 499296134, l.UnitsRead.Lo)
	require.EqualValues(t, 28, *l.TempCelsius, "kelvins")
	require.EqualValues(t, 15, *l.PercentUsed)
	require.EqualValues(t, 4, *l.WarmMinutes)
	require.EqualValues(t, 5, *l.ThrottledSec2)
	_, err = ParseNVMeCLI(read(t, "smartctl-nvme.json"))
	require.ErrorIs(t, err, ErrShape)
}

func TestCounters(t *testing.T) {
	for _, row := range []struct {
		before, after Counter
		want          float64
		ok            bool
		why           string
	}{
		{Counter{0, 5}, Counter{0, 9}, 4, true, "growth"},
		{Counter{0, math.MaxUint64}, Counter{1, 2}, 3, true, "across 64 bits"},
		{Counter{0, 9}, Counter{0, 5}, 0, false, "a counter never falls: another disk"},
		{Counter{1, 0}, Counter{0, math.MaxUint64}, 0, false, "across 64 bits, downward"},
		{Counter{7, 7}, Counter{7, 7}, 0, true, "nothing read"},
	} {
		got, ok := row.after.Since(row.before)
		require.Equal(t, row.ok, ok, row.why)
		require.InDelta(t, row.want, got, 0, row.why)
	}
	for _, s := range []string{"", "-1", "1.5", "1e3", "0x1", "340282366920938463463374607431768211456", "00000000000000000000000000000000000000001"} {
		_, err := ParseCounter(s)
		require.ErrorIs(t, err, ErrCounter, s)
	}
}

func FuzzCounter(f *testing.F) {
	for _, s := range []string{"0", "9007199254740993", "340282366920938463463374607431768211455", "-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCounter(s)
		if err != nil {
			return
		}
		b, err := json.Marshal(c)
		require.NoError(t, err)
		var back Counter
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, c, back)
		again, err := ParseCounter(c.String())
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}

func FuzzTools(f *testing.F) {
	for _, name := range []string{"smartctl-nvme.json", "smartctl-wide.json", "smartctl-virtio.json", "nvme-cli.json"} {
		f.Add(read(f, name))
	}
	f.Add([]byte(`{"nvme_smart_health_information_log":{"host_reads":null,"data_units_read":-1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, parse := range []func([]byte) (Log, error){ParseSmartctl, ParseNVMeCLI} {
			if l, err := parse(b); err == nil {
				require.NotNil(t, l.HostReads)
				require.NotNil(t, l.UnitsRead)
			}
		}
		if out, err := redact(b); err == nil {
			require.True(t, json.Valid(out))
			require.NotContains(t, string(out), `"serial_number":`)
		}
	})
}

func FuzzKernelFiles(f *testing.F) {
	f.Add("1000 10 80000 500 2000 20 160000 900 3 700 1500", "pgpgin 1\npgpgout 2\n")
	f.Fuzz(func(t *testing.T, stat, vmstat string) {
		if b, err := ParseBlock(stat); err != nil {
			require.Zero(t, b)
		}
		_ = ParsePaged(vmstat)
	})
}

func FuzzPage(f *testing.F) {
	f.Add(page(1, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParsePage(b)
		require.Equal(t, err == nil, l.HostReads != nil)
	})
}
