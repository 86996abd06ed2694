package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/spark-harness/harness/spark"
)

func TestMain(m *testing.M) {
	if exit, handled := spark.RunChild(os.Args); handled {
		os.Exit(exit)
	}
	if len(os.Args) > 1 && os.Args[1] == completeWord { // as a shell's script calls it
		os.Exit(execute(context.Background(), os.Args[1:], streams{os.Stdout, os.Stderr}))
	}
	goleak.VerifyTestMain(m)
}

// transcript is what a command printed and how it ended.
type transcript struct {
	exit     int
	out, err string
}

func command(ctx context.Context, args ...string) transcript {
	var out, err bytes.Buffer
	exit := execute(ctx, args, streams{&out, &err})
	return transcript{exit, out.String(), err.String()}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{nil, []string{"Usage: spark <command>", "Examples:", "Exit status:", "Environment:", "run [<hypothesis> ...]", "judge <dir>", "load", "monitor", "serve emulator"}},
		{[]string{"run"}, []string{"Usage: spark run [<hypothesis> ...]", "Examples:", "--profile", "--results", "--json", "SPARK_BASELINE_URL", "Exit status:"}},
		{[]string{"judge"}, []string{"Usage: spark judge <dir>", "from their files", "Examples:", "--json"}},
		{[]string{"load"}, []string{"Usage: spark load", "Examples:", "--url", "--users", "--rate", "--json", "--records", "--run-id", "--prompt-file", "--use-nonce", "$INPUTS_DIR", "--timeout"}},
		{[]string{"monitor"}, []string{"Usage: spark monitor", "--interval", "--check", "--device"}},
		{[]string{"fio"}, []string{"Usage: spark fio <command>", "calibrate <dir>", "probe <dir>", "load --depth=INT <dir>"}},
		{[]string{"fio", "calibrate"}, []string{"Usage: spark fio calibrate <dir>", "Examples:", "results/fio-calibration.json", "--full --size 32GiB", "--remove"}},
		{[]string{"fio", "probe"}, []string{"Usage: spark fio probe <dir>", "Examples:", "needs no fio", "--rate=50", "--duration=10s"}},
		{[]string{"fio", "load"}, []string{"Usage: spark fio load --depth=INT <dir>", "Examples:", "Ctrl-C", "--rate", "--block"}},
		{[]string{"adapters"}, []string{"Usage: spark adapters <command>", "make <dir>", "check <dir>"}},
		{[]string{"adapters", "make"}, []string{"Usage: spark adapters make <dir>", "Examples:", "--model=\"L8B\"", "--rank=16", "all-linear", "83.9", "Ctrl-C"}},
		{[]string{"adapters", "check"}, []string{"Usage: spark adapters check <dir>", "Examples:", "page cache", "cp -rL", "--json"}},
		{[]string{"report"}, []string{"Usage: spark report", "Examples:", "--out", "report.html"}},
		{[]string{"doctor"}, []string{"Usage: spark doctor", "Examples:", "--dir", "PASS, WARN or FAIL"}},
		{[]string{"completion"}, []string{"Usage: spark completion <shell>", "Examples:", "source <(spark completion bash)"}},
		{[]string{"version"}, []string{"Usage: spark version", "Examples:", "--json"}},
		{[]string{"serve"}, []string{"Usage: spark serve <command>", "emulator"}},
		{[]string{"serve", "emulator"}, []string{"Usage: spark serve emulator", "--addr", "--dir", "--no-paging", "--strict"}},
	} {
		got := command(t.Context(), append(c.args, "--help")...)
		require.Zero(t, got.exit, c.args)
		require.Empty(t, got.err, c.args)
		for _, w := range c.want {
			require.Contains(t, got.out, w, c.args)
		}
	}
}

func TestBadUsage(t *testing.T) {
	t.Setenv("SPARK_RESULTS", t.TempDir())
	for _, c := range []struct {
		why  string
		args []string
		want string
	}{
		{"no command", nil, "expected one of"},
		{"no such command", []string{"measure"}, "measure"},
		{"no such flag", []string{"load", "--user", "3"}, "--user"},
		{"a number that is none", []string{"load", "--users", "many"}, "users"},
		{"a duration that is none", []string{"load", "--duration", "soon"}, "write 90s, 5m or 90"},
		{"a negative timeout", []string{"load", "--timeout=-5"}, "write 90s, 5m or 90"},
		{"a seed that is none", []string{"load", "--seed=x"}, "seed"},
		{"no such format", []string{"load", "--format", "xml"}, "markdown"},
		{"nothing to judge", []string{"judge"}, "<dir>"},
		{"no such hypothesis", []string{"run", "H9"}, `no hypothesis "H9"`},
		{"one of two is unknown: nothing is measured first", []string{"run", "H0", "H9"}, `no hypothesis "H9"`},
		{"nor does the list of those there are end early", []string{"run", "h4"}, known()},
		{"no such profile", []string{"run", "--profile", "fast", "H0"}, "smoke, quick, full"},
		{"no such preset", []string{"serve", "emulator", "--model", "GPT"}, "L8B"},
		{"no file to record to", []string{"monitor", "--device", "x"}, "name the file"},
	} {
		got := command(t.Context(), c.args...)
		require.Equal(t, 2, got.exit, "%s: %s", c.why, got.err)
		require.Contains(t, got.err, "spark: ", c.why)
		require.Contains(t, got.err, c.want, c.why)
		require.Empty(t, got.out, c.why)
	}
}

func TestBadSettings(t *testing.T) {
	t.Setenv("SPARK_PROFIEL", "full")
	got := command(t.Context(), "run", "H0")
	require.Equal(t, 2, got.exit)
	require.Contains(t, got.err, "did you mean SPARK_PROFILE")
}

// A fault of ours must not look like success.
func TestPanicsAreNotSwallowed(t *testing.T) {
	require.Panics(t, func() { execute(t.Context(), []string{"monitor", "--help"}, streams{brokenPipe{}, brokenPipe{}}) })
}

// brokenPipe is a stream that panics, as a fault in a command would.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { panic("fault") }

// A person who asks a command for help gets an example to start from.
func TestEveryCommandTeaches(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Name("spark"), kong.Vars{"hypotheses": known()})
	require.NoError(t, err)
	leaves := parser.Model.Leaves(true)
	require.Greater(t, len(leaves), 10)
	for _, leaf := range leaves {
		require.Contains(t, leaf.Detail, "xample", leaf.FullPath())
		require.Contains(t, leaf.Detail, leaf.FullPath()[len("spark "):], "%s: an example of itself", leaf.FullPath())
		require.NotEmpty(t, leaf.Help, leaf.FullPath())
		for _, f := range leaf.Flags {
			require.NotEmpty(t, f.Help, "%s --%s", leaf.FullPath(), f.Name)
		}
	}
}
