package emulator

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzUnderstand(f *testing.F) {
	f.Add(`{"prompt":"a b c","max_tokens":3,"stream":true,"stream_options":{"include_usage":true}}`, false)
	f.Add(`{"prompt":[1,2,3],"min_tokens":3,"ignore_eos":true}`, false)
	f.Add(`{"prompt":[[1],[2]]}`, true)
	f.Add(`{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}]}`, true)
	f.Add(`{"model":"tiny","prompt":null,"n":1,"stop":[]}`, false)
	f.Fuzz(func(t *testing.T, body string, chat bool) {
		for _, strict := range []bool{false, true} {
			cfg := small()
			cfg.Strict, cfg.NaturalTokens = strict, 20
			a, refusal := understand(cfg, strings.NewReader(body), chat, newFaults())
			if refusal != nil {
				require.Nil(t, a)
				require.GreaterOrEqual(t, refusal.status, 400)
				require.NotEmpty(t, refusal.msg)
				continue
			}
			require.NotEmpty(t, a.tokens)
			require.Positive(t, a.output)
			require.LessOrEqual(t, len(a.tokens)+a.output, cfg.ContextTokens(), "what is accepted fits")
		}
	})
}
