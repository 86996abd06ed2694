package fioctl

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// CalibrateConfig is what Calibrate needs.
type CalibrateConfig struct {
	Fio      Fio           `json:"fio"`
	Target   Target        `json:"target"`
	Device   string        `json:"device"`              // kernel name of the disk to watch: the target's
	ProcRoot string        `json:"proc_root,omitempty"` // "" is /proc
	Dir      string        `json:"dir"`                 // scratch
	Plan     CalibratePlan `json:"plan"`
	Probe    Probe         `json:"probe"`
	// Progress, if any, gets a line at every step, from Calibrate's goroutine.
	Progress func(line string) `json:"-"`
}

// Why a calibration failed.
var (
	// ErrBusyDevice: somebody else used the device before or meanwhile.
	ErrBusyDevice = errors.New("device is busy")
	// ErrLevelsAlike: the probe cannot tell two levels from each other.
	ErrLevelsAlike = errors.New("levels are alike")
	// ErrUnreachable: the device or fio does not bring a level about.
	ErrUnreachable = errors.New("level is out of reach")
)

// Validate reports what is missing.
func (c CalibrateConfig) Validate() error {
	errs := []error{c.Plan.Validate(), c.Probe.Validate()}
	if c.Target.Memory {
		errs = append(errs, fmt.Errorf("fioctl: calibrate: %w: the target is in memory (make one on the server's disk)", ErrTarget))
	}
	if c.Device == "" {
		errs = append(errs, fmt.Errorf("fioctl: calibrate: %w: no device is named (use the target's Device.Name)", ErrNoCounters))
	}
	return errors.Join(errs...)
}

// Calibrate measures what a device can do and finds the jobs of the levels that
// the plan wants: a quiet device, the probe without load, every depth in
// shuffled order several times, the plateau, the maximum, then each level several
// times with the probe beside it. Rounds, not depths, are repeated, so that a
// device which drifts treats all alike; a level without load is measured among
// the others.
//
// The sweep finds the depth that saturates; how much the device does there, Max,
// is the median of runs as long as the levels' and next to them in time. Shares
// are of it. A level of share 1 is those runs: it misses nothing, and its Spread
// says how steady the device is. Another level that misses its aim by more than
// the plan's tolerance is measured again; what it misses in the end is in its
// Miss. Levels of which the probe does
// not see each as slower than the one before (trimmed mean, permutation p < .01)
// are ErrLevelsAlike. Other errors:
// ErrPlan, ErrProbe, ErrBusyDevice, ErrUnreachable, ErrNoCounters,
// ErrOtherDevice, those of Start, and ctx's.
//
// It reads only. When it returns, nothing that it started runs.
func Calibrate(ctx context.Context, c CalibrateConfig) (Calibration, error) {
	if err := c.Validate(); err != nil {
		return Calibration{}, err
	}
	if _, err := ReadDeviceCounters(c.ProcRoot, c.Device); err != nil {
		return Calibration{}, err
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	cal, err := calibrate(ctx, c, newMachine(c))
	cal.Fingerprint = Fingerprint(c.Fio, c.Target, c.Plan.BlockBytes)
	cal.At = time.Now()
	if err != nil {
		return Calibration{}, fmt.Errorf("fioctl: calibrate %s: %w", c.Device, err)
	}
	return cal, nil
}

// calibrator carries a calibration through its steps.
type calibrator struct {
	cfg   CalibrateConfig
	plan  CalibratePlan
	bench bench
	order *rand.Rand
	begin time.Duration

	cal    Calibration
	idle   observation
	top    *trial // the level without a rate, if one is wanted
	levels []*trial
}

func calibrate(ctx context.Context, cfg CalibrateConfig, b bench) (Calibration, error) {
	c := &calibrator{
		cfg: cfg, plan: cfg.Plan, bench: b, begin: b.now(),
		order: rand.New(rand.NewPCG(cfg.Plan.Seed, 0x63616c)),
		cal:   Calibration{Schema: calibrationSchema, BlockBytes: cfg.Plan.BlockBytes},
	}
	for _, step := range []func(context.Context) error{c.quiet, c.probeIdle, c.sweep, c.saturate, c.reachLevels, c.record} {
		if err := step(ctx); err != nil {
			return Calibration{}, err
		}
	}
	c.cal.Took = b.now() - c.begin
	return c.cal, nil
}

func (c *calibrator) say(format string, args ...any) { c.cfg.Progress(fmt.Sprintf(format, args...)) }

// quiet waits for a device that nobody uses.
func (c *calibrator) quiet(ctx context.Context) error {
	var busy float64
	for range c.plan.QuietTries {
		o, err := c.bench.observe(ctx, nil, false, 0, c.plan.Quiet)
		if err != nil {
			return err
		}
		busy = (o.Device.ReadBytes + o.Device.WriteBytes) / max(o.Device.Elapsed, 1).Seconds()
		if busy < c.plan.QuietBytesPerSec {
			return nil
		}
		c.say("the device is not quiet: %.1f MB/s", busy/1e6)
	}
	return fmt.Errorf("%w: %.1f MB/s after %d tries, %.1f are allowed (end what uses the disk)",
		ErrBusyDevice, busy/1e6, c.plan.QuietTries, c.plan.QuietBytesPerSec/1e6)
}

// observe is the bench's, again if somebody else disturbed it.
func (c *calibrator) observe(ctx context.Context, job *Job, probe bool, settle, window time.Duration) (observation, error) {
	var others float64
	for range undisturbed {
		o, err := c.bench.observe(ctx, job, probe, settle, window)
		if err != nil {
			return o, err
		}
		bytes, yes := o.disturbed()
		if !yes {
			return o, nil
		}
		others = bytes
		c.say("somebody else moves %.0f MB/s: once more", others/1e6)
	}
	return observation{}, fmt.Errorf("%w: %.0f MB/s are not ours (end what uses the disk)", ErrBusyDevice, others/1e6)
}

func (c *calibrator) probeIdle(ctx context.Context) (err error) {
	if c.idle, err = c.observe(ctx, nil, true, 0, c.plan.Idle); err != nil {
		return err
	}
	c.cal.Idle = c.idle.Victim
	if c.cal.Idle.Reads < readsLeast {
		return fmt.Errorf("%w: %d reads in %v without load, %d are needed (probe faster or longer)",
			ErrProbe, c.cal.Idle.Reads, c.plan.Idle, readsLeast)
	}
	c.say("idle probe: median %v, p99 %v, %d reads", c.cal.Idle.P50, c.cal.Idle.P99, c.cal.Idle.Reads)
	return nil
}

// job is the job of a depth or a level.
func (c *calibrator) job(name string, depth int, rate float64) *Job {
	return &Job{
		Name: name, Pattern: RandRead, BlockBytes: c.plan.BlockBytes, Depth: depth, Threads: 1, RateIOPS: rate,
		Backstop: c.plan.Backstop, CPUs: c.plan.CPUs, Seed: c.plan.Seed,
	}
}
