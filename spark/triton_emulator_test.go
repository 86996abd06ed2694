package spark

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

// The emulator's second face is the same emulator, in each of Triton's shapes.
func TestAttachToTheEmulatorsTritonFace(t *testing.T) {
	cfg := small(t)
	cfg.TritonAddr = "127.0.0.1:0"
	p, err := StartEmulator(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	for api, row := range map[string]struct {
		model string
		shape loadgen.Dialect
	}{
		"triton":        {"ensemble", loadgen.TritonTRTLLM},
		"auto":          {"ensemble", loadgen.TritonTRTLLM},
		"triton-trtllm": {"ensemble", loadgen.TritonTRTLLM},
		"triton-llmapi": {"tensorrt_llm", loadgen.TritonLLMAPI},
		"triton-vllm":   {"vllm_model", loadgen.TritonVLLM},
	} {
		t.Run(api, func(t *testing.T) {
			s, err := Attach(t.Context(), Endpoint{URL: p.Info.TritonURL, API: api})
			require.NoError(t, err)
			require.Equal(t, row.model, s.Endpoint.Model)
			require.Equal(t, string(row.shape), s.Dialect)
			require.True(t, s.Emulated(), "%s by %s", s.Flavor, s.Evidence)
			require.Equal(t, int64(p.Info.MaxSeqs), *s.Facts.MaxNumSeqs)
			require.Equal(t, int64(p.Info.PoolTokens), *s.Facts.KVPoolTokens)
			require.Equal(t, int64(p.Info.MaxContextTokens), *s.Facts.MaxModelLen)
			scraper, err := NewScraper(s, 0)
			require.NoError(t, err)
			point := scraper.Scrape(t.Context()).Point()
			require.Empty(t, point.Error)
			require.Positive(t, *point.Counters.GenerationTokens)
			_, err = Control{Means: MeansUnload}.Cold(t.Context(), s, nil)
			require.ErrorIs(t, err, ErrNoMeans)
			require.ErrorContains(t, err, "--model-control-mode=explicit")
		})
	}
	_, err = Attach(t.Context(), Endpoint{URL: p.Info.TritonURL})
	require.ErrorContains(t, err, p.Info.TritonURL+" answers Triton's /v2 (set the API to triton)")
	_, err = Attach(t.Context(), Endpoint{URL: p.Info.URL, API: "triton"})
	require.ErrorContains(t, err, p.Info.URL+" answers OpenAI's /v1/models (set the API to openai)")
}
