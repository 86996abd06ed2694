package sparktest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/emulator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options leave everything at its default but the wait for idleness. The fake
// speaks vLLM's metric names and so is asked for exact lengths.
func options(url string) Options {
	return Options{Endpoint: spark.Endpoint{URL: url}, SettleWait: 5 * time.Second}
}

// startEmulator serves in this process until the test ends.
func startEmulator(t *testing.T, cfg emulator.Config) string {
	t.Helper()
	return startInfo(t, cfg).URL
}

func startInfo(t *testing.T, cfg emulator.Config) emulator.Info {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan emulator.Info, 1), make(chan error, 1)
	go func() { ended <- emulator.Serve(ctx, cfg, func(i emulator.Info) { ready <- i }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case info := <-ready:
		return info
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
		return emulator.Info{}
	}
}

func emulated(t *testing.T) emulator.Config {
	t.Helper()
	cfg, err := emulator.Preset("L8B")
	require.NoError(t, err)
	cfg.SpillBytes = 0 // nothing to page: no disk needed
	return cfg
}

func TestEmulatorConforms(t *testing.T) {
	t.Run("as vLLM", func(t *testing.T) { Run(t, options(startEmulator(t, emulated(t)))) })
	t.Run("strict, as trtllm-serve", func(t *testing.T) {
		cfg := emulated(t)
		cfg.Strict = true
		o := options(startEmulator(t, cfg))
		o.Flavor = loadgen.FlavorTRTLLM
		require.NoError(t, TestServer(t.Context(), o))
	})
}

func TestGoodServerConforms(t *testing.T) {
	url := startFake(t, "")
	s, err := begin(t.Context(), options(url))
	require.NoError(t, err)
	for _, c := range checks() {
		require.NoError(t, s.do(t.Context(), c), c.name) // a skip would be an error too
	}
	require.NoError(t, TestServer(t.Context(), options(startFake(t, "chat missing"))), "one of the two forms is enough")
}

func TestGenericServerConforms(t *testing.T) {
	o := options(startFake(t, ""))
	o.Flavor = loadgen.FlavorGeneric
	o.Skip = map[string]string{"whole": "the fake's whole answers are longer than its streams without ignore_eos"}
	require.NoError(t, TestServer(t.Context(), o), "answers may be shorter where the length cannot be fixed")
}

// Each broken server must fail the check that is there for it.
func TestBrokenServersFail(t *testing.T) {
	for broken, row := range map[string]struct{ check, says string }{
		"no usage":                           {"completions", "no usage came"},
		"no DONE":                            {"completions", "[DONE]"},
		"no finish reason":                   {"completions", "no finish_reason"},
		"streams are cut":                    {"completions", "the stream was cut"},
		"a role is all that comes":           {"chat", "no token came"},
		"content type is JSON":               {"completions", "content type"},
		"more after DONE":                    {"completions", "after [DONE]"},
		"an error comes late":                {"completions", "engine died"},
		"a line is raw JSON":                 {"completions", "no field of an event"},
		"usage does not add up":              {"completions", "does not add up"},
		"usage counts too few":               {"completions", "events carried text"},
		"usage counts too many":              {"max_tokens", "of at most"},
		"answers are short":                  {"max_tokens", "of exactly 33"},
		"prompts count one token":            {"usage", "40 words more made 1 tokens out of 1"},
		"tokens are held back":               {"incremental", "the first came"},
		"texts are cumulative":               {"pieces", "repeats the text so far"},
		"answers differ":                     {"deterministic", "three answers"},
		"characters are torn":                {"utf8", "not UTF-8"},
		"four at once":                       {"concurrent", "status 429"},
		"running never falls":                {"cancel", "still run"},
		"the counter stands still":           {"metrics", "grew by 0"},
		"whole answers lack usage":           {"whole", "usage is"},
		"any model will do":                  {"unknown_model", "accepted"},
		"bad JSON is a server error":         {"bad_json", "want a status of 400 to 499"},
		"bad JSON is refused without a body": {"bad_json", "without a JSON body"},
		"long prompts are cut in silence":    {"overlong", "was accepted by a server for 1000"},
	} {
		t.Run(broken, func(t *testing.T) {
			o := options(startFake(t, broken))
			if row.check == "cancel" || row.check == "metrics" {
				o.SettleWait = 50 * time.Millisecond
			}
			s := attachTo(t, o)
			i := slices.IndexFunc(checks(), func(c check) bool { return c.name == row.check })
			require.GreaterOrEqual(t, i, 0, row.check)
			err := s.do(t.Context(), checks()[i])
			require.ErrorContains(t, err, row.says)
			require.NotErrorIs(t, err, errSkip)
		})
	}
}

// attachTo begins even where a server is too broken for readiness.
func attachTo(t *testing.T, o Options) *suite {
	t.Helper()
	s, err := begin(t.Context(), o)
	if err == nil {
		return s
	}
	require.ErrorIs(t, err, spark.ErrNotReady)
	good := o
	good.Endpoint.URL = startFake(t, "")
	s, err = begin(t.Context(), good)
	require.NoError(t, err)
	broken := *s.server
	broken.Endpoint.URL = o.Endpoint.URL
	s.server = &broken
	return s
}

func TestTestServerJoinsEveryFault(t *testing.T) {
	err := TestServer(t.Context(), options(startFake(t, "no DONE")))
	for _, name := range []string{"completions", "chat", "usage", "max_tokens", "concurrent"} {
		require.ErrorContains(t, err, "sparktest: "+name+": ")
	}
	require.ErrorContains(t, err, "without a proper stream there is no first token", "each with its reason")
	require.NotContains(t, err.Error(), "unknown_model", "what works is not named")
}

func TestTestServerWithoutAServer(t *testing.T) {
	err := TestServer(t.Context(), options("http://127.0.0.1:1"))
	require.ErrorIs(t, err, spark.ErrUnreachable)
	require.Equal(t, 1, strings.Count(err.Error(), "server unreachable"), "told once, not for each check")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, TestServer(ctx, options(startFake(t, ""))), context.Canceled)
}

func TestOptions(t *testing.T) {
	o := options("http://h")
	o.Skip = map[string]string{"metrics": "shared server"}
	require.NoError(t, o.Validate())
	o.Skip["metrix"] = "typed wrong"
	o.Timeout = -1
	err := o.Validate()
	require.ErrorContains(t, err, `no check "metrix"`)
	require.ErrorContains(t, err, "negative wait")

	s, err := begin(t.Context(), Options{Endpoint: spark.Endpoint{URL: startFake(t, "")}, Skip: map[string]string{"chat": "not here"}})
	require.NoError(t, err)
	for _, c := range checks() {
		if c.name == "chat" {
			err = s.do(t.Context(), c)
		}
	}
	require.ErrorIs(t, err, errSkip)
	require.ErrorContains(t, err, "not here")
}

func TestChecksAreTimed(t *testing.T) {
	s := &suite{o: Options{Timeout: time.Millisecond}, client: must(newClient(""))}
	err := s.do(t.Context(), check{run: func(ctx context.Context, _ *suite) error {
		<-ctx.Done()
		return errors.New("gave up")
	}})
	require.ErrorContains(t, err, "no answer within 1ms")
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestEveryCheckHasANameAndAReason(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks() {
		require.NotEmpty(t, c.why, c.name)
		require.False(t, seen[c.name], c.name)
		seen[c.name] = true
	}
	require.Len(t, Checks(), len(seen))
}
