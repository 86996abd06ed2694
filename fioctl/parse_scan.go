package fioctl

import (
	"fmt"
	"io"
	"math"
	"strconv"
)

// scanner reads JSON in one pass over a window of the stream, and skips what is
// not asked for without looking into it closely. It keeps the document that it
// is in, so the window grows up to limit. The first error sticks until
// endDocument, and makes every method return at once.
type scanner struct {
	r       io.Reader
	buf     []byte
	pos     int   // next byte in buf
	start   int   // of the document in buf
	base    int64 // where in the stream buf begins
	inDoc   bool
	ruled   bool  // only the document itself begins with { in column 0: fio indents
	limit   int   // of a document's bytes
	lost    bool  // behind a bad document
	ended   bool  // r has no more
	readErr error // of r, other than io.EOF
	err     error // of the document
	first   string
	key     []byte // of the member whose value is next
	bins    []Bin  // scratch
}

const firstWindow = 64 << 10

// fill appends what one Read brings. It reports whether anything came.
func (s *scanner) fill() bool {
	if s.ended {
		return false
	}
	if len(s.buf) == cap(s.buf) && !s.makeRoom() {
		return false
	}
	free := s.buf[len(s.buf):cap(s.buf)]
	for range 100 {
		n, err := s.r.Read(free)
		s.buf = s.buf[:len(s.buf)+n]
		if err != nil {
			s.ended = true
			if err != io.EOF {
				s.readErr = err
			}
		}
		if n > 0 || err != nil {
			return n > 0
		}
	}
	s.ended, s.readErr = true, io.ErrNoProgress
	return false
}

// makeRoom drops what lies before the document, or else doubles the window.
func (s *scanner) makeRoom() bool {
	if !s.inDoc {
		s.start = max(s.pos-1, 0) // column0 looks one byte back
	}
	if s.start > 0 {
		n := copy(s.buf, s.buf[s.start:])
		s.buf, s.base = s.buf[:n], s.base+int64(s.start)
		s.pos, s.start = s.pos-s.start, 0
		return true
	}
	if cap(s.buf) >= s.limit {
		s.fail(ErrTooLarge)
		return false
	}
	wider := make([]byte, len(s.buf), max(firstWindow, min(2*cap(s.buf), s.limit)))
	copy(wider, s.buf)
	s.buf = wider
	return true
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

func (s *scanner) malformed(format string, args ...any) {
	s.fail(fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...)))
}

// column0 reports whether the next byte begins a line.
func (s *scanner) column0() bool {
	if s.pos == 0 {
		return s.base == 0
	}
	return s.buf[s.pos-1] == '\n'
}

// space goes to the next byte that is neither blank nor control.
func (s *scanner) space() (byte, bool) {
	for {
		buf, i := s.buf, s.pos
		for i < len(buf) && buf[i] <= ' ' {
			i++
		}
		if s.pos = i; i < len(buf) {
			return buf[i], true
		}
		if !s.fill() {
			return 0, false
		}
	}
}

// peek is space inside a document: 0 after an error.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	c, ok := s.space()
	if !ok {
		s.fail(ErrTruncated)
		return 0
	}
	if c == '{' && s.inside() {
		return 0
	}
	return c
}

// inside reports whether the { at hand begins another document although this
// one is not over, as after a fio that was killed: inner ones are indented.
func (s *scanner) inside() bool {
	if !s.ruled || s.pos == s.start || !s.column0() {
		return false
	}
	s.malformed("another one begins inside it")
	return true
}

// object yields the key of each member; the loop's body must take the value.
// Anything but an object has no members. The key holds until the next one.
func (s *scanner) object(yield func(key []byte) bool) {
	if !s.enter('{') {
		return
	}
	for first := true; s.more(first, '}'); first = false {
		if c := s.peek(); c != '"' {
			s.malformed("%q where a key should be", c)
			return
		}
		s.key = append(s.key[:0], s.text()...)
		if c := s.peek(); c != ':' {
			s.malformed("%q where a colon should be", c)
			return
		}
		s.pos++
		if !yield(s.key) {
			return
		}
	}
}

// array yields once for each element; the loop's body must take it.
func (s *scanner) array(yield func() bool) {
	if !s.enter('[') {
		return
	}
	for first := true; s.more(first, ']') && yield(); first = false {
	}
}

// enter goes past an opening bracket, or past a value that is something else.
func (s *scanner) enter(open byte) bool {
	if s.peek() != open {
		s.skip()
		return false
	}
	s.pos++
	return true
}

// more reports whether an element follows, and goes past what lies before it.
func (s *scanner) more(first bool, end byte) bool {
	c := s.peek()
	switch {
	case c == 0:
		return false
	case c == end:
		s.pos++
		return false
	case first:
		return true
	case c != ',':
		s.malformed("%q where a comma should be", c)
		return false
	}
	s.pos++
	return s.peek() != 0
}

// skip goes past a value. Of what is inside it, only brackets and strings are
// looked at.
func (s *scanner) skip() {
	switch c := s.peek(); c {
	case 0:
	case '"':
		s.text()
	case '{', '[':
		s.pos++
		s.skipInside()
	case '}', ']', ',', ':':
		s.malformed("%q where a value should be", c)
	default:
		s.word()
	}
}

// skipInside goes past the bracket that closes the one behind.
func (s *scanner) skipInside() {
	for depth := 1; s.err == nil; {
		buf, i := s.buf, s.pos
		for i < len(buf) && (buf[i] < '[' && buf[i] != '"' || buf[i] > ']' && buf[i] < '{') {
			i++ // blanks, numbers, literals, commas, colons
		}
		s.pos = i
		if i == len(buf) {
			if !s.fill() {
				s.fail(ErrTruncated)
			}
			continue
		}
		switch buf[i] {
		case '"':
			s.text()
			continue
		case '{', '[':
			if buf[i] == '{' && s.inside() {
				return
			}
			depth++
		case '}', ']':
			depth--
		}
		s.pos++
		if depth == 0 {
			return
		}
	}
}

// text takes a string and gives what is between the quotes, escapes as they
// are. It holds until the next read, as word's.
func (s *scanner) text() []byte {
	if s.peek() != '"' {
		s.skip()
		return nil
	}
	s.pos++
	from := s.pos - s.start
	for s.err == nil {
		buf, i := s.buf, s.pos
		for i < len(buf) && buf[i] != '"' && buf[i] != '\\' && buf[i] != '{' {
			i++
		}
		if s.pos = i; i == len(buf) {
			if !s.fill() {
				s.fail(ErrTruncated)
			}
			continue
		}
		switch buf[i] {
		case '"':
			s.pos++
			return buf[s.start+from : i]
		case '\\':
			if i+1 == len(buf) && !s.fill() {
				s.fail(ErrTruncated)
				return nil
			}
			s.pos++
		case '{':
			if s.inside() {
				return nil
			}
		}
		s.pos++
	}
	return nil
}

// word takes a number or a literal. Anything else gives nil.
func (s *scanner) word() []byte {
	switch s.peek() {
	case '"', '{', '[':
		s.skip()
		return nil
	}
	from := s.pos - s.start
	for s.err == nil {
		buf, i := s.buf, s.pos
		for i < len(buf) && !endsWord(buf[i]) {
			i++
		}
		if s.pos = i; i < len(buf) {
			return buf[s.start+from : i]
		}
		if !s.fill() {
			s.fail(ErrTruncated)
		}
	}
	return nil
}

func endsWord(c byte) bool {
	switch c {
	case ',', '}', ']', ':', '"', '{', '[':
		return true
	}
	return c <= ' '
}

// float takes a number. What is none, negative or not finite gives 0: fio
// prints nan where it divides by nothing.
func (s *scanner) float() float64 {
	w := s.word()
	if v, ok := decimal(w); ok {
		return v
	}
	v, err := strconv.ParseFloat(string(w), 64)
	if err != nil || !(v > 0 && v <= math.MaxFloat64) {
		return 0
	}
	return v
}

// count takes a number that is at least 0 and below 2⁶³; anything else makes
// the document malformed.
func (s *scanner) count() int64 {
	w := s.word()
	if s.err != nil {
		return 0
	}
	n, ok := whole(w)
	if !ok {
		s.malformed("%q is %.40q, no count", s.key, w)
	}
	return n
}

// add adds n to a count that must stay below 2⁶³.
func (s *scanner) add(sum *int64, n int64) {
	if *sum > math.MaxInt64-n {
		s.malformed("a count passes 2⁶³")
		return
	}
	*sum += n
}
