package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/spark/adapters"
)

// watched is a stream that tells when it has grown.
type watched struct {
	mu   sync.Mutex
	b    bytes.Buffer
	grew chan struct{}
}

func newWatched() *watched { return &watched{grew: make(chan struct{}, 100)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.b.Write(p)
	select {
	case w.grew <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

func TestServeEmulator(t *testing.T) {
	dir, _ := onDisk(t)
	spill := filepath.Join(dir, "spill")
	truth := filepath.Join(dir, "truth.jsonl")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	loras := filepath.Join(dir, "adapters")
	_, err := adapters.Make(ctx, loras, adapters.Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj"}}, 2, nil)
	require.NoError(t, err)
	out, errs := newWatched(), newWatched()
	exit := make(chan int, 1)
	go func() {
		exit <- execute(ctx, []string{
			"serve", "emulator", "--addr", "127.0.0.1:0", "--triton-addr", "127.0.0.1:0", "--dir", spill, "--spill-bytes", "67108864", "--truth", truth,
			"--adapters", loras, "--adapter-slots", "1", "--adapter-pages", "keep",
		}, streams{out, errs})
	}()
	var url string
	for deadline := time.After(time.Minute); url == ""; {
		select {
		case <-out.grew:
			if strings.Count(out.String(), "try: curl") < 2 { // one for each face
				continue
			}
			url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(out.String())
		case code := <-exit:
			t.Fatalf("ended with %d before it served: %s", code, errs)
		case <-deadline:
			t.Fatalf("never served: %s", errs)
		}
	}
	require.Contains(t, out.String(), "(emulated)")
	require.Contains(t, out.String(), "2 adapters, lora-0001 to lora-0002, of which memory holds 1 of 0.5 MB")
	files, err := os.ReadDir(spill)
	require.NoError(t, err)
	require.Len(t, files, 1, "it spills where it was told to")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url + "/v1/models")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	require.NoError(t, err)
	require.Contains(t, string(body), "L8B")

	for _, line := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		tried := regexp.MustCompile(`^try: curl -N (\S+) -d '(.*)'$`).FindStringSubmatch(line)
		if tried == nil {
			continue
		}
		resp, err := client.Post(tried[1], "application/json", strings.NewReader(tried[2]))
		require.NoError(t, err, line)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, resp.Body.Close())
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode, "what it says to try works: %s: %s", line, body)
		require.Contains(t, string(body), "spark_adapter_load_ns", line)
	}

	busy := command(t.Context(), "serve", "emulator", "--no-paging", "--addr", url[len("http://"):], "--triton-addr", "", "--dir", filepath.Join(dir, "other"))
	require.Equal(t, 1, busy.exit, "the address is taken")
	require.Contains(t, busy.err, "in use")

	cancel()
	require.Zero(t, <-exit, "Ctrl-C is how serving ends: %s", errs)
	files, err = os.ReadDir(spill)
	require.NoError(t, err)
	require.Empty(t, files, "the spill file is removed")
	require.FileExists(t, truth)
	_, err = net.DialTimeout("tcp", url[len("http://"):], time.Second)
	require.Error(t, err, "nobody listens any more")
}

func TestServeRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, c := range []struct {
		why  string
		args []string
		want string
	}{
		{"a spill directory inside a file", []string{"--dir", filepath.Join(file, "x")}, "--dir"},
		{"an address that is none", []string{"--no-paging", "--addr", "nowhere"}, "nowhere"},
		{"Triton's address is none", []string{"--no-paging", "--addr", "127.0.0.1:0", "--triton-addr", "nowhere"}, "triton_addr"},
		{"no adapters there", []string{"--no-paging", "--addr", "127.0.0.1:0", "--triton-addr", "", "--adapters", t.TempDir(), "--adapter-pages", "keep"}, "adapters"},
		{"a spill file of no size", []string{"--dir", t.TempDir(), "--spill-bytes", "1"}, "spill"},
	} {
		got := command(t.Context(), append([]string{"serve", "emulator"}, c.args...)...)
		require.Equal(t, 1, got.exit, c.why)
		require.Contains(t, got.err, c.want, c.why)
	}
}
