package loadgen

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Triton takes any member of a request's body: one that is no input of the model
// becomes a parameter, silently. So each shape gets the inputs that its model
// has, and no other.

// member is one of them. Its value is JSON.
type member struct{ name, value string }

// optionalMembers are inputs that only some builds of a shape have. They are
// sent where Target.Fields names them.
var optionalMembers = map[Dialect][]string{
	TritonLLMAPI: {"return_num_input_tokens", "return_num_output_tokens"},
}

// promptMember is the prompt's name in every shape.
const promptMember = "text_input"

// tritonPath is the path of the target's model.
func (t Target) tritonPath() string {
	return "/v2/models/" + url.PathEscape(t.Model) + "/generate_stream"
}

// tritonBody renders a body of the target's shape for an adapter, nil for none.
func (t Target) tritonBody(w Workload, a *Adapter) around {
	top, params := t.tritonMembers(w, a)
	prompt := promptMember
	if name, renamed := t.Fields[promptMember]; renamed {
		prompt = name
	}
	rest := t.renamed(top)
	if inner := t.renamed(params); len(inner) > 0 {
		rest = append(rest, `"parameters":{`+strings.Join(inner, ",")+"}")
	}
	tail := `"`
	for _, m := range rest {
		tail += "," + m
	}
	return around{"{" + quote(prompt) + `:"`, tail + "}"}
}

// tritonMembers are a body's members after the prompt, in order, and those of
// its parameters.
func (t Target) tritonMembers(w Workload, a *Adapter) (top, params []member) {
	num := func(n int64) string { return fmt.Sprint(n) }
	out := num(int64(w.OutputTokens))
	temperature := number(w.Temperature)
	seed := fmt.Sprint(uint64(w.SamplingSeed)) // an input of type UINT64
	add := func(to *[]member, name, value string) { *to = append(*to, member{name, value}) }
	topP := func(to *[]member, name string) {
		if w.TopP > 0 {
			add(to, name, number(w.TopP))
		}
	}
	switch t.Dialect {
	case TritonTRTLLM:
		add(&top, "max_tokens", out)
		add(&top, "min_tokens", out)
		add(&top, "end_id", "-1") // no token has it: nothing ends an answer early
		add(&top, "temperature", temperature)
		topP(&top, "top_p")
		add(&top, "seed", seed)
		add(&top, "stream", "true")
		add(&top, "exclude_input_in_output", "true")
		if a != nil {
			add(&top, "lora_task_id", num(a.ID))
		}
	case TritonLLMAPI:
		add(&top, "streaming", "true")
		add(&top, "sampling_param_max_tokens", out)
		add(&top, "sampling_param_temperature", temperature)
		topP(&top, "sampling_param_top_p")
		add(&top, "sampling_param_seed", seed)
		add(&top, "sampling_param_exclude_input_from_output", "true")
		add(&top, "return_finish_reason", "true")
		if a != nil {
			add(&top, "lora_id", num(a.ID))
			add(&top, "lora_name", quote(a.Name))
			add(&top, "lora_path", quote(a.Path))
		}
	case TritonVLLM:
		add(&params, "stream", "true")
		add(&params, "max_tokens", out)
		add(&params, "temperature", temperature)
		topP(&params, "top_p")
		add(&params, "ignore_eos", "true")
		add(&params, "min_tokens", out)
		add(&params, "seed", num(w.SamplingSeed))
		if a != nil {
			add(&params, "lora_name", quote(a.Name))
		}
		add(&top, "return_finish_reason", "true")
	}
	for _, name := range []string{"return_num_input_tokens", "return_num_output_tokens"} {
		if t.Fields[name] != "" || !slices.Contains(optionalMembers[t.Dialect], name) {
			add(&top, name, "true")
		}
	}
	return top, params
}

// renamed renders members under the names that Target.Fields gives them.
func (t Target) renamed(members []member) []string {
	var parts []string
	for _, m := range members {
		name, changed := t.Fields[m.name]
		switch {
		case !changed:
			name = m.name
		case name == "":
			continue
		}
		parts = append(parts, quote(name)+":"+m.value)
	}
	return parts
}

// checkFields reports every fault of Target.Fields.
func (t Target) checkFields(fault func(format string, args ...any)) {
	if len(t.Fields) == 0 {
		return
	}
	if !t.Dialect.Triton() {
		fault("Fields renames fields of Triton's requests, and Dialect is %q (remove it)", t.Dialect)
		return
	}
	top, params := t.tritonMembers(Workload{TopP: 1}, &Adapter{})
	known := append([]string{promptMember}, optionalMembers[t.Dialect]...)
	for _, m := range slices.Concat(top, params) {
		known = append(known, m.name)
	}
	sent := map[string]string{}
	for _, name := range known {
		if _, renamed := t.Fields[name]; !renamed {
			sent[name] = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
		to := t.Fields[name]
		switch {
		case !slices.Contains(known, name):
			fault("Fields: %q is no field of dialect %q (it has %q)", name, t.Dialect, known)
		case name == promptMember && to == "":
			fault("Fields: %q cannot be left out: it is the prompt (give its name)", name)
		case to != "" && sent[to] != "" && sent[to] != name:
			fault("Fields: %q and %q would both be sent as %q (give each a name of its own)", sent[to], name, to)
		}
		sent[to] = name
	}
}
