package loadgen

import (
	"slices"
	"strings"
)

// MaxPromptTokens is the longest prompt the text source makes.
const MaxPromptTokens = 128 << 10

// NonceWords is how many words a nonce has; all of them are needed to tell two
// nonces apart, and each is one token in common vocabularies.
const NonceWords = 8

// NoncePosition says where a prompt becomes unique.
type NoncePosition string

// The positions. The empty position is NonceOff.
const (
	// NonceStart begins the prompt's own part with the nonce, and makes the
	// whole of that part different text: no prefix cache can serve it. The own
	// part follows the shared prefix, so with PrefixShare 0 the prompt starts
	// with the nonce.
	NonceStart NoncePosition = "start"
	// NonceEnd puts the nonce last, after text that all prompts share: a prefix
	// cache can serve nearly everything.
	NonceEnd NoncePosition = "end"
	// NonceOff sends the same text always, but for the suffix.
	NonceOff NoncePosition = "off"
)

// NonceScope says what a nonce tells apart.
type NonceScope string

// The scopes. The empty scope is ScopeRequest.
const (
	// ScopeRequest makes each request unique.
	ScopeRequest NonceScope = "request"
	// ScopeUser gives each user one nonce, stable over its turns, so that a
	// server can reuse what it kept of the user's earlier turns.
	ScopeUser NonceScope = "user"
)

// Nonce defeats or admits prefix caching.
type Nonce struct {
	Position NoncePosition `json:"position"`
	Scope    NonceScope    `json:"scope,omitempty"`
}

// Workload says what each request asks.
type Workload struct {
	// PromptTokens is the prompt's length by the server's own count, reached
	// through a Calibration; at most MaxPromptTokens. The count includes what
	// the server's chat template adds.
	PromptTokens int `json:"prompt_tokens,omitempty"`
	// OutputTokens is how many tokens to ask for (max_tokens, and where the
	// server has them min_tokens and ignore_eos).
	OutputTokens int `json:"output_tokens"`

	Nonce Nonce `json:"nonce"`
	// PrefixShare in [0,1] is the share of the prompt, at its start, that is
	// common to all users: a system prompt.
	PrefixShare float64 `json:"prefix_share,omitempty"`
	// SuffixTokens at the end of the prompt are new in every request: a user's
	// new question after a context that the server may have kept.
	SuffixTokens int `json:"suffix_tokens,omitempty"`

	// PromptSeed fixes the prompts apart from Plan.Seed, so that runs with the
	// same arrivals and think times can ask what no other run has asked; 0 takes
	// Plan.Seed.
	PromptSeed uint64 `json:"prompt_seed,omitempty"`

	// FirstTurn is the number of every user's first turn as prompts count them: a
	// load that goes on with the sessions of an earlier one asks new questions.
	FirstTurn int `json:"first_turn,omitempty"`

	// Prompts, where given, are sent instead of generated text, dealt by
	// (user+turn); the nonce is added to them. PromptTokens must then be 0.
	Prompts []string `json:"prompts,omitempty"`

	// Adapters says which LoRA adapter each request asks for.
	Adapters Adapters `json:"adapters,omitzero"`

	// Temperature is always sent; 0 is greedy decoding.
	Temperature float64 `json:"temperature"`
	// TopP is sent when positive.
	TopP float64 `json:"top_p,omitempty"`
	// SamplingSeed is always sent where the server takes one.
	SamplingSeed int64 `json:"sampling_seed"`
}

// PromptText is one prompt.
type PromptText struct {
	// Text of generated prompts holds ASCII letters, spaces and full stops
	// only, so JSON needs no escapes; text from Workload.Prompts is as given.
	Text string
	// Tokens is the length asked for, 0 when unknown (Workload.Prompts).
	Tokens int
	// Hash is the FNV-1a 64-bit hash of Text.
	Hash Hash
}

func (w Workload) validate(f *faults) {
	f.atLeast("Workload.OutputTokens", w.OutputTokens, 1)
	f.atLeast("Workload.SuffixTokens", w.SuffixTokens, 0)
	f.atLeast("Workload.FirstTurn", w.FirstTurn, 0)
	f.number("Workload.PrefixShare", w.PrefixShare, 0, 1)
	f.number("Workload.Temperature", w.Temperature, 0, 100)
	f.number("Workload.TopP", w.TopP, 0, 1)
	oneOf(f, "Workload.Nonce.Position", w.Nonce.Position, "", NonceStart, NonceEnd, NonceOff)
	oneOf(f, "Workload.Nonce.Scope", w.Nonce.Scope, "", ScopeRequest, ScopeUser)
	w.Adapters.validate(f)
	if len(w.Prompts) > 0 {
		w.validateOwn(f)
		return
	}
	f.atLeast("Workload.PromptTokens", w.PromptTokens, 1)
	if w.PromptTokens > MaxPromptTokens {
		f.add("Workload.PromptTokens", "%d is too long (at most %d)", w.PromptTokens, MaxPromptTokens)
	}
	need := w.SuffixTokens
	if w.nonceOn() {
		need += NonceWords
	}
	if need > w.PromptTokens {
		f.add("Workload.PromptTokens", "%d cannot hold suffix and nonce (make it at least %d)", w.PromptTokens, need)
	}
}

// validateOwn checks what goes with prompts of the caller's own.
func (w Workload) validateOwn(f *faults) {
	if w.PromptTokens != 0 || w.SuffixTokens != 0 || w.PrefixShare != 0 {
		f.add("Workload.Prompts", "given prompts are sent at their own length (set PromptTokens, SuffixTokens and PrefixShare to 0)")
	}
	if slices.ContainsFunc(w.Prompts, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		f.add("Workload.Prompts", "one of them is blank (remove it)")
	}
}

func (w Workload) nonceOn() bool {
	return w.Nonce.Position == NonceStart || w.Nonce.Position == NonceEnd
}
