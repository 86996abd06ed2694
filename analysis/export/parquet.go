package export

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// A Parquet file of flat columns and lists of whole numbers, as the format's own
// description has it (parquet-format: README, Encodings.md, LogicalTypes.md,
// parquet.thrift): one PLAIN page a column and row group, levels bit-packed,
// zstd. A library writes more, and alone takes a fifth of the command's size
// (docs/decisions/0020-scale.md); the tests read it back with one.

// Physical types, repetitions, encodings, converted types and the codec, by
// parquet.thrift.
const (
	typeBoolean   = 0
	typeInt64     = 2
	typeByteArray = 6

	required = 0
	optional = 1
	repeated = 2

	encodingPlain = 0
	encodingRLE   = 3

	convertedUTF8 = 0
	convertedList = 3

	codecZstd = 6
)

const magic = "PAR1"

// column is one column of the file and what is buffered of its row group.
type column struct {
	name     string
	kind     int // physical type
	optional bool
	list     bool // of required values; never absent, but maybe empty

	values []byte
	bools  bits
	reps   bits // of a list: 0 begins a row
	defs   bits // of an optional or a list: 1 where there is a value
	n      int  // values and absent ones: what levels are of
}

// bits is a string of bits, the lowest of a byte first.
type bits struct {
	b []byte
	n int
}

func (b *bits) add(set bool) {
	if b.n%8 == 0 {
		b.b = append(b.b, 0)
	}
	if set {
		b.b[b.n/8] |= 1 << (b.n % 8)
	}
	b.n++
}

// level appends the bits as levels of width 1: their length, and one bit-packed
// run.
func (b *bits) level(out []byte) []byte {
	run := binary.AppendUvarint(nil, uint64(len(b.b))<<1|1)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(run)+len(b.b)))
	return append(append(out, run...), b.b...)
}

func (c *column) absent() { c.defs.add(false); c.n++ }

func (c *column) present() {
	if c.optional {
		c.defs.add(true)
	}
	c.n++
}

func (c *column) int(v int64) {
	c.present()
	c.values = binary.LittleEndian.AppendUint64(c.values, uint64(v))
}

func (c *column) text(s string) {
	c.present()
	c.values = binary.LittleEndian.AppendUint32(c.values, uint32(len(s)))
	c.values = append(c.values, s...)
}

func (c *column) flag(set bool) {
	c.present()
	c.bools.add(set)
}

func (c *column) ints(n int, at func(i int) int64) {
	if n == 0 {
		c.reps.add(false)
		c.absent()
	}
	for i := range n {
		c.reps.add(i > 0)
		c.defs.add(true)
		c.n++
		c.values = binary.LittleEndian.AppendUint64(c.values, uint64(at(i)))
	}
}

// page is the page's bytes: levels, then values.
func (c *column) page() []byte {
	var out []byte
	if c.list {
		out = c.reps.level(out)
	}
	if c.list || c.optional {
		out = c.defs.level(out)
	}
	return append(append(out, c.values...), c.bools.b...)
}

func (c *column) reset() {
	c.values, c.n = c.values[:0], 0
	for _, b := range []*bits{&c.bools, &c.reps, &c.defs} {
		b.b, b.n = b.b[:0], 0
	}
}

func (c *column) path() []string {
	if c.list {
		return []string{c.name, "list", "element"}
	}
	return []string{c.name}
}

// chunk is where a column of one row group lies.
type chunk struct {
	offset, plain, packed int64
	n                     int
}

type rowGroup struct {
	chunks []chunk
	rows   int
}

// file writes row groups one after another; only the open one is in memory.
type file struct {
	w       io.Writer
	at      int64
	z       *zstd.Encoder
	columns []*column
	rows    int // of the open group
	groups  []rowGroup
}

// groupBytes is about how much a row group holds before it is packed.
const groupBytes = 16 << 20

func newFile(w io.Writer, columns []*column) (*file, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("export: write parquet: %w", err)
	}
	f := &file{w: w, z: z, columns: columns}
	return f, f.write([]byte(magic))
}

func (f *file) write(b []byte) error {
	n, err := f.w.Write(b)
	f.at += int64(n)
	if err != nil {
		return fmt.Errorf("export: write parquet: %w", err)
	}
	return nil
}

// endRow is called when every column has got its value of a row.
func (f *file) endRow() error {
	f.rows++
	size := 0
	for _, c := range f.columns {
		size += len(c.values)
	}
	if size < groupBytes {
		return nil
	}
	return f.endGroup()
}

func (f *file) endGroup() error {
	if f.rows == 0 {
		return nil
	}
	g := rowGroup{rows: f.rows}
	for _, c := range f.columns {
		page := c.page()
		packed := f.z.EncodeAll(page, nil)
		head := pageHeader(c.n, len(page), len(packed))
		g.chunks = append(g.chunks, chunk{f.at, int64(len(head) + len(page)), int64(len(head) + len(packed)), c.n})
		if err := f.write(append(head, packed...)); err != nil {
			return err
		}
		c.reset()
	}
	f.groups = append(f.groups, g)
	f.rows = 0
	return nil
}

func pageHeader(n, plain, packed int) []byte {
	var t thrift
	t.enter()
	t.i32(1, 0) // a data page
	t.i32(2, plain)
	t.i32(3, packed)
	t.open(5)
	t.i32(1, n)
	t.i32(2, encodingPlain)
	t.i32(3, encodingRLE)
	t.i32(4, encodingRLE)
	t.end()
	t.end()
	return t.b
}

// close writes the rest and the footer; meta is kept in it as pairs.
func (f *file) close(meta [][2]string) error {
	if err := f.endGroup(); err != nil {
		return err
	}
	footer := f.footer(meta)
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return f.write(append(footer, magic...))
}

func (f *file) footer(meta [][2]string) []byte {
	var t thrift
	var rows int64
	for _, g := range f.groups {
		rows += int64(g.rows)
	}
	t.enter()
	t.i32(1, 1)
	f.schema(&t)
	t.i64(3, rows)
	t.list(4, len(f.groups), thriftStruct)
	for _, g := range f.groups {
		f.group(&t, g)
	}
	t.list(5, len(meta), thriftStruct)
	for _, pair := range meta {
		t.enter()
		t.text(1, pair[0])
		t.text(2, pair[1])
		t.end()
	}
	t.text(6, "spark-harness")
	t.end()
	return t.b
}

func (f *file) group(t *thrift, g rowGroup) {
	var plain, packed int64
	t.enter()
	t.list(1, len(g.chunks), thriftStruct)
	for i, c := range g.chunks {
		plain += c.plain
		packed += c.packed
		t.enter()
		t.i64(2, c.offset)
		t.open(3)
		t.i32(1, f.columns[i].kind)
		t.list(2, 2, thriftI32)
		t.b = binary.AppendVarint(t.b, encodingPlain)
		t.b = binary.AppendVarint(t.b, encodingRLE)
		path := f.columns[i].path()
		t.list(3, len(path), thriftBinary)
		for _, name := range path {
			t.bare(name)
		}
		t.i32(4, codecZstd)
		t.i64(5, int64(c.n))
		t.i64(6, c.plain)
		t.i64(7, c.packed)
		t.i64(9, c.offset)
		t.end()
		t.end()
	}
	t.i64(2, plain)
	t.i64(3, int64(g.rows))
	t.i64(5, g.chunks[0].offset)
	t.i64(6, packed)
	t.end()
}

// schema writes the columns as the tree that Parquet keeps, depth first.
func (f *file) schema(t *thrift) {
	n := 1
	for _, c := range f.columns {
		n += len(c.path())
	}
	t.list(2, n, thriftStruct)
	t.enter()
	t.text(4, "requests")
	t.i32(5, len(f.columns))
	t.end()
	for _, c := range f.columns {
		if c.list {
			node(t, c.name, -1, required, 1, convertedList)
			node(t, "list", -1, repeated, 1, -1)
			node(t, "element", c.kind, required, 0, -1)
			continue
		}
		repetition, converted := required, -1
		if c.optional {
			repetition = optional
		}
		if c.kind == typeByteArray {
			converted = convertedUTF8
		}
		node(t, c.name, c.kind, repetition, 0, converted)
	}
}

func node(t *thrift, name string, kind, repetition, children, converted int) {
	t.enter()
	if kind >= 0 {
		t.i32(1, kind)
	}
	t.i32(3, repetition)
	t.text(4, name)
	if children > 0 {
		t.i32(5, children)
	}
	if converted >= 0 {
		t.i32(6, converted)
	}
	t.end()
}
