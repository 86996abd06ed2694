package emulator

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// triton is the server's second face: the models of NVIDIA's Triton inference
// server over the same engine.
type triton struct {
	s      *server
	models []*tritonModel
}

func newTriton(s *server) *triton { return &triton{s: s, models: newTritonModels(s.cfg)} }

// handler routes as Triton does: a path it knows under another method is 405,
// and every refusal is JSON.
func (t *triton) handler() http.Handler {
	mux := http.NewServeMux()
	refuse := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			writeTritonError(w, &tritonError{status: status, msg: http.StatusText(status)}, false)
		}
	}
	route := func(method, path string, h http.HandlerFunc) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != method {
				refuse(http.StatusMethodNotAllowed)(w, r)
				return
			}
			h(w, r)
		})
	}
	ready := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
	route("GET", "/v2", t.metadata)
	route("GET", "/v2/health/live", ready)
	route("GET", "/v2/health/ready", ready)
	route("GET", "/v2/models/stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, statsOf(t.models...)) })
	route("GET", "/metrics", t.metrics)
	route("POST", "/v2/repository/index", t.index)
	for _, action := range []string{"load", "unload"} {
		route("POST", "/v2/repository/models/{model}/"+action, t.control)
	}
	for _, base := range []string{"/v2/models/{model}", "/v2/models/{model}/versions/{version}"} {
		route("GET", base, t.about(func(m *tritonModel) any { return m.metadata() }))
		route("GET", base+"/config", t.about(func(m *tritonModel) any { return m.config() }))
		route("GET", base+"/stats", t.about(func(m *tritonModel) any { return statsOf(m) }))
		route("GET", base+"/ready", t.about(nil))
		route("POST", base+"/infer", t.infer)
		route("POST", base+"/generate", t.generate(false))
		route("POST", base+"/generate_stream", t.generate(true))
	}
	mux.HandleFunc("/", refuse(http.StatusNotFound))
	return mux
}

// find is the model that a path names.
func (t *triton) find(r *http.Request) (*tritonModel, *tritonError) {
	name, version := r.PathValue("model"), r.PathValue("version")
	if version != "" {
		if _, err := strconv.ParseUint(version, 10, 63); err != nil {
			return nil, &tritonError{status: http.StatusNotFound, msg: http.StatusText(http.StatusNotFound)}
		}
	}
	for _, m := range t.models {
		switch {
		case m.name != name:
		case version != "" && version != tritonVersion:
			return nil, &tritonError{status: http.StatusNotFound, msg: fmt.Sprintf("Request for unknown model: '%s' version %s is not found", name, version)}
		default:
			return m, nil
		}
	}
	return nil, invalid("Request for unknown model: '%s' is not found", name)
}

func (t *triton) metadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"name": "triton", "version": "spark-emulator",
		"extensions": []string{"model_repository", "model_configuration", "parameters", "statistics"},
	})
}

// about answers with what is known of a model; nil answers nothing but 200.
func (t *triton) about(of func(*tritonModel) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, e := t.find(r)
		switch {
		case e != nil:
			writeTritonError(w, e, false)
		case of == nil:
			w.WriteHeader(http.StatusOK)
		default:
			writeJSON(w, http.StatusOK, of(m))
		}
	}
}

// index lists the repository; every model is ready from the start.
func (t *triton) index(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var filter struct {
		Ready any `json:"ready"`
	}
	if len(body) > 0 && err == nil {
		err = json.Unmarshal(body, &filter)
	}
	if err != nil {
		writeTritonError(w, invalid("failed to parse the request JSON buffer: %v", err), false)
		return
	}
	switch filter.Ready.(type) {
	case nil, bool:
	default:
		writeTritonError(w, invalid("Invalid value for 'ready': expected a boolean"), false)
		return
	}
	list := []any{}
	for _, m := range t.models {
		list = append(list, map[string]string{"name": m.name, "version": tritonVersion, "state": "READY"})
	}
	writeJSON(w, http.StatusOK, list)
}

// control is a server's that was not started with --model-control-mode=explicit.
func (t *triton) control(w http.ResponseWriter, _ *http.Request) {
	writeTritonError(w, &tritonError{
		status: http.StatusServiceUnavailable, msg: "explicit model load / unload is not allowed if polling is enabled",
	}, false)
}

// infer has no answer for models that give more than one response.
func (t *triton) infer(w http.ResponseWriter, r *http.Request) {
	_, e := t.find(r)
	if e == nil {
		e = &tritonError{status: http.StatusNotImplemented, msg: "HTTP end point doesn't support models with decoupled transaction policy"}
	}
	writeTritonError(w, e, false)
}

// generate serves generate and, with sse, generate_stream.
func (t *triton) generate(sse bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := t.s
		arrival := s.clk.Now()
		n := s.requests.Add(1)
		m, q, want, fs, e := t.understand(w, r, n)
		if e != nil {
			s.refused.Add(1)
			if m != nil && e.model {
				m.stats.fail(s.clk.Now() - arrival)
			}
			writeTritonError(w, e, sse)
			return
		}
		a := want.ask(s.cfg)
		c := s.enter(w, m.name, a, fs, n, arrival)
		if c == nil {
			writeTritonError(w, &tritonError{status: http.StatusServiceUnavailable, msg: "Server is stopping, scheduler for model has stopped accepting new inference requests"}, false)
			return
		}
		c.id = tritonID(s.salt, n, q.id, r.Header.Get("X-Request-Id"))
		c.face = newTritonReply(m, want, a, s.cfg, fs, c.q, q.id, sse)
		c.ended = func(outcome string) { m.stats.end(c.q, outcome, s.clk.Now()) }
		c.serve(r.Context())
	}
}

// understand reads a request as far as its model does before the engine.
func (t *triton) understand(w http.ResponseWriter, r *http.Request, n int64) (*tritonModel, *tritonRequest, *wish, faults, *tritonError) {
	fs, err := requestFaults(t.s.cfg.Faults, r.Header, n)
	if err != nil {
		return nil, nil, nil, fs, invalid("%v", err)
	}
	m, e := t.find(r)
	if e != nil {
		return nil, nil, nil, fs, e
	}
	if fs.status != 0 {
		return nil, nil, nil, fs, &tritonError{status: fs.status, msg: faultStatus(fs.status).msg}
	}
	if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, nil, nil, fs, invalid("Unsupported content-encoding, only 'identity' is supported.")
	}
	q, e := parseTriton(m, http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if e != nil {
		return nil, nil, nil, fs, e
	}
	adapter, e := m.pick(t.s.cfg, t.s.loras, q)
	if e != nil {
		return m, q, nil, fs, e
	}
	want, e := m.read(m, t.s.cfg, q, fs)
	if e == nil {
		want.adapter = adapter
	}
	return m, q, want, fs, e
}

// tritonID names a request in the server's account by the client's own name for
// it, if it gave one.
func tritonID(salt uint64, n int64, asked ...string) string {
	for _, id := range asked {
		if id != "" {
			return "triton-" + id
		}
	}
	return fmt.Sprintf("triton-%016x", mix(salt+uint64(n)))
}

// metrics is the OpenAI face's page with Triton's own families after it.
func (t *triton) metrics(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	waiting := map[string]int{}
	state, ok := t.s.expose(&b, func(q *seq) { waiting[q.face]++ })
	if !ok { // no numbers rather than zeros
		writeTritonError(w, &tritonError{status: http.StatusServiceUnavailable, msg: errStopped().msg}, false)
		return
	}
	t.expose(&b, state, waiting)
	writeMetrics(w, b.String())
}
