package emulator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/spark-harness/harness/spark/emulator"
)

// Serve a model without a disk tier for as long as one question takes.
func ExampleServe() {
	cfg, err := emulator.Preset("L8B")
	if err != nil {
		log.Fatal(err)
	}
	cfg = cfg.NoPaging()
	cfg.PoolTokens = 16 * 1024 // the control's memory is more than an example needs

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	err = emulator.Serve(ctx, cfg, func(info emulator.Info) {
		go func() {
			defer stop()
			body := `{"model":"L8B","prompt":"what is a hockey stick?","max_tokens":4,"ignore_eos":true}`
			resp, err := http.Post(info.URL+"/v1/completions", "application/json", strings.NewReader(body))
			if err != nil {
				log.Print(err)
				return
			}
			defer resp.Body.Close()
			var answer struct {
				Usage struct{ Prompt_tokens, Completion_tokens int }
			}
			if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
				log.Print(err)
				return
			}
			fmt.Println(answer.Usage.Prompt_tokens, "tokens in,", answer.Usage.Completion_tokens, "out")
			http.DefaultClient.CloseIdleConnections()
		}()
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 6 tokens in, 4 out
}
