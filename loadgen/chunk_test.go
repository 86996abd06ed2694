package loadgen

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// meaning is a chunk without pointers into its text.
type meaning struct {
	choices, tokenIDs int
	visible, hidden   bool
	finish            string
	text              string
	usage             usage
	tokens, load      int // -1 is absent, as in usage
	fault             bool
}

func fastMeaning(data []byte, decode func(*chunk, []byte) bool) (meaning, bool) {
	var c chunk
	if !decode(&c, data) {
		return meaning{}, false
	}
	m := meaning{
		choices: c.choices, tokenIDs: c.tokenIDs, visible: c.visible, hidden: c.hidden,
		usage: c.usage, tokens: c.tokens, load: c.load, fault: c.fault != nil,
	}
	if c.text != nil && json.Unmarshal(slices.Concat([]byte(`"`), c.text, []byte(`"`)), &m.text) != nil {
		m.text = "unreadable"
	}
	if c.finish != nil {
		if json.Unmarshal(c.finish, &m.finish) != nil {
			m.finish = "unreadable"
		}
	}
	return m, true
}

// object is data as encoding/json reads it.
func object(data []byte) (map[string]any, bool) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if !json.Valid(data) || dec.Decode(&v) != nil {
		return nil, false
	}
	top, ok := v.(map[string]any)
	return top, ok
}

// faulty reports whether an error member says something.
func faulty(v any) bool {
	switch e := v.(type) {
	case nil:
		return false
	case bool:
		return e
	case string:
		return e != ""
	}
	return true
}

// whole is a count that is a whole number, -1 otherwise.
func whole(v any) int {
	n, ok := v.(json.Number)
	f, err := strconv.ParseFloat(string(n), 64)
	if !ok || err != nil || f < 0 || f >= 1<<53 || f != math.Trunc(f) {
		return -1
	}
	return int(f)
}

// slowMeaning says the same by way of encoding/json and maps.
func slowMeaning(data []byte) (meaning, bool) {
	top, ok := object(data)
	if !ok {
		return meaning{}, false
	}
	m := meaning{usage: absentUsage, tokens: -1, load: whole(top["spark_adapter_load_ns"]), fault: top["object"] == "error" || faulty(top["error"])}
	choices, _ := top["choices"].([]any)
	m.choices = len(choices)
	filled := func(v any) bool { s, _ := v.(string); return s != "" }
	first := func(list ...any) {
		for _, v := range list {
			if s, _ := v.(string); m.text == "" {
				m.text = s
			}
		}
	}
	length := func(v any) int { a, _ := v.([]any); return len(a) }
	for _, each := range choices {
		c, _ := each.(map[string]any)
		d, _ := c["delta"].(map[string]any)
		call, _ := d["function_call"].(map[string]any)
		m.visible = m.visible || filled(c["text"]) || filled(d["content"])
		m.hidden = m.hidden || filled(d["reasoning"]) || filled(d["reasoning_content"]) || filled(d["refusal"]) ||
			length(d["tool_calls"]) > 0 || len(call) > 0
		first(c["text"], d["content"], d["reasoning"], d["reasoning_content"], d["refusal"])
		m.tokenIDs += max(length(c["token_ids"]), length(d["token_ids"]))
		if f, _ := c["finish_reason"].(string); f != "" {
			m.finish = f
		}
	}
	if u, ok := top["usage"].(map[string]any); ok {
		details, _ := u["prompt_tokens_details"].(map[string]any)
		m.usage = usage{whole(u["prompt_tokens"]), whole(u["completion_tokens"]), whole(details["cached_tokens"])}
	}
	return m, true
}

var chunkCases = []struct {
	why, in string
	want    meaning
}{
	{
		"completion text", `{"choices":[{"index":0,"text":" Paris","token_ids":null,"logprobs":null,"finish_reason":null}],"usage":null}`,
		meaning{choices: 1, visible: true, usage: absentUsage},
	},
	{"empty text", `{"choices":[{"text":"","finish_reason":null}]}`, meaning{choices: 1, usage: absentUsage}},
	{"role only", `{"choices":[{"delta":{"role":"assistant","content":""}}]} `, meaning{choices: 1, usage: absentUsage}},
	{"null content", `{"choices":[{"delta":{"role":"assistant","content":null}}]}`, meaning{choices: 1, usage: absentUsage}},
	{"chat content", `{"choices":[{"delta":{"content":"x"}}]}`, meaning{choices: 1, visible: true, usage: absentUsage}},
	{"reasoning_content", `{"choices":[{"delta":{"reasoning_content":"x"}}]}`, meaning{choices: 1, hidden: true, usage: absentUsage}},
	{"reasoning", `{"choices":[{"delta":{"reasoning":"x"}}]}`, meaning{choices: 1, hidden: true, usage: absentUsage}},
	{"tool call", `{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}}]}`, meaning{choices: 1, hidden: true, usage: absentUsage}},
	{"token ids without text", `{"choices":[{"text":"","token_ids":[5,6]}]}`, meaning{choices: 1, tokenIDs: 2, usage: absentUsage}},
	{
		"several choices", `{"choices":[{"text":"","index":0},{"text":"b","index":1,"finish_reason":"stop"}]}`,
		meaning{choices: 2, visible: true, finish: "stop", usage: absentUsage},
	},
	{"escapes in keys", `{"choices":[{"te\u0078t":"a"}]}`, meaning{choices: 1, visible: true, usage: absentUsage}},
	{
		"the last of equal keys counts", `{"choices":[{"text":"a","text":""}],"usage":{"completion_tokens":3},"usage":{}}`,
		meaning{choices: 1, usage: absentUsage},
	},
	{
		"usage", `{"choices":[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}`,
		meaning{usage: usage{7, 2, 4}},
	},
	{"usage of zeros", `{"usage":{"prompt_tokens":0,"completion_tokens":0}}`, meaning{usage: usage{0, 0, -1}}},
	{"counts that are no counts", `{"usage":{"prompt_tokens":-1,"completion_tokens":"9","prompt_tokens_details":null}}`, meaning{usage: absentUsage}},
	{"counts as floats", `{"usage":{"prompt_tokens":12.0,"completion_tokens":1e2}}`, meaning{usage: usage{12, 100, -1}}},
	{"error object", `{"error":{"message":"x","code":500}}`, meaning{usage: absentUsage, fault: true}},
	{"error text", `{"error":"x"}`, meaning{usage: absentUsage, fault: true}},
	{"no error", `{"error":null,"choices":[]}`, meaning{usage: absentUsage}},
	{"flat error", `{"object":"error","message":"x","code":400}`, meaning{usage: absentUsage, fault: true}},
	{"wrong types everywhere", `{"choices":{"text":"a"},"usage":[1],"object":7}`, meaning{usage: absentUsage}},
}

func TestDecode(t *testing.T) {
	for _, c := range chunkCases {
		c.want.tokens, c.want.load = -1, -1
		got, ok := fastMeaning([]byte(c.in), (*chunk).decode)
		require.True(t, ok, c.why)
		c.want.text = got.text // held against the reference
		require.Equal(t, c.want, got, c.why)
		slow, ok := slowMeaning([]byte(c.in))
		require.True(t, ok, c.why)
		require.Equal(t, c.want, slow, "the reference disagrees: %s", c.why)
	}
}

func TestDecodeRefusesWhatIsNotJSON(t *testing.T) {
	for _, in := range []string{
		"", " ", "null", "[]", "7", `"x"`, "{", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":01}`,
		`{"a":1.}`, `{"a":.5}`, `{"a":1e}`, `{"a":+1}`, `{"a":tru}`, `{"a":"\x"}`, `{"a":"\u12g4"}`, "{\"a\":\"\n\"}", `{"a":1}}`, `{"a":[1,]}`,
		`{"choices":[{"text":"a"}`, `{"choices":[{"text":"a]}`, "[DONE]", `{"a":` + strings.Repeat("[", 20000),
	} {
		_, ok := fastMeaning([]byte(in), (*chunk).decode)
		require.False(t, ok, "%.40q", in)
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	for _, c := range chunkCases {
		if strings.Contains(c.in, `\u`) || strings.Contains(c.in, "1e2") {
			continue // the rare forms may
		}
		data := []byte(c.in)
		var k chunk
		require.Zero(t, testing.AllocsPerRun(100, func() { k.decode(data) }), c.why)
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range chunkCases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fast, ok := fastMeaning(data, (*chunk).decode)
		slow, want := slowMeaning(data)
		require.Equal(t, want, ok)
		require.Equal(t, slow, fast)
	})
}

func BenchmarkDecode(b *testing.B) {
	data := []byte(`{"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" word","logprobs":null,"finish_reason":null,"stop_reason":null}],"usage":null}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	var c chunk
	for b.Loop() {
		if !c.decode(data) {
			b.Fatal("refused")
		}
	}
}

// TestSkipPlainSeesEveryByte holds the look at eight bytes at once against the
// look at one: each byte at each place, and two of them.
func TestSkipPlainSeesEveryByte(t *testing.T) {
	slow := func(b []byte, i int) int {
		for i < len(b) && plainByte[b[i]] {
			i++
		}
		return i
	}
	for at := range 19 {
		for c := range 256 {
			b := []byte("abcdefghijklmnopqrs")
			b[at] = byte(c)
			for _, also := range []byte{0, 0x1f, ' ', '!', '"', '#', '[', '\\', ']', 0x7f, 0x80, 0xa2, 0xdc, 0xff} {
				b[min(at+1, 18)] = also
				for from := range 3 {
					if want, got := slow(b, from), skipPlain(b, from); want != got {
						require.Equal(t, want, got, "%q from %d", b, from)
					}
				}
			}
		}
	}
}
