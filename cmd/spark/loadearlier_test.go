package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asked keeps the bodies of the requests that it answers.
type asked struct {
	mu     sync.Mutex
	bodies []map[string]any
}

func (a *asked) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"theirs","object":"model"}]}`)
		return
	}
	b, _ := io.ReadAll(r.Body)
	var body map[string]any
	if json.Unmarshal(b, &body) != nil {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.bodies = append(a.bodies, body)
	a.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\" x\",\"finish_reason\":\"length\"}]}\n\n")
	fmt.Fprint(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n")
}

// A script of the earlier load generator goes on working: its flags, spelt as it
// spells them, reach the server, and its result lies where it looks for it.
func TestLoadTakesTheEarlierGeneratorsFlags(t *testing.T) {
	inputs, results := t.TempDir(), filepath.Join(t.TempDir(), "results")
	require.NoError(t, os.WriteFile(filepath.Join(inputs, "short.txt"), []byte("Say hi.\n"), 0o644))
	t.Setenv("INPUTS_DIR", inputs)
	t.Setenv("RESULTS_DIR", results)
	t.Setenv("MODEL_HANDLE", "theirs")
	a := &asked{}
	srv := httptest.NewServer(a)
	defer srv.Close()
	got := command(t.Context(), "load", "--url", srv.URL, "--run-id", "H0_U2_r1", "-U", "2", "-P", "short.txt",
		"--api-mode", "openai", "--use-nonce", "--duration", "0.2", "--max-tokens", "7", "--temperature", "0.5", "--top-p", "0.9", "--seed", "9", "--timeout", "120.0", "--warmup", "0")
	require.Zero(t, got.exit, got.err)
	require.Contains(t, got.err, "What differs:", "loudly")
	require.FileExists(t, filepath.Join(results, "H0_U2_r1_summary.json"))

	last := a.bodies[len(a.bodies)-1]
	require.Equal(t, "theirs", last["model"])
	require.InDelta(t, 7, last["max_tokens"], 0)
	require.InDelta(t, 0.5, last["temperature"], 0)
	require.InDelta(t, 0.9, last["top_p"], 0)
	require.InDelta(t, 9, last["seed"], 0)
	prompt := last["prompt"].(string)
	require.True(t, strings.HasSuffix(prompt, " Say hi.\n"), "the file as it is, after a nonce: %q", prompt)
	require.NotEqual(t, prompt, a.bodies[len(a.bodies)-2]["prompt"], "no two alike")
}

func TestLoadDefaults(t *testing.T) {
	for _, env := range []string{"RESULTS_DIR", "HARNESS_DIR", "MODEL_HANDLE"} {
		t.Setenv(env, "")
	}
	settled := func(c loadCmd) loadCmd {
		c.APIMode = "auto"
		return c.settled(streams{io.Discard, io.Discard})
	}
	own := settled(loadCmd{})
	require.Equal(t, []any{seconds(10 * time.Second), 64, uint64(1), "start", seconds(0), 0.0, ""},
		[]any{*own.Duration, *own.MaxTokens, *own.Seed, own.Nonce, own.Timeout, own.TopP, own.Out})
	require.Empty(t, own.LoRA.Session, "nothing to choose from")

	earlier := settled(loadCmd{RunID: "x", LoRA: loraFlags{List: "l"}})
	require.Equal(t, []any{seconds(300 * time.Second), 256, uint64(42), "off", seconds(120 * time.Second), 1.0, "results", "random"},
		[]any{*earlier.Duration, *earlier.MaxTokens, *earlier.Seed, earlier.Nonce, earlier.Timeout, earlier.TopP, earlier.Out, earlier.LoRA.Session})
	require.Equal(t, "start", settled(loadCmd{RunID: "x", UseNonce: true}).Nonce)
	require.Equal(t, "end", settled(loadCmd{RunID: "x", UseNonce: true, Nonce: "end"}).Nonce)

	t.Setenv("HARNESS_DIR", "/harness")
	require.Equal(t, "/harness/results", settled(loadCmd{RunID: "x"}).Out)
	t.Setenv("MODEL_HANDLE", "m")
	require.Equal(t, "m", settled(loadCmd{RunID: "x"}).Model)
	require.Empty(t, settled(loadCmd{RunID: "x", LoRA: loraFlags{List: "l"}}).Model, "Triton's models have other names")
	require.Empty(t, settled(loadCmd{}).Model)
}

func TestInputs(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "inputs"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "inputs", "p.txt"), []byte("x"), 0o644))
	t.Setenv("INPUTS_DIR", "")
	t.Setenv("HARNESS_DIR", dir)
	require.Equal(t, filepath.Join(dir, "inputs", "p.txt"), input("p.txt"))
	require.Equal(t, "none.txt", input("none.txt"), "the error names what was asked for")
	require.Equal(t, "/p.txt", input("/p.txt"))
	t.Setenv("INPUTS_DIR", t.TempDir())
	require.Equal(t, "p.txt", input("p.txt"))
}

func TestLiveLoad(t *testing.T) {
	l := loadCmd{}.settled(streams{io.Discard, io.Discard})
	p, err := func() (l2 loadCmd) { l2 = l; l2.Users = 2; return l2 }().plan()
	require.NoError(t, err)
	live := liveLoad{plan: p, ok: 30, failed: 1, tokens: 300}
	require.Equal(t, "30 ok, 1 failed, 10.0 requests/s, 100 tokens/s, 7s left", live.text(3*time.Second))
	require.Contains(t, live.text(20*time.Second), "waiting for the last answers")
	live.plan.Warmup = time.Minute
	require.Contains(t, live.text(time.Second), "(warm-up)")
	live.plan.Arrivals.Turns = 50
	require.Contains(t, live.text(time.Second), "31 of 100 turns")
}

func TestSecondsMayLackTheirUnit(t *testing.T) {
	for text, want := range map[string]time.Duration{"300": 5 * time.Minute, "120.0": 2 * time.Minute, "0": 0, "1.5s": 1500 * time.Millisecond, "5m": 5 * time.Minute} {
		var d seconds
		require.NoError(t, d.UnmarshalText([]byte(text)), text)
		require.Equal(t, want, time.Duration(d), text)
	}
	for _, text := range []string{"", "soon", "-1", "-1s", "NaN", "inf", "1e300", "9999999999999h"} {
		var d seconds
		require.Error(t, d.UnmarshalText([]byte(text)), text)
	}
}
