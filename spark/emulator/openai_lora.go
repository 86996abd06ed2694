package emulator

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// loraRequest is how trtllm-serve is asked for an adapter.
type loraRequest struct {
	Name string `json:"lora_name"`
	ID   int64  `json:"lora_int_id"`
	Path string `json:"lora_path"`
	// Source is the form of the checkpoint; adapters have only PEFT's.
	Source any `json:"lora_ckpt_source"`
}

var (
	// errNoAdapterPath: there is no such directory here.
	errNoAdapterPath = errors.New("does not exist")
	// errAdapterOutside: there is, and it is none of the server's.
	errAdapterOutside = errors.New("is outside the directory of this server's adapters")
)

// inside is the true path of an adapter's directory that a client names. It must
// lie below the Config's: no request makes the server read anything else.
func (c Config) inside(path string) (string, error) {
	if path == "" {
		return "", errNoAdapterPath
	}
	full, err := truePath(path)
	if err != nil {
		return "", errNoAdapterPath
	}
	home, err := truePath(c.AdapterDir)
	if c.AdapterDir == "" || err != nil {
		return "", errAdapterOutside
	}
	if rel, err := filepath.Rel(home, full); err != nil || rel == "." || !filepath.IsLocal(rel) {
		return "", errAdapterOutside
	}
	return full, nil
}

func truePath(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if full, err = filepath.EvalSymlinks(full); err != nil {
		return "", err
	}
	info, err := os.Stat(full)
	if err == nil && !info.IsDir() {
		err = errNoAdapterPath
	}
	return full, err
}

// located is the adapter of the directory that a client names, which is
// registered under the client's name for it if it is not known yet.
func (c *catalogue) located(cfg Config, name, path string) (*lora, error) {
	// Most requests say what the list says: nothing is looked up on disk for them.
	if l, err := c.named(name); err == nil && l.dir == path {
		return l, nil
	}
	dir, err := cfg.inside(path)
	if err != nil {
		return nil, err
	}
	for _, l := range c.all() {
		if p, err := truePath(l.dir); err == nil && p == dir {
			return l, nil
		}
	}
	if err := c.register(name, dir); err != nil && !errors.Is(err, errAdapterExists) {
		return nil, fmt.Errorf("cannot be loaded: %w", err)
	}
	l, missing := c.named(name)
	if missing != nil {
		return nil, missing
	}
	if p, err := truePath(l.dir); err != nil || p != dir { // somebody else has the name
		return nil, fmt.Errorf("%w: %s is %s", errAdapterExists, name, l.dir)
	}
	return l, nil
}

// adapter is what a request of either way asks for: vLLM's, where it is the
// model, or trtllm-serve's, where it is an object. nil is the base model.
func (c *common) adapter(cfg Config, loras *catalogue) (*lora, *apiError) {
	if r := c.LoRARequest; r != nil {
		if r.ID < 1 {
			return nil, badRequest("lora_request", "lora_int_id must be at least 1, got %d", r.ID)
		}
		l, err := loras.located(cfg, r.Name, r.Path)
		if err != nil {
			return nil, badRequest("lora_request", "lora_path (%s) %v.", r.Path, err)
		}
		return l, nil
	}
	if c.Model == nil || *c.Model == cfg.Model {
		return nil, nil
	}
	l, err := loras.named(*c.Model)
	if err != nil {
		return nil, &apiError{
			status: http.StatusNotFound, kind: "NotFoundError", param: "model",
			msg: fmt.Sprintf("The model `%s` does not exist.", *c.Model),
		}
	}
	return l, nil
}

// loadAdapter registers one more adapter. Its weights are read on first use.
func (s *server) loadAdapter(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Name     string `json:"lora_name"`
		Path     string `json:"lora_path"`
		Inplace  bool   `json:"load_inplace"`
		BaseName any    `json:"base_model_name"`
	}
	if e := decode(http.MaxBytesReader(w, r.Body, maxBodyBytes), &req, s.cfg.Strict); e != nil {
		writeError(w, e)
		return
	}
	bad := func(format string, args ...any) {
		writeError(w, &apiError{status: http.StatusBadRequest, kind: "InvalidUserInput", msg: fmt.Sprintf(format, args...)})
	}
	if req.Name == "" || req.Path == "" {
		bad("Both 'lora_name' and 'lora_path' must be provided.")
		return
	}
	_, missing := s.loras.named(req.Name)
	switch known := missing == nil || req.Name == s.cfg.Model; {
	case known && !req.Inplace:
		bad("The lora adapter '%s' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True.", req.Name)
		return
	case req.Name == s.cfg.Model:
		bad("'%s' is the base model.", req.Name)
		return
	}
	dir, err := s.cfg.inside(req.Path)
	if err != nil {
		bad("Loading lora %s failed: %s %v", req.Name, req.Path, err)
		return
	}
	if missing == nil {
		err = s.loras.unregister(req.Name)
	}
	if err == nil || errors.Is(err, errUnknownAdapter) {
		err = s.loras.register(req.Name, dir)
	}
	if err != nil {
		bad("Loading lora %s failed: %v", req.Name, err)
		return
	}
	writeText(w, "Success: LoRA adapter '%s' added successfully.", req.Name)
}

// unloadAdapter forgets one; its memory is free once its last request has ended.
func (s *server) unloadAdapter(w http.ResponseWriter, r *http.Request) {
	var req struct {
		Name string `json:"lora_name"`
		ID   any    `json:"lora_int_id"`
	}
	if e := decode(http.MaxBytesReader(w, r.Body, maxBodyBytes), &req, s.cfg.Strict); e != nil {
		writeError(w, e)
		return
	}
	if req.Name == "" {
		writeError(w, &apiError{status: http.StatusBadRequest, kind: "InvalidUserInput", msg: "'lora_name' needs to be provided to unload a LoRA adapter."})
		return
	}
	if err := s.loras.unregister(req.Name); err != nil {
		writeError(w, &apiError{status: http.StatusNotFound, kind: "NotFoundError", msg: fmt.Sprintf("The lora adapter '%s' cannot be found.", req.Name)})
		return
	}
	writeText(w, "Success: LoRA adapter '%s' removed successfully.", req.Name)
}

// writeText answers with text, as FastAPI's Response does.
func writeText(w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// A client that left cannot be told.
	_, _ = fmt.Fprintf(w, format, args...)
}

// models lists the base model and then the adapters, each under it.
func (s *server) models(w http.ResponseWriter, _ *http.Request) {
	entry := func(id, root string, parent any) any {
		return map[string]any{
			"id": id, "object": "model", "created": s.started.Unix(), "owned_by": "spark-emulator",
			"root": root, "parent": parent, "max_model_len": s.cfg.ContextTokens(), "permission": []any{},
		}
	}
	data := []any{entry(s.cfg.Model, s.cfg.Model, nil)}
	for _, l := range s.loras.all() {
		data = append(data, entry(l.name, l.dir, s.cfg.Model))
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": data})
}
