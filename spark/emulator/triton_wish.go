package emulator

import (
	"encoding/json"
	"slices"
)

// wish is what a request to one of Triton's models wants.
type wish struct {
	stream   bool
	adapter  *lora // nil: the base model
	tokens   []uint32
	prompt   string // put before a whole answer, "" = not
	max, min int
	endless  bool // the answer has its full length
	seed     uint64

	inputCount, outputCount, reason bool // told in every event
}

// tooLong is the share of a context that no prompt may have.
func (w *wish) room(cfg Config) int { return cfg.ContextTokens() - len(w.tokens) }

// read takes the prompt that every model has.
func (w *wish) read(m *tritonModel, q *tritonRequest, echo bool, fs faults) *tritonError {
	list := q.inputs["text_input"].texts
	if len(list) != 1 {
		return m.fail("this server takes one prompt per request, got %d", len(list))
	}
	w.tokens = tokenize(list[0])
	if echo {
		w.prompt = list[0]
	}
	if fs.truncate > 0 && len(w.tokens) > fs.truncate {
		w.tokens = w.tokens[:fs.truncate]
	}
	if len(w.tokens) == 0 {
		return m.fail("The decoder prompt cannot be empty")
	}
	return nil
}

// ask settles how the answer ends.
func (w *wish) ask(cfg Config) *ask {
	a := &ask{stream: w.stream, tokens: w.tokens, adapter: w.adapter}
	a.settle(cfg, w.seed, min(w.max, w.room(cfg)), w.min, w.endless)
	return a
}

// readEnsemble reads a request to TensorRT-LLM in C++. It has no ignore_eos: an
// end_id that the model cannot say, or min_tokens, makes answers long.
func readEnsemble(m *tritonModel, cfg Config, q *tritonRequest, fs faults) (*wish, *tritonError) {
	w := &wish{
		stream: q.bool("stream"), inputCount: q.bool("return_num_input_tokens"), outputCount: q.bool("return_num_output_tokens"),
	}
	if e := w.read(m, q, !w.stream && !q.bool("exclude_input_in_output"), fs); e != nil {
		return nil, e
	}
	for _, name := range []string{"bad_words", "stop_words", "embedding_bias_words", "guided_decoding_guide"} {
		if list := q.inputs[name].texts; len(list) > 1 || len(list) == 1 && list[0] != "" {
			return nil, m.fail("%s is not supported by this server", name)
		}
	}
	for _, name := range []string{"beam_width", "num_return_sequences"} {
		if n, ok := q.int(name); ok && n != 1 {
			return nil, m.fail("%s must be 1: this server gives one answer per request, got %d", name, n)
		}
	}
	for _, name := range []string{"return_log_probs", "return_context_logits", "return_generation_logits", "return_perf_metrics"} {
		if q.bool(name) {
			return nil, m.fail("%s is not supported by this server", name)
		}
	}
	if len(q.inputs["lora_config"].ints) > 0 {
		return nil, m.fail("lora_config without lora_weights (this server reads adapters from its own disk)")
	}
	limit, _ := q.int("max_tokens")
	least, _ := q.int("min_tokens")
	end, ended := q.int("end_id")
	w.max, w.min, w.endless = int(limit), int(least), ended && end != tokenEndOfTurn
	w.seed, _ = q.uint("seed")
	if w.max < 1 {
		return nil, m.fail("Encountered an error when fetching new request: max_tokens must be positive, got %d", w.max)
	}
	if w.room(cfg) < 1 {
		return nil, m.fail("Encountered an error when fetching new request: Prompt length (%d) exceeds maximum input length (%d). Set log level to info and check TRTGptModel logs for how maximum input length is set",
			len(w.tokens), cfg.ContextTokens()-1)
	}
	return w, nil
}

// readLLMAPI reads a request to TensorRT-LLM's LLM API, which has no way to fix
// an answer's length and counts no tokens.
func readLLMAPI(m *tritonModel, cfg Config, q *tritonRequest, fs faults) (*wish, *tritonError) {
	if q.bool("stop") {
		if q.id == "" {
			return nil, &tritonError{status: 500, msg: "A request id must be provided for request cancellation", model: true}
		}
		return nil, m.fail("stop is not supported by this server (close the request's connection)")
	}
	w := &wish{stream: q.bool("streaming"), reason: q.bool("return_finish_reason"), max: 32}
	if e := w.read(m, q, !w.stream && !q.bool("sampling_param_exclude_input_from_output"), fs); e != nil {
		return nil, e
	}
	if n, ok := q.int("sampling_param_best_of"); ok && n != 1 {
		return nil, m.fail("best_of must be 1: this server gives one answer per request, got %d", n)
	}
	if len(q.inputs["sampling_param_stop"].texts) > 0 {
		return nil, m.fail("stop is not supported by this server")
	}
	for _, name := range []string{"sampling_param_return_perf_metrics", "return_stop_reason", "return_cumulative_logprob"} {
		if q.bool(name) {
			return nil, m.fail("%s is not supported by this server", name)
		}
	}
	if n, ok := q.int("sampling_param_max_tokens"); ok {
		w.max = int(n)
	}
	w.seed, _ = q.uint("sampling_param_seed")
	if w.max < 1 {
		return nil, m.fail("max_tokens must be greater than 0, got max_tokens=%d", w.max)
	}
	if w.max > w.room(cfg) {
		return nil, m.fail("The sum of prompt length (%d), query length (0) and max_tokens (%d) should not exceed max_seq_len (%d)", len(w.tokens), w.max, cfg.ContextTokens())
	}
	return w, nil
}

// errNoParams is how the vLLM backend shows that vLLM refused a parameter: it
// goes on without any and stumbles.
const errNoParams = "'NoneType' object has no attribute 'lora_name'"

// readVLLM reads a request to the vLLM backend: its options are parameters, or
// one input with their JSON.
func readVLLM(m *tritonModel, cfg Config, q *tritonRequest, fs faults) (*wish, *tritonError) {
	w := &wish{
		stream: q.bool("stream"), reason: q.bool("return_finish_reason"),
		inputCount: q.bool("return_num_input_tokens"), outputCount: q.bool("return_num_output_tokens"),
	}
	exclude, told := one(q.inputs["exclude_input_in_output"].bools)
	if w.stream && told && !exclude {
		return nil, m.fail("When streaming, `exclude_input_in_output` = False is not allowed.")
	}
	if e := w.read(m, q, !w.stream && !exclude, fs); e != nil {
		return nil, e
	}
	for _, name := range []string{"return_cumulative_logprob", "return_logprobs"} {
		if q.bool(name) {
			return nil, m.fail("%s is not supported by this server", name)
		}
	}
	p, ok := samplingOf(q)
	if !ok {
		return nil, m.fail(errNoParams)
	}
	if isSet(p.Stop) || isSet(p.Logprobs) || or(p.N, 1) != 1 || or(p.BestOf, 1) != 1 {
		return nil, m.fail("n, best_of, stop and logprobs are not supported by this server")
	}
	w.max, w.min, w.endless, w.seed = or(p.MaxTokens, defaultMaxTokens), or(p.MinTokens, 0), p.IgnoreEOS, uint64(or(p.Seed, 0))
	if w.max < 1 || w.min < 0 || w.min > w.max {
		return nil, m.fail(errNoParams)
	}
	if w.room(cfg) < 1 {
		return nil, m.fail("The decoder prompt (length %d) is longer than the maximum model length of %d. Make sure that `max_model_len` is no smaller than the number of text tokens.",
			len(w.tokens), cfg.ContextTokens()-1)
	}
	return w, nil
}

// samplingParams are vLLM's, of which only some mean anything to a model that
// does not sample.
type samplingParams struct {
	MaxTokens *int            `json:"max_tokens"`
	MinTokens *int            `json:"min_tokens"`
	IgnoreEOS bool            `json:"ignore_eos"`
	Seed      *int64          `json:"seed"`
	N         *int            `json:"n"`
	BestOf    *int            `json:"best_of"`
	Stop      json.RawMessage `json:"stop"`
	Logprobs  json.RawMessage `json:"logprobs"`
	LoRAName  *string         `json:"lora_name"`
}

// known are the names of vLLM's sampling parameters; another one is an error.
func (samplingParams) known() []string {
	return []string{
		"max_tokens", "min_tokens", "ignore_eos", "seed", "n", "best_of", "stop", "logprobs", "lora_name",
		"temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "repetition_penalty", "stop_token_ids",
		"bad_words", "detokenize", "skip_special_tokens", "spaces_between_special_tokens", "include_stop_str_in_output", "truncate_prompt_tokens",
	}
}

// sampling finds the parameters where they are.
func (q *tritonRequest) sampling() (params map[string]json.RawMessage, err error) {
	text, sent := q.text("sampling_parameters")
	if !sent {
		return q.params, nil
	}
	err = json.Unmarshal([]byte(text), &params)
	return params, err
}

// samplingLoRA is the adapter that they name, "" for none.
func samplingLoRA(q *tritonRequest) (name string) {
	params, _ := q.sampling() // what cannot be read names none, and is refused later
	if json.Unmarshal(params["lora_name"], &name) != nil {
		return ""
	}
	return name
}

// samplingOf reads the parameters; ok is false for any that vLLM would refuse.
func samplingOf(q *tritonRequest) (p samplingParams, ok bool) {
	params, err := q.sampling()
	if err != nil {
		return p, false
	}
	for name := range params {
		if !slices.Contains(p.known(), name) {
			return p, false
		}
	}
	body, err := json.Marshal(params)
	return p, err == nil && json.Unmarshal(body, &p) == nil
}
