package emulator

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/internal/jsonl"
)

// paging is a server whose pool holds two of the test's prompts.
func paging(t *testing.T) Config {
	cfg := small()
	cfg.SpillDir = diskDir(t)
	cfg.SpillBytes, cfg.PoolTokens = 512*4096, 64*4
	cfg.MaxContextTokens = 200
	return cfg
}

// words is a prompt of so many tokens; equal names are equal prefixes.
func words(name, tokens int) string {
	var b strings.Builder
	for i := range tokens {
		b.Write(appendWord(nil, uint64(name), i))
	}
	return b.String()
}

// complete asks for two tokens and returns the usage's cached tokens.
func complete(t *testing.T, info Info, prompt string) (cached int) {
	t.Helper()
	resp, text := post(t, info.URL+"/v1/completions", fmt.Sprintf(`{"prompt":%q,"max_tokens":2,"ignore_eos":true}`, prompt))
	require.Equal(t, 200, resp.StatusCode, text)
	var c chunk
	require.NoError(t, json.Unmarshal([]byte(text), &c))
	return c.Usage.Details.CachedTokens
}

func TestPrefixComesBackFromTheFile(t *testing.T) {
	cfg := paging(t)
	cfg.TruthPath = filepath.Join(t.TempDir(), "server.jsonl.zst")
	cfg.Epoch = clock.New().Now()
	info, stop := serveUntil(t, cfg)
	require.FileExists(t, info.SpillPath)
	require.Zero(t, complete(t, info, words(1, 101)))
	require.Equal(t, 100, complete(t, info, words(1, 101)))
	require.Zero(t, metric(t, info.URL, "spark_emulator_page_outs_total"), "nothing is full")
	for name := range 4 {
		complete(t, info, words(10+name, 101))
	}
	require.Equal(t, 100, complete(t, info, words(1, 101)), "from the disk")
	ins := metric(t, info.URL, "spark_emulator_page_ins_total")
	require.InDelta(t, 25, ins, 0, "25 blocks of 4 tokens")
	require.Equal(t, ins*4096, metric(t, info.URL, "spark_emulator_page_in_bytes_total"))
	require.Equal(t, ins*4, metric(t, info.URL, "vllm:external_prefix_cache_hits_total"))
	require.Zero(t, metric(t, info.URL, "spark_emulator_checksum_errors_total"))
	time.Sleep(time.Second) // so that the account has a line of its second
	stop()
	require.NoFileExists(t, info.SpillPath)
	checkTruth(t, cfg)
}

// checkTruth reads the account of TestPrefixComesBackFromTheFile.
func checkTruth(t *testing.T, cfg Config) {
	var kinds []string
	var last RequestTruth
	var second SecondTruth
	var n int
	for v, err := range jsonl.Read[Truth](cfg.TruthPath) {
		require.NoError(t, err)
		kinds = append(kinds, v.Kind)
		require.Positive(t, v.At)
		require.Less(t, v.At, time.Minute, "instants count from the epoch")
		switch v.Kind {
		case TruthStart:
			require.Equal(t, cfg, v.Start.Config)
		case TruthRequest:
			last = *v.Request
			n++
			require.Equal(t, "ok", last.Outcome)
		case TruthSecond:
			second = *v.Second
		case TruthEnd:
			require.Zero(t, v.End.Dropped)
		}
	}
	require.Equal(t, TruthStart, kinds[0])
	require.Equal(t, TruthEnd, kinds[len(kinds)-1])
	require.Contains(t, kinds, TruthSecond)
	require.Equal(t, 7, n)
	require.EqualValues(t, 25*4096, last.LoadedBytes)
	require.Equal(t, []int{101, 2, 0, 100}, []int{last.PromptTokens, last.OutputTokens, last.CachedPoolTokens, last.CachedDiskTokens})
	order := []time.Duration{last.Arrival, *last.Admitted, *last.LoadEnd, *last.Prefill, *last.FirstToken, *last.LastToken}
	for i := 1; i < len(order); i++ {
		require.LessOrEqual(t, order[i-1], order[i])
	}
	require.Less(t, *last.Admitted, *last.LoadEnd, "reading takes time")
	require.GreaterOrEqual(t, *last.LastSent, *last.LastToken)
	require.EqualValues(t, 25*4096, second.PageInBytes)
}

func TestCorruptBlockIsNeverServed(t *testing.T) {
	cfg := paging(t)
	info := serve(t, cfg)
	complete(t, info, words(1, 101))
	complete(t, info, words(1, 101))
	for name := range 4 {
		complete(t, info, words(10+name, 101))
	}
	for slot := range int64(128) {
		flip(t, info.SpillPath, chunkBytes+slot*4096+2048)
	}
	_, text := post(t, info.URL+"/v1/completions", fmt.Sprintf(`{"prompt":%q,"max_tokens":2,"stream":true}`, words(1, 101)))
	chunks, _ := events(t, text)
	require.Len(t, chunks, 1)
	require.NotNil(t, chunks[0].Error, "no token was made from it")
	require.Contains(t, chunks[0].Error.Message, "corrupt")
	require.Positive(t, metric(t, info.URL, "spark_emulator_checksum_errors_total"))
	require.EqualValues(t, 1, metric(t, info.URL, "spark_emulator_failed_total"))
	resp, text := post(t, info.URL+"/v1/completions", fmt.Sprintf(`{"prompt":%q,"max_tokens":2}`, words(1, 101)))
	require.Equal(t, 200, resp.StatusCode, "what was lost is computed again: %s", text)
}

func TestManyUsersPageWithoutLoss(t *testing.T) {
	cfg := paging(t)
	info := serve(t, cfg)
	var wg sync.WaitGroup
	for user := range 8 {
		wg.Go(func() {
			for turn := range 12 {
				resp, text, err := try(t, info.URL+"/v1/completions",
					fmt.Sprintf(`{"prompt":%q,"max_tokens":8,"ignore_eos":true,"stream":true}`, words(user, 80)+words(1000+turn*8+user, 9)))
				if err != nil || resp.StatusCode != 200 || strings.Count(text, `"text":`) != 8 || !strings.HasSuffix(text, "data: [DONE]\n\n") {
					t.Errorf("user %d turn %d: %v %s", user, turn, err, text)
				}
			}
		})
	}
	wg.Wait()
	require.Positive(t, metric(t, info.URL, "spark_emulator_page_ins_total"))
	require.Zero(t, metric(t, info.URL, "spark_emulator_checksum_errors_total"))
	require.Zero(t, metric(t, info.URL, "vllm:kv_cache_usage_perc"))
	require.EqualValues(t, 96*8, metric(t, info.URL, "vllm:generation_tokens_total"))
	require.EqualValues(t, 96, metric(t, info.URL, "vllm:request_success_total"))
}

func TestMetricsParse(t *testing.T) {
	cfg := paging(t)
	info := serve(t, cfg)
	complete(t, info, "a b c")
	_, text := get(t, info.URL+"/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	require.NoError(t, err)
	for _, name := range []string{
		"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:num_preemptions_total",
		"vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:prompt_tokens_total",
		"vllm:generation_tokens_total", "vllm:cache_config_info", "vllm:kv_offload_total_bytes_total",
		"kvbm_offload_blocks_d2d", "kvbm_onboard_blocks_d2d", "spark_emulator_max_num_seqs", "spark_emulator_pool_bytes",
	} {
		require.Contains(t, families, name)
	}
	require.Len(t, families["vllm:kv_offload_total_bytes_total"].Metric, 2)
	require.EqualValues(t, 1, families["vllm:time_to_first_token_seconds"].Metric[0].Histogram.GetSampleCount())
}
