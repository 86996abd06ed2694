package loadgen

import (
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spark-harness/harness/internal/jsonl"
)

// RecordHead is the part of a record that statistics over many requests need:
// instants and counts, without the events, which are most of its bytes.
type RecordHead struct {
	Turn    int
	Phase   Phase
	Outcome Outcome
	Adapter string // "" is the base model

	Due, FirstToken, LastToken, Close        Instant
	AdapterLoad                              Count // ns; 0 for one that was resident
	PromptTokens, OutputTokens, CachedTokens Count
}

// Count is a whole number, or absent. The zero Count is absent.
type Count struct {
	n  int64
	ok bool
}

// Get returns the number, and whether it is there.
func (c Count) Get() (n int64, ok bool) { return c.n, c.ok }

// ReadHeads yields the heads of a file's records in the order in which they were
// written. It reads what encoding/json reads and refuses what that refuses, at
// several times its speed and without garbage; events are checked to be JSON,
// not decoded. The head is overwritten by the next one. Errors as for
// ReadRecords.
func ReadHeads(path string) iter.Seq2[*RecordHead, error] {
	return func(yield func(*RecordHead, error) bool) {
		var d headDecoder
		for l, err := range jsonl.Lines(path) {
			if err == nil {
				if err = d.decode(l.Text); err != nil {
					err = fmt.Errorf("%s: line %d: %w", path, l.Number, err)
				}
			}
			if err != nil {
				yield(nil, fmt.Errorf("loadgen: read records: %w", err))
				return
			}
			if !yield(&d.head, nil) {
				return
			}
		}
	}
}

// wireHead is a RecordHead as encoding/json reads it.
type wireHead struct {
	Turn         int     `json:"turn"`
	Phase        Phase   `json:"phase"`
	Outcome      Outcome `json:"outcome"`
	Adapter      string  `json:"adapter"`
	Due          *int64  `json:"due_ns"`
	FirstToken   *int64  `json:"first_token_ns"`
	LastToken    *int64  `json:"last_token_ns"`
	Close        *int64  `json:"close_ns"`
	AdapterLoad  *int64  `json:"adapter_load_ns"`
	PromptTokens *int64  `json:"prompt_tokens"`
	OutputTokens *int64  `json:"output_tokens"`
	CachedTokens *int64  `json:"cached_tokens"`
}

func (w *wireHead) head() RecordHead {
	at := func(p *int64) Instant {
		if p == nil {
			return Instant{}
		}
		return At(time.Duration(*p))
	}
	count := func(p *int64) Count {
		if p == nil {
			return Count{}
		}
		return Count{*p, true}
	}
	return RecordHead{
		Turn: w.Turn, Phase: w.Phase, Outcome: w.Outcome, Adapter: w.Adapter,
		Due: at(w.Due), FirstToken: at(w.FirstToken), LastToken: at(w.LastToken), Close: at(w.Close),
		AdapterLoad: count(w.AdapterLoad), PromptTokens: count(w.PromptTokens),
		OutputTokens: count(w.OutputTokens), CachedTokens: count(w.CachedTokens),
	}
}

// headDecoder decodes one line after another into head.
type headDecoder struct {
	head  RecordHead
	texts map[string]string // every text met, so that equal ones share memory
}

// maxTexts is how many different texts are kept; beyond them each is its own.
const maxTexts = 4096

// decode reads a line as RecordWriter writes it, and hands any other to
// encoding/json, whose word counts: there are many ways to write a record.
func (d *headDecoder) decode(line []byte) error {
	d.head = RecordHead{}
	if d.plain(line) {
		return nil
	}
	var w wireHead
	if err := json.Unmarshal(line, &w); err != nil {
		return err
	}
	d.head = w.head()
	return nil
}

// plain decodes a line of known keys with plain values; false means that the
// line is none, or damaged.
func (d *headDecoder) plain(line []byte) bool {
	s := jsonScan{b: line}
	if s.peek() != '{' {
		return false
	}
	s.i++
	for n := 0; s.more(n, '}'); n++ {
		if !d.member(&s, s.key()) {
			return false
		}
	}
	return s.over()
}

func (d *headDecoder) member(s *jsonScan, key []byte) bool {
	h := &d.head
	switch string(key) {
	case "event_ns", "event_tokens", "id", "user", "dispatched_ns", "written_ns", "first_byte_ns", "header_ns",
		"first_visible_ns", "reads", "stamp", "prompt_tokens_asked", "tokens_estimated", "status", "finish", "error",
		"reused_conn", "prompt_hash", "answer_hash", "cumulative", "in_bytes":
		s.skip(1)
		return true
	case "turn":
		var turn Count
		ok := s.plainCount(&turn)
		h.Turn = int(turn.n)
		return ok
	case "phase":
		return d.text(s, (*string)(&h.Phase))
	case "outcome":
		return d.text(s, (*string)(&h.Outcome))
	case "adapter":
		return d.text(s, &h.Adapter)
	case "due_ns":
		return s.plainInstant(&h.Due)
	case "first_token_ns":
		return s.plainInstant(&h.FirstToken)
	case "last_token_ns":
		return s.plainInstant(&h.LastToken)
	case "close_ns":
		return s.plainInstant(&h.Close)
	case "adapter_load_ns":
		return s.plainCount(&h.AdapterLoad)
	case "prompt_tokens":
		return s.plainCount(&h.PromptTokens)
	case "output_tokens":
		return s.plainCount(&h.OutputTokens)
	case "cached_tokens":
		return s.plainCount(&h.CachedTokens)
	}
	return false
}

// text reads a string of printable ASCII without escapes.
func (d *headDecoder) text(s *jsonScan, to *string) bool {
	quoted, escaped := s.str()
	if s.bad || escaped {
		return false
	}
	b := quoted[1 : len(quoted)-1]
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	known, ok := d.texts[string(b)]
	if !ok {
		known = strings.Clone(string(b))
		if d.texts == nil {
			d.texts = map[string]string{}
		}
		if len(d.texts) < maxTexts {
			d.texts[known] = known
		}
	}
	*to = known
	return true
}

func (s *jsonScan) plainInstant(to *Instant) bool {
	var c Count
	ok := s.plainCount(&c)
	*to = At(time.Duration(c.n))
	return ok
}

// plainCount reads an integer of at most 18 digits.
func (s *jsonScan) plainCount(to *Count) bool {
	if c := s.peek(); c != '-' && c-'0' >= 10 {
		return false
	}
	text := s.number()
	negative := len(text) > 0 && text[0] == '-'
	if negative {
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 18 {
		return false
	}
	n := int64(0)
	for _, c := range text {
		if c-'0' >= 10 {
			return false
		}
		n = 10*n + int64(c-'0')
	}
	if negative {
		n = -n
	}
	*to = Count{n, true}
	return true
}
