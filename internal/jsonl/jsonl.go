// Package jsonl is a codec for files of one JSON value a line, plain or
// compressed with zstd (names ending in .zst).
//
// A Writer is for one goroutine. A file cut short by a crash stays readable up
// to its last flushed line; Read reports the damage as its last error and never
// panics. Lines are limited to MaxLine bytes.
package jsonl

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// MaxLine is the longest line Read accepts, in bytes.
const MaxLine = 16 << 20

// Writer appends JSON lines to one file.
type Writer struct {
	f   *os.File
	z   *zstd.Encoder // nil when plain
	buf *bufio.Writer
}

// Create makes the file, which must not exist: results are never overwritten.
func Create(path string) (*Writer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("jsonl: create: %w", err)
	}
	w := &Writer{f: f}
	var sink io.Writer = f
	if strings.HasSuffix(path, ".zst") {
		// Fastest level, one goroutine: the load generator shares the cores.
		w.z, err = zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("jsonl: create %s: %w", path, err), f.Close())
		}
		sink = w.z
	}
	w.buf = bufio.NewWriterSize(sink, 64<<10)
	return w, nil
}

// Write appends one value as a line.
func (w *Writer) Write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("jsonl: encode %T: %w", v, err)
	}
	return w.WriteLine(b)
}

// WriteLine appends a line that is already JSON, without its newline.
func (w *Writer) WriteLine(b []byte) error {
	if _, err := w.buf.Write(b); err != nil {
		return fmt.Errorf("jsonl: write %s: %w", w.f.Name(), err)
	}
	if err := w.buf.WriteByte('\n'); err != nil {
		return fmt.Errorf("jsonl: write %s: %w", w.f.Name(), err)
	}
	return nil
}

// Flush hands everything written so far to the kernel, as whole zstd blocks, so
// that a later crash of this process loses nothing before it.
func (w *Writer) Flush() error {
	if err := w.buf.Flush(); err != nil {
		return fmt.Errorf("jsonl: flush %s: %w", w.f.Name(), err)
	}
	if w.z != nil {
		if err := w.z.Flush(); err != nil {
			return fmt.Errorf("jsonl: flush %s: %w", w.f.Name(), err)
		}
	}
	return nil
}

// Close flushes, syncs to the disk and closes.
func (w *Writer) Close() error {
	err := w.buf.Flush()
	if w.z != nil {
		err = errors.Join(err, w.z.Close())
	}
	err = errors.Join(err, w.f.Sync(), w.f.Close())
	if err != nil {
		return fmt.Errorf("jsonl: close %s: %w", w.f.Name(), err)
	}
	return nil
}

// Read yields every value of the file in order. A damaged line or a cut file
// ends the sequence with an error that names the file and line; values before
// it were good.
func Read[T any](path string) iter.Seq2[T, error] {
	return values[T](path+": ", Lines(path))
}

// Decode yields every value of a stream of JSON lines; see Read.
func Decode[T any](r io.Reader) iter.Seq2[T, error] {
	return values[T]("", scan(r))
}

func values[T any](place string, lines iter.Seq2[Line, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for l, err := range lines {
			if err != nil {
				yield(zero, err)
				return
			}
			var v T
			if err := json.Unmarshal(l.Text, &v); err != nil {
				yield(zero, fmt.Errorf("%sjsonl: line %d: %w", place, l.Number, err))
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Line is one line that is not empty, undecoded.
type Line struct {
	Number int    // from 1
	Text   []byte // good until the next line is asked for
}

// Lines yields the lines of a file in order, in constant memory. A line of more
// than MaxLine bytes or a cut file ends the sequence with an error that names
// the file and line.
func Lines(path string) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Line{}, fmt.Errorf("jsonl: open: %w", err))
			return
		}
		defer f.Close()
		var src io.Reader = f
		if strings.HasSuffix(path, ".zst") {
			z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
			if err != nil {
				yield(Line{}, fmt.Errorf("jsonl: open %s: %w", path, err))
				return
			}
			defer z.Close()
			src = z
		}
		for l, err := range scan(src) {
			if err != nil {
				err = fmt.Errorf("%s: %w", path, err)
			}
			if !yield(l, err) {
				return
			}
		}
	}
}

func scan(r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		sc := bufio.NewScanner(r)
		sc.Buffer(make([]byte, 64<<10), MaxLine)
		n := 0
		for sc.Scan() {
			n++
			if len(sc.Bytes()) > 0 && !yield(Line{n, sc.Bytes()}, nil) {
				return
			}
		}
		if err := sc.Err(); err != nil {
			yield(Line{}, fmt.Errorf("jsonl: line %d: %w", n+1, err))
		}
	}
}
