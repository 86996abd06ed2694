package hypotheses

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// Experiments with a planted truth: what a judge says about them is known
// before it looks. They are at the quick profile's full design.

const (
	plantedRuns     = 0.02 // sd of ln TTFT between the runs of a level
	plantedRequests = 0.10 // sd of ln TTFT between the requests of a run
	plantedN        = 100  // good requests of an arm
)

// truth is what one level of a planted sweep does.
type truth struct {
	ttftMs  float64 // median
	cycleMs float64 // mean, due to close
	perSec  float64 // requests completed per second
}

// plantedArm is an arm as a run would have measured it: lognormal TTFT around
// the truth, tokens as asked, a quiet and silent machine.
func plantedArm(rng *rand.Rand, block, users, context int, of truth) *analysis.Measured {
	const window = 3 * time.Second
	m := &analysis.Measured{
		Arm: analysis.Arm{
			Schema: analysis.ArmSchema, Block: block, Users: users, ContextTokens: context, OutputTokens: 32,
			Summary: loadgen.Summary{
				Window:   loadgen.Window{Start: time.Second, End: time.Second + window},
				Requests: loadgen.Requests{Warmup: int64(users), Due: plantedN, OK: plantedN, ErrorRate: new(0.0)},
				Client:   loadgen.Client{Lag: &loadgen.Latency{N: plantedN, P50: 0.05, P95: 0.1, P99: 0.2}},
			},
			Idle:  loadgen.Window{Start: 0, End: 6 * time.Second},
			Quiet: analysis.Quiet{OK: true},
		},
		Cycle:            of.cycleMs,
		Completed:        int(math.Round(of.perSec * window.Seconds())),
		PromptTokensMean: float64(context), OutputTokensMean: 32, CachedTokensMean: 0,
		Telemetry: analysis.Telemetry{Completeness: 1, ReadMBPerSec: 0.1, WriteMBPerSec: 0.1, ReadAwaitMs: 0.5, AquSz: 0.001, IOWaitPct: 0.1, CPUBusyCores: 1},
	}
	run := rng.NormFloat64() * plantedRuns
	for range plantedN {
		m.TTFT = append(m.TTFT, of.ttftMs*math.Exp(run+plantedRequests*rng.NormFloat64()))
	}
	slices.Sort(m.TTFT)
	for _, v := range m.TTFT {
		m.E2E = append(m.E2E, v+40)
	}
	return m
}

// planted is an experiment of the quick profile without arms.
func planted(id string, seed uint64) *analysis.Experiment {
	p, err := ProfileByName("quick")
	if err != nil {
		panic(err)
	}
	e := &analysis.Experiment{}
	e.Plan.Hypothesis, e.Plan.Seed = id, seed
	e.Plan.Profile.Name, e.Plan.Profile.Quantile = p.Name, p.Quantile
	e.Plan.Profile.MinRequests, e.Plan.Profile.Repeats = p.MinRequests, p.Repeats
	e.Manifest.Schema = spark.ManifestSchema
	e.Manifest.Target = spark.Target{Kind: "emulator", Model: "planted", Emulated: true}
	return e
}

// plantedH0 sweeps users over the quick design.
func plantedH0(seed uint64, of func(users float64) truth) *analysis.Experiment {
	e := planted("H0", seed)
	e.Manifest.Facts.MaxNumSeqs = new(int64(64))
	rng := rand.New(rand.NewPCG(seed, 0))
	for block := range e.Plan.Profile.Repeats {
		for _, users := range h0Users(false) {
			e.Arms = append(e.Arms, plantedArm(rng, block, users, h0Prompt, of(float64(users))))
		}
	}
	return e
}

const (
	aloneMs     = 80.0 // one request's cycle on an idle server
	firstMs     = 40.0 // its first token
	saturatedAt = 16.0 // users
)

// queue is a server that serves saturatedAt users at once and lets the rest
// wait, in a closed loop.
func queue(users float64) truth {
	cycle := aloneMs * math.Max(1, users/saturatedAt)
	return truth{ttftMs: firstMs + cycle - aloneMs, cycleMs: cycle, perSec: 1000 * users / cycle}
}

// free is a server that answers any number of users as fast as one.
func free(users float64) truth {
	return truth{ttftMs: firstMs, cycleMs: aloneMs, perSec: 1000 * users / aloneMs}
}

// power slows down smoothly, without a knee.
func power(users float64) truth {
	ttft := firstMs * math.Pow(users, 0.4)
	cycle := ttft + aloneMs - firstMs
	return truth{ttftMs: ttft, cycleMs: cycle, perSec: 1000 * users / cycle}
}

// noisy adds so much noise between runs, of which the truth knows nothing.
func noisy(of func(float64) truth, sd float64, seed uint64) func(float64) truth {
	rng := rand.New(rand.NewPCG(seed, 1))
	return func(x float64) truth {
		tr := of(x)
		tr.ttftMs *= math.Exp(sd * rng.NormFloat64())
		return tr
	}
}

const (
	plantedUsers    = 9
	plantedPool     = 10352    // tokens: 9 users of about 1,118
	plantedPerToken = 20 << 10 // bytes
)

// plantedH2 sweeps contexts over the quick design; of gives the truth at a
// demand in pools.
func plantedH2(seed uint64, of func(demand float64) truth) *analysis.Experiment {
	e := planted("H2", seed)
	p, _ := ProfileByName("quick")
	e.Manifest.Facts.KVPoolTokens, e.Manifest.Facts.KVBytesPerToken = new(int64(plantedPool)), new(int64(plantedPerToken))
	rng := rand.New(rand.NewPCG(seed, 0))
	for block := range e.Plan.Profile.Repeats {
		for _, c := range h2Contexts(p, 1<<20) {
			a := plantedArm(rng, block, plantedUsers, c, of(float64(plantedUsers*(c+h2Output))/plantedPool))
			a.CachedTokensMean = float64(c - h2Suffix) // all of the kept context
			e.Arms = append(e.Arms, a)
		}
	}
	return e
}

// stick is the hockey stick with its bend at a demand of so many pools: beyond
// it every further pool of demand costs as much again as eight first tokens.
func stick(bend float64) func(float64) truth {
	return func(demand float64) truth {
		ttft := firstMs * (1 + 8*math.Max(0, demand/bend-1))
		cycle := ttft + aloneMs
		return truth{ttftMs: ttft, cycleMs: cycle, perSec: 1000 * plantedUsers / cycle}
	}
}

// beyond is the KV that all users of an arm have beyond the pool, in bytes.
func beyond(a *analysis.Measured) float64 {
	return math.Max(0, float64(a.Users*(a.ContextTokens+a.OutputTokens)-plantedPool)) * plantedPerToken
}

// pagedIn is what an arm reads back when every turn of every user needs all
// that lies beyond the pool once.
func pagedIn(a *analysis.Measured) float64 { return beyond(a) * turns(a) / float64(a.Users) }

// busyDisk is the device's side of so many bytes read over the arm.
func busyDisk(a *analysis.Measured, bytes float64) {
	if bytes == 0 {
		return
	}
	a.Telemetry.ReadBytes = bytes
	a.Telemetry.ReadMBPerSec = bytes / 1e6 / 6
	a.Telemetry.AquSz, a.Telemetry.ReadAwaitMs = 2, 1.5
}

// tiered: KV comes back from the server's disk tier, and both sides count it.
func tiered(deviceShare float64) func(*analysis.Measured) {
	return func(a *analysis.Measured) {
		a.Server.DiskInBytes = new(pagedIn(a))
		busyDisk(a, deviceShare*pagedIn(a))
	}
}

// each applies an edit to every arm.
func each(e *analysis.Experiment, edit func(*analysis.Measured)) *analysis.Experiment {
	for _, a := range e.Arms {
		edit(a)
	}
	return e
}

// judged judges e and checks what holds for any judgement: the verdict is
// sound, can be written, and every artefact can be drawn.
func judged(t *testing.T, h Hypothesis, e *analysis.Experiment) Judgement {
	t.Helper()
	j := h.Judge(e)
	require.NoError(t, j.Verdict.Validate())
	_, err := json.Marshal(j.Verdict)
	require.NoError(t, err)
	_, err = json.Marshal(summarize(e))
	require.NoError(t, err)
	if len(j.Figure.Panels) > 0 {
		_, err := j.Figure.SVG()
		require.NoError(t, err)
		_, err = j.Table.CSV()
		require.NoError(t, err)
		_, err = j.Bench.Bytes()
		require.NoError(t, err)
	}
	return j
}
