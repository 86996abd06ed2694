package analysis

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// tinyRun is a bundle of two arms as the real writers leave it, with a place
// to break anything before it is committed.
type tinyRun struct {
	plan     map[string]any
	manifest spark.Manifest
	arms     []Arm
	// before runs when everything is written and nothing is summed yet.
	before func(t *testing.T, dir string)
}

const (
	tinyEvery   = 100 * time.Millisecond // between requests, and between ticks
	tinySeconds = 4                      // of telemetry
	tinyTTFT    = 20 * time.Millisecond
)

func newTinyRun() *tinyRun {
	r := &tinyRun{
		plan: map[string]any{
			"hypothesis": "H0", "seed": 7, "notes": []string{"from a test"},
			"profile": map[string]any{"name": "tiny", "quantile": 0.5, "min_requests": 8, "repeats": 1},
			"arms":    []map[string]any{{"name": "000-u1-r0"}, {"name": "001-u4-r0"}},
		},
		manifest: spark.Manifest{
			Schema: spark.ManifestSchema, Started: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), Epoch: 42,
			Target: spark.Target{Kind: "attached", URL: "http://127.0.0.1:1", Model: "m"},
			Facts:  spark.Facts{KVPoolTokens: new(int64(100))},
		},
	}
	for i, users := range []int{1, 4} {
		r.arms = append(r.arms, Arm{
			Schema: ArmSchema, Name: fmt.Sprintf("%03d-u%d-r0", i, users), Users: users, ContextTokens: 16, OutputTokens: 4,
			Summary: loadgen.Summary{Window: loadgen.Window{Start: time.Second, End: 3 * time.Second}},
			Idle:    loadgen.Window{Start: 500 * time.Millisecond, End: 3500 * time.Millisecond},
			Quiet:   Quiet{OK: true},
		})
	}
	return r
}

// write makes the run's partial directory.
func (r *tinyRun) write(t *testing.T) *bundle.Run {
	t.Helper()
	run, err := bundle.Create(t.TempDir(), "H0", r.manifest.Started)
	require.NoError(t, err)
	require.NoError(t, run.WriteJSON("plan.json", r.plan))
	require.NoError(t, run.WriteJSON("manifest.json", r.manifest))
	for _, a := range r.arms {
		dir, err := run.Arm(a.Name)
		require.NoError(t, err)
		require.NoError(t, bundle.WriteJSON(filepath.Join(dir, "arm.json"), a))
		writeRecords(t, filepath.Join(dir, "requests.jsonl.zst"), tinyRecords())
		writeTelemetry(t, filepath.Join(dir, "telemetry.csv.zst"), nil)
	}
	if r.before != nil {
		r.before(t, run.Dir())
	}
	return run
}

// commit makes the run and returns its directory.
func (r *tinyRun) commit(t *testing.T) string {
	t.Helper()
	dir, err := r.write(t).Commit()
	require.NoError(t, err)
	return dir
}

// tinyRecords are requests due every 100 ms from 0 to 4 s, each with its first
// token 20 ms and its end 50 ms after it was due.
func tinyRecords() []*loadgen.Record {
	var records []*loadgen.Record
	for i := range int(tinySeconds * time.Second / tinyEvery) {
		due := time.Duration(i) * tinyEvery
		phase := loadgen.PhaseMeasure
		switch {
		case due < time.Second:
			phase = loadgen.PhaseWarmup
		case due >= 3*time.Second:
			phase = loadgen.PhaseDrain
		}
		records = append(records, &loadgen.Record{
			ID: int64(i), Phase: phase, Outcome: loadgen.OutcomeOK,
			Due: loadgen.At(due), Dispatched: loadgen.At(due), FirstToken: loadgen.At(due + tinyTTFT),
			LastToken: loadgen.At(due + 40*time.Millisecond), Close: loadgen.At(due + 50*time.Millisecond),
			PromptTokens: new(16), OutputTokens: new(4), CachedTokens: new(8),
		})
	}
	return records
}

func writeRecords(t testing.TB, path string, records []*loadgen.Record) {
	t.Helper()
	w, err := loadgen.NewRecordWriter(path)
	require.NoError(t, err)
	for _, r := range records {
		require.NoError(t, w.Write(r))
	}
	require.NoError(t, w.Close())
}

// writeTelemetry writes 4 s of ticks. In every 100 ms the disk reads 2 I/Os of
// 1 MB in 3 ms each, half of two CPUs' time is idle and a tenth waits for I/O.
func writeTelemetry(t testing.TB, path string, edit func(*sysmon.Meta, *sysmon.Row)) {
	t.Helper()
	s, err := sysmon.New(sysmon.Config{})
	require.NoError(t, err)
	m := s.Meta()
	require.NoError(t, s.Close())
	m.Interval, m.CPUs, m.PageBytes, m.Device = tinyEvery, 2, 4096, "disk0"
	var columns []sysmon.Column
	for _, c := range m.Columns {
		if c.Kind == sysmon.KindTime {
			columns = append(columns, c)
		}
	}
	times := len(columns)
	perTick := []struct {
		name string
		grow float64
	}{
		{"raw_rd_ios", 2},
		{"raw_rd_sectors", 2e6 / 512},
		{"raw_rd_ticks_ms", 6},
		{"raw_wr_sectors", 1e6 / 512},
		{"raw_weighted_ms", 50},
		{"raw_cpu_user", 8},
		{"raw_cpu_nice", 0},
		{"raw_cpu_sys", 0},
		{"raw_cpu_idle", 10},
		{"raw_cpu_iowait", 2},
		{"raw_cpu_irq", 0},
		{"raw_cpu_softirq", 0},
		{"raw_cpu_steal", 0},
		{"raw_refault_file", 3},
		{"raw_refault_anon", 1},
		{"raw_pswpin", 5},
	}
	for _, c := range perTick {
		columns = append(columns, sysmon.Column{Name: c.name, Unit: "u", Kind: sysmon.KindCounter, Group: "test"})
	}
	m.Columns = columns
	if edit != nil {
		edit(&m, &sysmon.Row{})
	}
	w, err := sysmon.NewWriter(path, m)
	require.NoError(t, err)
	for i := range int(tinySeconds*time.Second/tinyEvery) + 1 {
		row := sysmon.Row{T: time.Duration(i) * tinyEvery, Values: make([]float64, len(columns))}
		row.Values[0] = float64(row.T)
		for k, c := range perTick {
			row.Values[times+k] = 1000 + c.grow*float64(i)
		}
		if edit != nil {
			edit(&m, &row)
		}
		if row.Values != nil {
			require.NoError(t, w.Write(row))
		}
	}
	require.NoError(t, w.Close())
}

func TestOpenExperiment(t *testing.T) {
	dir := newTinyRun().commit(t)
	e, err := OpenExperiment(dir)
	require.NoError(t, err)
	require.Equal(t, dir, e.Dir)
	require.Equal(t, "H0", e.Plan.Hypothesis)
	require.EqualValues(t, 7, e.Plan.Seed)
	require.Equal(t, 0.5, e.Plan.Profile.Quantile)
	require.Equal(t, 8, e.Plan.Profile.MinRequests)
	require.EqualValues(t, 100, *e.Manifest.Facts.KVPoolTokens)
	require.Equal(t, Target{Kind: "attached", URL: "http://127.0.0.1:1", Model: "m"}, e.Target())
	require.Len(t, e.Arms, 2)
	for i, users := range []int{1, 4} {
		require.Equal(t, users, e.Arms[i].Users, "arms stand in the order of measuring")
	}
	_, err = OpenExperiment(dir + string(filepath.Separator))
	require.NoError(t, err, "a trailing slash is what completion types")

	copied := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.CopyFS(copied, os.DirFS(dir)))
	again, err := OpenExperiment(copied)
	require.NoError(t, err, "any copy of a run will do")
	for _, a := range e.Arms {
		require.True(t, math.IsNaN(a.Telemetry.ServerMBPerSec), "this server has no counters")
	}
	// NaN equals nothing, so the two are compared as they print.
	require.Equal(t, printed(e.Arms), printed(again.Arms))
}

func printed(arms []*Measured) (all []string) {
	for _, a := range arms {
		arm, disk := *a, a.Smart
		arm.Smart = nil // it prints as an address
		all = append(all, fmt.Sprintf("%+v %+v", arm, disk))
	}
	return all
}

// A bundle that is not whole, or not ours to read, is refused: the error names
// the file and says what kind of trouble it is.
func TestOpenExperimentRefuses(t *testing.T) {
	const arm = "raw/001-u4-r0/"
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	}
	overwrite := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	cut := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), b[:len(b)-len(b)/3], 0o644))
		}
	}
	for _, c := range []struct {
		why    string
		before func(*testing.T, string) // damage that the sums cover
		after  func(*testing.T, string) // damage since
		is     error                    // nil where no sentinel fits
		names  string
	}{
		{why: "a byte flipped since", after: overwrite(arm+"arm.json", "{}"), is: bundle.ErrCorrupt, names: arm + "arm.json"},
		{why: "records lost since", after: remove(arm + "requests.jsonl.zst"), is: bundle.ErrCorrupt, names: arm + "requests.jsonl.zst"},
		{why: "records cut short since", after: cut(arm + "requests.jsonl.zst"), is: bundle.ErrCorrupt, names: arm + "requests.jsonl.zst"},
		{why: "telemetry lost since", after: remove(arm + "telemetry.csv.zst"), is: bundle.ErrCorrupt, names: arm + "telemetry.csv.zst"},
		{why: "half of the run lost since", after: func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, arm)))
		}, is: bundle.ErrCorrupt, names: arm},
		{why: "the sums lost since", after: remove(bundle.SumsFile), is: bundle.ErrCorrupt, names: bundle.SumsFile},

		{why: "no plan", before: remove("plan.json"), is: bundle.ErrCorrupt, names: "plan.json"},
		{why: "no manifest", before: remove("manifest.json"), is: bundle.ErrCorrupt, names: "manifest.json"},
		{why: "no arm.json", before: remove(arm + "arm.json"), is: bundle.ErrCorrupt, names: arm + "arm.json"},
		{why: "an arm of the plan is not there", before: func(t *testing.T, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, arm)))
		}, is: bundle.ErrCorrupt, names: "1 arms of 2"},
		{why: "a plan that is not JSON", before: overwrite("plan.json", "{"), is: bundle.ErrCorrupt, names: "plan.json"},
		{why: "a manifest of another type", before: overwrite("manifest.json", `{"schema":"one"}`), is: bundle.ErrCorrupt, names: "manifest.json"},
		{why: "an arm that is a list", before: overwrite(arm+"arm.json", "[]"), is: bundle.ErrCorrupt, names: arm + "arm.json"},
		{why: "a later manifest", before: overwrite("manifest.json", `{"schema":99}`), is: ErrSchema, names: "manifest schema 99"},
		{why: "a later arm", before: overwrite(arm+"arm.json", `{"schema":99}`), is: ErrSchema, names: filepath.Clean(arm)},
		{why: "no records were written", before: remove(arm + "requests.jsonl.zst"), is: os.ErrNotExist, names: arm + "requests.jsonl.zst"},
		{why: "records were cut before they were summed", before: cut(arm + "requests.jsonl.zst"), names: arm + "requests.jsonl.zst"},
		{why: "records of garbage", before: overwrite(arm+"requests.jsonl.zst", "garbage"), names: arm + "requests.jsonl.zst"},
		{why: "no telemetry was written", before: remove(arm + "telemetry.csv.zst"), is: os.ErrNotExist, names: arm + "telemetry.csv.zst"},
		{why: "telemetry of garbage", before: overwrite(arm+"telemetry.csv.zst", "garbage"), names: arm + "telemetry.csv.zst"},
	} {
		t.Run(c.why, func(t *testing.T) {
			r := newTinyRun()
			r.before = c.before
			dir := r.commit(t)
			if c.after != nil {
				c.after(t, dir)
			}
			_, err := OpenExperiment(dir)
			require.ErrorContains(t, err, strings.TrimSuffix(c.names, "/"))
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
			}
		})
	}
	t.Run("never committed", func(t *testing.T) {
		run := newTinyRun().write(t)
		_, err := OpenExperiment(run.Dir())
		require.ErrorIs(t, err, ErrIncomplete)
		require.ErrorContains(t, err, run.Dir())
		_, err = OpenExperiment(run.Dir() + "/")
		require.ErrorIs(t, err, ErrIncomplete)
	})
	t.Run("nothing there", func(t *testing.T) {
		_, err := OpenExperiment(filepath.Join(t.TempDir(), "none"))
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(path, nil, 0o644))
		_, err := OpenExperiment(path)
		require.ErrorContains(t, err, path)
	})
}

func TestLevels(t *testing.T) {
	arm := func(block, users int, cycle float64) *Measured {
		return &Measured{Arm: Arm{Block: block, Users: users}, Cycle: cycle}
	}
	levels := Levels([]*Measured{arm(0, 8, 3), arm(0, 2, 1), arm(1, 8, math.NaN()), arm(1, 2, 2), arm(2, 8, 5)}, func(m *Measured) float64 { return float64(m.Users) })
	require.Len(t, levels, 2)
	require.Equal(t, []float64{2, 8}, []float64{levels[0].X, levels[1].X})
	require.Len(t, levels[1].Arms, 3)
	cycle := func(m *Measured) float64 { return m.Cycle }
	require.Equal(t, 1.5, levels[0].Median(cycle))
	require.Equal(t, 4.0, levels[1].Median(cycle), "absent is not 0")
	require.True(t, math.IsNaN(levels[0].Median(func(*Measured) float64 { return math.NaN() })))
	require.Empty(t, Levels(nil, cycle))
}

// Whatever stands in the JSON of a bundle, reading it ends in an experiment or
// in an error, and never in a panic.
func FuzzOpenExperiment(f *testing.F) {
	r := newTinyRun()
	encode := func(v any) []byte {
		b, err := json.Marshal(v)
		require.NoError(f, err)
		return b
	}
	f.Add(encode(r.plan), encode(r.manifest), encode(r.arms[0]))
	f.Add([]byte(`{}`), []byte(`null`), []byte(`{"summary":{"window":{"start_ns":5,"end_ns":1}}}`))
	f.Add([]byte(`{"arms":[1]}`), []byte(`{"schema":-1}`), []byte(`{"idle":{"start_ns":-9223372036854775808,"end_ns":9223372036854775807}}`))
	files := map[string][]byte{"raw/000/requests.jsonl.zst": nil, "raw/000/telemetry.csv.zst": nil}
	made := f.TempDir() // once: the writers sync, which takes long
	writeRecords(f, filepath.Join(made, "requests.jsonl.zst"), tinyRecords()[:3])
	writeTelemetry(f, filepath.Join(made, "telemetry.csv.zst"), nil)
	for name := range files {
		b, err := os.ReadFile(filepath.Join(made, filepath.Base(name)))
		require.NoError(f, err)
		files[name] = b
	}
	f.Fuzz(func(t *testing.T, plan, manifest, arm []byte) {
		dir := filepath.Join(t.TempDir(), "raw", "000")
		require.NoError(t, os.MkdirAll(dir, 0o755))
		root := filepath.Dir(filepath.Dir(dir))
		all := maps.Clone(files)
		all["plan.json"], all["manifest.json"], all["raw/000/arm.json"] = plan, manifest, arm
		for name, b := range all {
			require.NoError(t, os.WriteFile(filepath.Join(root, name), b, 0o644))
		}
		e := &Experiment{Dir: root}
		for path, v := range map[string]any{"plan.json": &e.Plan, "manifest.json": &e.Manifest} {
			if err := readJSON(filepath.Join(root, path), v); err != nil {
				require.ErrorIs(t, err, bundle.ErrCorrupt)
			}
		}
		if err := e.readArms(); err == nil {
			require.Len(t, e.Arms, len(e.Plan.Arms))
			for _, a := range e.Arms {
				a.ThroughputPerSec()
				a.TTFTWindows()
				a.QuantileMs(0.5)
			}
		}
	})
}
