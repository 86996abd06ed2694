package v25

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const goodRow = "2,0,10,3,84,3,1000,1000,0.00,0.00,0.07,38.04,0.00,5.00,40.00,11.60"

func TestTelemetryRows(t *testing.T) {
	head := telemetryHeader + "\n"
	for _, c := range []struct {
		why, text string
		rows      int
		broken    map[string]int
		wait, gpu float64 // means; NaN for none
	}{
		{"as written", head + "0," + goodRow + ",96,[N/A],[N/A],45.0\n", 1, nil, 3, 96},
		{"CRLF and a byte order mark", "\ufeff" + strings.ReplaceAll(head, "\n", "\r\n") + "0," + goodRow + ",96,1,2,45.0\r\n", 1, nil, 3, 96},
		{"nvidia-smi's error inside", head + "0," + goodRow + ",NVDA-SMhasfaledbecausetcouldntcoun\nNA,NA,NA,45.0\n3050," + goodRow + ",50,1,2,45.0\n", 2, map[string]int{"text of nvidia-smi": 1, "no time": 1}, 3, 50},
		{"no GPU at all", head + "0," + goodRow + ",NA,NA,NA,NA\n", 1, nil, 3, math.NaN()},
		{"decimal commas", head + "0,2,0,10,3,84,3,1000,1000,0,00,0,00,0,07,38,04,0,00,5,00,40,00,11,60,96,[N/A],[N/A],45.0\n", 1, map[string]int{"decimal commas": 1}, 3, 96},
		{"too many fields, no decimals", head + "0," + goodRow + ",96,1,2,45.0,1,2,3,4,5,6,7,8\n0," + goodRow + ",96,1,2,45.0\n", 1, map[string]int{"wrong number of fields": 1}, 3, 96},
		{"cut short", head + "0," + goodRow + ",96,1,2,45.0\n3050," + goodRow + ",9", 1, map[string]int{"cut short": 1}, 3, 96},
		{"words are no numbers", head + "0,2,0,10,3,84,nan,inf,0x10,0,0,0,0,0,0,0,0,Infinity,1e999,-5,-3\n", 1, nil, math.NaN(), math.NaN()},
	} {
		t.Run(c.why, func(t *testing.T) {
			tel, err := ReadTelemetry(strings.NewReader(c.text))
			require.NoError(t, err)
			require.Equal(t, c.rows, tel.Rows)
			if c.broken == nil {
				c.broken = map[string]int{}
			}
			require.Equal(t, c.broken, tel.Broken)
			requireSame(t, c.wait, mean(tel.Column(colWait)))
			requireSame(t, c.gpu, mean(tel.Column(colGPU)))
		})
	}
	commas, err := ReadTelemetry(strings.NewReader(head + "0,2,0,10,3,84,3,1000,1000,0,00,0,00,0,07,38,04,0,00,5,00,40,00,11,60,96,[N/A],[N/A],45.0\n"))
	require.NoError(t, err)
	require.Equal(t, []float64{0.07}, commas.Column("iostat_rMBps"))
	require.True(t, commas.TextOnly("gpu_mem_used_MiB"))
}

func requireSame(t *testing.T, want, got float64) {
	t.Helper()
	if math.IsNaN(want) {
		require.True(t, math.IsNaN(got), "absent, not %v", got)
		return
	}
	require.InDelta(t, want, got, 1e-9)
}

func TestTelemetryPace(t *testing.T) {
	var b strings.Builder
	b.WriteString(telemetryHeader + "\n")
	for _, ms := range []string{"0", "3050", "6101", "4000", "7052"} {
		b.WriteString(ms + "," + goodRow + ",96,1,2,45.0\n")
	}
	tel, err := ReadTelemetry(strings.NewReader(b.String()))
	require.NoError(t, err)
	require.InDelta(t, 3051, tel.Pace.Milliseconds(), 1)
	require.Equal(t, 1, tel.Steps, "the clock was set back once")
	require.True(t, tel.Constant("vm_us"))
	require.False(t, tel.Constant(colTime))
}

func TestTelemetryDeclines(t *testing.T) {
	for why, text := range map[string]string{
		"empty": "", "no header": "0,1,2\n", "header only": telemetryHeader + "\n", "two of a name": "ms_since_t0,a,a\n0,1,2\n",
		"binary": "\x00\x01\x02\n", "header of another": "time,value\n1,2\n",
	} {
		_, err := ReadTelemetry(strings.NewReader(text))
		require.ErrorIsf(t, err, ErrMalformed, "%s", why)
	}
}

func TestMpstatDialects(t *testing.T) {
	const head = "Linux 6.11.0 (spark) \t11/13/25 \t_aarch64_\t(20 CPU)\n\n"
	for why, text := range map[string]string{
		"24 hours":           "22:46:01     CPU    %usr   %nice    %sys %iowait    %irq   %soft  %steal  %guest  %gnice   %idle\n22:46:02     all   10.00    0.00    3.00    2.50    0.00    0.00    0.00    0.00    0.00   84.50\n22:46:02       0   10.00    0.00    3.00   99.00    0.00    0.00    0.00    0.00    0.00    0.00\n",
		"12 hours":           "10:46:01 PM  CPU    %usr   %nice    %sys %iowait    %irq   %soft  %steal  %guest  %gnice   %idle\n10:46:02 PM  all   10.00    0.00    3.00    2.50    0.00    0.00    0.00    0.00    0.00   84.50\n",
		"commas":             "22:46:01     CPU    %usr   %nice    %sys %iowait    %irq   %soft  %steal  %guest  %gnice   %idle\n22:46:02     all   10,00    0,00    3,00    2,50    0,00    0,00    0,00    0,00    0,00   84,50\n",
		"CRLF":               "22:46:01 CPU %usr %iowait %idle\r\n22:46:02 all 13.00 2.50 84.50\r\n",
		"averages left out":  "22:46:01 CPU %usr %iowait %idle\n22:46:02 all 13.00 2.50 84.50\nAverage: CPU %usr %iowait %idle\nAverage: all 0 50.00 50.00\nDurchschn.: all 0 50.00 50.00\n",
		"a broken line":      "22:46:01 CPU %usr %iowait %idle\n22:46:02 all 13.00 2.50 84.50\n22:46:03 all 13.00 x 84.50\n22:46:04 all 13.00\n",
		"columns swapped":    "22:46:01 CPU %idle %iowait %usr\n22:46:02 all 84.50 2.50 13.00\n",
		"more than all CPUs": "22:46:01 CPU %usr %iowait %idle\n22:46:02 all 13.00 2.50 84.50\n22:46:03 all 13.00 250 84.50\n",
	} {
		m, err := ReadMpstat(strings.NewReader(head + text))
		require.NoErrorf(t, err, "%s", why)
		require.Equalf(t, []float64{2.5}, m.IOWait, "%s", why)
		require.InDeltaf(t, 13, m.Busy[0], 1e-9, "%s", why)
		require.Equalf(t, 20, m.CPUs, "%s", why)
	}
	for why, text := range map[string]string{"empty": "", "no header": "22:46:02 all 1 2 3\n", "only text": "mpstat: command not found\n"} {
		_, err := ReadMpstat(strings.NewReader(text))
		require.ErrorIsf(t, err, ErrMalformed, "%s", why)
	}
}

func TestSmartUnits(t *testing.T) {
	read := func(units string) Smart {
		s, err := ReadSmart(strings.NewReader("smartctl 7.4 [aarch64-linux-6.11.0-1016-nvidia] (local build)\nSerial Number:   A\nTemperature:   45 Celsius\n" +
			"Data Units Read:    " + units + " [1 GB]\nHost Read Commands:   7\nLocal Time is:   Thu Nov 13 22:46:01 2025 UTC\n"))
		require.NoError(t, err)
		return s
	}
	for _, units := range []string{"1,234,567", "1.234.567", "1'234'567", "1\u202f234\u202f567", "1234567"} {
		require.EqualValues(t, 1_234_567, read(units).ReadUnits, units)
	}
	pre, post := read("1,000"), read("3,000")
	require.Equal(t, "6.11.0-1016-nvidia", pre.Kernel)
	require.EqualValues(t, 45, pre.TempC)
	post.Local = post.Local.Add(300 * time.Second)
	d, err := pre.Delta(post)
	require.NoError(t, err)
	require.InDelta(t, 2000*512_000, d.ReadBytes, 0, "1000 × 512 bytes each")
	require.InDelta(t, 300, d.Seconds, 0)
	require.True(t, math.IsNaN(d.WrittenBytes), "absent, not 0")

	_, err = post.Delta(pre)
	require.ErrorContains(t, err, "went back from 3000 to 1000")
	post.Serial = "B"
	_, err = pre.Delta(post)
	require.ErrorContains(t, err, "the disk before is not the disk after")

	for why, text := range map[string]string{
		"empty": "", "not allowed": "smartctl 7.4\nSmartctl open device: /dev/nvme0n1 failed: Permission denied\n", "a SATA disk": "Device Model: X\nTotal_LBAs_Read 7\n",
		"negative": "Data Units Read: -5\n", "too large": "Data Units Read: 99999999999999999999\n",
	} {
		_, err := ReadSmart(strings.NewReader(text))
		require.ErrorIsf(t, err, ErrMalformed, "%s", why)
	}
	_, err = ReadSmart(strings.NewReader("Smartctl open device: /dev/nvme0n1 failed: Permission denied\n"))
	require.ErrorContains(t, err, "it needs root")
}

func TestJSONOfPythonAndShell(t *testing.T) {
	s, err := ReadSummary(strings.NewReader(`{"requests_total": 10, "admission_pct": NaN, "ttft_ms": {"p50": -Infinity, "p95": "x", "p99": 3},
"latency_ms": null, "avg": [], "meta": {"api_mode": "NaN \u001b[31m"}}`))
	require.NoError(t, err)
	require.InDelta(t, 10, s.Requests, 0)
	require.True(t, math.IsNaN(s.Good()))
	require.True(t, math.IsNaN(s.FirstChunk["p50"]) && math.IsNaN(s.FirstChunk["p95"]))
	require.InDelta(t, 3, s.FirstChunk["p99"], 0)
	require.Equal(t, "NaN [31m", s.API)

	m, err := ReadManifest(strings.NewReader("{\"hypothesis\":\"H4\", \"context\": \"1536_tokens.txt\", \"concurrency_users\": -3, \"os\":{\"driver\":\"580.1\n580.1\", \"kernel\": 6}, \"prompts_sha256\": [1, \"ab\"]}"))
	require.NoError(t, err, "a driver of two GPUs in a here-document")
	require.Equal(t, "580.1 580.1", m.Driver)
	require.Equal(t, "1536_tokens", m.Context)
	require.Equal(t, []string{"ab"}, m.Prompts)
	require.Zero(t, m.Users)
	for why, text := range map[string]string{"empty": " \n", "cut short": `{"a": 1`, "a list": "[1]", "null": "null", "text": "hello"} {
		_, err := ReadManifest(strings.NewReader(text))
		require.ErrorIsf(t, err, ErrMalformed, "%s", why)
	}
}
