package loadgen

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// saysAny reports whether a text in lower case holds any of the words.
func saysAny(low string, words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(low, w) })
}

// saysWord reports whether a text holds a word that no letter or digit adjoins,
// whatever the case: an adapter may be called "a".
func saysWord(text, word string) bool {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
	low, word := strings.ToLower(text), strings.ToLower(word)
	for at := 0; word != ""; {
		i := strings.Index(low[at:], word)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(low[:at+i])
		after, _ := utf8.DecodeRuneInString(low[at+i+len(word):])
		if !inWord(before) && !inWord(after) { // RuneError, at the ends, is in no word
			return true
		}
		at += i + 1
	}
	return false
}

// adapterOutcome tells failures of an adapter from others, by the words that
// servers use.
func adapterOutcome(adapter, text string, otherwise Outcome) Outcome {
	if adapter == "" {
		return otherwise
	}
	low := strings.ToLower(text)
	switch {
	case strings.Contains(low, "not found in cache"): // TensorRT-LLM: LoRA task 7 not found in cache
		return OutcomeAdapterEvicted
	case !saysAny(low, "lora", "adapter") && !saysWord(text, adapter):
		return otherwise
	case saysAny(low,
		"does not exist",    // vLLM: The model `a` does not exist; trtllm-serve and llmapi of the path
		"not found",         // Ollama
		"not supported",     // Triton's vLLM backend: LoRA a is not supported, we currently support …
		"not enabled",       // the same: LoRA feature is not enabled
		"unknown",           // Triton's OpenAI front end: Unknown LoRA: a
		"not loaded",        // SGLang
		"never been loaded", // SGLang
		"invalid adapter",   // llama.cpp: invalid adapter id
	):
		return OutcomeUnknownAdapter
	}
	return otherwise
}

// dialectHint says what a failed request looks like when the server speaks
// another dialect than the target's, and "" when it does not.
func (t Target) dialectHint(r *Record) string {
	switch r.Outcome {
	case OutcomeHTTP4xx, OutcomeHTTP5xx, OutcomeStreamError:
	default:
		return ""
	}
	low := strings.ToLower(r.Error)
	if t.Dialect.Triton() {
		return t.tritonHint(r, low)
	}
	if r.Outcome != OutcomeHTTP4xx {
		return ""
	}
	switch {
	case saysAny(low, "missing required input", "request for unknown model", "<id_unknown>"):
		return fmt.Sprintf("it looks like Triton: use dialect %q, %q or %q", TritonTRTLLM, TritonLLMAPI, TritonVLLM)
	case nothingThere(r, low):
		return fmt.Sprintf("the server has no such path; Triton is asked with dialect %q, %q or %q", TritonTRTLLM, TritonLLMAPI, TritonVLLM)
	}
	return ""
}

func (t Target) tritonHint(r *Record, low string) string {
	looks := func(d Dialect) string {
		if d == t.Dialect {
			return ""
		}
		return fmt.Sprintf("it looks like dialect %q", d)
	}
	switch {
	case strings.Contains(low, "request for unknown model"):
		return "Target.Model is the name of a model in Triton's repository: POST /v2/repository/index lists them"
	case strings.Contains(low, "missing required input") && strings.Contains(low, "'max_tokens'"):
		return looks(TritonTRTLLM)
	case strings.Contains(low, "sampling_param_"):
		return looks(TritonLLMAPI)
	case saysAny(low, "samplingparams", "'nonetype' object has no attribute"): // its parameters were none of vLLM's
		return looks(TritonVLLM)
	case r.Outcome == OutcomeHTTP4xx && nothingThere(r, low):
		return fmt.Sprintf("the server is no Triton; one with OpenAI's API is asked with dialect %q or %q", OpenAICompletions, OpenAIChat)
	}
	return ""
}

// nothingThere reports whether a refusal is of the path, and not of what was
// asked: the words are those of FastAPI, Go, llama.cpp and Triton, which answers
// unknown paths without any.
func nothingThere(r *Record, low string) bool {
	_, said, _ := strings.Cut(low, ": ")
	switch strings.TrimSpace(said) {
	case "":
		return r.Status == 400 || r.Status == 404 || r.Status == 405
	case "not found", "404 page not found", "file not found", "method not allowed":
		return r.Status == 404 || r.Status == 405
	}
	return false
}
