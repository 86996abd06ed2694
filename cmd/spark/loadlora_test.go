package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark/adapters"
	"github.com/spark-harness/harness/spark/emulator"
)

// loraServer is an OpenAI-compatible server whose adapters are models, as vLLM's
// are. Without heed it answers all of them alike.
func loraServer(t *testing.T, heed bool, known ...string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"base","object":"model","owned_by":"vllm"}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Model, Prompt string
			MaxTokens     int  `json:"max_tokens"`
			Stream        bool `json:"stream"`
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		if req.Model != "base" && !slices.Contains(known, req.Model) {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, "{\"error\":{\"message\":\"The model `%s` does not exist.\"}}", req.Model)
			return
		}
		word := "x"
		if heed {
			word = req.Model
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range req.MaxTokens {
			fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"text\":\" %s\",\"finish_reason\":null}]}\n\n", word)
		}
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n")
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", len(strings.Fields(req.Prompt)), req.MaxTokens)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func listFile(t *testing.T, names ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(names, "\n")), 0o600))
	return path
}

func TestLoadOfAdapters(t *testing.T) {
	for _, c := range []struct {
		why    string
		url    string
		args   []string
		warn   []string // parts of what stderr says, none where it warns of nothing
		rows   []string // of the table
		absent string
	}{
		{
			why: "a server that applies them", url: loraServer(t, true, "a", "b"), args: []string{"--lora-session", "in-order"},
			rows: []string{`a +2 +2`, `b +2 +2`},
		},
		{
			why: "sticky users", url: loraServer(t, true, "a", "b"), args: []string{"--turns", "3"},
			rows: []string{`a +3 +3`, `b +3 +3`},
		},
		{
			why: "one for all", url: loraServer(t, true, "a", "b"), args: []string{"--lora-session", "hot-one"},
			rows: []string{`a +4 +4`}, absent: `(?m)^b `,
		},
		{
			why: "a server that ignores them", url: loraServer(t, false, "a", "b"),
			warn: []string{"WARNING: the server IGNORES the adapters"}, rows: []string{`a +2 +2`, `b +2 +2`},
		},
		{
			why: "one that it does not know", url: loraServer(t, true, "a"),
			warn: []string{"WARNING: adapter b: unknown_adapter", "WARNING: 2 of 4 requests asked for adapters that the server does not know"},
			rows: []string{`a +2 +2`, `b +2 +0`},
		},
		{
			why: "it was told not to ask", url: loraServer(t, true, "a"), args: []string{"--lora-check", "0"},
			warn: []string{"WARNING: 2 of 4"}, rows: []string{`b +2 +0`},
		},
		{
			why: "all unknown", url: loraServer(t, true),
			warn: []string{"too few answers", "WARNING: 4 of 4"}, rows: []string{`a +2 +0`},
		},
	} {
		t.Run(c.why, func(t *testing.T) {
			args := append([]string{
				"load", "--url", c.url, "--api-mode", "openai", "--lora-list", listFile(t, "a", "b"),
				"-U", "2", "--turns", "2", "--warmup", "0s", "--duration", "1h", "--prompt", "32", "--max-tokens", "4",
			}, c.args...)
			got := command(t.Context(), args...)
			require.Zero(t, got.exit, got.err)
			require.Contains(t, got.out, "TTFT by adapter")
			for _, row := range c.rows {
				require.Regexp(t, regexp.MustCompile("(?m)^"+row+`\b`), got.out)
			}
			if c.absent != "" {
				require.NotRegexp(t, c.absent, got.out)
			}
			require.Equal(t, len(c.warn) > 0, strings.Contains(got.err, "WARNING"), got.err)
			for _, w := range c.warn {
				require.Contains(t, got.err, w)
			}
		})
	}
}

func TestLoadOfAdaptersRefuses(t *testing.T) {
	url := loraServer(t, true, "a")
	list := listFile(t, "a")
	for _, c := range []struct {
		why  string
		exit int
		args []string
		want string
	}{
		{"no such list", 1, []string{"--lora-list", "/nowhere/list"}, "no such file"},
		{"a bad list", 1, []string{"--lora-list", listFile(t, "a", "a")}, `list.txt:2: name "a"`},
		{"a choice of nothing", 2, []string{"--lora-session", "random"}, "nothing to choose"},
		{"an unknown choice", 2, []string{"--lora-list", list, "--lora-session", "best"}, `"zipf"`},
		{"a negative exponent", 2, []string{"--lora-list", list, "--lora-session", "zipf", "--lora-zipf=-1"}, "ZipfExponent"},
		{"an unknown API", 2, []string{"--api-mode", "grpc"}, "triton"},
		{"adapters mean Triton", 1, []string{"--lora-list", list}, "--api-mode auto is triton"},
		{"turns of an open loop", 2, []string{"--rate", "5", "--turns", "2"}, "Arrivals.Turns"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		got := command(ctx, append([]string{"load", "--url", url, "--duration", "100ms", "--warmup", "0s", "--prompt", "32"}, c.args...)...)
		require.NoError(t, ctx.Err(), c.why)
		cancel()
		require.Equal(t, c.exit, got.exit, "%s: %s", c.why, got.out)
		require.Contains(t, got.err, c.want, c.why)
	}
}

// emulated serves an emulator that computes quickly and holds one of the three
// adapters in dir.
func emulated(t *testing.T, dir string) emulator.Info {
	t.Helper()
	_, err := adapters.Make(t.Context(), dir, adapters.Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj"}}, 3, nil)
	require.NoError(t, err)
	cfg, err := emulator.Preset("L8B")
	require.NoError(t, err)
	cfg = cfg.NoPaging()
	cfg.Step, cfg.StepPerSeq = time.Millisecond, 0
	cfg.TritonAddr, cfg.AdapterDir, cfg.AdapterSlots = "127.0.0.1:0", dir, 1
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan emulator.Info, 1), make(chan error, 1)
	go func() { done <- emulator.Serve(ctx, cfg, func(i emulator.Info) { ready <- i }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case i := <-ready:
		return i
	case err := <-done:
		t.Fatalf("the emulator did not start: %v", err)
	}
	return emulator.Info{}
}

func TestLoadOfTheEmulatorsAdapters(t *testing.T) {
	dir := t.TempDir()
	server := emulated(t, dir)
	list := listFile(t, "lora-0001 1 "+dir+"/lora-0001", "lora-0002 2 "+dir+"/lora-0002", "lora-0003 3 "+dir+"/lora-0003")
	for _, c := range []struct {
		why, url string
		args     []string
		dialect  loadgen.Dialect
	}{
		{"auto is Triton", server.TritonURL, nil, loadgen.TritonTRTLLM},
		{"Triton in the shape of TensorRT-LLM", server.TritonURL, []string{"--api-mode", "triton-trtllm", "--model", "ensemble"}, loadgen.TritonTRTLLM},
		{"Triton in llmapi's", server.TritonURL, []string{"--api-mode", "triton-llmapi", "--model", "tensorrt_llm"}, loadgen.TritonLLMAPI},
		{"Triton in vLLM's", server.TritonURL, []string{"--api-mode", "triton-vllm", "--model", "vllm_model"}, loadgen.TritonVLLM},
		{"OpenAI's API", server.URL, []string{"--api-mode", "openai"}, loadgen.OpenAICompletions},
		{"its chat", server.URL, []string{"--api-mode", "openai-chat"}, loadgen.OpenAIChat},
	} {
		t.Run(c.why, func(t *testing.T) {
			args := append([]string{
				"load", "--url", c.url, "--lora-list", list, "--lora-session", "in-order", "-U", "1", "--turns", "6",
				"--warmup", "0s", "--duration", "1h", "--prompt", "64", "--max-tokens", "4", "--json",
			}, c.args...)
			got := command(t.Context(), args...)
			require.Zero(t, got.exit, got.err)
			require.Contains(t, got.err, string(c.dialect))
			require.NotContains(t, got.err, "WARNING", "it knows them, and answers each in its own way")
			var sum loadgen.Summary
			require.NoError(t, json.Unmarshal([]byte(got.out), &sum))
			require.EqualValues(t, 6, sum.Requests.OK)
			require.Len(t, sum.Adapters, 3)
			for _, a := range sum.Adapters {
				require.EqualValues(t, 2, a.OK)
				require.NotNil(t, a.Cold, "memory holds one, so each turn loads another")
				require.EqualValues(t, 2, a.Cold.N)
				require.Nil(t, a.Resident)
			}
		})
	}
	t.Run("users with one adapter find it there", func(t *testing.T) {
		got := command(t.Context(), "load", "--url", server.TritonURL, "--lora-list", list, "--lora-session", "hot-one", "-U", "1", "--turns", "5",
			"--lora-check", "3", "--warmup", "0s", "--duration", "1h", "--prompt", "64", "--max-tokens", "4")
		require.Zero(t, got.exit, got.err)
		require.Regexp(t, `(?m)^adapter +n +ok +p50 \(ms\) +p95 \(ms\) +cold p50 \(ms\) +resident p50 \(ms\)$`, got.out)
		require.Regexp(t, `(?m)^lora-0001( +[0-9.]+){6}$`, got.out)
	})
}
