package hypotheses

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/adapters"
	"github.com/spark-harness/harness/spark/emulator"
)

// toyAdapters are made once for all tests of this process.
var toyAdapters toySet

type toySet struct {
	once sync.Once
	dir  string
	err  error
}

func (s *toySet) get() (string, error) {
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "spark-toy-adapters-"); s.err != nil {
			return
		}
		_, s.err = adapters.Make(context.Background(), filepath.Join(s.dir, "set"), toySpec, loraCount, nil)
	})
	return filepath.Join(s.dir, "set"), s.err
}

// remove is for the end of the process.
func (s *toySet) remove() {
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

var toySpec = adapters.Spec{Model: "L8B", Rank: 1, Modules: []string{"q_proj"}, Seed: 1}

// toyLoRA is the toy about adapters.
func toyLoRA(t *testing.T, c Config) Config {
	t.Helper()
	dir, err := toyAdapters.get()
	require.NoError(t, err)
	c.LoRADir, c.Context = dir, 64
	return c
}

// toyServer is a server with adapters that was there before, as vLLM's.
func toyServer(t *testing.T, c Config, slots int) (url, dir string) {
	t.Helper()
	dir = filepath.Join(c.Dir, "theirs")
	_, err := adapters.Make(t.Context(), dir, toySpec, 8, nil)
	require.NoError(t, err)
	ec, err := emulator.Preset("L8B")
	require.NoError(t, err)
	c.engine(&ec)
	ec.SpillBytes, ec.AdapterDir, ec.AdapterSlots = 0, dir, slots
	p, err := spark.StartEmulator(t.Context(), ec)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p.Info.URL, dir
}

func TestAServerOfSomebodyElseForgetsItsAdaptersByItsOwnMeans(t *testing.T) {
	c := toy(t)
	c.Context, c.Emulator, c.LoRAAPI = 64, "", "openai"
	c.LoRAURL, c.LoRADir = toyServer(t, c, 8)
	_, dir, err := Execute(t.Context(), c, H1(), time.Time{}, Progress{Log: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	e, err := analysis.OpenExperiment(dir)
	require.NoError(t, err)
	require.Len(t, e.Arms, 2)
	cold, warm := e.Arms[0], e.Arms[1]
	require.Equal(t, spark.MeansUnload, cold.LoRA.Cold.Means)
	require.Equal(t, "fadvise", cold.LoRA.Cold.Dropped)
	require.Less(t, cold.LoRA.Cold.Before.Share(), 0.01, "proven cold")
	require.Greater(t, warm.LoRA.Cold.Before.Share(), 0.99, "proven warm")
	require.Len(t, cold.Touches, 7, "each adapter once, but for the one that the disk's rate is taken from")
	for i := range cold.Touches {
		require.Equal(t, cold.Touches[i].Adapter, warm.Touches[i].Adapter)
		require.Positive(t, cold.Touches[i].LoadMs, "by the server's own account it was loaded")
		require.Zero(t, warm.Touches[i].LoadMs, "and then it was there")
	}
	require.InDelta(t, 1, cold.AdapterInBytes()/float64(7*cold.LoRA.AdapterBytes), 0.05, "the server read the files once, by its own count")
}

func TestBadAdapterSettings(t *testing.T) {
	url, dir := toyServer(t, toy(t), 4)
	list := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "list.txt")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	for _, row := range []struct {
		why  string
		edit func(t *testing.T, c *Config)
		want string
	}{
		{"without the files nothing can be proven", func(_ *testing.T, c *Config) { c.LoRADir = "" }, "SPARK_LORA_DIR"},
		{"a directory that holds no adapter", func(t *testing.T, c *Config) { c.LoRADir = t.TempDir() }, "spark adapters make"},
		{"a list that is not there", func(_ *testing.T, c *Config) { c.LoRAList = "nosuchlist" }, "nosuchlist"},
		{"an empty list", func(t *testing.T, c *Config) { c.LoRAList = list(t, "# nobody\n") }, "list.txt"},
		{"a name twice", func(t *testing.T, c *Config) { c.LoRAList = list(t, "lora-0001\nlora-0001\n") }, "lora-0001"},
		{"a name that the directory lacks", func(t *testing.T, c *Config) { c.LoRAList = list(t, "lora-0001\nstranger\n") }, "stranger"},
		{"the wrong API for the server: it says which it looks like", func(_ *testing.T, c *Config) { c.LoRAAPI = "triton" }, "OpenAI"},
		{"adapters that the server does not serve", func(t *testing.T, c *Config) {
			c.LoRADir = filepath.Join(t.TempDir(), "other")
			_, err := adapters.Make(t.Context(), c.LoRADir, toySpec, 9, nil)
			require.NoError(t, err)
			c.LoRAList = list(t, "lora-0009\nlora-0001\n")
		}, "lora-0009"},
	} {
		t.Run(row.why, func(t *testing.T) {
			c := toy(t)
			c.Context, c.Emulator, c.LoRAURL, c.LoRADir, c.LoRAAPI = 64, "", url, dir, "openai"
			row.edit(t, &c)
			_, _, err := Execute(t.Context(), c, H6(), time.Time{}, Progress{})
			require.ErrorContains(t, err, row.want)
		})
	}
}

// What the controls plant must be seen, and must not be taken for the effect.
func TestControlsOfAdapters(t *testing.T) {
	t.Parallel() // a toy run mostly waits
	for _, row := range []struct {
		control string
		h       Hypothesis
		reason  string
	}{
		{controlAdaptersPinned, H1(), "NOT_COLD"},
		{controlAdaptersWarm, H1(), "NOT_COLD"},
		{controlAdaptersFit, H5(), "FITS"},
		{controlAdaptersPinned, H6(), "FITS"},
	} {
		t.Run(row.control+" "+row.h.ID, func(t *testing.T) {
			t.Parallel() // nothing is decided by times
			c := toyLoRA(t, toy(t))
			c.Emulator = row.control
			j, dir, err := Execute(t.Context(), c, row.h, time.Time{}, Progress{})
			require.NoError(t, err)
			require.NotEqual(t, analysis.Supported, j.Verdict.Outcome)
			require.Contains(t, j.Verdict.Reasons, row.reason)
			e, err := analysis.OpenExperiment(dir)
			require.NoError(t, err)
			require.Equal(t, row.control, e.Manifest.Control)
			require.False(t, e.Plan.LoRA.Check.Ignored, "adapters are applied on every control")
			require.Equal(t, loadgen.OutcomeOK, e.Plan.LoRA.Check.Answers[0].Outcome)
		})
	}
}
