package loadgen

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// defaultLoRASeparator joins model and adapter where Target.LoRASeparator is
// empty.
const defaultLoRASeparator = "_lora_"

// extras are the fields beside the published ones that a flavour knows.
type extras struct{ ignoreEOS, minTokens, continuousUsage bool }

func (f Flavor) knows() extras {
	switch f {
	case FlavorGeneric, FlavorOllama, FlavorTritonOpenAI:
		return extras{}
	case FlavorLlamaCPP: // max_tokens is its n_predict; nothing sets a least length but ignore_eos
		return extras{ignoreEOS: true}
	}
	return extras{true, true, true}
}

// modelFor is the value of "model" that asks for an adapter, nil for none.
func (t Target) modelFor(a *Adapter) string {
	if a == nil {
		return t.Model
	}
	switch t.Flavor {
	case FlavorTRTLLM, FlavorLlamaCPP: // theirs has a field of its own
		return t.Model
	case FlavorSGLang:
		return t.Model + ":" + a.Name
	case FlavorTritonOpenAI:
		return t.Model + cmp.Or(t.LoRASeparator, defaultLoRASeparator) + a.Name
	}
	return a.Name // vLLM and its like list adapters as models of their own
}

// loraField is the member, with the comma before it, that asks for an adapter of
// list, nil for none, where the flavour has one.
func (t Target) loraField(list []Adapter, a *Adapter) string {
	switch {
	case t.Flavor == FlavorTRTLLM && a != nil:
		return fmt.Sprintf(`,"lora_request":{"lora_name":%s,"lora_int_id":%d,"lora_path":%s}`, quote(a.Name), a.ID, quote(a.Path))
	case t.Flavor == FlavorLlamaCPP && a != nil:
		return fmt.Sprintf(`,"lora":[{"id":%d,"scale":1}]`, a.ID-1)
	case t.Flavor == FlavorLlamaCPP && len(list) > 0:
		// Without the member, or with an empty list, it applies what it was started
		// with. An adapter that is not listed is off, so one says it for all.
		return fmt.Sprintf(`,"lora":[{"id":%d,"scale":0}]`, adapterID(list, 0)-1)
	}
	return ""
}

// adapterID is the number of the adapter at place i.
func adapterID(list []Adapter, i int) int64 { return cmp.Or(list[i].ID, int64(i)+1) }

// ValidateAdapters reports every adapter that cannot be named to the target,
// joined, each with what to do. Run asks it before any request.
func (t Target) ValidateAdapters(list []Adapter) error {
	byID := t.Dialect == TritonTRTLLM || t.Dialect == TritonLLMAPI || !t.Dialect.Triton() && (t.Flavor == FlavorTRTLLM || t.Flavor == FlavorLlamaCPP)
	byPath := t.Dialect == TritonLLMAPI || !t.Dialect.Triton() && t.Flavor == FlavorTRTLLM
	var errs []error
	fault := func(i int, format string, args ...any) {
		args = append([]any{i + 1, list[i].Name}, args...)
		errs = append(errs, fmt.Errorf("loadgen: adapter %d, %q: "+format, args...))
	}
	owner := map[int64]string{}
	for i, a := range list {
		if strings.TrimSpace(a.Name) == "" {
			fault(i, "no name (give it one)")
		}
		if byPath && a.Path == "" {
			fault(i, "no path, which this server needs (set its Path: its directory as the server sees it)")
		}
		if !byID {
			continue
		}
		id := adapterID(list, i)
		if id < 1 {
			fault(i, "its ID %d is below 1 (count from 1, or set 0 for its place in the list)", id)
		}
		if other, taken := owner[id]; taken {
			fault(i, "its ID %d is that of %q (give each a number of its own)", id, other)
		}
		owner[id] = a.Name
	}
	return errors.Join(errs...)
}
