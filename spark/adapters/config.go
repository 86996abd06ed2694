package adapters

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	peftLoRA  = "LORA"
	maxConfig = 1 << 20 // bytes of adapter_config.json; real ones have about 1,000
)

// config is what of adapter_config.json says which tensors belong with it.
type config struct {
	base        string
	rank        int64
	modules     []string // nil where pattern says it
	pattern     string   // of module paths, or all-linear
	bias        string
	dora        bool
	saved       []string         // modules_to_save
	ranks       map[string]int64 // rank_pattern
	onlyParams  bool             // target_parameters, whose tensors no module list describes
	moduleMatch *regexp.Regexp   // of pattern; nil if it is none that can be tried
}

// parseConfig reads adapter_config.json. Keys have one case, as in Python; ones
// that are of no concern are passed over.
func parseConfig(b []byte) (config, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return config{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, configFile, err)
	}
	var (
		c      = config{bias: "none"}
		typ    string
		target json.RawMessage
		params []string
		errs   []error
	)
	for key, into := range map[string]any{
		"peft_type": &typ, "base_model_name_or_path": &c.base, "r": &c.rank, "bias": &c.bias, "use_dora": &c.dora,
		"modules_to_save": &c.saved, "rank_pattern": &c.ranks, "target_parameters": &params, "target_modules": &target,
	} {
		if v, ok := raw[key]; ok {
			if err := json.Unmarshal(v, into); err != nil {
				errs = append(errs, fmt.Errorf("%w: %s: %s: %w", ErrCorrupt, configFile, key, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return config{}, err
	}
	c.onlyParams = len(params) > 0
	if typ != peftLoRA {
		return config{}, fmt.Errorf("%w: %s has peft_type %.30q (only %s adapters are served)", ErrNotAdapter, configFile, typ, peftLoRA)
	}
	if c.rank < 1 {
		return config{}, fmt.Errorf("%w: %s: r is %d", ErrCorrupt, configFile, c.rank)
	}
	return c, c.target(target)
}

// target reads target_modules: a list of names, a pattern, or a word.
func (c *config) target(raw json.RawMessage) error {
	if json.Unmarshal(raw, &c.modules) == nil && len(c.modules) > 0 {
		return nil
	}
	if json.Unmarshal(raw, &c.pattern) == nil && c.pattern != "" {
		if c.pattern != allLinear {
			// One that only Python understands is not tried.
			c.moduleMatch, _ = regexp.Compile("^(?:" + c.pattern + ")$")
		}
		return nil
	}
	if c.onlyParams {
		return nil
	}
	return fmt.Errorf("%w: %s: target_modules is neither a list of modules nor a pattern", ErrCorrupt, configFile)
}

// modulePath is a module as target_modules names it.
func modulePath(module string) string { return strings.TrimPrefix(module, "base_model.model.") }

// targets tells whether the config means the module.
func (c config) targets(module string) bool {
	path := modulePath(module)
	switch {
	case c.onlyParams:
		return true
	case c.modules != nil:
		return slices.ContainsFunc(c.modules, func(m string) bool { return path == m || strings.HasSuffix(path, "."+m) })
	default:
		return c.moduleMatch == nil || c.moduleMatch.MatchString(path)
	}
}

// rankOf is the rank of a module; 0 if it cannot be told.
func (c config) rankOf(module string) int64 {
	if c.onlyParams {
		return 0
	}
	for pattern, rank := range c.ranks {
		p, err := regexp.Compile(`^(?:.*\.)?(?:` + pattern + `)$`)
		if err != nil {
			return 0
		}
		if p.MatchString(modulePath(module)) {
			return rank
		}
	}
	return c.rank
}

// halves are the ends of the names of a pair of tensors.
func halves() [][2]string {
	return [][2]string{{".lora_A.weight", ".lora_B.weight"}, {".lora_embedding_A", ".lora_embedding_B"}}
}

// pair is lora_A and lora_B of a module.
type pair struct{ a, b *tensor }

// pairUp proves that tensors and config belong together, and returns the
// modules that the tensors are of, by their last names, sorted.
func (c config) pairUp(tensors []tensor) ([]string, error) {
	pairs := map[string]pair{}
	var order []string
	for i := range tensors {
		t := &tensors[i]
		module, second, is := half(t.name)
		if !is {
			if !c.mayHave(t.name) {
				return nil, t.fault("it is neither lora_A nor lora_B, and %s does not ask for it", configFile)
			}
			continue
		}
		if !c.targets(module) {
			return nil, t.fault("target_modules in %s has no such module", configFile)
		}
		p, known := pairs[module]
		if !known {
			order = append(order, module)
		}
		if second {
			p.b = t
		} else {
			p.a = t
		}
		pairs[module] = p
	}
	if len(order) == 0 {
		return nil, errors.New("it has no lora_A and lora_B at all")
	}
	names := map[string]bool{}
	var list []string
	for _, module := range order {
		if err := pairs[module].fits(c.rankOf(module)); err != nil {
			return nil, err
		}
		if last := module[strings.LastIndexByte(module, '.')+1:]; !names[last] {
			names[last] = true
			list = append(list, last)
		}
	}
	slices.Sort(list)
	return list, nil
}

// half splits a tensor's name; second tells lora_B.
func half(name string) (module string, second, is bool) {
	for _, h := range halves() {
		for i, end := range h {
			if module, is = strings.CutSuffix(name, end); is {
				return module, i == 1, true
			}
		}
	}
	return "", false, false
}

// fits holds the shapes of a pair, [rank, in] and [out, rank], against the
// config's rank; 0 is any.
func (p pair) fits(rank int64) error {
	switch {
	case p.b == nil:
		return p.a.fault("its lora_B is missing")
	case p.a == nil:
		return p.b.fault("its lora_A is missing")
	}
	for _, t := range []*tensor{p.a, p.b} {
		if len(t.shape) != 2 {
			return t.fault("shape %s (want two dimensions)", t.dims())
		}
	}
	if rank != 0 && p.a.shape[0] != rank {
		return p.a.fault("shape %s is of rank %d, but %s says %d", p.a.dims(), p.a.shape[0], configFile, rank)
	}
	if p.b.shape[1] != p.a.shape[0] {
		return p.b.fault("shape %s is of rank %d, but its lora_A is of %d", p.b.dims(), p.b.shape[1], p.a.shape[0])
	}
	return nil
}

// mayHave tells whether a tensor that is no half of a pair may be there.
func (c config) mayHave(name string) bool {
	switch {
	case c.onlyParams:
		return true
	case strings.HasSuffix(name, ".lora_magnitude_vector"), strings.HasSuffix(name, ".lora_magnitude_vector.weight"):
		return c.dora
	case strings.HasSuffix(name, ".bias"):
		return c.bias != "none"
	case strings.Contains(name, ".embed_tokens."), strings.Contains(name, ".lm_head."):
		return true // PEFT saves them unasked when the vocabulary has grown
	}
	return slices.ContainsFunc(c.saved, func(m string) bool { return strings.Contains(name, "."+m+".") })
}
