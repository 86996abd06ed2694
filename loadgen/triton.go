package loadgen

import "bytes"

// decodeTriton reads one event of Triton's generate_stream into c; false means
// that it is not a JSON object. Tensors of one element come as plain values and
// longer ones as flat lists, so each member may be either. All that measuring
// does not need, such as logits, is stepped over.
func (c *chunk) decodeTriton(data []byte) bool {
	*c = chunk{usage: absentUsage, tokens: -1, load: -1}
	s := jsonScan{b: data}
	if s.peek() != '{' {
		return false
	}
	s.i++
	for n := 0; s.more(n, '}'); n++ {
		switch string(s.key()) {
		case "text_output":
			c.text = s.firstText()
		case "num_output_tokens":
			c.tokens = s.total()
		case "num_input_tokens":
			c.usage.prompt = s.total()
		case "finish_reason":
			c.finish = s.reason()
		case "error":
			c.fault = readFault(&s)
		case "spark_adapter_load_ns":
			c.load = orAbsent(s.count())
		default:
			s.skip(1)
		}
	}
	c.visible = c.text != nil
	return s.over()
}

// firstText is the inside of a string, or of the first in a list, that is not
// empty; nil where there is none.
func (s *jsonScan) firstText() []byte {
	if s.peek() != '[' {
		return s.text()
	}
	s.i++
	var first []byte
	for n := 0; s.more(n, ']'); n++ {
		if t := s.text(); first == nil {
			first = t
		}
	}
	return first
}

// text is the inside of a string that is not empty; any other value gives nil.
func (s *jsonScan) text() []byte {
	if s.peek() != '"' {
		s.skip(1)
		return nil
	}
	if q, _ := s.str(); len(q) > 2 {
		return q[1 : len(q)-1]
	}
	return nil
}

// maxTotal bounds counts, so that no sum of them overflows.
const maxTotal = 1 << 53

// total is a count, or the sum of a list's; -1 where there is none.
func (s *jsonScan) total() int {
	if s.peek() != '[' {
		return orAbsent(s.count())
	}
	s.i++
	sum := -1
	for n := 0; s.more(n, ']'); n++ {
		if v, ok := s.count(); ok {
			sum = min(max(sum, 0)+v, maxTotal)
		}
	}
	return sum
}

// reason is a finish reason in its quotes, or the first in a list: nil for none,
// which Python's str spells out.
func (s *jsonScan) reason() []byte {
	if s.peek() != '[' {
		return givenReason(s.skip(1))
	}
	s.i++
	var first []byte
	for n := 0; s.more(n, ']'); n++ {
		if v := givenReason(s.skip(2)); first == nil {
			first = v
		}
	}
	return first
}

// givenReason is v, or nil where it gives none.
func givenReason(v []byte) []byte {
	if len(v) <= 2 || v[0] != '"' {
		return nil
	}
	plain := v
	if bytes.IndexByte(v, '\\') >= 0 {
		plain = []byte(quote(jsonString(v)))
	}
	switch string(plain) {
	case `"null"`, `"None"`:
		return nil
	}
	return v
}
