package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// face writes one answer in the shapes of an API. Methods that append return
// dst with what they added.
type face interface {
	// streams says that every token has an event of its own.
	streams() bool
	// header sets the answer's headers; late says that they leave with the first
	// event of a stream and not before it.
	header(h http.Header) (late bool)
	appendEvent(dst []byte, e event, now time.Duration) []byte
	// appendEnd is what follows the last of so many tokens.
	appendEnd(dst []byte, emitted int) []byte
	// appendError is the event of a failure, and the end.
	appendError(dst []byte, err error) []byte
	// status is that of a failure that comes before anything else.
	status(err error) int
	// whole is the answer in one piece, wholeError what stands in its stead.
	whole(emitted int) []byte
	wholeError(err error) []byte
}

// reply builds what one answer sends, in vLLM's shapes. The parts that do not
// change are encoded once, so that an event costs copying only.
type reply struct {
	ask    *ask
	cfg    Config
	faults faults
	q      *seq

	head, tail []byte // around a token's text, up to the finish reason
	top        []byte // {"id":…,"model":… without a closing brace
}

func newReply(cfg Config, a *ask, fs faults, q *seq, id string, created time.Time) *reply {
	r := &reply{ask: a, cfg: cfg, faults: fs, q: q}
	object := "text_completion"
	switch {
	case a.chat && a.stream:
		object = "chat.completion.chunk"
	case a.chat:
		object = "chat.completion"
	}
	model, _ := json.Marshal(a.model) // a string always encodes
	quoted, _ := json.Marshal(id)
	r.top = append(r.top, `{"id":`...)
	r.top = append(r.top, quoted...)
	r.top = append(r.top, `,"object":"`+object+`","created":`...)
	r.top = strconv.AppendInt(r.top, created.Unix(), 10)
	r.top = append(append(r.top, `,"model":`...), model...)
	r.head = append(append(r.head, "data: "...), r.top...)
	if a.chat {
		r.head = append(r.head, `,"choices":[{"index":0,"delta":{"content":"`...)
		r.tail = []byte(`"},"logprobs":null,"finish_reason":`)
	} else {
		r.head = append(r.head, `,"choices":[{"index":0,"text":"`...)
		r.tail = []byte(`","logprobs":null,"finish_reason":`)
	}
	return r
}

func (r *reply) streams() bool { return r.ask.stream }

// header: vLLM's goes out before the first token.
func (r *reply) header(h http.Header) (late bool) {
	if !r.ask.stream {
		h.Set("Content-Type", "application/json")
		return true
	}
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	return false
}

// appendEvent appends the event of one token, and before the first one of a
// chat the role's.
func (r *reply) appendEvent(dst []byte, e event, now time.Duration) []byte {
	if e.index == 0 && r.ask.chat {
		dst = append(append(dst, "data: "...), r.top...)
		dst = append(dst, `,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}`+"\n\n"...)
	}
	dst = append(dst, r.head...)
	from, seed := e.index, r.ask.words(r.q)
	if r.faults.cumulative {
		from = 0
	}
	for i := from; i <= e.index; i++ {
		dst = appendWord(dst, seed, i)
	}
	dst = append(dst, r.tail...)
	dst = r.appendFinish(dst, e.last)
	dst = append(dst, "}]"...)
	if r.ask.continuous && !r.faults.noUsage {
		dst = r.appendUsage(append(dst, `,"usage":`...), e.index+1)
	}
	if e.index == 0 {
		dst = appendAdapterLoad(dst, r.q)
	}
	if r.cfg.StampEvents {
		dst = strconv.AppendInt(append(dst, `,"spark_sent_ns":`...), int64(now-r.cfg.Epoch), 10)
	}
	return append(dst, "}\n\n"...)
}

func (r *reply) appendFinish(dst []byte, last bool) []byte {
	reason := "null"
	if last && !r.faults.noFinish {
		reason = `"` + r.ask.finish + `"`
	}
	dst = append(dst, reason...)
	if r.ask.chat {
		return dst
	}
	return append(dst, `,"stop_reason":null`...)
}

// appendEnd: a stream that is empty by a fault has no usage either.
func (r *reply) appendEnd(dst []byte, emitted int) []byte {
	if r.ask.usage && emitted > 0 && !r.faults.noUsage {
		dst = append(append(dst, "data: "...), r.top...)
		dst = r.appendUsage(append(dst, `,"choices":[],"usage":`...), emitted)
		dst = append(dst, "}\n\n"...)
	}
	return r.appendDone(dst)
}

func (r *reply) appendDone(dst []byte) []byte {
	if r.faults.noDone {
		return dst
	}
	return append(dst, "data: [DONE]\n\n"...)
}

func (r *reply) appendUsage(dst []byte, emitted int) []byte {
	dst = strconv.AppendInt(append(dst, `{"prompt_tokens":`...), int64(r.q.prompt), 10)
	dst = strconv.AppendInt(append(dst, `,"total_tokens":`...), int64(r.q.prompt+emitted), 10)
	dst = strconv.AppendInt(append(dst, `,"completion_tokens":`...), int64(emitted), 10)
	dst = strconv.AppendInt(append(dst, `,"prompt_tokens_details":{"cached_tokens":`...), int64(r.q.cached()), 10)
	return append(dst, "}}"...)
}

// appendError appends the event that vLLM sends when a stream fails, and its
// end mark, which it sends nonetheless.
func (r *reply) appendError(dst []byte, err error) []byte {
	dst = append(append(append(dst, "data: "...), r.errorJSON(err)...), "\n\n"...)
	return r.appendDone(dst)
}

func (r *reply) status(error) int { return http.StatusInternalServerError }

func (r *reply) wholeError(err error) []byte { return append(r.errorJSON(err), '\n') }

func (r *reply) errorJSON(err error) []byte {
	body, _ := json.Marshal(errorBody(http.StatusInternalServerError, "InternalServerError", "", nil, "the request failed: "+err.Error())) // plain strings always encode
	return body
}

// whole is the answer without streaming.
func (r *reply) whole(emitted int) []byte {
	dst := append([]byte(nil), r.top...)
	if r.ask.chat {
		dst = append(dst, `,"choices":[{"index":0,"message":{"role":"assistant","content":"`...)
	} else {
		dst = append(dst, `,"choices":[{"index":0,"text":"`...)
	}
	seed := r.ask.words(r.q)
	for i := range emitted {
		dst = appendWord(dst, seed, i)
	}
	if r.ask.chat {
		dst = append(dst, `"},"logprobs":null,"finish_reason":`...)
	} else {
		dst = append(dst, `","logprobs":null,"finish_reason":`...)
	}
	dst = append(r.appendFinish(dst, true), "}]"...)
	if !r.faults.noUsage {
		dst = r.appendUsage(append(dst, `,"usage":`...), emitted)
	}
	return append(appendAdapterLoad(dst, r.q), "}\n"...)
}

// words seeds the answer's text. An adapter's bytes, as they were read, change
// it: no two adapters answer alike, nor does the base model.
func (a *ask) words(q *seq) uint64 {
	if q.adapter <= 0 {
		return a.textSeed
	}
	return mix(a.textSeed + mix(q.adapterSum+weyl))
}

// appendAdapterLoad appends how long the first token waited for its adapter, 0
// if that was in memory, to an answer under one.
func appendAdapterLoad(dst []byte, q *seq) []byte {
	if q.adapter <= 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, `,"spark_adapter_load_ns":`...), int64(q.adapterLoad), 10)
}

func errorBody(status int, kind, param string, code any, msg string) map[string]any {
	if code == nil {
		code = status
	}
	var p any
	if param != "" {
		p = param
	}
	return map[string]any{"error": map[string]any{"message": msg, "type": kind, "param": p, "code": code}}
}

// writeError answers with a refusal.
func writeError(w http.ResponseWriter, e *apiError) {
	var body any = errorBody(e.status, e.kind, e.param, e.code, e.msg)
	if e.flat {
		body = map[string]string{"error": e.msg}
	}
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that left cannot be told.
	_ = json.NewEncoder(w).Encode(body)
}
