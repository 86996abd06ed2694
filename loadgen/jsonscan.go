package loadgen

import (
	"encoding/binary"
	"encoding/json"
	"math/bits"
	"strconv"
)

// maxJSONDepth is how deep values may nest, as in encoding/json.
const maxJSONDepth = 10000

// jsonScan walks one JSON text without allocating, and accepts exactly what
// encoding/json accepts. The first fault sets bad and moves to the end, so that
// callers check once, at the end.
type jsonScan struct {
	b   []byte
	i   int
	bad bool
}

func (s *jsonScan) fail() {
	s.bad = true
	s.i = len(s.b)
}

// peek skips white space and returns the next byte, 0 at the end. It is small
// enough to be inlined where there is no white space, which is nearly always.
func (s *jsonScan) peek() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		return s.b[s.i]
	}
	return s.peekOn()
}

func (s *jsonScan) peekOn() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return c
		}
	}
	return 0
}

// enter steps into an object or array if open is what comes next; any other
// value is skipped, and false returned.
func (s *jsonScan) enter(open byte) bool {
	if s.peek() == open {
		s.i++
		return true
	}
	s.skip(0)
	return false
}

// more reports whether member n of an object or array follows, and steps over
// the comma before it, or else over the closing byte.
func (s *jsonScan) more(n int, closing byte) bool {
	switch c := s.peek(); {
	case n > 0 && c == ',':
		s.i++
		return true
	case c == closing:
		s.i++
		return false
	case n == 0 && c != 0:
		return true
	}
	s.fail()
	return false
}

// key reads an object's key and its colon. Escapes are resolved.
func (s *jsonScan) key() []byte {
	if s.peek() == '"' {
		end := skipPlain(s.b, s.i+1)
		if end+1 < len(s.b) && s.b[end] == '"' && s.b[end+1] == ':' { // as nearly all are
			k := s.b[s.i+1 : end]
			s.i = end + 2
			return k
		}
	}
	return s.oddKey()
}

// oddKey reads any key.
func (s *jsonScan) oddKey() []byte {
	k, escaped := s.str()
	if s.peek() != ':' {
		s.fail()
		return nil
	}
	s.i++
	if escaped {
		var text string
		if json.Unmarshal(k, &text) != nil {
			s.fail()
			return nil
		}
		return []byte(text)
	}
	return k[1 : len(k)-1]
}

// plainByte marks the bytes that need no look inside a string.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return t
}()

// skipPlain is the first place from i on whose byte is not plain. It looks at
// eight at once: most of what there is to read is the inside of strings.
func skipPlain(b []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quotes, slashes := x^ones*'"', x^ones*'\\'
		// A subtraction borrows from the next byte only, so the lowest mark is right.
		marks := (quotes - ones) &^ quotes
		marks |= (slashes - ones) &^ slashes
		marks |= (x - ones*' ') &^ x
		if marks &= high; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
	}
	for i < len(b) && plainByte[b[i]] {
		i++
	}
	return i
}

// str reads a string and returns it with its quotes, and whether it holds
// escapes. After a fault it returns an empty string.
func (s *jsonScan) str() (quoted []byte, escaped bool) {
	if s.peek() != '"' {
		s.fail()
		return []byte(`""`), false
	}
	start := s.i
	for i := s.i + 1; ; {
		if i = skipPlain(s.b, i); i >= len(s.b) {
			break
		}
		switch c := s.b[i]; {
		case c == '"':
			s.i = i + 1
			return s.b[start:s.i], escaped
		case c == '\\':
			escaped = true
			n := escapeLen(s.b[i:])
			if n == 0 {
				s.fail()
				return []byte(`""`), false
			}
			i += n
		default: // a control character
			s.fail()
			return []byte(`""`), false
		}
	}
	s.fail()
	return []byte(`""`), false
}

// escapeLen is the length of the escape that b begins with, 0 when it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// skip steps over one value of any kind and returns its text.
func (s *jsonScan) skip(depth int) []byte {
	if depth > maxJSONDepth {
		s.fail()
		return nil
	}
	c := s.peek()
	if c-'0' < 10 {
		return s.number()
	}
	start := s.i
	switch c {
	case '"':
		s.str()
	case '{':
		s.i++
		for n := 0; s.more(n, '}'); n++ {
			s.key()
			s.skip(depth + 1)
		}
	case '[':
		s.i++
		for n := 0; s.more(n, ']'); n++ {
			if c := s.peek(); c == '-' || c-'0' < 10 { // most long arrays hold numbers
				s.number()
				continue
			}
			s.skip(depth + 1)
		}
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
	if s.bad {
		return nil
	}
	return s.b[start:s.i]
}

func (s *jsonScan) word(w string) {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		s.fail()
		return
	}
	s.i += len(w)
}

// number steps over a number and returns its text. Logits come by the
// thousand, so it keeps its place in a register.
func (s *jsonScan) number() []byte {
	b, i := s.b, s.i
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = digits(b, i); i < 0 {
		s.fail()
		return nil
	}
	if i < len(b) && b[i] == '.' {
		if i = digits(b, i+1); i < 0 {
			s.fail()
			return nil
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i = digits(b, i); i < 0 {
			s.fail()
			return nil
		}
	}
	text := b[s.i:i]
	s.i = i
	return text
}

// digits is the end of the digits at i, -1 where there is none.
func digits(b []byte, i int) int {
	from := i
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

// members counts the elements of an array; any other value has none.
func (s *jsonScan) members() int {
	if !s.enter('[') {
		return 0
	}
	n := 0
	for ; s.more(n, ']'); n++ {
		s.skip(1)
	}
	return n
}

// fields counts the members of an object; any other value has none.
func (s *jsonScan) fields() int {
	if !s.enter('{') {
		return 0
	}
	n := 0
	for ; s.more(n, '}'); n++ {
		s.key()
		s.skip(1)
	}
	return n
}

// count reads a whole number that is not negative; any other value is absent.
func (s *jsonScan) count() (int, bool) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		s.skip(0)
		return 0, false
	}
	text := s.number()
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<49 {
			return wholeFloat(text)
		}
		n = n*10 + int(c-'0')
	}
	return n, len(text) > 0
}

// wholeFloat reads numbers such as 12.0 and 1e2.
func wholeFloat(text []byte) (int, bool) {
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || f < 0 || f >= 1<<53 || f != float64(int(f)) {
		return 0, false
	}
	return int(f), true
}

// over reports whether the text was valid to its end.
func (s *jsonScan) over() bool { return s.peek() == 0 && s.i == len(s.b) && !s.bad }
