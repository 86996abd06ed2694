package export

import "encoding/binary"

// thrift writes structs in Thrift's compact protocol, which is what Parquet
// describes itself in (thrift-compact-protocol.md of the Thrift project).
type thrift struct {
	b     []byte
	last  int16   // field before in the open struct
	outer []int16 // the same of the structs around it
}

// Types of fields and list elements.
const (
	thriftI32    = 5
	thriftI64    = 6
	thriftBinary = 8
	thriftList   = 9
	thriftStruct = 12
)

func (t *thrift) field(id int16, kind byte) {
	t.b = append(t.b, byte(id-t.last)<<4|kind) // ids only rise, by less than 16
	t.last = id
}

func (t *thrift) varint(n uint64) { t.b = binary.AppendUvarint(t.b, n) }

func (t *thrift) i32(id int16, v int) {
	t.field(id, thriftI32)
	t.b = binary.AppendVarint(t.b, int64(v))
}

func (t *thrift) i64(id int16, v int64) {
	t.field(id, thriftI64)
	t.b = binary.AppendVarint(t.b, v)
}

func (t *thrift) text(id int16, s string) {
	t.field(id, thriftBinary)
	t.bare(s)
}

// bare is a string as an element of a list.
func (t *thrift) bare(s string) {
	t.varint(uint64(len(s)))
	t.b = append(t.b, s...)
}

func (t *thrift) list(id int16, n int, kind byte) {
	t.field(id, thriftList)
	if n < 15 {
		t.b = append(t.b, byte(n)<<4|kind)
		return
	}
	t.b = append(t.b, 0xf0|kind)
	t.varint(uint64(n))
}

// open begins a struct that is a field, enter one that is an element of a list
// or stands alone; end ends either.
func (t *thrift) open(id int16) {
	t.field(id, thriftStruct)
	t.enter()
}

func (t *thrift) enter() {
	t.outer = append(t.outer, t.last)
	t.last = 0
}

func (t *thrift) end() {
	t.b = append(t.b, 0)
	t.last = t.outer[len(t.outer)-1]
	t.outer = t.outer[:len(t.outer)-1]
}
