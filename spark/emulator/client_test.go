package emulator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a server without a disk tier that answers quickly.
func small() Config {
	c := tiny()
	c.SpillBytes, c.PoolTokens = 0, 256*4
	c.MaxContextTokens, c.MaxSeqs = 512, 16
	c.PrefillBudgetTokens, c.PrefillChunkTokens = 64, 64
	return c
}

// serve runs a server until the test ends.
func serve(t *testing.T, cfg Config) Info {
	t.Helper()
	info, stop := serveUntil(t, cfg)
	t.Cleanup(stop)
	return info
}

// serveUntil runs a server until stop is called.
func serveUntil(t *testing.T, cfg Config) (Info, func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan Info, 1), make(chan error, 1)
	go func() { done <- Serve(ctx, cfg, func(i Info) { ready <- i }) }()
	select {
	case info := <-ready:
		return info, func() {
			cancel()
			require.NoError(t, <-done)
			http.DefaultClient.CloseIdleConnections()
		}
	case err := <-done:
		cancel()
		require.NoError(t, err, "server did not start")
	}
	return Info{}, nil
}

// ask posts a body and returns status and answer.
func post(t *testing.T, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	resp, text, err := try(t, url, body, header...)
	require.NoError(t, err)
	return resp, text
}

// try is post for answers that may break off.
func try(t *testing.T, url, body string, header ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp, string(text), err
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// chunk is what the tests read of an event.
type chunk struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Model   string `json:"model"`
	Choices []struct {
		Text    *string `json:"text"`
		Message struct{ Content string }
		Delta   struct {
			Role    string  `json:"role"`
			Content *string `json:"content"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
		TotalTokens      int `json:"total_tokens"`
		Details          struct {
			CachedTokens int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	Error *struct {
		Message string `json:"message"`
		Code    int    `json:"code"`
	} `json:"error"`
	SentNS int64 `json:"spark_sent_ns"`
}

// events splits a stream; done says whether it ended with its mark.
func events(t *testing.T, stream string) (chunks []chunk, done bool) {
	t.Helper()
	for part := range strings.SplitSeq(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		data, ok := strings.CutPrefix(part, "data: ")
		require.True(t, ok, "event %q", part)
		if data == "[DONE]" {
			done = true
			continue
		}
		require.False(t, done, "nothing follows the end mark")
		var c chunk
		require.NoError(t, json.Unmarshal([]byte(data), &c), "event %q", part)
		chunks = append(chunks, c)
	}
	return chunks, done
}

// metric reads one number of the exposition.
func metric(t *testing.T, url, name string) float64 {
	t.Helper()
	_, text := get(t, url+"/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name+"{"); ok {
			var v float64
			_, err := fmt.Sscan(rest[strings.LastIndex(rest, "}")+1:], &v)
			require.NoError(t, err)
			return v
		}
	}
	require.Fail(t, "no metric", name)
	return 0
}
