package emulator

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPresets(t *testing.T) {
	var sizes []int64
	for _, name := range []string{"L8B", "L70B"} {
		c, err := Preset(name)
		require.NoError(t, err)
		require.ErrorIs(t, c.Validate(), ErrConfig, "the spill directory is the caller's to choose")
		c.SpillDir = "/somewhere"
		require.NoError(t, c.Validate())
		require.Equal(t, name, c.Model)
		require.InDelta(t, 9*1150, c.PoolTokens, 16, "nine users of 1,150 tokens fill the pool")
		sizes = append(sizes, c.BlockBytes())

		n := c.NoPaging()
		require.NoError(t, n.Validate(), "without paging no directory is needed")
		require.Greater(t, n.PoolTokens, 9*(4096+64), "the sweep's longest contexts fit")
		require.Zero(t, n.SpillBytes)

		text, err := json.Marshal(c)
		require.NoError(t, err)
		var back Config
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, c, back, "a manifest holds all of it")
	}
	require.Equal(t, []int64{128 << 10, 320 << 10}, sizes, "the true ratio of the two models")
	_, err := Preset("L13B")
	require.ErrorIs(t, err, ErrConfig)
}

func TestValidateNamesTheFault(t *testing.T) {
	rows := []struct {
		fault  string
		change func(*Config)
	}{
		{"model", func(c *Config) { c.Model = "" }},
		{"addr", func(c *Config) { c.Addr = "nonsense" }},
		{"step_ns", func(c *Config) { c.Step = 0 }},
		{"step_ns", func(c *Config) { c.Step = time.Hour }},
		{"step_per_seq_ns", func(c *Config) { c.StepPerSeq = -1 }},
		{"prefill_budget_tokens", func(c *Config) { c.PrefillBudgetTokens = 0 }},
		{"prefill_chunk_tokens", func(c *Config) { c.PrefillChunkTokens = c.PrefillBudgetTokens + 1 }},
		{"max_seqs", func(c *Config) { c.MaxSeqs = 0 }},
		{"max_context_tokens", func(c *Config) { c.MaxContextTokens = 1 }},
		{"natural_tokens", func(c *Config) { c.NaturalTokens = -1 }},
		{"epoch_ns", func(c *Config) { c.Epoch = -1 }},
		{"multiple of block_tokens", func(c *Config) { c.PoolTokens++ }},
		{"multiple of 4096", func(c *Config) { c.KVBytesPerToken = 1000 }},
		{"kv_bytes_per_token", func(c *Config) { c.KVBytesPerToken = 1 << 62 }},
		{"pool_tokens", func(c *Config) { c.PoolTokens = 1 << 40 }},
		{"block_tokens", func(c *Config) { c.BlockTokens = 0 }},
		{"spill_bytes", func(c *Config) { c.SpillBytes = -1 }},
		{"less than one block", func(c *Config) { c.SpillBytes = 1 }},
		{"spill_dir", func(c *Config) { c.SpillDir = "" }},
		{"io_depth", func(c *Config) { c.IODepth = 0 }},
		{"spill_after_uses", func(c *Config) { c.SpillAfterUses = 0 }},
		{"triton_addr", func(c *Config) { c.TritonAddr = "nonsense" }},
		{"adapter_slots", func(c *Config) { c.AdapterDir = "d" }},
		{"adapter_slots", func(c *Config) { c.AdapterDir, c.AdapterSlots = "d", maxAdapterSlots+1 }},
		{"adapter_slots", func(c *Config) { c.AdapterSlots = -1 }},
		{"adapter_pages", func(c *Config) { c.AdapterPages = "perhaps" }},
		{"faults[0]", func(c *Config) { c.Faults = []Fault{{Kind: "explode"}} }},
	}
	require.NoError(t, tiny().Validate())
	for _, r := range rows {
		c := tiny()
		r.change(&c)
		err := c.Validate()
		require.ErrorIs(t, err, ErrConfig, r.fault)
		require.ErrorContains(t, err, r.fault)
		require.ErrorIs(t, Serve(t.Context(), c, nil), ErrConfig, "Serve refuses it too")
	}
}

func TestControlsOfAdapters(t *testing.T) {
	c, err := Preset("L8B")
	require.NoError(t, err)
	c.SpillDir, c.AdapterDir = "/somewhere", "/adapters"
	require.NoError(t, c.Validate(), "a preset has slots")
	require.Equal(t, 12, c.AdapterSlots)
	for name, v := range map[string]Config{"pinned": c.AdaptersPinned(), "fit": c.AdaptersFit(64), "warm": c.AdaptersWarm()} {
		require.NoError(t, v.Validate(), name)
	}
	require.True(t, c.AdaptersPinned().AdapterPinned)
	require.Equal(t, []int{64, 12}, []int{c.AdaptersFit(64).AdapterSlots, c.AdaptersFit(4).AdapterSlots})
	require.Equal(t, AdapterPagesHold, c.AdaptersWarm().AdapterPages)
	c.AdapterSlots = 0
	require.NoError(t, c.AdaptersPinned().Validate(), "there are as many slots as adapters")
}

func TestFaultsAreUnderstoodOrRefused(t *testing.T) {
	fs, err := requestFaults([]Fault{{Kind: FaultCut, Value: "3", Every: 2}}, map[string][]string{
		FaultHeader: {"stall=20ms, no_done", "truncate_prompt=9"},
	}, 4)
	require.NoError(t, err)
	want := newFaults()
	require.Equal(t, noFault, fs.evictAfter)
	want.cutAfter, want.stall, want.noDone, want.truncate = 3, 20*time.Millisecond, true, 9
	require.Equal(t, want, fs)
	fs, err = requestFaults([]Fault{{Kind: FaultCut, Every: 2}}, nil, 3)
	require.NoError(t, err)
	require.Equal(t, newFaults(), fs, "each second request only")
	for _, bad := range []Fault{{Kind: ""}, {Kind: "cut", Value: "x"}, {Kind: "status", Value: "200"}, {Kind: "stall", Value: "-1s"}, {Kind: "cut", Every: -1}} {
		require.ErrorIs(t, bad.Validate(), ErrFault, "%+v", bad)
	}
}

func FuzzFaultHeader(f *testing.F) {
	f.Add("cut=3,stall=10ms")
	f.Add("=,=")
	f.Fuzz(func(t *testing.T, h string) {
		fs, err := requestFaults(nil, map[string][]string{FaultHeader: {h}}, 1)
		if err == nil {
			require.LessOrEqual(t, fs.stall, time.Hour)
			require.GreaterOrEqual(t, fs.cutAfter, noFault)
		}
	})
}
