package sysmon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Table is a record read back. It is safe for concurrent reading.
type Table struct {
	Meta      Meta            // what the record says about itself
	T         []time.Duration // each row's instant since the epoch, ascending
	Faults    []Fault         // sources that failed during the run
	Truncated bool            // the file was cut short; the rows before are good

	data  [][]float64    // by column
	index map[string]int // column name -> position
}

// newTable is an empty table for rows of one sampler.
func newTable(m Meta) *Table {
	t := &Table{Meta: m, index: make(map[string]int, len(m.Columns)), data: make([][]float64, len(m.Columns))}
	for i, c := range m.Columns {
		t.index[c.Name] = i
	}
	return t
}

// add appends a copy of a row.
func (t *Table) add(r Row) error {
	if len(r.Values) != len(t.data) {
		return fmt.Errorf("%w: row of %d values for %d columns", ErrRecord, len(r.Values), len(t.data))
	}
	t.T = append(t.T, r.T)
	t.Faults = append(t.Faults, r.Faults...)
	for i, v := range r.Values {
		t.data[i] = append(t.data[i], v)
	}
	return nil
}

// Limits that keep a damaged file from taking all memory.
const (
	maxColumns = 4096
	maxLine    = 1 << 20
	maxWindow  = 64 << 20
	maxValues  = 1 << 27 // 1 GiB of them: a day of 150 columns at 10 Hz
)

// Reading errors.
var (
	ErrSchema = errors.New("unknown schema")   // written by a later version
	ErrRecord = errors.New("damaged record")   // not what Writer writes
	errCut    = errors.New("record cut short") // inside: becomes Truncated
)

// Column returns one column, NaN where a value is absent. ok is false when the
// record lacks it; Meta.Missing may say why. The slice must not be changed.
func (t *Table) Column(name string) (values []float64, ok bool) {
	i, ok := t.index[name]
	if !ok {
		return nil, false
	}
	return t.data[i], true
}

// ReadTable reads a record that a Writer left, even one whose writer was killed
// (Truncated is set). A damaged line is ErrRecord with its number, a record of
// a later version ErrSchema.
func ReadTable(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sysmon: read record: %w", err)
	}
	defer f.Close()
	var src io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("sysmon: read record %s: %w", path, err)
		}
		defer z.Close()
		src = z
	}
	t, err := Decode(src)
	if err != nil {
		return nil, fmt.Errorf("sysmon: read record %s: %w", path, err)
	}
	return t, nil
}

// Decode reads a record's text; see ReadTable.
func Decode(r io.Reader) (*Table, error) {
	d := decoder{t: &Table{index: map[string]int{}, Meta: Meta{Missing: map[string]string{}}}}
	in := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		l, err := in.ReadSlice('\n')
		if err != nil {
			return d.end(n, l, err)
		}
		if err := d.take(l[:len(l)-1]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
}

// decoder carries what is known while lines arrive.
type decoder struct {
	t      *Table
	meta   bool
	header bool
}

// end judges how the text stopped: cleanly, or in the middle.
func (d *decoder) end(n int, rest []byte, err error) (*Table, error) {
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, fmt.Errorf("line %d: %w: longer than %d bytes", n, ErrRecord, maxLine)
	}
	if !d.header {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errCut
		}
		return nil, fmt.Errorf("line %d: %w: no header: %w", n, ErrRecord, err)
	}
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("line %d: %w: %w", n, ErrRecord, err)
	}
	d.t.Truncated = errors.Is(err, io.ErrUnexpectedEOF) || len(rest) > 0
	return d.t, nil
}

func (d *decoder) take(l []byte) error {
	switch {
	case bytes.HasPrefix(l, []byte("# ")):
		return d.comment(l[2:])
	case !d.header:
		return d.takeHeader(string(l))
	}
	return d.row(l)
}

func (d *decoder) comment(l []byte) error {
	word, val, _ := bytes.Cut(l, []byte(" "))
	var err error
	switch string(word) {
	case "sysmon":
		if err = json.Unmarshal(val, &d.t.Meta); err == nil {
			d.meta = true
			if d.t.Meta.Schema != SchemaVersion {
				return fmt.Errorf("%w %d: this version reads %d", ErrSchema, d.t.Meta.Schema, SchemaVersion)
			}
		}
	case "column":
		var c Column
		err = json.Unmarshal(val, &c)
		d.t.Meta.Columns = append(d.t.Meta.Columns, c)
	case "missing":
		var m missingLine
		err = json.Unmarshal(val, &m)
		d.t.Meta.Missing[m.Column] = m.Reason
	case "fault":
		var f Fault
		err = json.Unmarshal(val, &f)
		d.t.Faults = append(d.t.Faults, f)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if len(d.t.Meta.Columns) > maxColumns {
		return fmt.Errorf("%w: more than %d columns", ErrRecord, maxColumns)
	}
	return nil
}

func (d *decoder) takeHeader(l string) error {
	names := strings.Split(l, ",")
	if !d.meta || len(names) != len(d.t.Meta.Columns) {
		return fmt.Errorf("%w: %d header names, %d declared columns", ErrRecord, len(names), len(d.t.Meta.Columns))
	}
	for i, n := range names {
		if d.t.Meta.Columns[i].Name != n {
			return fmt.Errorf("%w: column %d is %q in the header, %q as declared", ErrRecord, i+1, n, d.t.Meta.Columns[i].Name)
		}
		if _, twice := d.t.index[n]; twice {
			return fmt.Errorf("%w: column %q stands twice", ErrRecord, n)
		}
		d.t.index[n] = i
	}
	for i, c := range timeColumns() {
		if i >= len(names) || names[i] != c.Name {
			return fmt.Errorf("%w: column %d is not %q", ErrRecord, i+1, c.Name)
		}
	}
	d.t.data = make([][]float64, len(names))
	d.header = true
	return nil
}

// parseValue is strconv.ParseFloat, with a short way for what most fields are:
// whole numbers of at most 15 digits, which float64 holds exactly.
func parseValue(field []byte) (float64, error) {
	if len(field) <= 15 {
		n := int64(0)
		for i, c := range field {
			if c-'0' >= 10 {
				break
			}
			n = 10*n + int64(c-'0')
			if i == len(field)-1 {
				return float64(n), nil
			}
		}
	}
	return strconv.ParseFloat(string(field), 64)
}

func (d *decoder) row(l []byte) error {
	n := len(d.t.data)
	if len(d.t.T) >= maxValues/n {
		return fmt.Errorf("%w: more than %d rows of %d columns", ErrRecord, maxValues/n, n)
	}
	if got := bytes.Count(l, []byte(",")) + 1; got != n {
		return fmt.Errorf("%w: %d fields for %d columns", ErrRecord, got, n)
	}
	for i := range n {
		var field []byte
		field, l, _ = bytes.Cut(l, []byte(","))
		v := math.NaN()
		if len(field) > 0 {
			var err error
			if v, err = parseValue(field); err != nil {
				return fmt.Errorf("%w: column %s: %w", ErrRecord, d.t.Meta.Columns[i].Name, err)
			}
		}
		if i == colT {
			at := time.Duration(v)
			if math.IsNaN(v) || math.Abs(v) > 1<<62 || (len(d.t.T) > 0 && at <= d.t.T[len(d.t.T)-1]) {
				return fmt.Errorf("%w: time %q does not follow the row before", ErrRecord, field)
			}
			d.t.T = append(d.t.T, at)
		}
		d.t.data[i] = append(d.t.data[i], v)
	}
	return nil
}
