package sparktest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const fakeContext = 1000 // tokens; a word is a token

// fake is a small server that conforms, except in the one way that broken
// names.
type fake struct {
	broken             string
	running, generated atomic.Int64
}

func startFake(t *testing.T, broken string) string {
	t.Helper()
	srv := httptest.NewServer(&fake{broken: broken})
	t.Cleanup(srv.Close)
	return srv.URL
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v1/models":
		fmt.Fprintf(w, `{"data":[{"id":"m","max_model_len":%d}]}`, fakeContext)
	case "/metrics":
		fmt.Fprintf(w, "vllm:num_requests_running %d\nvllm:generation_tokens_total %d\n", f.running.Load(), f.generated.Load())
	case "/v1/completions":
		f.answer(w, r, false)
	case "/v1/chat/completions":
		if f.broken == "chat missing" {
			http.NotFound(w, r)
			return
		}
		f.answer(w, r, true)
	default:
		http.NotFound(w, r)
	}
}

type fakeAsk struct {
	Model     string `json:"model"`
	Prompt    string `json:"prompt"`
	Max       int    `json:"max_tokens"`
	Stream    bool   `json:"stream"`
	IgnoreEOS bool   `json:"ignore_eos"`
	Messages  []struct {
		Content string `json:"content"`
	} `json:"messages"`
}

func refuse(w http.ResponseWriter, status int, msg string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":{"message":%q,"code":%d}}`, msg, status)
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, chat bool) {
	var a fakeAsk
	if err := json.NewDecoder(r.Body).Decode(&a); err != nil {
		switch f.broken {
		case "bad JSON is a server error":
			refuse(w, 500, "json")
		case "bad JSON is refused without a body":
			w.WriteHeader(400)
		default:
			refuse(w, 400, err.Error())
		}
		return
	}
	if chat {
		a.Prompt = a.Messages[0].Content
	}
	prompt := len(strings.Fields(a.Prompt))
	switch {
	case a.Model != "m" && f.broken != "any model will do":
		refuse(w, 404, "no such model")
		return
	case prompt+a.Max > fakeContext && f.broken == "long prompts are cut in silence":
		prompt = fakeContext - a.Max
	case prompt+a.Max > fakeContext:
		refuse(w, 400, "prompt too long")
		return
	case f.broken == "four at once" && f.running.Load() >= 4:
		refuse(w, 429, "busy")
		return
	}
	f.running.Add(1)
	if f.broken != "running never falls" {
		defer f.running.Add(-1)
	}
	if a.Stream {
		f.stream(w, r, a, prompt, chat)
	} else {
		f.generated.Add(int64(a.Max))
		f.wholeAnswer(w, a, prompt, chat)
	}
}

// word is token i of an answer, after its space.
func (f *fake) word(i int) string {
	if f.broken == "answers differ" {
		return fmt.Sprintf(" w%d", rand.Int())
	}
	if f.broken == "characters are torn" && i == 2 {
		return " \xf0\x9f"
	}
	return fmt.Sprintf(" w%d", i)
}

func (f *fake) usage(a fakeAsk, prompt, tokens int) string {
	total := prompt + tokens
	switch f.broken {
	case "prompts count one token":
		prompt, total = 1, 1+tokens
	case "usage does not add up":
		total++
	case "usage counts too few":
		tokens--
		total--
	case "usage counts too many":
		tokens += 2
		total += 2
	}
	return fmt.Sprintf(`"usage":{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`, prompt, tokens, total)
}

func (f *fake) wholeAnswer(w http.ResponseWriter, a fakeAsk, prompt int, chat bool) {
	var text strings.Builder
	for i := range a.Max {
		text.WriteString(f.word(i))
	}
	usage := f.usage(a, prompt, a.Max)
	if f.broken == "whole answers lack usage" {
		usage = `"x":0`
	}
	part := fmt.Sprintf(`"text":%q`, text.String())
	if chat {
		part = fmt.Sprintf(`"message":{"role":"assistant","content":%q}`, text.String())
	}
	fmt.Fprintf(w, `{"choices":[{"index":0,%s,"finish_reason":"length"}],%s}`, part, usage)
}

// stream sends a token a millisecond.
func (f *fake) stream(w http.ResponseWriter, r *http.Request, a fakeAsk, prompt int, chat bool) {
	kind := "text/event-stream"
	if f.broken == "content type is JSON" {
		kind = "application/json"
	}
	w.Header().Set("Content-Type", kind)
	var held strings.Builder
	send := func(format string, args ...any) {
		if f.broken == "tokens are held back" {
			fmt.Fprintf(&held, format, args...)
			return
		}
		fmt.Fprintf(w, format, args...)
		w.(http.Flusher).Flush()
	}
	defer func() { fmt.Fprint(w, held.String()) }()
	tokens := a.Max
	if f.broken == "answers are short" && tokens > 1 || !a.IgnoreEOS {
		tokens = max(1, tokens/2)
	}
	if chat {
		send("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n")
	}
	f.tokens(w, r, send, tokens, chat)
	f.end(send, a, prompt, tokens)
}

func (f *fake) tokens(w http.ResponseWriter, r *http.Request, send func(string, ...any), tokens int, chat bool) {
	soFar := ""
	for i := range tokens {
		if r.Context().Err() != nil {
			return
		}
		time.Sleep(time.Millisecond)
		if f.broken != "the counter stands still" {
			f.generated.Add(1)
		}
		text := f.word(i)
		if f.broken == "texts are cumulative" {
			soFar += text
			text = soFar
		}
		if f.broken == "a role is all that comes" && tokens != 2 { // enough to be attached to
			text = ""
		}
		if f.broken == "streams are cut" && i == tokens/2 && tokens > 2 {
			panic(http.ErrAbortHandler)
		}
		text = `"` + text + `"` // verbatim: torn characters stay torn
		if chat {
			send("data: {\"choices\":[{\"delta\":{\"content\":%s},\"finish_reason\":null}]}\n\n", text)
		} else {
			send("data: {\"choices\":[{\"text\":%s,\"finish_reason\":null}]}\n\n", text)
		}
	}
}

func (f *fake) end(send func(string, ...any), a fakeAsk, prompt, tokens int) {
	switch f.broken {
	case "an error comes late":
		send("data: {\"error\":{\"message\":\"engine died\"}}\n\n")
	case "a line is raw JSON":
		send("{\"oops\":1}\n\n")
	}
	if f.broken != "no finish reason" {
		send("data: {\"choices\":[{\"text\":\"\",\"delta\":{},\"finish_reason\":\"length\"}]}\n\n")
	}
	if f.broken != "no usage" {
		send("data: {\"choices\":[],%s}\n\n", f.usage(a, prompt, tokens))
	}
	if f.broken != "no DONE" {
		send("data: [DONE]\n\n")
	}
	if f.broken == "more after DONE" {
		send("data: {\"choices\":[]}\n\n")
	}
}
