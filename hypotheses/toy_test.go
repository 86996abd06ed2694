package hypotheses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/analysis/report"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/buildtags"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/spark/emulator"
	"github.com/spark-harness/harness/sysmon"
)

// toy is the whole path at the least scale: it decides nothing.
func toy(t *testing.T) Config {
	t.Helper()
	dir := t.TempDir()
	if _, err := sysmon.DeviceOf(dir, "", ""); err != nil {
		t.Skipf("SKIPPED: the temporary directory is not on a disk: %v (set TMPDIR to one that is)", err)
	}
	c := toyIn(dir, littleFio(t))
	c.NullDir = memoryDir(t) // a real run may be using its own
	return c
}

// memoryDir is a directory in memory of this test alone, "" where there is no
// memory file system at the usual place.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(defaultNullDir, "spark-test-")
	if err != nil {
		return ""
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// toyIn is the toy in a directory, with a fio.
func toyIn(dir, fio string) Config {
	return Config{
		Results: filepath.Join(dir, "results"), Dir: dir, Seed: 7, Emulator: "default", Users: 4,
		Context: 1280, Fio: fio,
		Force:      buildtags.Race,             // nothing is decided here
		lock:       filepath.Join(dir, "lock"), // a toy run disturbs no real one
		reserve:    -1,
		target:     64 << 20,
		calibrated: toyCalibration,
		gentle:     true,
		adapters:   &toySpec,
		profile: &Profile{
			Name: "toy", Window: 150 * time.Millisecond, MinRequests: 8, MaxWindow: 3 * time.Second,
			Warmup: 50 * time.Millisecond, Drain: 10 * time.Second, Repeats: 1, Quantile: 0.5, Settle: 20 * time.Millisecond, SettleMax: 200 * time.Millisecond, Edge: 20 * time.Millisecond, Thin: true,
		},
		engine: func(c *emulator.Config) {
			c.Step, c.StepPerSeq = 500*time.Microsecond, 0
			c.PrefillBudgetTokens, c.PrefillChunkTokens = 1024, 256
			c.KVBytesPerToken, c.PoolTokens, c.SpillBytes = 4<<10, 4*1100/16*16, min(c.SpillBytes, 128<<20)
		},
	}
}

// toyCalibration is nobody's disk: fioctl's own tests calibrate.
func toyCalibration() fioctl.Calibration {
	job := fioctl.Job{Name: "toy", BlockBytes: h4Block, Depth: 2, Threads: 1, RateIOPS: 100, StatusEvery: 100 * time.Millisecond}
	heavy := job
	heavy.Depth, heavy.RateIOPS = 4, 0
	return fioctl.Calibration{
		BlockBytes: h4Block, Idle: fioctl.Victim{Reads: 50, P95: 100 * time.Microsecond},
		Levels: []fioctl.Level{
			{Name: levelModerate, Aim: fioctl.Aim{Share: 0.4}, Job: &job, IOPS: 100, Victim: fioctl.Victim{Reads: 50, P95: 200 * time.Microsecond}},
			{Name: levelHeavy, Aim: fioctl.Aim{Share: 1}, Job: &heavy, IOPS: 500, Victim: fioctl.Victim{Reads: 50, P95: 400 * time.Microsecond}},
		},
	}
}

func TestEveryHypothesisRunsOnTheEmulator(t *testing.T) {
	t.Parallel() // a toy run mostly waits
	for _, h := range All() {
		t.Run(h.ID, func(t *testing.T) {
			t.Parallel() // nothing is decided by times
			c := toy(t)
			if h.LoRA {
				c = toyLoRA(t, c)
			}
			j, dir, err := Execute(t.Context(), c, h, time.Time{}, Progress{Log: func(s string) { t.Log(s) }})
			require.NoError(t, err)
			t.Log("\n" + j.Verdict.String())
			require.NoError(t, j.Verdict.Validate())
			require.True(t, j.Verdict.Target.Emulated, "every artefact says so")
			require.NoError(t, bundle.Verify(dir))
			if h.Gather == nil { // else another's run has it
				require.FileExists(t, filepath.Join(dir, "raw", "server-truth.jsonl.zst"))
			}
			for _, name := range []string{"verdict.json", "summary.json", h.ID + ".svg", h.ID + ".png", h.ID + ".csv", "bench.txt"} {
				require.FileExists(t, filepath.Join(dir, "derived", name))
			}
			require.FileExists(t, filepath.Join(c.Results, "calibration.json"))
			page, err := os.ReadFile(filepath.Join(c.Results, report.HTMLFile))
			require.NoError(t, err)
			require.Contains(t, string(page), `id="`+h.ID+"-"+filepath.Base(dir)+`"`, "the report is written by the way")
			require.FileExists(t, filepath.Join(c.Results, report.MarkdownFile))
			nothingLeft(t, c)
			everyArmHasSnapshots(t, dir)

			again, err := Rejudge(h, dir)
			require.NoError(t, err)
			require.Equal(t, j.Verdict, again.Verdict, "judging is a pure function of the run")
		})
	}
}

// nothingLeft checks that no spill file and no lock outlives a run.
func nothingLeft(t *testing.T, c Config) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(c.Dir, "spill"))
	if !errors.Is(err, fs.ErrNotExist) { // no server of ours had one
		require.NoError(t, err)
	}
	require.Empty(t, left, "the spill file is removed")
	lock, err := os.OpenFile(c.lockPath(), os.O_RDWR, 0)
	require.NoError(t, err)
	defer lock.Close()
	require.NoError(t, unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB), "the lock is free")
}

// partial returns the one run directory that was not committed, and why.
func partial(t *testing.T, c Config, id string) (dir, reason string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(c.Results, id, "*"+bundle.PartialSuffix))
	require.NoError(t, err)
	require.Len(t, found, 1, "the run stays as a record")
	b, err := os.ReadFile(filepath.Join(found[0], bundle.InterruptedFile))
	require.NoError(t, err)
	var r struct{ State, Reason string }
	require.NoError(t, json.Unmarshal(b, &r))
	require.Equal(t, "interrupted", r.State)
	return found[0], r.Reason
}

func TestInterruptLeavesARecordAndNothingElse(t *testing.T) {
	c := toy(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	p := Progress{Live: func(line string) {
		if strings.Contains(line, "arm 3 of") {
			cancel(errors.New("Ctrl-C"))
		}
	}}
	_, _, err := Execute(ctx, c, H0(), time.Time{}, p)
	require.ErrorIs(t, err, context.Canceled)
	dir, reason := partial(t, c, "H0")
	require.Contains(t, reason, "arm 002")
	require.FileExists(t, filepath.Join(dir, "plan.json"))
	require.FileExists(t, filepath.Join(dir, "manifest.json"))
	arms, err := filepath.Glob(filepath.Join(dir, "raw", "*", "arm.json"))
	require.NoError(t, err)
	require.Len(t, arms, 2, "the arms before it are kept")
	_, err = analysis.OpenExperiment(dir)
	require.ErrorIs(t, err, analysis.ErrIncomplete)
	nothingLeft(t, c)
}

func TestBadPlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	for _, c := range []struct {
		why  string
		edit func(*Config)
		want string
	}{
		{"O_DIRECT on tmpfs succeeds and measures nothing", func(c *Config) { c.Dir = "/dev/shm" }, "SPARK_DIR"},
		{"results that cannot be written", func(c *Config) { c.Results = file }, "SPARK_RESULTS"},
		{"a directory that cannot be made", func(c *Config) { c.Dir = filepath.Join(file, "x") }, "SPARK_DIR"},
		{"a server that is not there", func(c *Config) { c.Emulator, c.BaselineURL = "", "http://127.0.0.1:1" }, "127.0.0.1:1"},
		{"a device that does not exist", func(c *Config) { c.Device = "nosuchdisk" }, "nosuchdisk"},
	} {
		t.Run(c.why, func(t *testing.T) {
			cfg := toy(t)
			c.edit(&cfg)
			_, _, err := Execute(t.Context(), cfg, H0(), time.Time{}, Progress{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDeadlineIsCheckedBeforeMeasuring(t *testing.T) {
	c := toy(t)
	_, _, err := Execute(t.Context(), c, H0(), time.Now().Add(10*time.Second), Progress{})
	require.ErrorIs(t, err, ErrDeadline)
	require.ErrorContains(t, err, "-timeout")
	_, reason := partial(t, c, "H0")
	require.Contains(t, reason, "-timeout")
	nothingLeft(t, c)
}

// stranger is an OpenAI-compatible server of somebody else: no metrics, no
// facts, one word per event.
func stranger(t testing.TB, die func(requests int) bool) *httptest.Server {
	t.Helper()
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"theirs","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			Prompt    string `json:"prompt"`
			MaxTokens int    `json:"max_tokens"`
			Stream    bool   `json:"stream"`
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		if die != nil && die(int(n.Add(1))) {
			panic(http.ErrAbortHandler)
		}
		usage := fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d}`, len(strings.Fields(req.Prompt)), req.MaxTokens)
		if !req.Stream {
			fmt.Fprintf(w, `{"choices":[{"index":0,"text":"x","finish_reason":"length"}],"usage":%s}`, usage)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range req.MaxTokens {
			fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\" x\",\"finish_reason\":null}]}\n\n")
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Microsecond)
		}
		fmt.Fprint(w, "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n")
		fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":%s}\n\ndata: [DONE]\n\n", usage)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestAServerOfSomebodyElseGivesABundleAndAVerdict(t *testing.T) {
	t.Parallel() // a toy run mostly waits
	for _, h := range All() {
		if h.LoRA || h.Gather != nil { // its server is another one, or its arms are another's: see lora_toy_test.go
			continue
		}
		t.Run(h.ID, func(t *testing.T) {
			t.Parallel() // nothing is decided by times
			c := toy(t)
			c.Emulator, c.BaselineURL = "", stranger(t, nil).URL
			j, dir, err := Execute(t.Context(), c, h, time.Time{}, Progress{})
			require.NoError(t, err)
			require.NoError(t, j.Verdict.Validate())
			require.False(t, j.Verdict.Target.Emulated)
			require.NotEqual(t, analysis.Supported, j.Verdict.Outcome, "this server has neither a queue nor memory")
			require.NotEmpty(t, j.Verdict.Reasons, "the verdict says why")
			require.NoError(t, bundle.Verify(dir))
		})
	}
}

func TestServerThatDiesMidRun(t *testing.T) {
	t.Parallel() // nothing is decided by times
	c := toy(t)
	s := stranger(t, func(n int) bool { return n > 60 })
	c.Emulator, c.BaselineURL = "", s.URL
	j, dir, err := Execute(t.Context(), c, H0(), time.Time{}, Progress{})
	if err != nil { // it died in the pilot or before an arm's first connection
		_, reason := partial(t, c, "H0")
		require.NotEmpty(t, reason)
		return
	}
	require.Equal(t, analysis.Invalid, j.Verdict.Outcome)
	require.Contains(t, j.Verdict.Reasons, "ERRORS")
	require.NoError(t, bundle.Verify(dir))
}
