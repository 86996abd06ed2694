package loadgen_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// A program of your own that puts four users on a server for half a second. Here
// the server is a few lines of its own; give BaseURL and Model of yours.
func Example() {
	server := httptest.NewServer(http.HandlerFunc(threeTokens))
	defer server.Close()

	target := loadgen.Target{BaseURL: server.URL, Model: "tiny", Dialect: loadgen.OpenAICompletions}
	plan := loadgen.Plan{
		Arrivals: loadgen.Users(4),
		Workload: loadgen.Workload{
			PromptTokens: 64, OutputTokens: 3,
			Nonce: loadgen.Nonce{Position: loadgen.NonceStart},
		},
		Warmup: 100 * time.Millisecond, Measure: 500 * time.Millisecond, Drain: 5 * time.Second,
		Seed: 1,
	}
	var slowest time.Duration
	summary, err := loadgen.Run(context.Background(), target, plan, func(r *loadgen.Record) error {
		if ttft, ok := r.FirstToken.Sub(r.Due); ok {
			slowest = max(slowest, ttft)
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("all succeeded:", summary.Requests.OK == summary.Requests.Due)
	fmt.Println("some took 10 ms to the first token:", slowest >= 10*time.Millisecond)
	// Output:
	// all succeeded: true
	// some took 10 ms to the first token: true
}

// threeTokens streams three tokens as an OpenAI-compatible server does.
func threeTokens(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for _, word := range []string{"tail", " latency", " matters"} {
		time.Sleep(10 * time.Millisecond)
		fmt.Fprintf(w, "data: {\"choices\":[{\"text\":%q}]}\n\n", word)
		w.(http.Flusher).Flush()
	}
	fmt.Fprint(w, `data: {"choices":[{"text":"","finish_reason":"length"}]}`, "\n\n")
	fmt.Fprint(w, `data: {"choices":[],"usage":{"prompt_tokens":64,"completion_tokens":3}}`, "\n\ndata: [DONE]\n\n")
}
