package loadgen

import "bytes"

// chunk is what one streaming event says, as far as measuring needs it.
type chunk struct {
	choices  int    // members of "choices"
	text     []byte // the first text in it, as JSON spells it; nil when there is none
	visible  bool   // some choice has text or content
	hidden   bool   // some choice has reasoning, a refusal's or a tool's text
	tokenIDs int    // token ids over all choices, 0 when the server sends none
	finish   []byte // quoted finish reason, nil when null, empty or absent
	usage    usage
	tokens   int    // Triton's count of the event's tokens, -1 when absent
	load     int    // spark_adapter_load_ns, -1 when absent
	fault    []byte // the text of a non-empty error, nil when there is none
}

// usage is a usage object. Counts that are absent are -1.
type usage struct{ prompt, completion, cached int }

var absentUsage = usage{-1, -1, -1}

// carriesText reports whether the event holds output of any kind.
func (c *chunk) carriesText() bool { return c.visible || c.hidden || c.tokenIDs > 0 }

// decode reads one event's JSON into c; false means that it is not a JSON
// object. Where a key stands twice in one object the last counts. Slices in c
// point into data.
func (c *chunk) decode(data []byte) bool {
	*c = chunk{usage: absentUsage, tokens: -1, load: -1}
	s := jsonScan{b: data}
	if s.peek() != '{' {
		return false
	}
	s.i++
	flat := false
	for n := 0; s.more(n, '}'); n++ {
		switch string(s.key()) {
		case "choices":
			c.readChoices(&s)
		case "usage":
			c.usage = readUsage(&s)
		case "error":
			c.fault = readFault(&s)
		case "spark_adapter_load_ns":
			c.load = orAbsent(s.count())
		case "object":
			flat = string(s.skip(1)) == `"error"`
		default:
			s.skip(1)
		}
	}
	if flat && c.fault == nil {
		c.fault = data
	}
	return s.over()
}

func (c *chunk) readChoices(s *jsonScan) {
	c.choices, c.tokenIDs = 0, 0
	c.visible, c.hidden, c.finish, c.text = false, false, nil, nil
	if !s.enter('[') {
		return
	}
	for ; s.more(c.choices, ']'); c.choices++ {
		c.readChoice(s)
	}
}

// output is what a choice, or its delta, carries.
type output struct {
	text, content, refusal, reasoning, reasoningContent []byte // as JSON spells it, nil when empty
	tools, call                                         bool
	tokenIDs                                            int
}

// hidden is its text that is not for the user.
func (o *output) hidden() []byte {
	switch {
	case o.reasoning != nil:
		return o.reasoning
	case o.reasoningContent != nil:
		return o.reasoningContent
	}
	return o.refusal
}

func (c *chunk) readChoice(s *jsonScan) {
	if !s.enter('{') {
		return
	}
	var own, delta output
	var finish []byte
	for n := 0; s.more(n, '}'); n++ {
		switch string(s.key()) {
		case "text":
			own.text = s.text()
		case "delta":
			delta = readDelta(s)
		case "token_ids":
			own.tokenIDs = s.members()
		case "finish_reason":
			finish = nil
			if v := s.skip(3); len(v) > 2 && v[0] == '"' {
				finish = v
			}
		default:
			s.skip(3)
		}
	}
	if own.text == nil {
		own.text = delta.content
	}
	visible, hidden := own.text, delta.hidden()
	c.visible = c.visible || visible != nil
	c.hidden = c.hidden || hidden != nil || delta.tools || delta.call
	if c.text == nil {
		if c.text = visible; visible == nil {
			c.text = hidden
		}
	}
	c.tokenIDs += max(own.tokenIDs, delta.tokenIDs)
	if finish != nil {
		c.finish = finish
	}
}

func readDelta(s *jsonScan) output {
	var d output
	if !s.enter('{') {
		return d
	}
	for n := 0; s.more(n, '}'); n++ {
		switch string(s.key()) {
		case "content":
			d.content = s.text()
		case "reasoning":
			d.reasoning = s.text()
		case "reasoning_content":
			d.reasoningContent = s.text()
		case "refusal":
			d.refusal = s.text()
		case "tool_calls":
			d.tools = s.members() > 0
		case "function_call":
			d.call = s.fields() > 0
		case "token_ids":
			d.tokenIDs = s.members()
		default:
			s.skip(4)
		}
	}
	return d
}

func readUsage(s *jsonScan) usage {
	u := absentUsage
	if !s.enter('{') {
		return u
	}
	for n := 0; s.more(n, '}'); n++ {
		switch string(s.key()) {
		case "prompt_tokens":
			u.prompt = orAbsent(s.count())
		case "completion_tokens":
			u.completion = orAbsent(s.count())
		case "prompt_tokens_details":
			u.cached = readCached(s)
		default:
			s.skip(2)
		}
	}
	return u
}

func readCached(s *jsonScan) int {
	cached := -1
	if !s.enter('{') {
		return cached
	}
	for n := 0; s.more(n, '}'); n++ {
		if string(s.key()) == "cached_tokens" {
			cached = orAbsent(s.count())
		} else {
			s.skip(3)
		}
	}
	return cached
}

func orAbsent(n int, ok bool) int {
	if !ok {
		return -1
	}
	return n
}

// readFault returns the text of an error value, nil when it says nothing.
func readFault(s *jsonScan) []byte {
	v := s.skip(1)
	switch string(v) {
	case "null", "false", `""`:
		return nil
	}
	return bytes.TrimSpace(v)
}
