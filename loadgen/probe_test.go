package loadgen

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// counter is a server that counts words, and refuses prompts above its limit.
type counter struct{ limit int }

func (c counter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n := len(strings.Fields(string(body)))
	if n > c.limit {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":{"message":"This model's maximum context length is %d tokens.","code":400}}`, c.limit)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	io.WriteString(w, text("a")+finish)
	fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":1}}\n\n%s", n, done)
}

func TestProbeCountsTokens(t *testing.T) {
	srv := httptest.NewServer(counter{limit: 1000})
	defer srv.Close()
	probe, close, err := Probe(testTarget(srv.URL))
	require.NoError(t, err)
	defer close()
	n, err := probe(t.Context(), "one two three")
	require.NoError(t, err)
	require.Equal(t, 3, n)
	_, err = probe(t.Context(), strings.Repeat("word ", 2000))
	require.ErrorIs(t, err, ErrPromptTooLong)

	calib, err := Calibrate(t.Context(), probe, []int{64, 512})
	require.NoError(t, err)
	require.LessOrEqual(t, calib.MaxErr, 0.01)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = probe(ctx, "x")
	require.ErrorIs(t, err, context.Canceled)
	srv.Close()
	probe, closeDead, err := Probe(testTarget(srv.URL))
	require.NoError(t, err)
	defer closeDead()
	_, err = probe(t.Context(), "x")
	require.ErrorIs(t, err, ErrUnreachable)
}

func TestProbeExplainsOtherFailures(t *testing.T) {
	for _, c := range []struct {
		play script
		want string
	}{
		{answers(404, "application/json", `{"error":{"message":"The model m does not exist."}}`), "http_4xx: HTTP 404: The model m does not exist."},
		{streams(text("a")), "no_finish"},
	} {
		probe, close, err := Probe(testTarget(serve(t, c.play)))
		require.NoError(t, err)
		_, err = probe(t.Context(), "x")
		require.ErrorContains(t, err, c.want)
		close()
	}
	_, _, err := Probe(Target{})
	require.ErrorContains(t, err, "BaseURL")
	probe, close, err := Probe(testTarget(serve(t, streams(text("a")+finish+done))))
	require.NoError(t, err)
	defer close()
	n, err := probe(t.Context(), "x")
	require.NoError(t, err)
	require.Zero(t, n, "a server without usage does not say")
}
