package spark

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMetrics(t *testing.T) {
	got, err := ParseMetrics([]byte("# HELP a b\n# TYPE b gauge\nb{x=\"1\"} NaN\na 3\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 5\nh_count 2\n# EOF\nlast 1"))
	require.NoError(t, err)
	var names []string
	for _, s := range got {
		names = append(names, s.Name)
	}
	require.Equal(t, []string{"a", "b", "h_sum", "h_count", "last"}, names, "sorted, and a missing last newline is forgiven")
	require.Equal(t, "1", got[1].Labels["x"])
	require.True(t, math.IsNaN(got[1].Value))
	require.Equal(t, 5.0, got[2].Value)
	require.Equal(t, 2.0, got[3].Value)
}

func TestParseMetricsKeepsWhatStoodBeforeAFault(t *testing.T) {
	got, err := ParseMetrics([]byte("a 1\nb{ 2\nc 3\n"))
	require.ErrorContains(t, err, "line 2")
	require.Equal(t, []Sample{{"a", map[string]string{}, 1}}, got)
}

func set(v float64) *float64 { return &v }

func TestCountersUseOneSetOfNames(t *testing.T) {
	for name, want := range map[string]Counters{
		"vllm.prom": {
			Running: set(8), Waiting: set(2), KVUsage: set(0.5), // two engines: sum, sum, mean
			PrefixQueries: set(4000), PrefixHits: set(1600), ExternalQueries: set(2400), ExternalHits: set(800),
			Preemptions: set(4), PromptTokens: set(9000), GenerationTokens: set(1200), TTFTSum: set(1.5), TTFTCount: set(8),
			TierOutBytes: set(1 << 20), TierInBytes: set(512 << 10), // CPU to NVMe leaves the pool alone
			DiskOutBytes: set(256 << 10),
		},
		"emulator.prom": {
			Running: set(3), TierInBytes: set(1 << 20), DiskInBytes: set(1 << 20), ChecksumErrors: set(0),
			DiskReadSum: set(0.1915), DiskReadCount: set(8),
			AdapterLoads: set(12), AdapterEvictions: set(8), AdapterInBytes: set(81788928), AdapterLoadSum: set(0.0625),
		},
		"vllm-lora.prom":     {Running: set(2)},
		"triton-openai.prom": {Waiting: set(2), PromptTokens: set(48), GenerationTokens: set(60)},
		"vllm-old.prom":      {Running: set(1), KVUsage: set(0.5), PrefixQueries: set(100), PrefixHits: set(40), Preemptions: set(2)},
		"vllm-offload.prom":  {Running: set(0), TierOutBytes: set(3000), TierInBytes: set(2000), DiskOutBytes: set(700), DiskInBytes: set(600)},
		"trtllm.prom": {
			Running: set(6), Waiting: set(1), Paused: set(0), KVUsage: set(0.4),
			PrefixQueries: set(100), PrefixHits: set(30), // blocks: reused + missed, reused
			TierOutBytes: set(4096), TierInBytes: set(2048), // no disk named: no disk claimed
		},
		"trtllm-early.prom": {TTFTSum: set(3), TTFTCount: set(12)},
		"triton.prom":       {Running: set(4), Waiting: set(1), Paused: set(2), KVUsage: set(0.4875), PrefixHits: set(7)},
		"sglang.prom":       {Running: set(9), Waiting: set(3), KVUsage: set(0.28), PromptTokens: set(8128), GenerationTokens: set(7557)},
		"llamacpp.prom":     {Running: set(1), Waiting: set(6), KVUsage: set(0.125), PromptTokens: set(64), GenerationTokens: set(128)},
		"kvbm.prom": {
			ExternalHits: set(960), TierOutBlocks: set(105), TierInBlocks: set(60), // d is device or disk, by place
			DiskOutBlocks: set(65), DiskInBlocks: set(20),
		},
	} {
		t.Run(name, func(t *testing.T) {
			samples, err := ParseMetrics([]byte(page(t, name)))
			require.NoError(t, err)
			require.Equal(t, want, NewCounters(samples))
		})
	}
}

func TestCountersOfIterationList(t *testing.T) {
	p := Scrape{Kind: metricsIterations, Raw: page(t, "trtllm-iterations.json")}.Point()
	require.Empty(t, p.Error)
	require.Equal(t, Counters{
		Running: set(3), Waiting: set(4), Paused: set(1), KVUsage: set(0.3),
		PrefixQueries: set(110), PrefixHits: set(20),
	}, p.Counters, "the last state counts")
	require.Equal(t, Point{}, Scrape{Kind: metricsIterations, Raw: "[]"}.Point(), "an idle engine says nothing, not zero")
}

func TestSince(t *testing.T) {
	before := Counters{Running: set(1), Preemptions: set(5), PromptTokens: set(10), PrefixHits: set(3), DiskReadSum: set(0.5), DiskReadCount: set(4)}
	after := Counters{Running: set(4), Preemptions: set(7), PromptTokens: set(2), GenerationTokens: set(1), DiskReadSum: set(2), DiskReadCount: set(10)}
	require.Equal(t, Counters{Preemptions: set(2), DiskReadSum: set(1.5), DiskReadCount: set(6)}, after.Since(before),
		"gauges, counters that fell and counters known on one side only are absent")
}

func FuzzParseMetrics(f *testing.F) {
	f.Add("a 1\n")
	f.Add("vllm:num_requests_running{engine=\"0\"} 5\nvllm:kv_offload_total_bytes{transfer_type=\"GPU_to_NVMe\"} 1e9\n")
	f.Add("# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_sum 5\nh_count 2")
	f.Add("trtllm_kv_cache_utilization NaN\nx{y=\"\\\"\"} -Inf 123\n")
	f.Fuzz(func(t *testing.T, text string) {
		samples, _ := ParseMetrics([]byte(text))
		c := NewCounters(samples)
		for _, field := range counterFields() {
			if v := *field.at(&c); v != nil {
				require.False(t, math.IsNaN(*v), "NaN must be absent")
			}
		}
		survey{samples: samples}.facts()
	})
}

func FuzzIterations(f *testing.F) {
	f.Add(`[]`)
	f.Add(`[{"numActiveRequests":1,"kvCacheStats":{"maxNumBlocks":0,"usedNumBlocks":0,"tokensPerBlock":1e300}}]`)
	f.Add(`[null]`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseIterations([]byte(text))
		if err != nil {
			return
		}
		iterationCounters(list)
		facts := survey{iterations: list}.facts()
		if facts.KVPoolTokens != nil {
			require.Positive(t, *facts.KVPoolTokens)
		}
	})
}
