package adapters

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The sizes that such adapters have in practice, in MB; the header adds up to
// 0.14 MB to them.
func TestSizes(t *testing.T) {
	qkv := []string{"q_proj", "k_proj", "v_proj"}
	all := []string{allLinear}
	for _, c := range []struct {
		model   string
		modules []string
		rank    int
		mb      float64
	}{
		{"L8B", nil, 8, 6.8},
		{"L8B", nil, 16, 13.6},
		{"L8B", nil, 32, 27.3},
		{"L8B", nil, 64, 54.5},
		{"L8B", qkv, 8, 9.4},
		{"L8B", qkv, 16, 18.9},
		{"L8B", qkv, 64, 75.5},
		{"L8B", all, 8, 41.9},
		{"L8B", all, 16, 83.9},
		{"L8B", all, 64, 335.5},
		{"L70B", nil, 8, 32.8},
		{"L70B", nil, 16, 65.5},
		{"L70B", nil, 64, 262.1},
		{"L70B", qkv, 16, 89.1},
		{"L70B", qkv, 32, 178.3},
		{"L70B", all, 8, 207},
		{"L70B", all, 16, 414},
		{"L70B", all, 64, 1657},
	} {
		for dtype, times := range map[string]float64{"": 1, "BF16": 1, "F16": 1, "F32": 2} {
			s := Spec{Model: c.model, Rank: c.rank, Modules: c.modules, DType: dtype}
			p, err := s.plan()
			require.NoError(t, err)
			require.InDelta(t, c.mb*times, float64(p.data)/1e6, max(0.055, c.mb*0.0005)*times, "%+v", s)
			n, err := s.Bytes()
			require.NoError(t, err)
			require.Greater(t, n, p.data)
			require.Less(t, n, p.data+160_000)
		}
	}
}

func TestBadSpecs(t *testing.T) {
	for _, c := range []struct {
		why  string
		spec Spec
		want []string
	}{
		{"nothing", Spec{}, []string{"L8B or L70B", "1 to 512"}},
		{"no such model", Spec{Model: "GPT", Rank: 1}, []string{`"GPT"`}},
		{"a rank too high", Spec{Model: "L8B", Rank: 513}, []string{"513"}},
		{"negative", Spec{Model: "L8B", Rank: -1}, []string{"-1"}},
		{"no such type", Spec{Model: "L8B", Rank: 1, DType: "FP8"}, []string{"F16, BF16 or F32"}},
		{"no such module", Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj", "lm_head"}}, []string{`"lm_head"`, "q_proj, k_proj"}},
		{"one twice", Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj", "q_proj"}}, []string{"twice"}},
		{"all and one", Spec{Model: "L8B", Rank: 1, Modules: []string{allLinear, "q_proj"}}, []string{`"all-linear"`}},
		{"every fault is told", Spec{Model: "x", Rank: 0, DType: "y", Modules: []string{"z"}}, []string{`"x"`, "rank 0", `"y"`, `"z"`}},
	} {
		err := c.spec.Validate()
		for _, w := range c.want {
			require.ErrorContains(t, err, w, c.why)
		}
		_, err = c.spec.Bytes()
		require.Error(t, err, c.why)
	}
}

// The library's own reader of headers and configs takes what is written, and
// the order of modules does not matter.
func TestPlansAreWhole(t *testing.T) {
	a, err := Spec{Model: "L8B", Rank: 16, Modules: []string{"v_proj", "down_proj"}}.plan()
	require.NoError(t, err)
	b, err := Spec{Model: "L8B", Rank: 16, Modules: []string{"down_proj", "v_proj"}, DType: "BF16"}.plan()
	require.NoError(t, err)
	require.Equal(t, a, b)
	head := a.head(7)
	require.Zero(t, len(head)%8, "data begins at a multiple of 8")
	tensors, err := parseHeader(head[8:], a.data)
	require.NoError(t, err)
	require.Equal(t, a.tensors, tensors)
	require.Len(t, tensors, 32*2*2)
	require.Equal(t, tensor{"base_model.model.model.layers.0.mlp.down_proj.lora_A.weight", "BF16", []int64{16, 14336}, 0, 16 * 14336 * 2}, tensors[0])
	c, err := parseConfig(a.config)
	require.NoError(t, err)
	found, err := c.pairUp(tensors)
	require.NoError(t, err)
	require.Equal(t, []string{"down_proj", "v_proj"}, found)
	require.Equal(t, []string{"v_proj", "down_proj"}, c.modules)
	require.Len(t, a.head(9999), len(head), "all adapters of a spec have one size")
}

func TestWeightsAreSane(t *testing.T) {
	value := map[string]func(b []byte) float64{
		"BF16": func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(b[1])<<24 | uint32(b[0])<<16))
		},
		"F32": func(b []byte) float64 {
			return float64(math.Float32frombits(uint32(b[3])<<24 | uint32(b[2])<<16 | uint32(b[1])<<8 | uint32(b[0])))
		},
		"F16": func(b []byte) float64 { // normal numbers alone: a denormal or infinite one fails below
			exp, man := int(b[1]>>2&31), float64(b[1]&3)*256+float64(b[0])
			require.NotContains(t, []int{0, 31}, exp)
			return math.Ldexp(1+man/1024, exp-15) * (1 - 2*float64(b[1]>>7))
		},
	}
	for _, w := range weightTypes() {
		p, err := Spec{Model: "L8B", Rank: 1, DType: w.name}.plan()
		require.NoError(t, err)
		buf := make([]byte, 1<<16)
		p.stream(1).fill(buf, 8)
		var sum, least, most float64
		n := 0
		for i := 0; i < len(buf); i += int(w.bytes) {
			v := value[w.name](buf[i:])
			sum, least, most = sum+v, min(least, v), max(most, v)
			require.GreaterOrEqual(t, math.Abs(v), 1.0/2048, w.name)
			n++
		}
		require.Less(t, most, 1.0/128, w.name)
		require.Greater(t, most, 1.0/150, w.name)
		require.Greater(t, least, -1.0/128, w.name)
		require.Less(t, least, -1.0/150, w.name)
		require.InDelta(t, 0, sum/float64(n), 2e-4, w.name)
	}
}

func TestWeightsDependOnSeedAndNumberAlone(t *testing.T) {
	at := func(seed uint64, n int, off int64) string {
		p, err := Spec{Model: "L8B", Rank: 1, Seed: seed}.plan()
		require.NoError(t, err)
		b := make([]byte, 64)
		p.stream(n).fill(b, off)
		return string(b)
	}
	require.Equal(t, at(1, 1, 8), at(1, 1, 8))
	require.Equal(t, at(1, 1, 0)[8:], at(1, 1, 8)[:56], "chunks may be cut anywhere")
	seen := map[string]bool{}
	for seed := range uint64(10) {
		for n := range 10 {
			for off := int64(0); off < 640; off += 64 {
				seen[at(seed, n, off)] = true
			}
		}
	}
	require.Len(t, seen, 1000)
}

func BenchmarkWeights(b *testing.B) {
	p, err := Spec{Model: "L8B", Rank: 16}.plan()
	require.NoError(b, err)
	buf := make([]byte, chunkBytes)
	b.SetBytes(chunkBytes)
	for b.Loop() {
		p.stream(1).fill(buf, 0)
	}
}
