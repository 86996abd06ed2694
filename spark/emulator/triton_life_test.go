package emulator

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTritonQueueIsCountedByModel: one seat, so that all but one request wait.
func TestTritonQueueIsCountedByModel(t *testing.T) {
	cfg := smallTriton()
	cfg.MaxSeqs, cfg.Step = 1, 5*time.Millisecond
	info := serve(t, cfg)
	has := func(line string) func() bool {
		return func() bool {
			_, text := get(t, info.TritonURL+"/metrics")
			return strings.Contains(text, line+"\n")
		}
	}
	soon := func(line string) { require.Eventually(t, has(line), 5*time.Second, 5*time.Millisecond, line) }
	var open []net.Conn
	send := func(model, body string) {
		open = append(open, dial(t, info.TritonURL, "/v2/models/"+model+"/generate_stream", body))
	}
	send("ensemble", `{"text_input":"a","max_tokens":400,"stream":true}`)
	soon(`nv_trt_llm_request_metrics{model="tensorrt_llm",version="1",request_type="active"} 1`)
	send("vllm_model", `{"text_input":"b","stream":true}`)
	send("vllm_model", `{"text_input":"c","stream":true}`)
	send("tensorrt_llm", `{"text_input":"d","streaming":true}`)
	soon(`nv_inference_pending_request_count{model="vllm_model",version="1"} 2`)
	soon(`nv_inference_pending_request_count{model="tensorrt_llm",version="1"} 1`)
	soon(`nv_inference_pending_request_count{model="ensemble",version="1"} 0`)
	soon(`nv_trt_llm_request_metrics{model="tensorrt_llm",version="1",request_type="waiting"} 3`)
	for _, c := range open { // whoever leaves, in the batch or in the queue, leaves nothing
		require.NoError(t, c.Close())
	}
	soon(`nv_trt_llm_request_metrics{model="tensorrt_llm",version="1",request_type="active"} 0`)
	soon(`nv_trt_llm_request_metrics{model="tensorrt_llm",version="1",request_type="waiting"} 0`)
	soon(`nv_trt_llm_kv_cache_block_metrics{model="tensorrt_llm",version="1",kv_cache_block_type="used"} 0`)
	soon(`nv_inference_request_failure{model="vllm_model",version="1"} 2`)
	require.Equal(t, 4.0, metric(t, info.URL, "spark_emulator_aborted_total"))
}

// dial sends a request and leaves its answer alone.
func dial(t *testing.T, base, path, body string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() }) // most are closed already
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
	require.NoError(t, err)
	return c
}

func TestStopCutsTritonToo(t *testing.T) {
	cfg := smallTriton()
	cfg.Step = 20 * time.Millisecond
	info, stop := serveUntil(t, cfg)
	c := dial(t, info.TritonURL, "/v2/models/ensemble/generate_stream", `{"text_input":"a","max_tokens":400,"stream":true}`)
	begun := make([]byte, len("HTTP/1.1 200 OK"))
	_, err := io.ReadFull(c, begun)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 OK", string(begun))
	stop()
	rest, _ := io.ReadAll(c) // reset or closed, as the kernel has it
	require.NotContains(t, string(rest), "\r\n0\r\n", "the last chunk never comes")
}

func TestTritonRequestsAreNamedInTheAccount(t *testing.T) {
	for _, r := range []struct {
		reason, want string
		asked        []string
	}{
		{"the body's id comes first", "triton-me", []string{"me", "you"}},
		{"then the header", "triton-you", []string{"", "you"}},
		{"and else a name of our own", "triton-" + fmt.Sprintf("%016x", mix(3)), []string{"", ""}},
	} {
		require.Equal(t, r.want, tritonID(1, 2, r.asked...), r.reason)
	}
}
