package emulator

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// pick finds the adapter of a request, if it names one. What Triton's models say
// when it is none of theirs differs, and so does how they are asked.
func (m *tritonModel) pick(cfg Config, loras *catalogue, q *tritonRequest) (*lora, *tritonError) {
	switch m.name {
	case tritonEnsemble:
		return m.byTask(loras, q)
	case tritonLLMAPI:
		return m.byPath(cfg, loras, q)
	}
	return m.byName(loras, q)
}

// byTask: the ensemble knows adapters by the numbers that the cache has.
func (m *tritonModel) byTask(loras *catalogue, q *tritonRequest) (*lora, *tritonError) {
	task, named := q.uint("lora_task_id")
	if !named {
		return nil, nil
	}
	if task <= math.MaxInt64 {
		if l, err := loras.numbered(int64(task)); err == nil {
			return l, nil
		}
	}
	return nil, m.fail("LoRA task %d not found in cache. Please send LoRA weights with request", task)
}

// byPath: the LLM API reads the directory that the request names.
func (m *tritonModel) byPath(cfg Config, loras *catalogue, q *tritonRequest) (*lora, *tritonError) {
	id, hasID := q.uint("lora_id")
	name, hasName := q.text("lora_name")
	path, hasPath := q.text("lora_path")
	if !hasID && !hasName && !hasPath {
		return nil, nil
	}
	if !hasID || !hasName || !hasPath {
		return nil, m.fail("lora_id, lora_name, and lora_path must all be provided together")
	}
	if source, ok := q.text("lora_ckpt_source"); ok && source != "hf" {
		return nil, m.fail("lora_ckpt_source must be one of ('hf', 'nemo'), got '%s', and this server has PEFT's alone", source)
	}
	if id < 1 {
		return nil, m.fail("lora_id must be at least 1, got %d", id)
	}
	l, err := loras.located(cfg, name, path)
	switch {
	case errors.Is(err, errNoAdapterPath):
		return nil, m.fail("lora_path does not exist on the Triton server's filesystem: %s", path)
	case err != nil:
		return nil, m.fail("lora_path %s %v", path, err)
	}
	return l, nil
}

// byName: the vLLM backend checks a parameter, before all else, against the list
// that it was started with.
func (m *tritonModel) byName(loras *catalogue, q *tritonRequest) (*lora, *tritonError) {
	name := samplingLoRA(q)
	if name == "" {
		return nil, nil
	}
	plain := func(format string, args ...any) *tritonError {
		e := m.fail(format, args...)
		e.msg = fmt.Sprintf(format, args...)
		return e
	}
	if loras == nil {
		return nil, plain("LoRA feature is not enabled.")
	}
	l, err := loras.named(name)
	if err != nil {
		var have []string
		for _, l := range loras.all() {
			have = append(have, l.name)
		}
		slices.Sort(have)
		return nil, plain("LoRA %s is not supported, we currently support %s", name, quoted(have, ", "))
	}
	return l, nil
}

// says puts a failure of the engine in the model's words; task is the number of
// the request's adapter.
func (m *tritonModel) says(err error, task int64) string {
	switch {
	case errors.Is(err, errAdapterEvicted):
		return m.errors + err.Error()
	case errors.Is(err, errUnknownAdapter) && m.name == tritonEnsemble:
		return m.errors + (&evictedError{task}).Error()
	}
	return m.errors + "the request failed: " + err.Error()
}
