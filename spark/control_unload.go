package spark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// noAdapter is a name that no server can have loaded.
const noAdapter = "spark-probe: there is no such adapter"

// loadWait bounds one loading or unloading, which may read gigabytes.
const loadWait = 5 * time.Minute

// unloader is how a server drops adapters and takes them up again.
type unloader struct {
	client *client
	prefix string // of the paths of vLLM ("/v1") and SGLang ("")
	model  string // of Triton's, which is loaded anew whole; "" elsewhere
}

// unloaderOf finds the endpoints of a server by asking each to unload what it
// cannot have. The error is ErrNoMeans with the remedy.
func unloaderOf(ctx context.Context, s *Server) (unloader, error) {
	c, err := newClient(s.Endpoint)
	if err != nil {
		return unloader{}, err
	}
	if loadgen.Dialect(s.Dialect).Triton() {
		return unloader{client: c, model: s.Endpoint.Model}, c.offersTriton(ctx)
	}
	var reasons []error
	for _, prefix := range []string{"/v1", ""} {
		u := unloader{client: c, prefix: prefix}
		reason := u.offered(ctx)
		if reason == nil {
			return u, nil
		}
		reasons = append(reasons, reason)
	}
	return unloader{}, fmt.Errorf("%w: %w (vLLM: start it with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True and --enable-lora; SGLang: with --enable-lora)", ErrNoMeans, errors.Join(reasons...))
}

// offered asks vLLM's or SGLang's route. A server that has it names the adapter
// that it does not know: vLLM with 404, SGLang with 400. One without the route
// answers 404 too, of the path.
func (u unloader) offered(ctx context.Context) error {
	path := u.prefix + "/unload_lora_adapter"
	a, err := u.client.post(ctx, path, map[string]string{"lora_name": noAdapter}, 10*time.Second)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return fmt.Errorf("%w: %s: status %d: %s (give a key that may load adapters)", ErrUnauthorized, path, a.status, u.client.says(a.body))
	case (a.status == http.StatusNotFound || a.status == http.StatusBadRequest) && strings.Contains(string(a.body), noAdapter):
		return nil
	}
	return fmt.Errorf("%s: status %d: %s", path, a.status, u.client.says(a.body))
}

// offersTriton asks to unload a model that cannot be, which only a server whose
// models are controlled from outside takes up.
func (c *client) offersTriton(ctx context.Context) error {
	path := "/v2/repository/models/" + url.PathEscape("spark-probe-no-such-model") + "/unload"
	a, err := c.post(ctx, path, struct{}{}, 10*time.Second)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s: %w", ErrNoMeans, path, err)
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return fmt.Errorf("%w: %w: %s: status %d: %s (Triton restricts this API)", ErrNoMeans, ErrUnauthorized, path, a.status, c.says(a.body))
	case a.ok(), a.status == http.StatusBadRequest && json.Valid(a.body):
		return nil
	}
	return fmt.Errorf("%w: %s: status %d: %s (start Triton with --model-control-mode=explicit --load-model=*, or restart it)", ErrNoMeans, path, a.status, c.says(a.body))
}

// unload drops the adapters and takes them up again.
func (c Control) unload(ctx context.Context, s *Server, adapters []AdapterRef) error {
	u, err := unloaderOf(ctx, s)
	if err != nil {
		return err
	}
	if u.model != "" {
		return c.reloadModel(ctx, u)
	}
	if len(adapters) == 0 {
		return fmt.Errorf("%w: no adapter named that could be unloaded", ErrNoMeans)
	}
	if err := loadable(adapters); err != nil {
		return err
	}
	for _, a := range adapters {
		c.say("unloading and loading adapter %s", a.Name)
		if err := u.drop(ctx, a.Name); err != nil {
			return err
		}
	}
	for _, a := range adapters {
		if err := u.load(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

// loadable refuses, before anything is dropped, what could not be loaded again.
func loadable(adapters []AdapterRef) error {
	var errs []error
	for _, a := range adapters {
		if a.Name == "" || a.Path == "" {
			errs = append(errs, fmt.Errorf("spark: load adapter %q: no path (give the directory as the server sees it)", a.Name))
		}
	}
	return errors.Join(errs...)
}

// drop unloads an adapter; one that is not loaded is dropped already.
func (u unloader) drop(ctx context.Context, name string) error {
	a, err := u.client.post(ctx, u.prefix+"/unload_lora_adapter", map[string]string{"lora_name": name}, loadWait)
	switch {
	case err != nil:
		return fmt.Errorf("spark: unload adapter %s: %w", name, err)
	case a.ok(), a.status == http.StatusNotFound, a.status == http.StatusBadRequest && strings.Contains(string(a.body), "does not exist"):
		return nil
	}
	return fmt.Errorf("spark: unload adapter %s: status %d: %s", name, a.status, u.client.says(a.body))
}

func (u unloader) load(ctx context.Context, ref AdapterRef) error {
	a, err := u.client.post(ctx, u.prefix+"/load_lora_adapter", map[string]string{"lora_name": ref.Name, "lora_path": ref.Path}, loadWait)
	if err != nil {
		return fmt.Errorf("spark: load adapter %s: %w", ref.Name, err)
	}
	// Both refuse to load one twice, and say so.
	if !a.ok() && !strings.Contains(string(a.body), "already") {
		return fmt.Errorf("spark: load adapter %s from %s: status %d: %s (is that its directory as the server sees it?)", ref.Name, ref.Path, a.status, u.client.says(a.body))
	}
	return nil
}

// reloadModel has Triton drop its model and everything that was loaded for it,
// and load it again.
func (c Control) reloadModel(ctx context.Context, u unloader) error {
	path := "/v2/repository/models/" + url.PathEscape(u.model)
	order := func(verb string, body any) error {
		a, err := u.client.post(ctx, path+"/"+verb, body, loadWait)
		if err != nil {
			return fmt.Errorf("spark: %s model %s: %w", verb, u.model, err)
		}
		if !a.ok() {
			return fmt.Errorf("spark: %s model %s: status %d: %s (look at the server's log)", verb, u.model, a.status, u.client.says(a.body))
		}
		return nil
	}
	c.say("unloading and loading Triton's model %s", u.model)
	if err := order("unload", map[string]any{"parameters": map[string]bool{"unload_dependents": true}}); err != nil {
		return err
	}
	// It answers before the model, which may have requests in flight, is gone.
	for {
		repo, err := u.client.repository(ctx)
		if err == nil && !slices.Contains(repo.ready(), u.model) && !repo.unloading() {
			break
		}
		if wait(ctx) != nil {
			return fmt.Errorf("spark: unload model %s: it is still ready: %w", u.model, context.Cause(ctx))
		}
	}
	return order("load", struct{}{})
}

// unloading tells whether a model is on its way out.
func (r repository) unloading() bool {
	for _, m := range r {
		if m.State == "UNLOADING" {
			return true
		}
	}
	return false
}

// loadMissing loads the adapters that a server which was started anew was not
// told of, where it must be told.
func (s *Server) loadMissing(ctx context.Context, adapters []AdapterRef) error {
	if s.Flavor != FlavorVLLM && s.Flavor != FlavorSGLang || loadgen.Dialect(s.Dialect).Triton() {
		return nil
	}
	missing := slices.DeleteFunc(slices.Clone(adapters), func(a AdapterRef) bool { return slices.Contains(s.Models, a.Name) })
	if len(missing) == 0 {
		return nil
	}
	if err := loadable(missing); err != nil {
		return err
	}
	u, err := unloaderOf(ctx, s)
	if err != nil {
		return fmt.Errorf("spark: load adapters after the restart: the server does not list %s: %w", missing[0].Name, err)
	}
	for _, a := range missing {
		if err := u.load(ctx, a); err != nil {
			return err
		}
	}
	return nil
}
