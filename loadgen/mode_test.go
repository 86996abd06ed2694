package loadgen

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMode(t *testing.T) {
	for _, c := range []struct {
		name     string
		adapters bool
		want     Mode
	}{
		{"auto", false, Mode{}},
		{"auto", true, Mode{Triton: true}},
		{"openai", true, Mode{}},
		{"triton", false, Mode{Triton: true}},
		{"openai-chat", false, Mode{Dialect: OpenAIChat}},
		{"triton-vllm", false, Mode{Triton: true, Dialect: TritonVLLM}},
		{"vllm", true, Mode{Flavor: FlavorVLLM}},
		{"triton-openai", true, Mode{Flavor: FlavorTritonOpenAI}},
	} {
		got, err := ParseMode(c.name, c.adapters)
		require.NoError(t, err)
		require.Equal(t, c.want, got, "%s, adapters %v", c.name, c.adapters)
	}
	for _, name := range []string{"", "Auto", "triton-", "grpc"} {
		_, err := ParseMode(name, false)
		require.ErrorContains(t, err, `(use auto, openai, triton, or more finely one of ["openai-completions"`, name)
	}
}
