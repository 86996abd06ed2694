package sysmon

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// flushEvery is how much of the record a killed process may lose.
const flushEvery = time.Second

// Writer keeps rows as CSV, compressed with zstd when the name ends in .zst.
// The text begins with comment lines, each "# " and a word and one JSON value:
//
//	# sysmon {"schema":1,"epoch_ns":…}         what the record is
//	# column {"name":"rd_ios_s",…}             one per column, in order
//	# missing {"column":"gpu_power_W",…}       one per column that could not be had
//	t_mono_ns,t_wall_ns,…                      the header
//	# fault {"t_ns":…,"reason":"…"}            between rows, when a source fails
//
// Empty fields are absent values. Raw counters are printed exactly, derived
// values to seven digits. A Writer is for one goroutine.
type Writer struct {
	f    *os.File
	z    *zstd.Encoder // nil when plain
	buf  *bufio.Writer
	line []byte
	cols []Column
	next time.Duration // row time at which to flush
}

// missingLine is one "# missing" comment.
type missingLine struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
}

// NewWriter makes the file, which must not exist, and writes its preamble.
func NewWriter(path string, m Meta) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("sysmon: create record: %w", err)
	}
	w := &Writer{f: f, buf: bufio.NewWriterSize(f, 64<<10), cols: m.Columns}
	if strings.HasSuffix(path, ".zst") {
		// Fastest level, one goroutine, a small window: the sampler's cost is
		// part of what it measures.
		w.z, err = zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest),
			zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sysmon: create record %s: %w", path, err), f.Close())
		}
		w.buf.Reset(w.z)
	}
	if err := errors.Join(w.preamble(m), w.Flush()); err != nil {
		return nil, errors.Join(err, w.Close(), os.Remove(path))
	}
	return w, nil
}

func (w *Writer) preamble(m Meta) error {
	if err := w.comment("sysmon", m); err != nil {
		return err
	}
	names := make([]string, 0, len(m.Columns))
	for _, c := range m.Columns {
		if err := w.comment("column", c); err != nil {
			return err
		}
		names = append(names, c.Name)
	}
	for _, n := range slices.Sorted(maps.Keys(m.Missing)) {
		if err := w.comment("missing", missingLine{n, m.Missing[n]}); err != nil {
			return err
		}
	}
	return w.put(append([]byte(strings.Join(names, ",")), '\n'))
}

func (w *Writer) comment(word string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("sysmon: encode %s: %w", word, err)
	}
	return w.put(fmt.Appendf(nil, "# %s %s\n", word, b))
}

func (w *Writer) put(b []byte) error {
	if _, err := w.buf.Write(b); err != nil {
		return fmt.Errorf("sysmon: write %s: %w", w.f.Name(), err)
	}
	return nil
}

// Write appends a row; its shape is the Meta's. About once a second of row time
// everything so far is handed to the kernel as whole zstd blocks, so that a
// killed process leaves a readable record. Use it as the emit of Sampler.Run.
func (w *Writer) Write(r Row) error {
	if len(r.Values) != len(w.cols) {
		return fmt.Errorf("sysmon: write %s: row of %d values for %d columns", w.f.Name(), len(r.Values), len(w.cols))
	}
	for _, f := range r.Faults {
		if err := w.comment("fault", f); err != nil {
			return err
		}
	}
	b := w.line[:0]
	for i, v := range r.Values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, v, w.cols[i].Kind)
	}
	w.line = append(b, '\n')
	if err := w.put(w.line); err != nil {
		return err
	}
	if r.T < w.next {
		return nil
	}
	w.next = r.T + flushEvery
	return w.Flush()
}

// appendValue prints one field.
func appendValue(b []byte, v float64, kind Kind) []byte {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return b
	case v == math.Trunc(v) && math.Abs(v) < 1<<63:
		return strconv.AppendInt(b, int64(v), 10)
	case kind == KindDerived || kind == KindTime:
		return strconv.AppendFloat(b, v, 'g', 7, 64)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

// Flush hands everything so far to the kernel; it survives this process but
// not a power cut, for which see Sync.
func (w *Writer) Flush() error {
	err := w.buf.Flush()
	if err == nil && w.z != nil {
		err = w.z.Flush()
	}
	if err != nil {
		return fmt.Errorf("sysmon: flush %s: %w", w.f.Name(), err)
	}
	return nil
}

// Sync flushes and waits for the disk. It is not done every second, because it
// would write to the disk under test; a watchdog calls it when the machine is
// about to go down.
func (w *Writer) Sync() error {
	if err := w.Flush(); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("sysmon: sync %s: %w", w.f.Name(), err)
	}
	return nil
}

// Close ends the record, syncs it and closes the file.
func (w *Writer) Close() error {
	err := w.buf.Flush()
	if w.z != nil {
		err = errors.Join(err, w.z.Close())
	}
	if err = errors.Join(err, w.f.Sync(), w.f.Close()); err != nil {
		return fmt.Errorf("sysmon: close %s: %w", w.f.Name(), err)
	}
	return nil
}
