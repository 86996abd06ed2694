package loadgen

import (
	"fmt"
	"slices"
)

// Mode is how a user names an API.
type Mode struct {
	// Triton says that the server speaks one of Triton's shapes.
	Triton bool
	// Dialect is empty where it is to be found by asking.
	Dialect Dialect
	Flavor  Flavor // "" is to be found by asking
}

// dialects are all of them.
var dialects = []Dialect{OpenAICompletions, OpenAIChat, TritonTRTLLM, TritonLLMAPI, TritonVLLM}

// ParseMode reads "auto", "openai", "triton" or a finer name (a Dialect, or a
// Flavor of OpenAI's API). auto is OpenAI unless adapters are given, then Triton.
func ParseMode(name string, adapters bool) (Mode, error) {
	switch {
	case name == "auto":
		return Mode{Triton: adapters}, nil
	case name == "openai":
		return Mode{}, nil
	case name == "triton":
		return Mode{Triton: true}, nil
	case slices.Contains(dialects, Dialect(name)):
		return Mode{Triton: Dialect(name).Triton(), Dialect: Dialect(name)}, nil
	case slices.Contains(flavors, Flavor(name)):
		return Mode{Flavor: Flavor(name)}, nil
	}
	return Mode{}, fmt.Errorf("loadgen: API %q is unknown (use auto, openai, triton, or more finely one of %q or of %q)", name, dialects, flavors)
}
