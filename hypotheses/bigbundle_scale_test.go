//go:build scale

package hypotheses

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/internal/jsonl"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// Bundles of the size of a full run, made up but in the exact format: written by
// the writers that a run uses, on the template of a recorded run. Equal sizes
// give equal bytes.

// bigSize is how large to make one.
type bigSize struct {
	requests int           // of all arms
	length   time.Duration // of all arms' telemetry, at 10 Hz
	events   int           // token events of a request, on average
}

// bigArm is one arm to make.
type bigArm struct {
	arm      analysis.Arm
	template string // recorded arm whose telemetry, counters and fio are copied
	ttftMs   float64
	readMBps float64 // the device's
}

const bigEdge = 2 * time.Second // idle, before and after an arm's requests

// bigH2 is a sweep of contexts with a knee where the pool is full.
func bigH2(t *testing.T, root string, size bigSize) string {
	recorded, plan, man := bigTemplate(t, "H2")
	man.Facts.KVPoolTokens, man.Facts.KVBytesPerToken = new(int64(plantedPool)), new(int64(plantedPerToken))
	p, err := ProfileByName("full")
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 2))
	truth := stick(1)
	var arms []bigArm
	contexts := h2Contexts(p, 1<<20)
	for block := range p.Repeats {
		for _, c := range contexts {
			of := truth(float64(plantedUsers*(c+h2Output)) / plantedPool)
			m := plantedArm(rng, block, plantedUsers, c, of)
			m.Name = fmt.Sprintf("%03d-c%d-r%d", len(arms), c, block)
			arms = append(arms, bigArm{arm: m.Arm, template: recorded[len(arms)%len(recorded)], ttftMs: of.ttftMs})
		}
	}
	for i := range arms {
		a := &arms[i].arm
		bigWindow(a, size, len(arms))
		m := &analysis.Measured{Arm: *a}
		bytes := pagedIn(m)
		a.Server.DiskInBytes = new(bytes)
		arms[i].readMBps = bytes / 1e6 / a.Idle.Length().Seconds()
	}
	return bigBundle(t, root, "H2", plan, man, p, arms, size)
}

// bigH4 has every condition of the recorded H4 run, in as many blocks as make
// 56 arms, stretched to full length.
func bigH4(t *testing.T, root string, size bigSize) string {
	recorded, plan, man := bigTemplate(t, "H4")
	p, err := ProfileByName("full")
	require.NoError(t, err)
	p.Repeats = 8
	var arms []bigArm
	for len(arms) < 56 {
		template := recorded[len(arms)%len(recorded)]
		var a analysis.Arm
		bigRead(t, filepath.Join(template, "arm.json"), &a)
		a.Block += 2 * (len(arms) / len(recorded))
		a.Name = fmt.Sprintf("%03d-%s-%s-r%d", len(arms), a.Storage.Condition, a.Storage.Level.Name, a.Block)
		ttft := 20.0
		if !a.Storage.Comfy() {
			ttft = 60 * (1 + 3*a.Storage.Level.Aim.Share)
		}
		arms = append(arms, bigArm{arm: a, template: template, ttftMs: ttft})
	}
	for i := range arms {
		a := &arms[i].arm
		bigWindow(a, size, len(arms))
		arms[i].readMBps = 10
		if a.Server.DiskInBytes != nil {
			arms[i].readMBps += *a.Server.DiskInBytes / 1e6 / a.Idle.Length().Seconds()
		}
		if a.Storage.Level.Job != nil && !a.Storage.Null() {
			arms[i].readMBps += 1000
		}
	}
	return bigBundle(t, root, "H4", plan, man, p, arms, size)
}

// bigTemplate is the recorded run of a hypothesis: its arms, plan and manifest.
func bigTemplate(t *testing.T, id string) (arms []string, plan map[string]any, man spark.Manifest) {
	runs, err := bundle.Runs(filepath.Join("testdata", "runs"), id)
	require.NoError(t, err)
	require.Len(t, runs, 1)
	arms, err = filepath.Glob(filepath.Join(runs[0], "raw", "*", "arm.json"))
	require.NoError(t, err)
	for i := range arms {
		arms[i] = filepath.Dir(arms[i])
	}
	bigRead(t, filepath.Join(runs[0], "plan.json"), &plan)
	bigRead(t, filepath.Join(runs[0], "manifest.json"), &man)
	return arms, plan, man
}

func bigRead(t *testing.T, path string, v any) {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, v), path)
}

// bigWindow gives an arm its share of the whole length and of the requests.
func bigWindow(a *analysis.Arm, size bigSize, arms int) {
	length := size.length / time.Duration(arms)
	n := int64(size.requests / arms)
	a.Idle = loadgen.Window{Start: 5 * time.Second, End: 5*time.Second + length}
	a.Summary.Window = loadgen.Window{Start: a.Idle.Start + bigEdge, End: a.Idle.End - bigEdge}
	a.Summary.Requests = loadgen.Requests{Warmup: 9, Due: n, OK: n, ErrorRate: new(0.0), Outcomes: map[loadgen.Outcome]int64{loadgen.OutcomeOK: n}}
	a.Quiet.OK = true
	a.Load.Workload.SuffixTokens = h2Suffix
}

func bigBundle(t *testing.T, root, id string, plan map[string]any, man spark.Manifest, p Profile, arms []bigArm, size bigSize) string {
	run, err := bundle.Create(root, id, time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	require.NoError(t, err)
	plan["profile"] = p
	planned := make([]any, len(arms))
	for i := range arms {
		planned[i] = map[string]any{"name": arms[i].arm.Name}
	}
	plan["arms"] = planned
	require.NoError(t, run.WriteJSON("plan.json", plan))
	require.NoError(t, run.WriteJSON("manifest.json", man))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range arms {
		dir, err := run.Arm(arms[i].arm.Name)
		require.NoError(t, err)
		g.Go(func() error { return arms[i].write(dir, uint64(i), size.requests/len(arms), size.events) })
	}
	require.NoError(t, g.Wait())
	dir, err := run.Commit()
	require.NoError(t, err)
	return dir
}

func (b bigArm) write(dir string, seed uint64, requests, events int) error {
	if err := bundle.WriteJSON(filepath.Join(dir, "arm.json"), b.arm); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(seed, 3))
	for _, step := range []func() error{
		func() error { return b.records(filepath.Join(dir, "requests.jsonl.zst"), rng, requests, events) },
		func() error { return b.telemetry(filepath.Join(dir, "telemetry.csv.zst"), rng) },
		func() error { return b.server(filepath.Join(dir, "server.jsonl.zst")) },
		func() error { return b.probe(filepath.Join(dir, "probe.jsonl.zst"), rng) },
		func() error { return b.fio(filepath.Join(dir, "fio.json")) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// records are requests due evenly over the window, lognormal around the truth.
func (b bigArm) records(path string, rng *rand.Rand, requests, events int) error {
	w, err := loadgen.NewRecordWriter(path)
	if err != nil {
		return err
	}
	window := b.arm.Summary.Window
	level := math.Exp(0.02 * rng.NormFloat64())
	for i := range requests {
		due := window.Start + time.Duration(float64(window.Length())*(float64(i)+0.9*rng.Float64())/float64(requests))
		first := due + time.Duration(1e6*b.ttftMs*level*math.Exp(0.1*rng.NormFloat64()))
		r := &loadgen.Record{
			ID: int64(i), User: i % b.arm.Users, Turn: i / b.arm.Users, Phase: loadgen.PhaseMeasure, Outcome: loadgen.OutcomeOK,
			Due: loadgen.At(due), Dispatched: loadgen.At(due + 84_000), Written: loadgen.At(due + 285_000),
			FirstByte: loadgen.At(due + 700_000), Header: loadgen.At(due + 700_000),
			FirstToken: loadgen.At(first), FirstVisible: loadgen.At(first), Stamp: loadgen.StampKernel,
			PromptTokensAsked: new(b.arm.ContextTokens), PromptTokens: new(b.arm.ContextTokens), OutputTokens: new(b.arm.OutputTokens),
			CachedTokens: new(b.arm.ContextTokens - b.arm.Load.Workload.SuffixTokens), Status: 200, Finish: "length",
			PromptHash: loadgen.Hash(rng.Uint64()), AnswerHash: loadgen.Hash(rng.Uint64()), BytesIn: 6522, ReusedConn: true,
		}
		at := first
		for range max(1, events/2+rng.IntN(events+1)) {
			r.Events = append(r.Events, loadgen.Event{At: at})
			at += 2_500_000 + time.Duration(60_000*rng.NormFloat64())
		}
		r.Reads = len(r.Events)
		r.LastToken = loadgen.At(r.Events[len(r.Events)-1].At)
		r.Close = r.LastToken
		if err := w.Write(r); err != nil {
			return err
		}
	}
	return w.Close()
}

// telemetry is every column of the template at 10 Hz: counters grow, levels
// waver, and the device reads what it should.
func (b bigArm) telemetry(path string, rng *rand.Rand) error {
	from, err := sysmon.ReadTable(filepath.Join(b.template, "telemetry.csv.zst"))
	if err != nil {
		return err
	}
	w, err := sysmon.NewWriter(path, from.Meta)
	if err != nil {
		return err
	}
	row := sysmon.Row{Values: make([]float64, len(from.Meta.Columns))}
	sum := make([]float64, len(row.Values))
	for i, c := range from.Meta.Columns {
		if v, ok := from.Column(c.Name); ok && len(v) > 0 {
			sum[i] = v[len(v)-1]
		}
	}
	const tick = 100 * time.Millisecond
	for at := b.arm.Idle.Start - tick; at <= b.arm.Idle.End+2*tick; at += tick {
		row.T = at + time.Duration(rng.IntN(200_000))
		for i, c := range from.Meta.Columns {
			row.Values[i] = b.value(c, &sum[i], row.T, rng)
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	return w.Close()
}

func (b bigArm) value(c sysmon.Column, sum *float64, at time.Duration, rng *rand.Rand) float64 {
	grow := func(most int) float64 { *sum += float64(rng.IntN(most + 1)); return *sum }
	switch c.Name {
	case "t_mono_ns":
		return float64(at)
	case "t_wall_ns":
		return float64(1795455154095860480 + at)
	case "dt_ns":
		return 1e8
	case "late_ns", "skew_ns":
		return float64(100_000 + rng.IntN(900_000))
	case "missed", "resets":
		return 0
	case "raw_rd_sectors":
		*sum += math.Round(b.readMBps * 1e5 / 512)
		return *sum
	case "raw_rd_ios":
		*sum += math.Ceil(b.readMBps * 1e5 / 131072)
		return *sum
	case "raw_cpu_idle":
		return grow(20)
	case "raw_cpu_nice", "raw_cpu_irq", "raw_cpu_softirq", "raw_cpu_steal":
		return grow(1)
	}
	switch c.Kind {
	case sysmon.KindCounter, sysmon.KindCounter32, sysmon.KindSlack:
		return grow(40)
	case sysmon.KindDerived:
		return 100 * rng.Float64()
	}
	return *sum + float64(rng.IntN(5000))
}

// server is one scrape a second of the template's text with its counter of bytes
// read growing.
func (b bigArm) server(path string) error {
	var from spark.Scrape
	for s, err := range jsonl.Read[spark.Scrape](filepath.Join(b.template, "server.jsonl.zst")) {
		if err != nil {
			return err
		}
		from = s
	}
	w, err := jsonl.Create(path)
	if err != nil {
		return err
	}
	counter := regexp.MustCompile(`(?m)^(spark_emulator_page_in_bytes_total\S*|vllm:kv_offload_total_bytes_total\{transfer_type="NVMe_to_GPU"\S*) \S+$`)
	for at := b.arm.Idle.Start; at <= b.arm.Idle.End; at += time.Second {
		s := from
		s.T = at
		read := b.readMBps * 1e6 * (at - b.arm.Idle.Start).Seconds()
		s.Raw = counter.ReplaceAllString(s.Raw, "$1 "+strconv.FormatFloat(read, 'g', -1, 64))
		if err := w.Write(s); err != nil {
			return err
		}
	}
	return w.Close()
}

// probe is 50 reads a second; an arm without a storage treatment has none.
func (b bigArm) probe(path string, rng *rand.Rand) error {
	if b.arm.Storage == nil {
		return nil
	}
	w, err := jsonl.Create(path)
	if err != nil {
		return err
	}
	wait := 200_000.0
	if b.arm.Storage.Level.Job != nil && !b.arm.Storage.Null() {
		wait = 3_000_000
	}
	for at := b.arm.Idle.Start; at < b.arm.Idle.End; at += 20 * time.Millisecond {
		start := at + time.Duration(rng.IntN(500_000))
		s := fioctl.Sample{Due: at, Start: start, End: start + time.Duration(wait*math.Exp(0.3*rng.NormFloat64()))}
		if err := w.Write(s); err != nil {
			return err
		}
	}
	return w.Close()
}

// fio is the template's run stretched over the arm, with a status every 250 ms.
func (b bigArm) fio(path string) error {
	if b.arm.Storage == nil || b.arm.Storage.Level.Job == nil {
		return nil
	}
	var r fioctl.Run
	text, err := os.ReadFile(filepath.Join(b.template, "fio.json"))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return err
	}
	r.Started, r.Flowing = b.arm.Idle.Start, b.arm.Idle.Start+100*time.Millisecond
	r.Stopping, r.Ended = b.arm.Idle.End-bigEdge/2, b.arm.Idle.End-bigEdge/4
	r.Status = nil
	for at := r.Flowing; at <= r.Stopping; at += 250 * time.Millisecond {
		n := int64((at - r.Flowing).Seconds() * 4000)
		r.Status = append(r.Status, fioctl.Status{T: at, ReadBytes: n * 262144, ReadIOs: n})
	}
	return bundle.WriteJSON(path, r)
}
