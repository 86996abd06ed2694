package hypotheses

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/spark"
)

// graceBeforeDeadline leaves time to record why a run ended when go test's
// -timeout comes near.
const graceBeforeDeadline = 15 * time.Second

func TestMain(m *testing.M) {
	if exit, handled := spark.RunChild(os.Args); handled {
		os.Exit(exit)
	}
	if isLittleFio(os.Args) {
		os.Exit(littleFioMain(os.Args))
	}
	if isHarness(os.Args) {
		os.Exit(harnessMain(os.Args[2]))
	}
	for _, s := range Settings() {
		flag.String(flagName(s.Env), "", s.Help+" (environment: "+s.Env+")")
	}
	// Toy runs mostly wait, so that more of them than CPUs may go on at once.
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
		panic(err)
	}
	flag.Parse()
	exit := m.Run()
	toyAdapters.remove()
	os.Exit(exit)
}

// flagName is the flag twin of an environment name: SPARK_KV_TOKENS is
// -spark.kv-tokens.
func flagName(env string) string {
	return "spark." + strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(env, "SPARK_")), "_", "-")
}

// settingsOf is the environment with the flags that were set laid over it.
func settingsOf(environ []string, set func(func(*flag.Flag))) []string {
	out := environ
	set(func(f *flag.Flag) {
		for _, s := range Settings() {
			if f.Name == flagName(s.Env) {
				out = append(withoutName(out, s.Env), s.Env+"="+f.Value.String())
			}
		}
	})
	return out
}

func withoutName(environ []string, name string) []string {
	var out []string
	for _, e := range environ {
		if !strings.HasPrefix(e, name+"=") {
			out = append(out, e)
		}
	}
	return out
}

// interrupted is set by Ctrl-C, which ends all tests of this process.
var interrupted atomic.Bool

// run measures a hypothesis and turns its verdict into the test's.
func run(t *testing.T, h Hypothesis) {
	if interrupted.Load() {
		t.Skip("interrupted")
	}
	root, err := ModuleRoot(".")
	require.NoError(t, err)
	require.NoError(t, DefeatTestCache(root))
	if testing.CoverMode() != "" {
		t.Fatal("coverage is compiled in, which changes timings (run without -cover)")
	}
	c, err := ParseConfig(settingsOf(os.Environ(), flag.Visit))
	require.NoError(t, err)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() { interrupted.Store(true) })()
	deadline, has := t.Deadline()
	if has {
		var cancel context.CancelFunc
		deadline = deadline.Add(-graceBeforeDeadline)
		ctx, cancel = context.WithDeadlineCause(ctx, deadline, fmt.Errorf("%w: go test's -timeout is near (raise it)", ErrDeadline))
		defer cancel()
	}
	live := terminal()
	defer live.Clear()
	p := Progress{
		Log:  func(line string) { live.Clear(); t.Log(line) },
		Live: live.Show,
	}
	j, dir, err := Execute(ctx, c, h, deadline, p)
	live.Clear()
	if errors.Is(err, ErrLacking) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(errors.Join(err, context.Cause(ctx)))
	}
	t.Logf("run: %s\n%s", dir, j.Verdict)
	judge(t, j.Verdict)
}

// verdictTest is what judge needs of *testing.T.
type verdictTest interface {
	Helper()
	Errorf(format string, args ...any)
	Skipf(format string, args ...any)
}

// judge: supported passes, refuted fails, inconclusive skips, invalid fails.
func judge(t verdictTest, v analysis.Verdict) {
	t.Helper()
	because := strings.Join(v.Reasons, ", ")
	switch v.Outcome {
	case analysis.Supported:
	case analysis.Inconclusive:
		t.Skipf("%s is INCONCLUSIVE: %s", v.Hypothesis, because)
	default:
		t.Errorf("%s is %s: %s", v.Hypothesis, v.Outcome, because)
	}
}

// terminal is the terminal that go test runs on, where there is one: go test
// holds a test's own output back, but a line on the terminal shows at once.
func terminal() LiveLine {
	tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0)
	if err != nil {
		return LiveLine{}
	}
	l := LiveLine{W: tty}
	if ws, err := unix.IoctlGetWinsize(int(tty.Fd()), unix.TIOCGWINSZ); err == nil {
		l.Width = int(ws.Col)
	}
	return l
}

// fakeTest records what judge does.
type fakeTest struct{ errored, skipped string }

func (*fakeTest) Helper()                     {}
func (f *fakeTest) Errorf(s string, a ...any) { f.errored = fmt.Sprintf(s, a...) }
func (f *fakeTest) Skipf(s string, a ...any)  { f.skipped = fmt.Sprintf(s, a...) }

func TestVerdictsBecomeTestOutcomes(t *testing.T) {
	for _, c := range []struct {
		outcome          analysis.Outcome
		errored, skipped bool
	}{
		{analysis.Supported, false, false},
		{analysis.Refuted, true, false},
		{analysis.Inconclusive, false, true},
		{analysis.Invalid, true, false},
		{"", true, false},
	} {
		var f fakeTest
		judge(&f, analysis.Verdict{Hypothesis: "H0", Outcome: c.outcome, Reasons: []string{"WHY"}})
		require.Equal(t, c.errored, f.errored != "", c.outcome)
		require.Equal(t, c.skipped, f.skipped != "", c.outcome)
		if c.outcome != analysis.Supported {
			require.Contains(t, f.errored+f.skipped, "WHY", "the reason is told")
		}
	}
}

func TestFlagsAreTwinsOfTheEnvironment(t *testing.T) {
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	for _, s := range Settings() {
		fs.String(flagName(s.Env), "", s.Help)
	}
	require.NoError(t, fs.Parse([]string{"-spark.profile=smoke", "-spark.kv-tokens", "7"}))
	c, err := ParseConfig(settingsOf([]string{"SPARK_PROFILE=full", "SPARK_SEED=9"}, fs.Visit))
	require.NoError(t, err)
	require.Equal(t, "smoke", c.Profile, "a flag wins over its environment twin")
	require.Equal(t, 7, c.KVTokens)
	require.EqualValues(t, 9, c.Seed)
}
