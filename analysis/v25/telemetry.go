package v25

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Telemetry is one telemetry file, column by column as its header names them.
type Telemetry struct {
	Columns []string
	Rows    int
	// Broken are lines that were dropped or of which only the part before the GPU
	// could be used, by what is wrong with them.
	Broken map[string]int
	Pace   time.Duration // median time between rows; 0 with fewer than two
	Steps  int           // times that the clock went back
	values map[string][]float64
	texts  map[string]int // of each column, fields that are no numbers
	cells  map[string]int // of each column, fields
}

// The columns that the reader knows by name.
const (
	colTime = "ms_since_t0"
	colGPU  = "gpu_util_pct"
	colWait = "vm_wa"
	colFree = "mem_MemAvailable_kB"
)

// iostatColumns are the names that the earlier harness gave to fields 4, 5, 6, 7,
// 10, 9 and 8 of iostat, in the order of its file.
func iostatColumns() []string {
	return []string{
		"iostat_rps", "iostat_wps", "iostat_rMBps", "iostat_wMBps",
		"iostat_await_ms", "iostat_avg_rqsz", "iostat_avg_qu_sz",
	}
}

// Column is a column's values in the order of rows, NaN where there is none;
// nil if the file has no such column.
func (t *Telemetry) Column(name string) []float64 { return t.values[name] }

// TextOnly reports whether a column has fields, and no number in any.
func (t *Telemetry) TextOnly(name string) bool {
	return t.cells[name] > 0 && t.cells[name] == t.texts[name]
}

// Constant reports whether a column has three numbers or more, all the same.
func (t *Telemetry) Constant(name string) bool {
	v := present(t.values[name])
	return len(v) > 2 && slices.Min(v) == slices.Max(v)
}

// ReadTelemetry reads *_telemetry.csv by its header. Lines that nvidia-smi's
// errors broke keep their part before the GPU; decimal commas are joined again;
// other lines that do not fit, and a last line without its end, are dropped and
// counted. It fails without a header or without one row.
func ReadTelemetry(r io.Reader) (*Telemetry, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	t := &Telemetry{Broken: map[string]int{}, values: map[string][]float64{}, texts: map[string]int{}, cells: map[string]int{}}
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			return nil, err
		}
		whole := strings.HasSuffix(line, "\n")
		line = strings.TrimRight(line, "\r\n")
		switch {
		case n == 0:
			if err := t.header(strings.TrimPrefix(line, "\ufeff")); err != nil {
				return nil, err
			}
		case line == "" && err == io.EOF:
		case !whole:
			t.Broken["cut short"]++
		default:
			t.row(line)
		}
		if err == io.EOF {
			break
		}
	}
	if t.Rows == 0 {
		return nil, fmt.Errorf("%w: no row that could be read (%d broken)", ErrMalformed, t.broken())
	}
	t.times()
	return t, nil
}

func (t *Telemetry) broken() (n int) {
	for _, c := range t.Broken {
		n += c
	}
	return n
}

func (t *Telemetry) header(line string) error {
	const most = 200
	t.Columns = strings.Split(line, ",")
	for i, c := range t.Columns {
		t.Columns[i] = oneLine(c)
	}
	if len(t.Columns) > most || t.Columns[0] != colTime {
		return fmt.Errorf("%w: the first line is not a header that begins with %s", ErrMalformed, colTime)
	}
	if sorted := slices.Sorted(slices.Values(t.Columns)); len(slices.Compact(sorted)) != len(t.Columns) {
		return fmt.Errorf("%w: two columns of one name", ErrMalformed)
	}
	return nil
}

func (t *Telemetry) row(line string) {
	fields := strings.Split(line, ",")
	if v := parsed(fields[0]); !(v >= 0) {
		t.Broken["no time"]++ // the second half of a row that an error text broke
		return
	}
	if len(fields) != len(t.Columns) {
		joined, ok := t.rejoined(fields)
		gpu := slices.Index(t.Columns, colGPU)
		switch {
		case ok:
			t.Broken["decimal commas"]++
			fields = joined
		case gpu > 0 && len(fields) > gpu && len(fields) < len(t.Columns):
			t.Broken["text of nvidia-smi"]++
			fields = fields[:gpu]
		default:
			t.Broken["wrong number of fields"]++
			return
		}
	}
	t.Rows++
	for i, c := range t.Columns {
		v := absent()
		if i < len(fields) {
			t.cells[c]++
			if v = parsed(fields[i]); math.IsNaN(v) || v < 0 && c != "ssd_temp_C" {
				v = absent()
				t.texts[c]++
			}
		}
		t.values[c] = append(t.values[c], v)
	}
}

// rejoined undoes decimal commas: iostat writes two decimals wherever it writes
// any, so each of its fields stands as two, the second of two digits.
func (t *Telemetry) rejoined(fields []string) ([]string, bool) {
	from := slices.Index(t.Columns, "iostat_rps")
	to := slices.Index(t.Columns, "iostat_util_pct") + 1
	if from < 0 || to <= from || len(fields) != len(t.Columns)+to-from {
		return nil, false
	}
	out := slices.Clone(fields[:from])
	for i := from; i < to; i++ {
		whole, part := fields[2*i-from], fields[2*i-from+1]
		if len(part) != 2 || strings.Trim(part, "0123456789") != "" {
			return nil, false
		}
		out = append(out, whole+"."+part)
	}
	return append(out, fields[2*to-from:]...), true
}

// times finds the pace; a clock that went back is counted.
func (t *Telemetry) times() {
	at := present(t.values[colTime])
	var steps []float64
	for i := 1; i < len(at); i++ {
		if d := at[i] - at[i-1]; d > 0 {
			steps = append(steps, d)
		} else {
			t.Steps++
		}
	}
	if m := median(steps); m > 0 && m < 1e9 {
		t.Pace = time.Duration(m * float64(time.Millisecond))
	}
}

// parsed is a decimal number, NaN for anything else: words such as inf, nan or
// NA are no measurements, nor are hexadecimal digits.
func parsed(s string) float64 {
	s = strings.TrimSpace(s)
	if s == "" || strings.Trim(s, "0123456789.eE+-") != "" {
		return absent()
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(v, 0) {
		return absent()
	}
	return v
}

func absent() float64 { return math.NaN() }

// present are the values that are there.
func present(values []float64) []float64 {
	var out []float64
	for _, v := range values {
		if !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

func mean(values []float64) float64 {
	values = present(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values)) // 0/0 is NaN: absent
}

func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(present(values)))
	n := len(values)
	if n == 0 {
		return absent()
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
