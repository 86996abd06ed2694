package loadgen

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// bodyParts are the constant parts of every request body of a run; the prompt
// goes between them. Keys stand in a fixed order, so that the same plan sends
// the same bytes.
type bodyParts struct {
	path       string // API path, under /v1
	head, tail string
}

// newBodyParts renders the body for a target and workload. Every field in it is
// in the flavour's schema.
func newBodyParts(t Target, w Workload, adapter string) (bodyParts, error) {
	if adapter != "" && t.Flavor == FlavorTRTLLM {
		return bodyParts{}, fmt.Errorf("loadgen: adapter %q: flavour %q has no route to adapters here (use %q)", adapter, t.Flavor, FlavorVLLM)
	}
	model := t.Model
	if adapter != "" {
		model = adapter // vLLM lists adapters as models of their own
	}
	var b strings.Builder
	b.WriteString(`{"model":` + quote(model))
	p := bodyParts{path: "/completions"}
	promptEnd := `"`
	if t.Dialect == OpenAIChat {
		p.path = "/chat/completions"
		b.WriteString(`,"messages":[{"role":"user","content":"`)
		promptEnd = `"}]`
	} else {
		b.WriteString(`,"prompt":"`)
	}
	p.head = b.String()

	b.Reset()
	b.WriteString(promptEnd)
	fmt.Fprintf(&b, `,"max_tokens":%d,"temperature":%s`, w.OutputTokens, number(w.Temperature))
	if w.TopP > 0 {
		fmt.Fprintf(&b, `,"top_p":%s`, number(w.TopP))
	}
	fmt.Fprintf(&b, `,"seed":%d`, w.SamplingSeed)
	if t.Flavor != FlavorGeneric {
		fmt.Fprintf(&b, `,"ignore_eos":true,"min_tokens":%d`, w.OutputTokens)
	}
	b.WriteString(`,"stream":true,"stream_options":{"include_usage":true`)
	if t.ContinuousUsage && t.Flavor != FlavorGeneric {
		b.WriteString(`,"continuous_usage_stats":true`)
	}
	b.WriteString(`}}`)
	p.tail = b.String()
	return p, nil
}

// quote is s as a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // strings always marshal
		return `""`
	}
	return string(b)
}

// number is f in the shortest form that JSON and Go agree on.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// escaped is a prompt as the inside of a JSON string. Generated prompts need no
// escapes and are returned as they are.
func escaped(s string) string {
	for i := range len(s) {
		if c := s[i]; !plainByte[c] || c >= 0x80 || c == '<' || c == '>' || c == '&' {
			q := quote(s)
			return q[1 : len(q)-1]
		}
	}
	return s
}

// body is the request body for a prompt.
func (p bodyParts) body(prompt string) string { return p.head + escaped(prompt) + p.tail }
