package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/loadgen"
)

// server is an OpenAI-compatible server that counts words as tokens.
func server(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"theirs","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Prompt    string `json:"prompt"`
			MaxTokens int    `json:"max_tokens"`
			Stream    bool   `json:"stream"`
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		usage := fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d}`, len(strings.Fields(req.Prompt)), req.MaxTokens)
		if !req.Stream {
			fmt.Fprintf(w, `{"choices":[{"index":0,"text":"x","finish_reason":"length"}],"usage":%s}`, usage)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range req.MaxTokens {
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\" x\",\"finish_reason\":null}]}\n\n")
			w.(http.Flusher).Flush()
		}
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n")
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestLoad(t *testing.T) {
	url := server(t)
	base := []string{"load", "--url", url, "--warmup", "50ms", "--duration", "200ms", "--prompt", "32", "--max-tokens", "4"}

	t.Run("a table for people", func(t *testing.T) {
		got := command(t.Context(), append(base, "-U", "2")...)
		require.Zero(t, got.exit, got.err)
		for _, w := range []string{
			"Successful requests:", "Benchmark duration (s):", "0.20", "Total input tokens:", "Mean TTFT (ms):", "Median TPOT (ms):", "P99 ITL (ms):", "Mean E2EL (ms):",
		} {
			require.Contains(t, got.out, w)
		}
		require.Contains(t, got.err, "theirs", "the model that was found is told")
	})
	t.Run("all quantiles", func(t *testing.T) {
		got := command(t.Context(), append(base, "-U", "2", "--format", "table")...)
		require.Zero(t, got.exit, got.err)
		for _, w := range []string{"TTFT", "E2E", "client lag", "p99", "ms", "requests: ", " ok ", "rates: "} {
			require.Contains(t, got.out, w)
		}
	})
	t.Run("a line of Markdown", func(t *testing.T) {
		got := command(t.Context(), append(base, "-U", "2", "--format", "markdown")...)
		require.Zero(t, got.exit, got.err)
		lines := strings.Split(strings.TrimSpace(got.out), "\n")
		require.Len(t, lines, 3)
		require.Regexp(t, `^\| theirs \| generic \| 2 users \| pp32\+tg4 \| \d+ \| 0 \|`, lines[2])
	})
	t.Run("JSON for programs", func(t *testing.T) {
		got := command(t.Context(), append(base, "-U", "2", "--json")...)
		require.Zero(t, got.exit, got.err)
		var sum loadgen.Summary
		require.NoError(t, json.Unmarshal([]byte(got.out), &sum), "stdout holds nothing else")
		require.Positive(t, sum.Requests.OK)
		require.Equal(t, sum.Requests.Due, sum.Requests.OK)
		require.NotNil(t, sum.TTFT)
	})
	t.Run("an open loop, and every record kept", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "records.jsonl.zst")
		got := command(t.Context(), append(base, "--rate", "100", "--records", path)...)
		require.Zero(t, got.exit, got.err)
		n := 0
		for r, err := range loadgen.ReadRecords(path) {
			require.NoError(t, err)
			require.Equal(t, loadgen.OutcomeOK, r.Outcome)
			n++
		}
		require.Positive(t, n)

		got = command(t.Context(), append(base, "--records", path)...)
		require.Equal(t, 1, got.exit, "records are never overwritten")
		require.Contains(t, got.err, "exists")
	})
}

func TestLoadKeepsItsFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	args := []string{"load", "--url", server(t), "--warmup", "0", "--duration", "0.1", "--prompt", "32", "--max-tokens", "4", "--out", dir}
	got := command(t.Context(), args...)
	require.Zero(t, got.exit, got.err)
	require.Contains(t, got.err, "kept in "+filepath.Join(dir, "summary.json"))
	for _, name := range []string{"summary.json", "latency.hlog", "requests.jsonl.zst"} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	got = command(t.Context(), args...)
	require.Equal(t, 1, got.exit)
	require.Contains(t, got.err, "choose another directory")
}

func TestLoadRefuses(t *testing.T) {
	url := server(t)
	for _, c := range []struct {
		why  string
		exit int
		args []string
		want string
	}{
		{"no server", 1, []string{"--url", "http://127.0.0.1:1"}, "127.0.0.1:1"},
		{"a model that it does not have", 1, []string{"--url", url, "--model", "other"}, "other"},
		{"nobody", 2, []string{"--url", url, "--users", "0"}, "loadgen"},
		{"no tokens", 2, []string{"--url", url, "--max-tokens", "0"}, "loadgen"},
		{"a nonce nowhere", 2, []string{"--url", url, "--nonce", "middle"}, `"middle"`},
		{"more than all of the mass", 2, []string{"--url", url, "--top-p", "1.5"}, "TopP"},
		{"no such prompt", 1, []string{"--url", url, "-P", "/nowhere/prompt.txt"}, "/nowhere/prompt.txt"},
		{"a length beside a file", 2, []string{"--url", url, "-P", listFile(t, "hello"), "--prompt", "3"}, "leave one of them out"},
		{"a run id with a slash", 1, []string{"--url", url, "--run-id", "a/b", "--out", t.TempDir()}, "leave slashes out"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		got := command(ctx, append([]string{"load", "--duration", "100ms", "--warmup", "0s"}, c.args...)...)
		require.NoError(t, ctx.Err(), "%s: refused at once", c.why)
		cancel()
		require.Equal(t, c.exit, got.exit, "%s: %s", c.why, got.err)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
	}
}

func TestInterruptedLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	got := command(ctx, "load", "--url", server(t), "--prompt", "16", "--max-tokens", "4", "--warmup", "0", "--duration", "1h")
	require.Equal(t, 130, got.exit)
	require.Contains(t, got.err, "interrupted")
	require.Contains(t, got.out, "Successful requests:", "what was seen until then is shown")
}
