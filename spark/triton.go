package spark

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// tritonModels are the names under which servers of language models keep the
// model that takes text, the most usual first.
var tritonModels = []string{"ensemble", "tensorrt_llm", "vllm_model", "tensorrt_llm_bls"}

// tritonMetricsPort is where Triton serves its metrics unless told otherwise.
const tritonMetricsPort = "8002"

// attachTriton is Attach by Triton's own API. A dialect that is asked for is
// used whatever the model's config says.
func (c *client) attachTriton(ctx context.Context, e Endpoint, forced loadgen.Dialect) (*Server, error) {
	repo, err := c.repository(ctx)
	if err != nil {
		return nil, err
	}
	var dialect loadgen.Dialect
	if e.Model, dialect, err = c.chooseTriton(ctx, repo, e, forced); err != nil {
		return nil, err
	}
	s := &Server{Endpoint: e, Models: repo.names(), Dialect: string(dialect)}
	// Its health and the model's own can say yes of a model that answers nothing.
	if s.FirstToken, err = c.loadgenToken(ctx, e, dialect); err != nil {
		return nil, err
	}
	metrics := &url.URL{Scheme: "http", Host: net.JoinHostPort(c.base.Hostname(), tritonMetricsPort)}
	s.learn(c.surveyTriton(ctx, repo, metrics))
	return s, nil
}

// speaksTriton tells whether the server describes itself as Triton does.
func (c *client) speaksTriton(ctx context.Context) bool {
	_, ok := c.tritonVersion(ctx)
	return ok
}

func (c *client) tritonVersion(ctx context.Context) (string, bool) {
	a, err := c.get(ctx, "/v2", 5*time.Second)
	var about struct {
		Name       string    `json:"name"`
		Version    string    `json:"version"`
		Extensions *[]string `json:"extensions"`
	}
	ok := err == nil && a.ok() && json.Unmarshal(a.body, &about) == nil && about.Name != "" && about.Extensions != nil
	return about.Version, ok
}

// repository is the answer of /v2/repository/index: an entry for each version of
// a model, and one without a version for a model that was never loaded.
type repository []struct {
	Name   string `json:"name"`
	State  string `json:"state"`
	Reason string `json:"reason"`
}

func (c *client) repository(ctx context.Context) (repository, error) {
	const path = "/v2/repository/index"
	a, err := c.post(ctx, path, struct{}{}, 10*time.Second)
	if err != nil {
		return nil, fmt.Errorf("spark: list models: %w (start the server, or correct its URL)", err)
	}
	said := fmt.Sprintf("%s: %s: status %d: %s", c.base, path, a.status, c.says(a.body))
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return nil, fmt.Errorf("%w: %s (give the key it expects)", ErrUnauthorized, said)
	case a.status >= 500 || a.status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("%w: %s (wait until it has loaded)", ErrNotReady, said)
	}
	var repo repository
	if !a.ok() || json.Unmarshal(a.body, &repo) != nil {
		if c.speaksOpenAI(ctx) {
			return nil, fmt.Errorf("%w: %s answers OpenAI's /v1/models (set the API to openai)", ErrNotTriton, c.base)
		}
		return nil, fmt.Errorf("%w: %s (is this the right port?)", ErrNotTriton, said)
	}
	if len(repo) == 0 {
		return nil, fmt.Errorf("%w: %s: no model in its repository (load one)", ErrNotReady, c.base)
	}
	return repo, nil
}

// names are all models, each once, in the server's order.
func (r repository) names() []string {
	var names []string
	for _, m := range r {
		if !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// ready are the models of which a version is, in the server's order.
func (r repository) ready() []string {
	r = slices.Clone(r)
	for i := len(r) - 1; i >= 0; i-- {
		if r[i].State != "READY" {
			r = slices.Delete(r, i, i+1)
		}
	}
	return r.names()
}

// states is every model with its state, and why it is in it.
func (r repository) states() string {
	var list []string
	for _, m := range r {
		s := m.Name + " is " + strings.ToLower(m.State)
		if m.State == "" {
			s = m.Name + " is not loaded"
		}
		if m.Reason != "" {
			s += " (" + m.Reason + ")"
		}
		list = append(list, s)
	}
	return strings.Join(list, ", ")
}

// chooseTriton picks the model named, else the first that is ready and takes
// text, by name as servers of language models have them, else the only one. A
// shape that is asked for goes before the order of names.
func (c *client) chooseTriton(ctx context.Context, repo repository, e Endpoint, forced loadgen.Dialect) (string, loadgen.Dialect, error) {
	ready := repo.ready()
	choice := slices.DeleteFunc(slices.Clone(tritonModels), func(name string) bool { return !slices.Contains(ready, name) })
	switch {
	case e.Model != "" && !slices.Contains(repo.names(), e.Model):
		return "", "", fmt.Errorf("%w: %s does not list %q (it has: %s)", ErrWrongModel, e.URL, e.Model, strings.Join(repo.names(), ", "))
	case e.Model != "" && !slices.Contains(ready, e.Model), len(ready) == 0:
		return "", "", fmt.Errorf("%w: %s: %s (look at the server's log)", ErrNotReady, e.URL, c.says([]byte(repo.states())))
	case e.Model != "":
		choice = []string{e.Model}
	case len(choice) == 0 && len(ready) == 1:
		choice = ready
	case len(choice) == 0:
		return "", "", fmt.Errorf("%w: %s has several and none by a usual name: %s (say which)", ErrWrongModel, e.URL, strings.Join(ready, ", "))
	}
	for _, name := range choice {
		if shape := c.tritonShape(ctx, name); shape != "" && (forced == "" || shape == forced) {
			return name, shape, c.tritonReady(ctx, name)
		}
	}
	if forced != "" {
		return choice[0], forced, c.tritonReady(ctx, choice[0])
	}
	return "", "", fmt.Errorf("%w: %s: the inputs of %s are no known server's of language models (name the model, and its shape as the API)", ErrWrongModel, e.URL, strings.Join(choice, ", "))
}

// tritonReady asks the model itself.
func (c *client) tritonReady(ctx context.Context, model string) error {
	path := "/v2/models/" + url.PathEscape(model) + "/ready"
	a, err := c.get(ctx, path, 10*time.Second)
	if err != nil {
		return fmt.Errorf("spark: ask whether %s is ready: %w", model, err)
	}
	if !a.ok() {
		return fmt.Errorf("%w: %s%s: status %d: %s (look at the server's log)", ErrNotReady, c.base, path, a.status, c.says(a.body))
	}
	return nil
}

// tritonShape tells a model's shape by its config; "" is none that is known.
func (c *client) tritonShape(ctx context.Context, model string) loadgen.Dialect {
	a, err := c.get(ctx, "/v2/models/"+url.PathEscape(model)+"/config", 10*time.Second)
	if err != nil || !a.ok() {
		return ""
	}
	return shapeOf(a.body)
}

// shapeOf reads a model's config. The tensorrt_llm model of the older engines
// has an input lora_task_id too, but takes tokens: only the ensemble above it
// takes text.
func shapeOf(config []byte) loadgen.Dialect {
	var c struct {
		Backend  string `json:"backend"`
		Platform string `json:"platform"`
		Input    []struct {
			Name string `json:"name"`
		} `json:"input"`
	}
	if json.Unmarshal(config, &c) != nil {
		return ""
	}
	inputs := map[string]bool{}
	for _, in := range c.Input {
		inputs[in.Name] = true
	}
	switch {
	case c.Backend == "vllm" || c.Platform == "vllm":
		return loadgen.TritonVLLM
	case !inputs["text_input"]:
		return ""
	case inputs["lora_name"] && inputs["lora_path"], inputs["sampling_param_max_tokens"]:
		return loadgen.TritonLLMAPI
	case inputs["lora_task_id"], inputs["max_tokens"]:
		return loadgen.TritonTRTLLM
	}
	return ""
}

// surveyTriton asks for what Triton tells of itself beside the model. Metrics
// are on a port of their own, and count only if they are of our models: another
// server's may be there.
func (c *client) surveyTriton(ctx context.Context, repo repository, metrics *url.URL) survey {
	s := survey{triton: true}
	s.version, _ = c.tritonVersion(ctx)
	read := func(c *client, test func(Sample) bool) bool {
		a, err := c.get(ctx, "/metrics", 5*time.Second)
		if err != nil || !a.ok() {
			return false
		}
		samples, _ := ParseMetrics(a.body) // what is readable is used
		if !slices.ContainsFunc(samples, test) {
			return false
		}
		s.samples, s.metrics = samples, metricsSource{path: "/metrics", kind: metricsPrometheus}
		return true
	}
	if read(c, func(Sample) bool { return true }) {
		return s
	}
	names := repo.names()
	if read(c.at(metrics), func(m Sample) bool { return slices.Contains(names, m.Labels["model"]) }) {
		s.metrics.base = metrics
	}
	return s
}
