package loadgen

import (
	"bytes"
	"errors"
)

// maxEventBytes is the largest event that a stream may hold; logprobs and
// context logits make lines of hundreds of kilobytes, but a body without any
// line end must not eat the memory.
const maxEventBytes = 16 << 20

var errEventTooLong = errors.New("loadgen: event longer than 16 MiB")

// sseEvent is one event of a server-sent stream. Its slices point into the
// parser's buffer and are good until the next call of the parser.
type sseEvent struct {
	data    []byte // the data lines, joined with LF
	comment []byte // the last comment inside the event, where it has no data
	stray   []byte // the last line that is no SSE field, where it has no data
	isError bool   // "event: error", or an "error:" field, or bare JSON in place of fields
}

// sseParser cuts a byte stream into events, in place: it never allocates but to
// make its buffer larger. It follows the WHATWG rules (lines end in LF, CRLF or
// CR; one space after the colon is dropped; data lines join with LF), and where
// servers break them it keeps what they meant to say: an event without its
// final blank line, "error: {…}" fields, JSON without "data:", an "event: error"
// whose message is a comment.
//
// Feed it with space and filled; drain it with next until it has no more, and
// with last once at the end of the stream.
type sseParser struct {
	buf  []byte
	pos  int // first byte of the unfinished line
	scan int // no line end in buf[pos:scan]
	end  int // end of what has been read

	skipLF  bool // the last line ended in CR: an LF next belongs to it
	started bool // past the place of a byte order mark

	data    span
	comment span
	stray   span
	isError bool
	raw     bool // collecting bare JSON: every line up to a blank one is text
}

// span is a part of the buffer; the zero span is absent.
type span struct{ lo, hi int }

func (s span) set() bool { return s.hi != 0 }

// reset prepares the parser for another stream, keeping a buffer of usual size.
func (p *sseParser) reset() {
	buf := p.buf
	if cap(buf) > 64<<10 {
		buf = nil
	}
	*p = sseParser{buf: buf}
}

// space returns room to read into, at least 512 bytes.
func (p *sseParser) space() ([]byte, error) {
	const least, first = 512, 4 << 10
	if p.pos == p.end && !p.pending() {
		p.pos, p.scan, p.end = 0, 0, 0
	}
	if len(p.buf)-p.end >= least {
		return p.buf[p.end:], nil
	}
	keep := p.keepFrom()
	if held := p.end - keep; held > maxEventBytes {
		return nil, errEventTooLong
	} else if need := held + least; need > len(p.buf)/2 {
		grown := make([]byte, max(first, 2*len(p.buf)))
		copy(grown, p.buf[keep:p.end])
		p.buf = grown
	} else {
		copy(p.buf, p.buf[keep:p.end])
	}
	p.shift(keep)
	return p.buf[p.end:], nil
}

// filled says that n more bytes are in what space returned.
func (p *sseParser) filled(n int) { p.end += n }

func (p *sseParser) pending() bool {
	return p.data.set() || p.comment.set() || p.stray.set() || p.isError
}

// keepFrom is the first byte that is still needed.
func (p *sseParser) keepFrom() int {
	from := p.pos
	for _, s := range []span{p.data, p.comment, p.stray} {
		if s.set() {
			from = min(from, s.lo)
		}
	}
	return max(from-1, 0) // one spare byte keeps a shifted span from being the zero span
}

func (p *sseParser) shift(by int) {
	p.pos -= by
	p.scan -= by
	p.end -= by
	for _, s := range []*span{&p.data, &p.comment, &p.stray} {
		if s.set() {
			s.lo -= by
			s.hi -= by
		}
	}
}

// next returns the next whole event; false means that more bytes are needed.
// Events of comments alone, and keep-alive blank lines, are passed over.
func (p *sseParser) next() (sseEvent, bool) {
	for {
		lo, hi, ok := p.line()
		if !ok {
			return sseEvent{}, false
		}
		if lo < hi {
			p.field(lo, hi)
			continue
		}
		if e, ok := p.take(); ok {
			return e, true
		}
	}
}

// unfinished reports whether a stream that ended here would end inside an event.
// Comments are none.
func (p *sseParser) unfinished() bool {
	return p.pos < p.end && p.buf[p.pos] != ':' || p.data.set() || p.stray.set()
}

// last returns what a stream that ended left over: an event whose blank line,
// or whose last line's end, never came.
func (p *sseParser) last() (sseEvent, bool) {
	if e, ok := p.next(); ok {
		return e, true
	}
	if p.pos < p.end {
		p.field(p.pos, p.end)
		p.pos, p.scan = p.end, p.end
	}
	return p.take()
}

// take ends the event being built.
func (p *sseParser) take() (sseEvent, bool) {
	e := sseEvent{isError: p.isError, data: p.text(p.data)}
	if !p.data.set() {
		e.comment, e.stray = p.text(p.comment), p.text(p.stray)
	}
	ok := p.data.set() || p.stray.set() || p.isError
	p.data, p.comment, p.stray = span{}, span{}, span{}
	p.isError, p.raw = false, false
	return e, ok
}

func (p *sseParser) text(s span) []byte {
	if !s.set() {
		return nil
	}
	return p.buf[s.lo:s.hi]
}

// line finds the next whole line, without its end.
func (p *sseParser) line() (lo, hi int, ok bool) {
	if p.skipLF && p.pos < p.end {
		p.skipLF = false
		if p.buf[p.pos] == '\n' {
			p.pos++
			p.scan = max(p.scan, p.pos)
		}
	}
	seg := p.buf[p.scan:p.end]
	lf := bytes.IndexByte(seg, '\n')
	if lf >= 0 {
		seg = seg[:lf]
	}
	if cr := bytes.IndexByte(seg, '\r'); cr >= 0 {
		lf = cr
		p.skipLF = true
	}
	if lf < 0 {
		p.scan = p.end
		return 0, 0, false
	}
	lo, hi = p.pos, p.scan+lf
	p.pos = hi + 1
	p.scan = p.pos
	return lo, hi, true
}

// field takes in one line that is not blank.
func (p *sseParser) field(lo, hi int) {
	b := p.buf[lo:hi]
	if !p.started {
		p.started = true
		if bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) {
			lo += 3
			b = b[3:]
		}
	}
	switch {
	case p.raw:
		p.join(lo, hi)
		return
	case bytes.HasPrefix(b, []byte("data:")):
		p.join(p.value(lo+5, hi), hi)
		return
	case len(b) == 0:
		return
	case b[0] == ':':
		p.comment = span{p.value(lo+1, hi), hi}
		return
	case b[0] == '{' && !p.data.set():
		p.raw, p.isError = true, true
		p.join(lo, hi)
		return
	}
	name, from := b, hi
	if colon := bytes.IndexByte(b, ':'); colon >= 0 {
		name, from = b[:colon], p.value(lo+colon+1, hi)
	}
	switch string(name) {
	case "data":
		p.join(from, hi)
	case "event":
		p.isError = string(p.buf[from:hi]) == "error"
	case "error":
		p.isError = true
		p.join(from, hi)
	case "id", "retry":
	default:
		p.stray = span{lo, hi}
	}
}

// value skips the one space that may follow a colon.
func (p *sseParser) value(lo, hi int) int {
	if lo < hi && p.buf[lo] == ' ' {
		return lo + 1
	}
	return lo
}

// join adds a data line, moving it down to follow the line before. There is
// always room, because at least a line end stood between them. It may write over
// comments and stray lines in between, which matter only without data.
func (p *sseParser) join(lo, hi int) {
	if !p.data.set() {
		p.data = span{lo, hi}
		return
	}
	p.comment, p.stray = span{}, span{}
	p.buf[p.data.hi] = '\n'
	n := copy(p.buf[p.data.hi+1:], p.buf[lo:hi])
	p.data.hi += 1 + n
}
