package hypotheses

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spark-harness/harness/internal/buildtags"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/internal/clock"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/spark/smart"
	"github.com/spark-harness/harness/sysmon"
)

// Conditions under which nothing is measured.
var (
	// ErrUnfitBuild means that this binary's timings would be worthless.
	ErrUnfitBuild = errors.New("built with the race detector (run without -race, or set SPARK_FORCE=1 to exercise the path)")
	// ErrDeadline means that the measurement does not fit before the deadline.
	ErrDeadline = errors.New("deadline too near")
)

// Rig is a machine made ready for one run: lock held, run directory open,
// server up. It measures one Design. It is for one goroutine.
type Rig struct {
	Config   Config
	Profile  Profile
	Progress Progress
	Deadline time.Time // zero: none
	Gathered Gathered  // what an analytical hypothesis rests on beside its own arms

	hypothesis string
	results    string // absolute
	dir        string // on the disk under test, absolute
	device     string // watched disk, "" for none
	disk       smart.Reader
	clk        clock.Clock
	epoch      time.Duration
	lock       *spark.Lock
	run        *bundle.Run
	target     *target
	man        spark.Manifest
	cal        CalibrationFile
	levers     *Levers // of H4; nil for the others
	lora       *lora   // of H1, H5 and H6; nil for the others
	cleanups   []func() error
}

// openRig takes the machine for a hypothesis. On error everything is undone
// again, but for a run directory that tells why.
func openRig(ctx context.Context, c Config, h Hypothesis, deadline time.Time, p Progress) (*Rig, error) {
	if buildtags.Race && !c.Force {
		return nil, fmt.Errorf("hypotheses: measure: %w", ErrUnfitBuild)
	}
	r := &Rig{hypothesis: h.ID, Config: c, Progress: p, Deadline: deadline, clk: clock.New()}
	r.epoch = r.clk.Now()
	r.disk.Epoch = r.epoch
	if err := r.places(); err != nil {
		return nil, err
	}
	var err error
	if r.cal, err = LoadCalibration(r.results); err != nil {
		return nil, err
	}
	if r.lock, err = spark.AcquireLock(c.lockPath()); err != nil {
		return nil, err
	}
	if r.run, err = bundle.Create(r.results, h.ID, time.Now()); err != nil {
		return nil, errors.Join(err, r.lock.Release())
	}
	if err := r.openServer(ctx, h); err != nil {
		return nil, errors.Join(err, r.abandon(err))
	}
	return r, nil
}

// lockPath is one for the whole machine.
func (c Config) lockPath() string {
	if c.lock != "" {
		return c.lock
	}
	return spark.DefaultLock()
}

// place is the absolute path of a directory that the user chose, else of name
// in the module, else, outside of a checkout, of name right here.
func place(chosen, name string) (string, error) {
	if chosen == "" {
		cwd, err := os.Getwd()
		if err != nil {
			return "", fmt.Errorf("hypotheses: %w", err)
		}
		root, err := ModuleRoot(cwd)
		if err != nil {
			root = cwd // a command that was installed without its source
		}
		chosen = filepath.Join(root, name)
	}
	abs, err := filepath.Abs(chosen)
	if err != nil {
		return "", fmt.Errorf("hypotheses: %w", err)
	}
	return abs, nil
}

// results is the absolute path of the run bundles.
func (c Config) results() (string, error) { return place(c.Results, "results") }

// Places are the absolute paths of the run bundles and of the directory on the
// disk under test; neither need be there yet.
func (c Config) Places() (results, dir string, err error) {
	if results, err = c.results(); err != nil {
		return "", "", err
	}
	dir, err = place(c.Dir, ".spark")
	return results, dir, err
}

// places settles the directories.
func (r *Rig) places() (err error) {
	if r.results, r.dir, err = r.Config.Places(); err != nil {
		return err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return fmt.Errorf("hypotheses: make directory on the disk under test: %w (choose a writable one with SPARK_DIR)", err)
	}
	return nil
}

func (r *Rig) openServer(ctx context.Context, h Hypothesis) error {
	watched := r.dir
	open := openTarget
	if h.LoRA {
		open = openLoRATarget
		watched = cmp.Or(r.Config.LoRADir, watched)
	}
	if err := r.findDevice(watched); err != nil {
		return err
	}
	truth := filepath.Join(r.run.Dir(), "raw", "server-truth.jsonl.zst")
	t, err := open(ctx, r.Config, targetPlace{preset: h.Preset, dir: r.dir, truth: truth, epoch: r.epoch}, r.Progress)
	if err != nil {
		return err
	}
	r.target = t
	if r.Profile, err = r.Config.profileFor(t.kind); err != nil {
		return err
	}
	r.man = r.describe()
	r.Progress.Watch.Target(r.watched())
	return nil
}

// describe is the manifest, with what the user said of a server that does not
// tell.
func (r *Rig) describe() spark.Manifest {
	t := r.target
	m := spark.Manifest{
		Schema: spark.ManifestSchema, Started: time.Now(), Epoch: r.epoch,
		Target: t.server.Target(), Facts: t.server.Facts, Control: r.Config.control(),
		Machine: spark.Probe(spark.ProbeConfig{Places: []spark.PlaceOf{{Role: "disk under test", Dir: r.dir}, {Role: "results", Dir: r.results}}}),
		Build:   spark.ReadBuild(), Emulator: t.config, Process: t.child,
	}
	m.Target.Model = t.model()
	for _, given := range []struct {
		fact **int64
		name string
		v    int
	}{
		{&m.Facts.KVPoolTokens, "kv_pool_tokens", r.Config.KVTokens},
		{&m.Facts.KVBytesPerToken, "kv_bytes_per_token", r.Config.KVBytesPerToken},
		{&m.Facts.MaxNumSeqs, "max_num_seqs", r.Config.MaxNumSeqs},
	} {
		if given.v > 0 {
			v := int64(given.v)
			*given.fact = &v
			m.Facts.Source = maps.Clone(m.Facts.Source)
			if m.Facts.Source == nil {
				m.Facts.Source = map[string]string{}
			}
			m.Facts.Source[given.name] = "given by the user"
		}
	}
	return m
}

// findDevice derives the watched disk from the directory that matters, unless
// the user named one.
func (r *Rig) findDevice(dir string) error {
	if r.Config.Device != "" {
		r.device = r.Config.Device
		return nil
	}
	d, err := sysmon.DeviceOf(dir, "/proc", "/sys")
	if err != nil {
		return fmt.Errorf("%w (choose a directory on the disk under test with SPARK_DIR)", err)
	}
	r.device = d.Name
	return nil
}

// pilot looks at the server with one user and with many, to plan warm-ups.
func (r *Rig) pilot(ctx context.Context, w loadgen.Workload, users int) (*Pilot, error) {
	var p Pilot
	for _, l := range []struct {
		to    *PilotLevel
		users int
	}{{&p.Alone, 1}, {&p.Saturated, users}} {
		if l.users == 1 && l.to == &p.Saturated {
			p.Saturated = p.Alone // one user is all that was asked for
			break
		}
		r.Progress.livef("pilot: %d users", l.users)
		plan := loadgen.Plan{
			Arrivals: loadgen.Users(l.users), Workload: w, Seed: armSeed(r.Config.Seed, -1, l.users),
			Warmup: r.Profile.Warmup, Measure: max(r.Profile.Window/4, 300*time.Millisecond),
			MinRequests: 2 * l.users, MaxMeasure: r.Profile.MaxWindow, Drain: r.Profile.Drain,
		}
		var cycle, decode time.Duration
		n := 0
		sum, err := loadgen.Run(ctx, r.load(), plan, func(rec *loadgen.Record) error {
			if d, ok := rec.Close.Sub(rec.Due); ok && rec.Outcome == loadgen.OutcomeOK && rec.Phase == loadgen.PhaseMeasure {
				answer, _ := rec.LastToken.Sub(rec.FirstToken)
				cycle, decode = cycle+d, decode+answer
				n++
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("hypotheses: pilot with %d users: %w", l.users, err)
		}
		if n == 0 {
			return nil, fmt.Errorf("hypotheses: pilot with %d users: no request succeeded: %v (try it by hand with curl)", l.users, sum.Requests.Outcomes)
		}
		*l.to = PilotLevel{Users: l.users, CycleMean: cycle / time.Duration(n), DecodeMean: decode / time.Duration(n)}
		if sum.Rates != nil {
			l.to.RequestsPerSec = sum.Rates.RequestsPerSec
		}
	}
	return &p, nil
}

// load is the target as arms address it.
func (r *Rig) load() loadgen.Target {
	cal, _ := r.cal.prompts(r.serverKind(), r.target.server.Endpoint.Model)
	t := r.target.load(r.Config, r.epoch, cal)
	t.InFlight = r.Progress.Watch.InFlight()
	return t
}

// serverKind names the server in calibration.json.
func (r *Rig) serverKind() string { return string(r.target.server.Flavor) }

// platform names the machine and the watched disk in calibration.json.
func (r *Rig) platform() string { return r.man.Platform() }

// overhead is what an arm costs beside its load.
func (r *Rig) overhead() time.Duration { return r.Profile.Settle + 3*r.Profile.Edge }

// calibrate searches the prompt lengths that this server and model have not
// been asked for yet, and keeps them for later runs.
func (r *Rig) calibrate(ctx context.Context, lengths []int) error {
	kind, model := r.serverKind(), r.target.server.Endpoint.Model
	cal, found := r.cal.prompts(kind, model)
	if found && covers(cal, lengths) {
		return nil
	}
	r.Progress.livef("calibrating prompt lengths")
	cal, err := loadgen.CalibrateTarget(ctx, r.target.load(r.Config, r.epoch, loadgen.Calibration{}), lengths)
	if err != nil {
		return err
	}
	if cal.MaxErr > maxTokensOff/2 {
		r.Progress.logf("prompts: lengths are only within %.1f %% of what was asked; the verdict will say if that matters", 100*cal.MaxErr)
	}
	r.cal.putPrompts(SavedPrompts{Server: kind, Model: model, Calibration: cal})
	return nil
}

func covers(c loadgen.Calibration, lengths []int) bool {
	for _, l := range lengths {
		if !slices.ContainsFunc(c.Points, func(p loadgen.CalibrationPoint) bool { return p.Tokens == l }) {
			return false
		}
	}
	return true
}

// abandon ends everything and leaves the run directory as a record of why.
func (r *Rig) abandon(cause error) error {
	errs := []error{r.run.Interrupt(cause.Error(), time.Now())}
	if r.target != nil {
		errs = append(errs, r.target.close())
	}
	return errors.Join(append(errs, r.clean(), r.lock.Release())...)
}

// atEnd has something undone when the run ends, in whatever way.
func (r *Rig) atEnd(undo func() error) { r.cleanups = append(r.cleanups, undo) }

// clean undoes what was left to the end, last first.
func (r *Rig) clean() error {
	var errs []error
	for _, undo := range slices.Backward(r.cleanups) {
		errs = append(errs, undo())
	}
	r.cleanups = nil
	return errors.Join(errs...)
}
