package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// tritonError is a refusal in Triton's form: {"error": "text"}.
type tritonError struct {
	status int
	msg    string
	// model says that the model answered it as its first response, so that on
	// generate_stream it is an event under its own status.
	model bool
}

func (e *tritonError) Error() string { return "emulator: " + e.msg }

func invalid(format string, args ...any) *tritonError {
	return &tritonError{status: http.StatusBadRequest, msg: fmt.Sprintf(format, args...)}
}

// within puts what was being read before the message, as Triton nests them.
func (e *tritonError) within(what string) *tritonError {
	e.msg = what + ": " + e.msg
	return e
}

// tensor is an input's values, in the member of its datatype.
type tensor struct {
	texts  []string
	bools  []bool
	ints   []int64
	uints  []uint64
	floats []float64
}

// tritonRequest is a generate body as a model sees it: keys that name an input
// of the model are tensors, all others are parameters.
type tritonRequest struct {
	id     string
	inputs map[string]tensor
	order  []string                   // of inputs, as sent
	params map[string]json.RawMessage // strings, numbers and booleans
}

// parseTriton reads a generate body for m. Nothing but its own faults is an
// error here: Triton passes unknown keys on.
func parseTriton(m *tritonModel, r io.Reader) (*tritonRequest, *tritonError) {
	body, err := io.ReadAll(r)
	if err != nil {
		if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, invalid("request size exceeds the maximum allowed input size of %d. Use --http-max-input-size to increase the limit.", tooBig.Limit)
		}
		return nil, invalid("cannot read the body: %v", err)
	}
	members, fault := membersOf(body)
	if fault != nil {
		return nil, fault.within("failed to parse the request JSON buffer")
	}
	q := &tritonRequest{inputs: map[string]tensor{}, params: map[string]json.RawMessage{}}
	for _, kv := range members {
		switch kv.key {
		case "id":
			if json.Unmarshal(kv.value, &q.id) != nil {
				return nil, invalid("Unable to parse 'id': attempt to access JSON non-string as string")
			}
		case "parameters":
			nested, fault := membersOf(kv.value)
			if fault != nil {
				return nil, invalid("Expected JSON object for keyword: 'parameters': %s", fault.msg)
			}
			for _, p := range nested {
				if e := q.put(m, p); e != nil {
					return nil, e.within("Converting keyword: 'parameters'")
				}
			}
		default:
			if e := q.put(m, kv); e != nil {
				return nil, e
			}
		}
	}
	return q, q.complete(m)
}

// member is one key of an object with its value.
type member struct {
	key   string
	value json.RawMessage
}

// membersOf splits an object, in order and with its duplicates.
func membersOf(raw []byte) ([]member, *tritonError) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	t, err := dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, invalid("The document is empty. at 0")
	}
	if err == nil && t != json.Delim('{') {
		return nil, invalid("attempt to get members of non-object")
	}
	var out []member
	for err == nil && dec.More() {
		var kv member
		if t, err = dec.Token(); err == nil {
			kv.key, _ = t.(string) // the decoder lets nothing else be a key
			err = dec.Decode(&kv.value)
		}
		out = append(out, kv)
	}
	if err == nil {
		_, err = dec.Token()
	}
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			return nil, invalid("The document root must not be followed by other values. at %d", dec.InputOffset())
		}
		return out, nil
	}
	return nil, invalid("%v. at %d", err, dec.InputOffset())
}

// put makes a key a tensor or a parameter.
func (q *tritonRequest) put(m *tritonModel, kv member) *tritonError {
	in, isInput := m.input(kv.key)
	if !isInput {
		switch kv.value[0] {
		case '{', '[', 'n':
			return invalid("parameter '%s' has invalid type. It should be either 'int', 'bool', or 'string'.", kv.key)
		}
		q.params[kv.key] = kv.value
		return nil
	}
	if _, twice := q.inputs[kv.key]; twice {
		return invalid("input '%s' already exists in request", kv.key)
	}
	t, e := in.read(kv.value, m.batch > 0)
	if e != nil {
		return e
	}
	q.inputs[kv.key] = t
	q.order = append(q.order, kv.key)
	return nil
}

// complete refuses a request that lacks an input.
func (q *tritonRequest) complete(m *tritonModel) *tritonError {
	var missing []string
	required := 0
	for _, in := range m.inputs {
		if in.optional {
			continue
		}
		required++
		if _, ok := q.inputs[in.name]; !ok {
			missing = append(missing, in.name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	id := q.id
	if id == "" {
		id = "<id_unknown>"
	}
	return invalid("[request id: %s] expected number of inputs between %d and %d but got %d inputs for model '%s'. Got input(s) %s, but missing required input(s) %s. Please provide all required input(s).",
		id, required, len(m.inputs), len(q.inputs), m.name, quoted(q.order, ","), quoted(missing, ","))
}

// quoted lists names as Triton does, or with a longer separator Python.
func quoted(names []string, sep string) string {
	if len(names) == 0 {
		return "[]"
	}
	return "['" + strings.Join(names, "'"+sep+"'") + "']"
}

// read turns a scalar or a list into a tensor of the input's shape.
func (in tritonInput) read(raw json.RawMessage, batched bool) (tensor, *tritonError) {
	values := []json.RawMessage{raw}
	if raw[0] == '[' {
		values = values[:0]
		if err := json.Unmarshal(raw, &values); err != nil {
			return tensor{}, invalid("failed to parse the request JSON buffer: %v", err)
		}
	}
	if in.datatype == "FP16" {
		return tensor{}, invalid("receiving FP16 data via JSON is not supported. Please use the binary data format for input %s", in.name)
	}
	var t tensor
	for _, v := range values {
		if kind := t.add(in.datatype, v); kind != "" {
			what := "Unable to parse 'data'"
			if in.datatype == "BYTES" {
				what = "Unable to parse JSON bytes array"
			}
			return tensor{}, invalid("%s: attempt to access JSON non-%s", what, kind)
		}
	}
	if !in.fits(len(values), batched) {
		return tensor{}, invalid("The schema can not convert input '%s' to tensor with proper shape", in.name)
	}
	return t, nil
}

// fits says whether n values fill the input's shape, of which at most the
// batch and one dimension are free.
func (in tritonInput) fits(n int, batched bool) bool {
	free := batched
	for _, d := range in.dims {
		if d < 0 {
			free = true
			continue
		}
		if n%d != 0 {
			return false
		}
		n /= d
	}
	return n == 1 || free && n > 0
}

// add appends one value; it says what the value is not if it is not.
func (t *tensor) add(datatype string, raw json.RawMessage) string {
	text := string(raw)
	switch datatype {
	case "BYTES":
		var s string
		if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
			return "string as string"
		}
		t.texts = append(t.texts, s)
	case "BOOL":
		if text != "true" && text != "false" {
			return "boolean as boolean"
		}
		t.bools = append(t.bools, text == "true")
	case "INT32":
		v, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return "signed-integer as signed-integer"
		}
		t.ints = append(t.ints, v)
	case "UINT64":
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return "unsigned-integer as unsigned-integer"
		}
		t.uints = append(t.uints, v)
	default:
		var v float64
		if raw[0] == 'n' || json.Unmarshal(raw, &v) != nil {
			return "number as double"
		}
		t.floats = append(t.floats, v)
	}
	return ""
}

// The values of inputs that a model takes one of; ok says that it was sent.

func (q *tritonRequest) text(name string) (v string, ok bool) { return one(q.inputs[name].texts) }
func (q *tritonRequest) int(name string) (v int64, ok bool)   { return one(q.inputs[name].ints) }
func (q *tritonRequest) uint(name string) (v uint64, ok bool) { return one(q.inputs[name].uints) }
func (q *tritonRequest) bool(name string) (v bool)            { v, _ = one(q.inputs[name].bools); return v }

func one[T any](list []T) (v T, ok bool) {
	if len(list) == 0 {
		return v, false
	}
	return list[0], true
}
