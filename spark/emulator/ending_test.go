package emulator

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFaults(t *testing.T) {
	info := serve(t, small())
	ask := func(fault string) (*http.Response, string, error) {
		return try(t, info.URL+"/v1/completions",
			`{"prompt":"one two three four five six seven eight","max_tokens":4,"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true}}`, FaultHeader, fault)
	}
	for _, status := range []int{400, 429, 500, 503} {
		resp, text, err := ask(fmt.Sprintf("status=%d", status))
		require.NoError(t, err)
		require.Equal(t, status, resp.StatusCode)
		require.Contains(t, text, fmt.Sprintf(`"code":%d`, status))
	}
	_, text, err := ask("error_event=2")
	require.NoError(t, err)
	chunks, done := events(t, text)
	require.True(t, done, "vLLM marks the end of a failed stream too")
	require.Len(t, chunks, 3)
	require.Equal(t, 500, chunks[2].Error.Code)

	for fault, tokens := range map[string]int{"cut": 1, "cut=2": 2, "cut=0": 0} {
		resp, text, err := ask(fault)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, fault)
		require.Equal(t, 200, resp.StatusCode, "headers had gone out")
		require.Equal(t, tokens, strings.Count(text, `"text":`), fault)
	}
	_, text, err = ask("no_usage,no_finish")
	require.NoError(t, err)
	chunks, done = events(t, text)
	require.True(t, done)
	require.Len(t, chunks, 4)
	require.Nil(t, chunks[3].Choices[0].FinishReason)
	_, text, err = ask("no_done")
	require.NoError(t, err)
	_, done = events(t, text)
	require.False(t, done)
	_, text, err = ask("bad_event=2")
	require.NoError(t, err)
	require.Contains(t, text, "data: {\"id\": oops\n\n")
	_, text, err = ask("empty")
	require.NoError(t, err)
	require.Equal(t, "data: [DONE]\n\n", text)
	_, text, err = ask("truncate_prompt=3")
	require.NoError(t, err)
	require.Contains(t, text, `"prompt_tokens":3,`)

	start := time.Now()
	_, _, err = ask("slow_headers=60ms,stall=60ms")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 120*time.Millisecond)
}

func TestFaultsByConfig(t *testing.T) {
	cfg := small()
	cfg.Faults = []Fault{{Kind: FaultStatus, Value: "429", Every: 3}}
	info := serve(t, cfg)
	var got []int
	for range 6 {
		resp, _ := post(t, info.URL+"/v1/completions", `{"prompt":"a","max_tokens":1}`)
		got = append(got, resp.StatusCode)
	}
	require.Equal(t, []int{200, 200, 429, 200, 200, 429}, got)
}

func TestDisconnectFreesTheMemory(t *testing.T) {
	cfg := small()
	cfg.Step = 5 * time.Millisecond
	info := serve(t, cfg)
	for _, stream := range []bool{true, false} {
		aborted := metric(t, info.URL, "spark_emulator_aborted_total")
		c, err := net.Dial("tcp", strings.TrimPrefix(info.URL, "http://"))
		require.NoError(t, err)
		body := fmt.Sprintf(`{"prompt":"a b c","max_tokens":400,"ignore_eos":true,"stream":%v}`, stream)
		fmt.Fprintf(c, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if stream {
			line, err := bufio.NewReader(c).ReadString('\n')
			require.NoError(t, err)
			require.Contains(t, line, "200 OK")
		}
		require.Eventually(t, func() bool { return metric(t, info.URL, "vllm:num_requests_running") == 1 }, 5*time.Second, 5*time.Millisecond)
		require.Positive(t, metric(t, info.URL, "vllm:kv_cache_usage_perc"))
		require.NoError(t, c.Close())
		require.Eventually(t, func() bool { return metric(t, info.URL, "vllm:num_requests_running") == 0 }, 5*time.Second, 5*time.Millisecond)
		require.Zero(t, metric(t, info.URL, "vllm:kv_cache_usage_perc"))
		require.Equal(t, aborted+1, metric(t, info.URL, "spark_emulator_aborted_total"))
	}
}

func TestStopCutsAnswersUnderWay(t *testing.T) {
	cfg := small()
	cfg.Step = 20 * time.Millisecond
	info, stop := serveUntil(t, cfg)
	done := make(chan error, 1)
	go func() {
		_, _, err := try(t, info.URL+"/v1/completions", `{"prompt":"a","max_tokens":400,"ignore_eos":true,"stream":true}`)
		done <- err
	}()
	require.Eventually(t, func() bool { return metric(t, info.URL, "vllm:num_requests_running") == 1 }, 5*time.Second, 5*time.Millisecond)
	stop()
	require.ErrorIs(t, <-done, io.ErrUnexpectedEOF)
	_, err := net.DialTimeout("tcp", strings.TrimPrefix(info.URL, "http://"), time.Second)
	require.Error(t, err)
}

func TestBusyAddressIsAnError(t *testing.T) {
	info := serve(t, small())
	cfg := small()
	cfg.Addr = strings.TrimPrefix(info.URL, "http://")
	require.ErrorContains(t, Serve(t.Context(), cfg, nil), "listen on")
}
