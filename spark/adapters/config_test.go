package adapters

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func quoted(t *testing.T, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	require.NoError(t, err)
	return string(b)
}

func TestParseConfig(t *testing.T) {
	for _, c := range []struct {
		why, config string
		want        error
		text        string
	}{
		{"small", smallConfig, nil, ""},
		{"a pattern of modules", `{"peft_type":"LORA","r":2,"target_modules":".*\\.q_proj"}`, nil, ""},
		{"unknown keys are of no concern", `{"peft_type":"LORA","r":2,"target_modules":["q"],"megatron_core":"x","loftq_config":{}}`, nil, ""},
		{"no rank pattern", `{"peft_type":"LORA","r":2,"target_modules":["q"],"rank_pattern":null,"modules_to_save":null}`, nil, ""},
		{"nothing", ``, ErrCorrupt, "adapter_config.json"},
		{"cut off", smallConfig[:50], ErrCorrupt, "adapter_config.json"},
		{"a list", `[]`, ErrCorrupt, "adapter_config.json"},
		{"of a prompt", `{"peft_type":"PROMPT_TUNING"}`, ErrNotAdapter, "PROMPT_TUNING"},
		{"of a model", `{"architectures":["LlamaForCausalLM"]}`, ErrNotAdapter, "peft_type"},
		{"null", `null`, ErrNotAdapter, "peft_type"},
		{"no rank", `{"peft_type":"LORA","target_modules":["q"]}`, ErrCorrupt, "r is 0"},
		{"a key in capitals is another key, as in Python", `{"peft_type":"LORA","R":2,"target_modules":["q"]}`, ErrCorrupt, "r is 0"},
		{"a rank that is text", `{"peft_type":"LORA","r":"2","target_modules":["q"]}`, ErrCorrupt, "r:"},
		{"a rank past 64 bits", `{"peft_type":"LORA","r":99999999999999999999,"target_modules":["q"]}`, ErrCorrupt, "r:"},
		{"no modules", `{"peft_type":"LORA","r":2,"target_modules":[]}`, ErrCorrupt, "target_modules"},
		{"none at all", `{"peft_type":"LORA","r":2,"target_modules":null}`, ErrCorrupt, "target_modules"},
		{"modules that are numbers", `{"peft_type":"LORA","r":2,"target_modules":[1]}`, ErrCorrupt, "target_modules"},
		{"a base that is a list", `{"peft_type":"LORA","r":2,"target_modules":["q"],"base_model_name_or_path":[]}`, ErrCorrupt, "base_model_name_or_path"},
	} {
		_, err := parseConfig([]byte(c.config))
		require.ErrorIs(t, err, c.want, c.why)
		if c.want != nil {
			require.ErrorContains(t, err, c.text, c.why)
		}
	}
}

// pairsOf are tensors with these names and shapes, in a row.
func pairsOf(of map[string][]int64) []tensor {
	var list []tensor
	for name, shape := range of {
		list = append(list, tensor{name: name, dtype: "F32", shape: shape})
	}
	return list
}

func TestConfigAndTensorsBelongTogether(t *testing.T) {
	const layer = "base_model.model.model.layers.11.self_attn."
	q := map[string][]int64{layer + "q_proj.lora_A.weight": {2, 8}, layer + "q_proj.lora_B.weight": {8, 2}}
	with := func(more map[string][]int64) map[string][]int64 {
		all := map[string][]int64{}
		for _, m := range []map[string][]int64{q, more} {
			for k, v := range m {
				if all[k] = v; v == nil {
					delete(all, k)
				}
			}
		}
		return all
	}
	one := func(name string, shape ...int64) map[string][]int64 { return map[string][]int64{name: shape} }
	conf := func(more string) string { return `{"peft_type":"LORA","r":2,"target_modules":["q_proj"]` + more + `}` }
	pattern := func(p string) string { return `{"peft_type":"LORA","r":2,"target_modules":` + p + `}` }
	for _, c := range []struct {
		why, config string
		tensors     map[string][]int64
		want        string
	}{
		{"a pair", conf(""), q, ""},
		{"none", conf(""), nil, "no lora_A"},
		{"B is missing", conf(""), with(one(layer + "q_proj.lora_B.weight")), "lora_B is missing"},
		{"A is missing", conf(""), with(one(layer + "q_proj.lora_A.weight")), "lora_A is missing"},
		{"another rank", conf(""), with(map[string][]int64{layer + "q_proj.lora_A.weight": {4, 8}, layer + "q_proj.lora_B.weight": {8, 4}}), "is of rank 4, but adapter_config.json says 2"},
		{"ranks that differ", conf(""), with(one(layer+"q_proj.lora_B.weight", 8, 4)), "its lora_A is of 2"},
		{"the wrong way round", conf(""), with(one(layer+"q_proj.lora_A.weight", 8, 2)), "is of rank 8"},
		{"one dimension", conf(""), with(one(layer+"q_proj.lora_A.weight", 16)), "two dimensions"},
		{"a rank of its own", conf(`,"rank_pattern":{"layers.11.self_attn.q_proj":4}`), with(map[string][]int64{layer + "q_proj.lora_A.weight": {4, 8}, layer + "q_proj.lora_B.weight": {8, 4}}), ""},
		{"a pattern for ranks that is none in Go", conf(`,"rank_pattern":{"(?!x)q_proj":4}`), with(map[string][]int64{layer + "q_proj.lora_A.weight": {4, 8}, layer + "q_proj.lora_B.weight": {8, 4}}), ""},
		{"a rank of another layer's own", conf(`,"rank_pattern":{"layers.1.self_attn.q_proj":4}`), with(map[string][]int64{layer + "q_proj.lora_A.weight": {4, 8}, layer + "q_proj.lora_B.weight": {8, 4}}), "is of rank 4"},
		{"a module that was not asked for", conf(""), with(map[string][]int64{layer + "k_proj.lora_A.weight": {2, 8}, layer + "k_proj.lora_B.weight": {8, 2}}), "k_proj"},
		{"a name that only ends alike", `{"peft_type":"LORA","r":2,"target_modules":["proj"]}`, q, "no such module"},
		{"by pattern", pattern(`".*\\.(q|v)_proj"`), q, ""},
		{"by a pattern that does not match", pattern(`".*\\.v_proj"`), q, "no such module"},
		{"by a pattern that only Python knows", pattern(`"(?!x).*v_proj"`), q, ""},
		{"all linear ones", pattern(`"all-linear"`), q, ""},
		{"a stray tensor", conf(""), with(one("base_model.model.model.norm.weight", 8)), "neither lora_A nor lora_B"},
		{"a module saved whole", conf(`,"modules_to_save":["norm"]`), with(one("base_model.model.model.norm.weight", 8)), ""},
		{"a grown vocabulary", conf(""), with(one("base_model.model.lm_head.weight", 9, 8)), ""},
		{"a bias unasked", conf(""), with(one(layer+"q_proj.bias", 8)), "neither"},
		{"a bias", conf(`,"bias":"lora_only"`), with(one(layer+"q_proj.bias", 8)), ""},
		{"DoRA's magnitude unasked", conf(""), with(one(layer+"q_proj.lora_magnitude_vector", 8)), "neither"},
		{"DoRA", conf(`,"use_dora":true`), with(one(layer+"q_proj.lora_magnitude_vector", 8)), ""},
		{"an embedding's pair", `{"peft_type":"LORA","r":2,"target_modules":["embed_tokens"]}`, map[string][]int64{"base_model.model.model.embed_tokens.lora_embedding_A": {2, 9}, "base_model.model.model.embed_tokens.lora_embedding_B": {8, 2}}, ""},
		{"of parameters, which no list of modules describes", `{"peft_type":"LORA","r":2,"target_parameters":["mlp.experts.w"]}`, map[string][]int64{"x.experts.lora_A.weight": {16, 8}, "x.experts.lora_B.weight": {8, 16}}, ""},
	} {
		cfg, err := parseConfig([]byte(c.config))
		require.NoError(t, err, c.why)
		got, err := cfg.pairUp(pairsOf(c.tensors))
		if c.want != "" {
			require.ErrorContains(t, err, c.want, c.why)
			continue
		}
		require.NoError(t, err, c.why)
		require.Len(t, got, 1, c.why)
	}
}

func FuzzParseConfig(f *testing.F) {
	p, err := Spec{Model: "L8B", Rank: 1}.plan()
	require.NoError(f, err)
	for _, s := range []string{string(p.config), smallConfig, `{"peft_type":"LORA","r":1,"target_modules":"(a|b","rank_pattern":{"[":2}}`} {
		f.Add([]byte(s))
	}
	tensors, err := parseHeader([]byte(smallHeader), smallData)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseConfig(b)
		if err != nil {
			return
		}
		require.Positive(t, c.rank)
		require.True(t, len(c.modules) > 0 || c.pattern != "" || c.onlyParams)
		if got, err := c.pairUp(tensors); err == nil {
			require.Equal(t, []string{"q_proj"}, got)
		}
	})
}
