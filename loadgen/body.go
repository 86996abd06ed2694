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
	path     string   // of the API, from the server's root
	base     around   // without an adapter
	adapters []around // by their place in Adapters.List
}

// around is one body but for the prompt.
type around struct{ head, tail string }

// newBodyParts renders the bodies for a target and workload. Every field in
// them is in the schema of the flavour, or of Triton's shape. It fails for adapters that cannot be named to
// the target.
func newBodyParts(t Target, w Workload) (bodyParts, error) {
	list := w.Adapters.List
	if err := t.ValidateAdapters(list); err != nil {
		return bodyParts{}, err
	}
	render := t.openAIBody
	p := bodyParts{path: "/v1/completions"}
	switch {
	case t.Dialect == OpenAIChat:
		p.path = "/v1/chat/completions"
	case t.Dialect.Triton():
		p.path = t.tritonPath()
		render = t.tritonBody
	}
	p.base = render(w, nil)
	for i, a := range list {
		a.ID = adapterID(list, i)
		p.adapters = append(p.adapters, render(w, &a))
	}
	return p, nil
}

// body is the request body for a prompt and the adapter at a place in the
// workload's list, -1 for none.
func (p bodyParts) body(prompt string, adapter int) string {
	a := p.base
	if adapter >= 0 {
		a = p.adapters[adapter]
	}
	return a.head + escaped(prompt) + a.tail
}

// openAIBody renders a body of OpenAI's API for an adapter, nil for none.
func (t Target) openAIBody(w Workload, a *Adapter) around {
	var b strings.Builder
	b.WriteString(`{"model":` + quote(t.modelFor(a)))
	promptEnd := `"`
	if t.Dialect == OpenAIChat {
		b.WriteString(`,"messages":[{"role":"user","content":"`)
		promptEnd = `"}]`
	} else {
		b.WriteString(`,"prompt":"`)
	}
	head := b.String()

	b.Reset()
	b.WriteString(promptEnd)
	fmt.Fprintf(&b, `,"max_tokens":%d,"temperature":%s`, w.OutputTokens, number(w.Temperature))
	if w.TopP > 0 {
		fmt.Fprintf(&b, `,"top_p":%s`, number(w.TopP))
	}
	fmt.Fprintf(&b, `,"seed":%d`, w.SamplingSeed)
	knows := t.Flavor.knows()
	if knows.ignoreEOS {
		b.WriteString(`,"ignore_eos":true`)
	}
	if knows.minTokens {
		fmt.Fprintf(&b, `,"min_tokens":%d`, w.OutputTokens)
	}
	b.WriteString(t.loraField(w.Adapters.List, a))
	b.WriteString(`,"stream":true,"stream_options":{"include_usage":true`)
	if t.ContinuousUsage && knows.continuousUsage {
		b.WriteString(`,"continuous_usage_stats":true`)
	}
	b.WriteString(`}}`)
	return around{head, b.String()}
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
