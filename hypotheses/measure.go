package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/hypotheses/watch"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/loadgen"
)

// Run measures every arm of the design, commits the run and returns its
// directory. When ctx ends or a part fails, the run directory keeps what was
// measured so far.
func (r *Rig) Run(ctx context.Context, d Design) (dir string, err error) {
	d.Hypothesis, d.Profile, d.Seed = r.hypothesis, r.Profile, r.Config.Seed
	if err := r.fits(d); err != nil {
		return "", err
	}
	if err := r.calibratePrompts(ctx, d); err != nil {
		return "", err
	}
	if err := errors.Join(r.run.WriteJSON("plan.json", d), r.run.WriteJSON("manifest.json", r.man), r.writeSources()); err != nil {
		return "", err
	}
	r.Progress.Watch.Plan(watched(d.Arms))
	start := time.Now()
	var planned time.Duration
	for i, arm := range d.Arms {
		r.tick(d, i, start, planned)
		if err := r.measureArm(ctx, arm); err != nil {
			return "", fmt.Errorf("hypotheses: arm %s: %w", arm.Name, err)
		}
		planned += arm.Estimate
	}
	// The server's own log is whole only once the server is gone.
	if err := errors.Join(r.target.close(), r.clean()); err != nil {
		return "", err
	}
	dir, err = r.run.Commit()
	if err != nil {
		return "", err
	}
	r.Progress.livef("")
	return dir, r.lock.Release()
}

// writeSources names the runs that the verdict will also rest on.
func (r *Rig) writeSources() error {
	if len(r.Gathered.Runs) == 0 {
		return nil
	}
	list, err := r.Gathered.sources()
	return errors.Join(err, r.run.WriteJSON(analysis.SourcesFile, list))
}

// tick shows where the run is. The estimate of the rest is the plan's, scaled
// by how the arms so far kept to theirs.
func (r *Rig) tick(d Design, i int, start time.Time, planned time.Duration) {
	left := d.Estimate() - planned
	if planned > 0 {
		left = time.Duration(float64(left) * float64(time.Since(start)) / float64(planned))
	}
	r.Progress.Watch.ArmBegin(i, left, r.Progress.later)
	r.Progress.livef("%s  arm %d of %d  %s  %s", d.Hypothesis, i+1, len(d.Arms), d.Arms[i].Name, r.Progress.left(left))
}

// fits refuses a design that the deadline cannot hold, and says how long it
// will take.
func (r *Rig) fits(d Design) error {
	need := d.Estimate()
	r.Progress.logf("%s: %d arms in %d blocks, the least that its rule takes (the verdict says if the noise needs more); about %s (%s profile, endpoint %s)", d.Hypothesis, len(d.Arms), r.Profile.Repeats, brief(need), r.Profile.Name, r.Profile.QuantileName())
	if r.Deadline.IsZero() {
		return nil
	}
	// A tenth more, and time to judge and to end everything.
	need += need/10 + 20*time.Second
	if left := time.Until(r.Deadline); left < need {
		return fmt.Errorf("hypotheses: %s needs about %s and the deadline leaves %s: %w (run go test with -timeout %s or more)",
			d.Hypothesis, brief(need), brief(left), ErrDeadline, (need + need/2).Round(time.Minute))
	}
	return nil
}

func (r *Rig) measureArm(ctx context.Context, arm Arm) error {
	dir, err := r.run.Arm(arm.Name)
	if err != nil {
		return err
	}
	proof, err := r.makeCold(ctx, arm)
	if err != nil {
		return err
	}
	out := analysis.Arm{
		Schema: analysis.ArmSchema, Name: arm.Name, Block: arm.Block, Users: arm.Users,
		ContextTokens: arm.ContextTokens, OutputTokens: arm.Load.Workload.OutputTokens, Load: arm.Load, Storage: arm.Storage,
	}
	if arm.LoRA != nil {
		use := *arm.LoRA
		use.Cold, out.LoRA = proof, &use
	}
	if out.Quiet, err = r.settle(ctx); err != nil {
		return err
	}
	beside, err := r.startBeside(ctx, dir, arm.Storage)
	if err != nil {
		return err
	}
	loadErr := r.loadArm(ctx, dir, arm, &out)
	counters, err := beside.stop()
	if err := errors.Join(loadErr, err); err != nil {
		return err
	}
	r.Progress.Watch.ArmEnd(out.Summary)
	out.Server = counters
	return bundle.WriteJSON(filepath.Join(dir, "arm.json"), out)
}

// loadArm primes and loads the server between two idle edges, and writes the
// records.
func (r *Rig) loadArm(ctx context.Context, dir string, arm Arm, out *analysis.Arm) error {
	if err := pause(ctx, r.Profile.Edge); err != nil {
		return err
	}
	pre, err := r.snapshot(ctx)
	if err != nil {
		return err
	}
	out.Idle.Start = r.clk.Now() - r.epoch
	if arm.Prime {
		r.Progress.Watch.Phase(watch.PhasePriming)
		if err := r.prime(ctx, arm); err != nil {
			return err
		}
	}
	if err := r.observe(out.LoRA, arm, before); err != nil {
		return err
	}
	if err := r.touch(ctx, arm); err != nil {
		return err
	}
	sum, err := r.treated(ctx, dir, arm)
	if err != nil {
		return err
	}
	if err := r.observe(out.LoRA, arm, after); err != nil {
		return err
	}
	r.Progress.Watch.Phase(watch.PhaseDraining)
	if err := r.awaitIdle(ctx); err != nil {
		return err
	}
	out.Summary = sum
	out.Idle.End = r.clk.Now() - r.epoch
	if err := r.keepSnapshots(ctx, dir, pre); err != nil {
		return err
	}
	return writeHists(dir, r.man.Started, arm.Load, sum.Window)
}

// treated loads the server under the arm's treatment.
func (r *Rig) treated(ctx context.Context, dir string, arm Arm) (loadgen.Summary, error) {
	records, err := loadgen.NewRecordWriter(filepath.Join(dir, "requests.jsonl.zst"))
	if err != nil {
		return loadgen.Summary{}, err
	}
	t, err := r.treat(ctx, dir, arm.Storage)
	if err != nil {
		return loadgen.Summary{}, errors.Join(err, records.Close())
	}
	r.Progress.Watch.Load(arm.Load)
	sum, err := loadgen.Run(ctx, r.load(), arm.Load, r.Progress.Watch.Records(r.epoch, records.Write))
	return sum, errors.Join(err, t.end(), records.Close())
}

// primeRounds is how often every user's first request is sent before an arm.
// Once computes the context. Servers that offload only what somebody asked for
// again (most filter so) keep it beyond their memory after the second time.
const primeRounds = 2

// prime sends every user's first requests, so that the server has computed and
// kept every user's context before anything is measured. Each round asks a new
// question: only contexts are asked for again.
func (r *Rig) prime(ctx context.Context, arm Arm) error {
	if err := r.flush(ctx, arm); err != nil {
		return err
	}
	for round := range primeRounds {
		w := arm.Load.Workload
		w.FirstTurn = round
		if err := r.sendAll(ctx, arm, w, arm.Users); err != nil {
			return fmt.Errorf("prime %d users: %w", arm.Users, err)
		}
	}
	return nil
}

// flush fills the server's memory with what nobody asks for again, where the
// arm wants it: what earlier arms left there is written out or forgotten now,
// not in the measured window.
func (r *Rig) flush(ctx context.Context, arm Arm) error {
	if arm.FlushTokens == 0 {
		return nil
	}
	w := arm.Load.Workload
	w.PromptTokens, w.OutputTokens, w.SuffixTokens = arm.FlushTokens, 1, 0
	w.Nonce.Scope = loadgen.ScopeRequest
	w.PromptSeed = armSeed(w.PromptSeed, -2, 0)
	pool := r.man.Facts.KVPoolTokens
	if pool == nil {
		return nil // nobody knows how much would fill it
	}
	if err := r.sendAll(ctx, arm, w, int(*pool)/arm.FlushTokens+1); err != nil {
		return fmt.Errorf("flush the server's memory: %w", err)
	}
	return nil
}

// sendAll sends n requests at once and waits for every answer.
func (r *Rig) sendAll(ctx context.Context, arm Arm, w loadgen.Workload, n int) error {
	plan := arm.Load
	plan.Workload = w
	plan.Arrivals = loadgen.Trace(make([]time.Duration, n))
	plan.Arrivals.Users = n
	plan.Warmup, plan.Measure, plan.MinRequests, plan.MaxMeasure = 0, time.Millisecond, 0, 0
	plan.Drain = max(r.Profile.Drain, 10*time.Minute)
	sum, err := loadgen.Run(ctx, r.load(), plan, func(*loadgen.Record) error { return nil })
	if err != nil {
		return err
	}
	if sum.Requests.OK != int64(n) {
		return fmt.Errorf("%d succeeded: %v", sum.Requests.OK, sum.Requests.Outcomes)
	}
	return nil
}

// calibratePrompts makes sure that every length of the design has been searched
// on this server, reusing what an earlier run found.
func (r *Rig) calibratePrompts(ctx context.Context, d Design) error {
	var lengths []int
	for _, a := range d.Arms {
		lengths = append(lengths, a.ContextTokens)
	}
	return r.calibrate(ctx, lengths)
}

// writeHists writes the arm's latencies as histograms, from its records.
func writeHists(dir string, wall time.Time, p loadgen.Plan, w loadgen.Window) error {
	acc, err := loadgen.Replay(p, w, loadgen.ReadRecords(filepath.Join(dir, "requests.jsonl.zst")))
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "latency.hlog"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("hypotheses: %w", err)
	}
	return errors.Join(loadgen.WriteLog(f, wall, acc.LogEntries(w.End)...), f.Sync(), f.Close())
}

// pause waits unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
