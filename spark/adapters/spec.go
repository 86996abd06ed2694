package adapters

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// MaxCount is how many adapters one directory may have: names have four digits,
// so that their order is that of the numbers.
const MaxCount = 9999

const (
	maxRank = 512
	// alphaPerRank is lora_alpha over r: the scale that most public adapters have.
	alphaPerRank = 2
	allLinear    = "all-linear"
)

// shape is what of a base model decides an adapter's size.
type shape struct {
	base                    string
	hidden, kv, ffn, layers int64
}

func shapes() map[string]shape {
	return map[string]shape{
		"L8B":  {"meta-llama/Llama-3.1-8B-Instruct", 4096, 1024, 14336, 32},
		"L70B": {"meta-llama/Llama-3.3-70B-Instruct", 8192, 1024, 28672, 80},
	}
}

// module is one linear layer of a block.
type module struct {
	name, block string
	in, out     int64
}

// modules are all of a block, in PEFT's usual order.
func (s shape) modules() []module {
	return []module{
		{"q_proj", "self_attn", s.hidden, s.hidden},
		{"k_proj", "self_attn", s.hidden, s.kv},
		{"v_proj", "self_attn", s.hidden, s.kv},
		{"o_proj", "self_attn", s.hidden, s.hidden},
		{"gate_proj", "mlp", s.hidden, s.ffn},
		{"up_proj", "mlp", s.hidden, s.ffn},
		{"down_proj", "mlp", s.ffn, s.hidden},
	}
}

// Validate joins every reason why no adapter can be made of the spec.
func (s Spec) Validate() error {
	_, err := s.plan()
	return err
}

// Bytes is the size of one adapter's adapter_model.safetensors; all of a spec
// are of one size. The error is Validate's.
func (s Spec) Bytes() (int64, error) {
	p, err := s.plan()
	if err != nil {
		return 0, err
	}
	return p.fileBytes(), nil
}

// plan is a valid spec worked out: everything of an adapter but its number.
type plan struct {
	seed    uint64
	dtype   dtype
	tensors []tensor
	data    int64  // bytes of all tensors
	config  []byte // of adapter_config.json
}

func (s Spec) plan() (plan, error) {
	var errs []error
	base, ok := shapes()[s.Model]
	if !ok {
		errs = append(errs, fmt.Errorf("adapters: no model %q (L8B or L70B)", s.Model))
	}
	if s.Rank < 1 || s.Rank > maxRank {
		errs = append(errs, fmt.Errorf("adapters: rank %d (1 to %d)", s.Rank, maxRank))
	}
	typ := dtype{}
	if i := slices.IndexFunc(weightTypes(), func(w weightType) bool { return w.name == cmp.Or(s.DType, "BF16") }); i >= 0 {
		typ = dtype{weightTypes()[i].name, 8 * weightTypes()[i].bytes}
	} else {
		errs = append(errs, fmt.Errorf("adapters: no dtype %q (F16, BF16 or F32)", s.DType))
	}
	wanted, err := base.choose(s.Modules)
	if err := errors.Join(append(errs, err)...); err != nil {
		return plan{}, err
	}
	p := plan{seed: s.Seed, dtype: typ}
	p.layOut(base, wanted, int64(s.Rank))
	p.config = configOf(base, wanted, s.Rank)
	return p, nil
}

// choose finds the modules by name, and puts them in order.
func (s shape) choose(names []string) ([]module, error) {
	all := s.modules()
	switch {
	case len(names) == 0:
		names = []string{"q_proj", "v_proj"}
	case len(names) == 1 && names[0] == allLinear:
		return all, nil
	}
	var errs []error
	for i, n := range names {
		if !slices.ContainsFunc(all, func(m module) bool { return m.name == n }) {
			errs = append(errs, fmt.Errorf("adapters: no module %q (q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; or %s alone)", n, allLinear))
		}
		if slices.Contains(names[:i], n) {
			errs = append(errs, fmt.Errorf("adapters: module %q twice", n))
		}
	}
	return slices.DeleteFunc(all, func(m module) bool { return !slices.Contains(names, m.name) }), errors.Join(errs...)
}

// layOut gives every tensor its place, in the order of names as PEFT's own
// writer does.
func (p *plan) layOut(base shape, wanted []module, rank int64) {
	for layer := range base.layers {
		for _, m := range wanted {
			name := fmt.Sprintf("base_model.model.model.layers.%d.%s.%s.lora_", layer, m.block, m.name)
			p.tensors = append(p.tensors,
				tensor{name: name + "A.weight", dtype: p.dtype.name, shape: []int64{rank, m.in}},
				tensor{name: name + "B.weight", dtype: p.dtype.name, shape: []int64{m.out, rank}})
		}
	}
	slices.SortFunc(p.tensors, func(a, b tensor) int { return strings.Compare(a.name, b.name) })
	for i := range p.tensors {
		t := &p.tensors[i]
		t.begin = p.data
		p.data += t.shape[0] * t.shape[1] * p.dtype.bits / 8
		t.end = p.data
	}
}

// head is the start of adapter number n's file: the header's length and the
// header, filled up with spaces to a multiple of 8 bytes. Seed and number stand
// in its metadata, which loaders hand on unread; an unknown key in
// adapter_config.json would make them warn, or give up.
func (p plan) head(n int) []byte {
	b := make([]byte, 8, 8+128*(len(p.tensors)+1))
	b = fmt.Appendf(b, `{"__metadata__":{"format":"pt","spark_number":"%04d","spark_seed":"%020d"}`, n, p.seed)
	for _, t := range p.tensors {
		b = fmt.Appendf(b, `,%q:{"dtype":%q,"shape":[%d,%d],"data_offsets":[%d,%d]}`, t.name, t.dtype, t.shape[0], t.shape[1], t.begin, t.end)
	}
	b = append(b, '}')
	for len(b)%8 != 0 {
		b = append(b, ' ')
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-8))
	return b
}

func (p plan) fileBytes() int64 { return int64(len(p.head(1))) + p.data }

// configOf is adapter_config.json with the keys that PEFT, vLLM and TensorRT-LLM
// ask for, and no newer ones: PEFT refuses or warns of keys that it does not
// know.
func configOf(base shape, wanted []module, rank int) []byte {
	names := make([]string, len(wanted))
	for i, m := range wanted {
		names[i] = m.name
	}
	c := map[string]any{
		"auto_mapping":            nil,
		"base_model_name_or_path": base.base,
		"bias":                    "none",
		"fan_in_fan_out":          false,
		"inference_mode":          true,
		"init_lora_weights":       true,
		"layers_pattern":          nil,
		"layers_to_transform":     nil,
		"lora_alpha":              alphaPerRank * rank,
		"lora_dropout":            0.0,
		"modules_to_save":         nil,
		"peft_type":               peftLoRA,
		"r":                       rank,
		"rank_pattern":            map[string]int{},
		"alpha_pattern":           map[string]int{},
		"revision":                nil,
		"target_modules":          names,
		"task_type":               "CAUSAL_LM",
		"use_dora":                false,
		"use_rslora":              false,
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	_ = enc.Encode(c) // of plain values into memory
	return out.Bytes()
}
