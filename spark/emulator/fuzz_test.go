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
			a, refusal := understand(cfg, nil, strings.NewReader(body), chat, newFaults())
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

func FuzzTriton(f *testing.F) {
	for _, r := range refusalsOfTriton() {
		f.Add(r.body)
	}
	f.Add(`{"id":"x","text_input":["a b c"],"max_tokens":3,"min_tokens":2,"end_id":-1,"stream":true,"lora_task_id":1}`)
	f.Add(`{"text_input":"a","streaming":true,"sampling_param_max_tokens":2,"lora_id":1,"lora_name":"a","lora_path":"/a"}`)
	f.Add(`{"text_input":"a\u0000\ud800","parameters":{"stream":true,"max_tokens":2,"lora_name":"a","seed":-1}}`)
	f.Add(`{"text_input":"a","sampling_parameters":"{\"max_tokens\":3}","max_tokens":1e3,"a":[[]]}`)
	f.Fuzz(func(t *testing.T, body string) {
		cfg := small()
		cfg.NaturalTokens = 20
		for _, m := range newTritonModels(cfg) {
			q, e := parseTriton(m, strings.NewReader(body))
			if e == nil {
				_, e = m.pick(cfg, nil, q)
			}
			var w *wish
			if e == nil {
				w, e = m.read(m, cfg, q, newFaults())
			}
			if e != nil {
				require.GreaterOrEqual(t, e.status, 400)
				require.NotEmpty(t, e.msg)
				checkTritonError(t, e.msg)
				continue
			}
			a := w.ask(cfg)
			require.NotEmpty(t, a.tokens)
			require.Positive(t, a.output)
			require.LessOrEqual(t, len(a.tokens)+a.output, cfg.ContextTokens(), "what is accepted fits")
			r := newTritonReply(m, w, a, cfg, newFaults(), &seq{prompt: len(a.tokens)}, q.id, true)
			for _, last := range []bool{false, true} {
				got := responses(t, string(r.appendEvent(nil, event{last: last}, 0)))
				require.Equal(t, m.name, got[0].Model)
			}
			require.NotEmpty(t, *responses(t, string(r.whole(1)))[0].Text)
		}
	})
}

func checkTritonError(t *testing.T, msg string) {
	t.Helper()
	require.Len(t, responses(t, string(tritonErrorBody(msg, true))), 1, "an error is one event whatever it quotes")
}
