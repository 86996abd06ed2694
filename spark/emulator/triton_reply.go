package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// tritonReply writes one answer as Triton does: members in alphabetical order,
// no end mark. What does not change is encoded once.
type tritonReply struct {
	model  *tritonModel
	wish   *wish
	ask    *ask
	cfg    Config
	faults faults
	q      *seq
	id     string // the client's, "" = none
	sse    bool   // generate_stream; otherwise generate

	head [2][]byte // up to what changes between events: not the last, the last
	text []byte    // what a cumulative answer has said so far
}

func newTritonReply(m *tritonModel, w *wish, a *ask, cfg Config, fs faults, q *seq, id string, sse bool) *tritonReply {
	r := &tritonReply{model: m, wish: w, ask: a, cfg: cfg, faults: fs, q: q, id: id, sse: sse}
	for last := range r.head {
		r.head[last] = r.appendHead(nil, last == 1, 1)
	}
	return r
}

// appendHead appends an event's members up to the text, for so many tokens.
func (r *tritonReply) appendHead(dst []byte, last bool, tokens int) []byte {
	ensemble := r.model.name == tritonEnsemble
	dst = append(dst, '{')
	if ensemble {
		dst = append(dst, `"batch_index":0,"context_logits":0.0,"cum_log_probs":0.0,`...)
	}
	if r.wish.reason {
		dst = append(append(append(dst, `"finish_reason":"`...), r.finish(last)...), `",`...)
	}
	if ensemble {
		dst = append(dst, `"generation_logits":0.0,`...)
	}
	if r.id != "" {
		quoted, _ := json.Marshal(r.id) // a string always encodes
		dst = append(append(append(dst, `"id":`...), quoted...), ',')
	}
	dst = append(dst, `"model_name":"`+r.model.name+`","model_version":"`+tritonVersion+`"`...)
	if r.wish.inputCount && !r.faults.noUsage {
		dst = strconv.AppendInt(append(dst, `,"num_input_tokens":`...), int64(r.q.prompt), 10)
	}
	if r.wish.outputCount && !r.faults.noUsage {
		dst = strconv.AppendInt(append(dst, `,"num_output_tokens":`...), int64(tokens), 10)
	}
	if ensemble {
		dst = append(dst, `,"output_log_probs":0.0,"sequence_end":false,"sequence_id":0,"sequence_index":0,"sequence_start":false`...)
	}
	return dst
}

// finish is the reason as Python prints it.
func (r *tritonReply) finish(last bool) string {
	if !last || r.faults.noFinish {
		return "None"
	}
	return r.ask.finish
}

// streams: generate waits for all responses, whatever the model does.
func (r *tritonReply) streams() bool { return r.sse && r.ask.stream }

func (r *tritonReply) header(h http.Header) (late bool) {
	tritonHeader(h, r.sse)
	return true
}

func tritonHeader(h http.Header, sse bool) {
	kind := "application/json"
	if sse {
		kind = "text/event-stream; charset=utf-8"
	}
	h.Set("Content-Type", kind)
}

func (r *tritonReply) appendEvent(dst []byte, e event, now time.Duration) []byte {
	dst = append(dst, "data: "...)
	if e.last {
		dst = append(dst, r.head[1]...)
	} else {
		dst = append(dst, r.head[0]...)
	}
	if e.index == 0 {
		dst = appendAdapterLoad(dst, r.q)
	}
	if r.cfg.StampEvents {
		dst = strconv.AppendInt(append(dst, `,"spark_sent_ns":`...), int64(now-r.cfg.Epoch), 10)
	}
	dst = append(dst, `,"text_output":"`...)
	if r.model.name == tritonLLMAPI || r.faults.cumulative {
		r.text = appendWord(r.text, r.ask.words(r.q), e.index)
		dst = append(dst, r.text...)
	} else {
		dst = appendWord(dst, r.ask.words(r.q), e.index)
	}
	return append(dst, "\"}\n\n"...)
}

// appendEnd: the end is the body's.
func (r *tritonReply) appendEnd(dst []byte, _ int) []byte { return dst }

func (r *tritonReply) appendError(dst []byte, err error) []byte {
	return append(dst, tritonErrorBody(r.says(err), true)...)
}

func (r *tritonReply) status(error) int { return http.StatusInternalServerError }

func (r *tritonReply) wholeError(err error) []byte { return tritonErrorBody(r.says(err), r.sse) }

func (r *tritonReply) says(err error) string {
	var task int64
	if r.ask.adapter != nil {
		task = r.ask.adapter.number
	}
	return r.model.says(err, task)
}

// errManyResponses is what generate answers instead of a stream, under the
// status of the first response.
const errManyResponses = "generate expects model to produce exactly 1 response, use generate stream for model that generates various number of responses"

// whole is the model's one response, or why there is none.
func (r *tritonReply) whole(emitted int) []byte {
	if emitted == 0 && r.sse {
		return nil
	}
	if emitted == 0 || r.ask.stream && emitted > 1 {
		return tritonErrorBody(errManyResponses, false)
	}
	var dst []byte
	if r.sse {
		dst = append(dst, "data: "...)
	}
	dst = appendAdapterLoad(r.appendHead(dst, true, emitted), r.q)
	prompt, _ := json.Marshal(r.wish.prompt) // a string always encodes
	dst = append(append(dst, `,"text_output":`...), prompt[:len(prompt)-1]...)
	seed := r.ask.words(r.q)
	for i := range emitted {
		dst = appendWord(dst, seed, i)
	}
	dst = append(dst, `"}`...)
	if r.sse {
		dst = append(dst, "\n\n"...)
	}
	return dst
}

// tritonErrorBody is an error as a body, or as an event.
func tritonErrorBody(msg string, sse bool) []byte {
	body, _ := json.Marshal(map[string]string{"error": msg}) // plain strings always encode
	if sse {
		return append(append([]byte("data: "), body...), "\n\n"...)
	}
	return body
}

// writeTritonError answers with a refusal; a model's is a response and goes in
// chunks, as all of them do.
func writeTritonError(w http.ResponseWriter, e *tritonError, sse bool) {
	sse = sse && e.model
	tritonHeader(w.Header(), sse)
	w.WriteHeader(e.status)
	// A client that left cannot be told.
	_, _ = w.Write(tritonErrorBody(e.msg, sse))
	if e.model {
		_ = http.NewResponseController(w).Flush()
	}
}
