package loadgen

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowTriton says what a Triton event means by way of encoding/json and maps.
func slowTriton(data []byte) (meaning, bool) {
	top, ok := object(data)
	if !ok {
		return meaning{}, false
	}
	each := func(v any) []any {
		if list, ok := v.([]any); ok {
			return list
		}
		return []any{v}
	}
	total := func(v any) int {
		sum := -1
		for _, v := range each(v) {
			if n := whole(v); n >= 0 {
				sum = min(max(sum, 0)+n, maxTotal)
			}
		}
		return sum
	}
	first := func(v any, not ...string) string {
		for _, v := range each(v) {
			if s, _ := v.(string); s != "" && !slices.Contains(not, s) {
				return s
			}
		}
		return ""
	}
	m := meaning{
		text: first(top["text_output"]), tokens: total(top["num_output_tokens"]), usage: absentUsage, fault: faulty(top["error"]),
		finish: first(top["finish_reason"], "null", "None"), load: whole(top["spark_adapter_load_ns"]),
	}
	m.usage.prompt = total(top["num_input_tokens"])
	m.visible = m.text != ""
	return m, true
}

var tritonCases = []struct {
	why, in string
	want    meaning
}{
	{
		"TensorRT-LLM",
		`{"batch_index":0,"context_logits":0.0,"cum_log_probs":-0.5,"generation_logits":0.0,"model_name":"ensemble","model_version":"1","num_input_tokens":7,"num_output_tokens":1,"output_log_probs":[0.0,-1.5e-3,1E+2],"text_output":" a"}`,
		meaning{visible: true, text: " a", tokens: 1, usage: usage{7, -1, -1}, load: -1},
	},
	{
		"vLLM", `{"finish_reason":"length","model_name":"m","num_output_tokens":[2],"text_output":["a"]}`,
		meaning{visible: true, text: "a", tokens: 2, finish: "length", usage: absentUsage, load: -1},
	},
	{"not finished, in Python's words", `{"finish_reason":["None"],"text_output":""}`, meaning{tokens: -1, usage: absentUsage, load: -1}},
	{"not finished, oddly spelt", `{"finish_reason":["Non\u0065","stop"]}`, meaning{finish: "stop", tokens: -1, usage: absentUsage, load: -1}},
	{"not finished, in JSON's", `{"finish_reason":"null"}`, meaning{tokens: -1, usage: absentUsage, load: -1}},
	{
		"two sequences", `{"finish_reason":["None","stop"],"num_output_tokens":[1,2],"text_output":["","b"]}`,
		meaning{visible: true, text: "b", tokens: 3, finish: "stop", usage: absentUsage, load: -1},
	},
	{"the last of equal keys counts", `{"text_output":"a","text_output":""}`, meaning{tokens: -1, usage: absentUsage, load: -1}},
	{"error", `{"error":"boom"}`, meaning{fault: true, tokens: -1, usage: absentUsage, load: -1}},
	{"no error", `{"error":"","text_output":"a"}`, meaning{visible: true, text: "a", tokens: -1, usage: absentUsage, load: -1}},
	{"adapter's load", `{"spark_adapter_load_ns":0}`, meaning{tokens: -1, usage: absentUsage}},
	{"counts that are none", `{"num_output_tokens":-1,"num_input_tokens":["2",1.5,[3]]}`, meaning{tokens: -1, usage: absentUsage, load: -1}},
	{"sums end somewhere", `{"num_output_tokens":[9007199254740991,9007199254740991]}`, meaning{tokens: maxTotal, usage: absentUsage, load: -1}},
	{"too large for a count", `{"num_output_tokens":[9008000000000000],"num_input_tokens":9007199254740992}`, meaning{tokens: -1, usage: absentUsage, load: -1}},
	{"wrong types everywhere", `{"text_output":{"a":1},"finish_reason":7,"error":null}`, meaning{tokens: -1, usage: absentUsage, load: -1}},
	{"nested arrays of numbers", `{"a":[[0.0,-0,1e9],[],[-0.5e-3, 2 ,3]],"text_output":"x"}`, meaning{visible: true, text: "x", tokens: -1, usage: absentUsage, load: -1}},
}

func TestDecodeTriton(t *testing.T) {
	for _, c := range tritonCases {
		got, ok := fastMeaning([]byte(c.in), (*chunk).decodeTriton)
		require.True(t, ok, c.why)
		require.Equal(t, c.want, got, c.why)
		slow, ok := slowTriton([]byte(c.in))
		require.True(t, ok, c.why)
		require.Equal(t, c.want, slow, "the reference disagrees: %s", c.why)
	}
	for _, in := range []string{
		"", "[]", `{"a":[1,]}`, `{"a":[01]}`, `{"a":[1.]}`, `{"a":[-]}`, `{"a":[1e]}`, `{"a":[1 2]}`, `{"a":[1,2`, `{"a":[+1]}`, `{"a":[.5]}`,
		`{"text_output":["a",]}`, `{"num_output_tokens":[1,}`, `{"finish_reason":["x"`, `{"a":[1,,2]}`, `{"a":[--1]}`, `{"a":[1-2]}`,
	} {
		_, ok := fastMeaning([]byte(in), (*chunk).decodeTriton)
		require.False(t, ok, "%q", in)
		_, ok = slowTriton([]byte(in))
		require.False(t, ok, "%q", in)
	}
}

func TestDecodeTritonDoesNotAllocate(t *testing.T) {
	for _, c := range tritonCases {
		data := []byte(c.in)
		var k chunk
		if strings.Contains(c.in, "1.5,[3]") || strings.Contains(c.in, `\u`) || strings.Contains(c.in, "900") {
			continue // numbers that are no usual counts may
		}
		require.Zero(t, testing.AllocsPerRun(100, func() { k.decodeTriton(data) }), c.why)
	}
}

func FuzzDecodeTriton(f *testing.F) {
	for _, c := range tritonCases {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fast, ok := fastMeaning(data, (*chunk).decodeTriton)
		slow, want := slowTriton(data)
		require.Equal(t, want, ok)
		require.Equal(t, slow, fast)
	})
}
