package preflight

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spark-harness/harness/spark"
)

// server is one that lists its model and streams a token.
func server(ctx context.Context, h *host) Finding {
	e := h.Server
	if e.ReadyTimeout == 0 {
		e.ReadyTimeout = 20 * time.Second
	}
	var s *spark.Server
	var err error
	if e.URL != "" {
		s, err = spark.Attach(ctx, e)
	} else {
		s, err = spark.Find(ctx, e, h.URLs)
	}
	switch {
	case err != nil && e.URL != "":
		return failed(err.Error(), "start it, or leave SPARK_BASELINE_URL unset: the embedded emulator then serves")
	case errors.Is(err, spark.ErrNoServer) && e.Model == "":
		return warned(fmt.Sprintf("none at %v", h.URLs), "the embedded emulator will serve, and every artefact says so; SPARK_BASELINE_URL names a real one")
	case err != nil:
		return warned(err.Error(), "the embedded emulator will serve; SPARK_BASELINE_URL names a real one")
	}
	said := fmt.Sprintf("%s: %s, %s, first token after %v", s.Endpoint.URL, s.Flavor, s.Endpoint.Model, s.FirstToken.Round(time.Millisecond))
	if s.Emulated() {
		return warned(said, "it is an emulator: what is found is labelled so")
	}
	if s.Facts.KVPoolTokens == nil {
		return warned(said+"; it does not tell how large its KV pool is", "say it: SPARK_KV_TOKENS, and SPARK_KV_BYTES_PER_TOKEN (H2 and H4 rest on it)")
	}
	return passed(fmt.Sprintf("%s; KV pool of %d tokens", said, *s.Facts.KVPoolTokens))
}
