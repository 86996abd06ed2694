package hypotheses

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/spark"
)

// Levers, as the user names them.
const (
	leverFio      = "fio"
	leverThrottle = "throttle"
	leverBoth     = "both"
)

// What H4's files in SPARK_DIR are called and made from: who uses the same finds
// what the other made.
const (
	TargetName      = "fio-target"   // what fio reads
	ProbeTargetName = "probe-target" // what the victim probe reads
	TargetSeed      = 1              // of their bytes
)

const (
	defaultNullDir = "/dev/shm"
	nullName       = "spark-null-target"
	// A calibration older than this is measured again: firmware, temperature and
	// wear move a disk.
	calibrationTTL = 24 * time.Hour
)

// Levers is what H4 can pull, ready to use: storage.json.
type Levers struct {
	Probe       fioctl.Probe  `json:"probe"`
	ProbeTarget fioctl.Target `json:"probe_target"` // on the server's file system
	Idle        fioctl.Victim `json:"idle"`         // the probe without load
	Fio         *FioLever     `json:"fio,omitempty"`
	// Throttled are the limits of the second lever, by level.
	Throttled []ThrottleLevel `json:"throttled,omitempty"`
}

// FioLever is the first lever: a load beside the server.
type FioLever struct {
	Fio         fioctl.Fio         `json:"fio"`
	Target      fioctl.Target      `json:"target"`      // on the watched disk
	Main        fioctl.Target      `json:"main_target"` // what the paging and comfy arms read: Target, unless a control says otherwise
	Null        fioctl.Target      `json:"null_target"` // off the watched disk
	Calibration fioctl.Calibration `json:"calibration"`
	OffDevice   bool               `json:"off_device,omitempty"` // the planted null: Main is not on the watched disk
}

// openLevers readies what the user allows: files, fio, calibration.
func (r *Rig) openLevers(ctx context.Context) (*Levers, error) {
	if r.device == "" {
		return nil, errors.New("hypotheses: no disk is watched, so no load on it could be proven (choose a directory on a disk with SPARK_DIR)")
	}
	watched, err := blockdev.Named(r.device, "")
	if err != nil {
		return nil, err
	}
	if n, err := spark.RepairThrottles(r.dir); err != nil {
		return nil, err
	} else if n > 0 {
		r.Progress.logf("took back %d limits that a killed run had left", n)
	}
	l := &Levers{}
	size := r.h4TargetBytes()
	if l.ProbeTarget, err = r.prefill(ctx, r.dir, ProbeTargetName, size/8); err != nil {
		return nil, err
	}
	if err := fioctl.ProveSameDevice(l.ProbeTarget.Device, watched); err != nil {
		return nil, fmt.Errorf("%w (choose SPARK_DIR and SPARK_DEVICE on one disk)", err)
	}
	l.Probe = fioctl.Probe{Path: l.ProbeTarget.Path, SizeBytes: l.ProbeTarget.SizeBytes, BlockBytes: fioctl.KVBlockBytes, PerSec: h4ProbePerSec, Seed: r.Config.Seed}
	if r.pulls(leverFio) {
		if l.Fio, err = r.openFio(ctx, watched, l.Probe); err != nil {
			return nil, err
		}
		l.Idle = l.Fio.Calibration.Idle
		return l, nil
	}
	if l.Idle, err = r.idleVictim(ctx, l.Probe); err != nil {
		return nil, err
	}
	return l, nil
}

// openFio finds fio, makes its files and calibrates the device, or takes from
// an earlier run what still holds.
func (r *Rig) openFio(ctx context.Context, watched blockdev.Device, probe fioctl.Probe) (*FioLever, error) {
	f := &FioLever{}
	var err error
	if f.Fio, err = fioctl.Find(ctx, r.Config.Fio, r.dir); err != nil {
		return nil, err
	}
	why := ""
	if f.Fio.EngineWhy != "" {
		why = " (" + f.Fio.EngineWhy + ")"
	}
	r.Progress.logf("fio %s, engine %s%s", f.Fio.Version, f.Fio.Engine, why)
	size := r.h4TargetBytes()
	if f.Target, err = r.prefill(ctx, r.dir, TargetName, size); err != nil {
		return nil, err
	}
	if err := fioctl.ProveSameDevice(f.Target.Device, watched); err != nil {
		return nil, err
	}
	if err := r.openNull(ctx, f, watched, min(size, 256<<20)); err != nil {
		return nil, err
	}
	if err := r.openMain(ctx, f, watched, size); err != nil {
		return nil, err
	}
	return f, r.calibrateDevice(ctx, f, probe)
}

// openNull makes what the null arm reads.
func (r *Rig) openNull(ctx context.Context, f *FioLever, watched blockdev.Device, size int64) error {
	dir := cmp.Or(r.Config.NullDir, defaultNullDir)
	var err error
	if f.Null, err = r.prefill(ctx, dir, nullName, size); err != nil {
		if ctx.Err() != nil {
			return err // no directory would do
		}
		return fmt.Errorf("%w (choose a directory off the watched disk with SPARK_NULL_DIR)", err)
	}
	// Memory is given back; the files on disks serve the next run.
	r.atEnd(f.Null.Remove)
	if !f.Null.Memory && fioctl.SameDevice(f.Null.Device, watched) {
		return fmt.Errorf("hypotheses: the null load would read %s, which is on the watched disk (choose another disk or memory with SPARK_NULL_DIR)", f.Null.Path)
	}
	return nil
}

// openMain settles what the other arms read: the calibrated target, or the file
// in a directory of the user's, which must be on the same disk unless the user
// insists on a planted null.
func (r *Rig) openMain(ctx context.Context, f *FioLever, watched blockdev.Device, size int64) error {
	f.Main = f.Target
	dir := r.Config.FioDir
	if dir == "" {
		return nil
	}
	if inMemory(dir) && !r.Config.Force {
		return fmt.Errorf("hypotheses: SPARK_FIO_DIR=%s is not on the watched disk %s: %w (SPARK_FORCE=1 measures it all the same, as a planted null)", dir, r.device, fioctl.ErrTmpfs)
	}
	var err error
	if f.Main, err = r.prefill(ctx, dir, TargetName, size); err != nil {
		return err
	}
	if f.Main.Memory {
		r.atEnd(f.Main.Remove)
	}
	err = fioctl.ProveSameDevice(f.Main.Device, watched)
	switch {
	case err == nil:
		return nil
	case !r.Config.Force:
		return fmt.Errorf("%w (choose SPARK_FIO_DIR on that disk; SPARK_FORCE=1 measures it all the same, as a planted null)", err)
	}
	f.OffDevice = true
	r.Progress.logf("CONTROL: fio reads %s, off the watched disk %s", f.Main.Path, r.device)
	return nil
}

// pulls says that the user allows a lever: fio alone by default, and both where
// time is no matter.
func (r *Rig) pulls(lever string) bool {
	allowed := r.Config.Lever
	if allowed == "" && r.Profile.Name == "full" && r.serverCgroup() != "" {
		allowed = leverBoth
	}
	allowed = cmp.Or(allowed, leverFio)
	return allowed == lever || allowed == leverBoth
}

// inMemory says that a directory is on a file system in memory.
func inMemory(dir string) bool {
	_, err := blockdev.Of(dir, "", "")
	return errors.Is(err, blockdev.ErrNotBlock)
}

// prefill makes or finds a target. One in memory needs no reserve: it is small.
func (r *Rig) prefill(ctx context.Context, dir, name string, size int64) (fioctl.Target, error) {
	spec := fioctl.TargetSpec{Dir: dir, Name: name, SizeBytes: size, Seed: TargetSeed, Memory: inMemory(dir), ReserveBytes: r.Config.reserve}
	if spec.Memory {
		spec.ReserveBytes = -1
	}
	return fioctl.Prefill(ctx, spec, func(done, total int64) {
		r.Progress.livef("writing %s: %d of %d MB", name, done>>20, total>>20)
	})
}

// idleVictim is the probe without load, where no calibration has measured it.
func (r *Rig) idleVictim(ctx context.Context, p fioctl.Probe) (fioctl.Victim, error) {
	r.Progress.livef("probing the idle disk")
	ctx, cancel := context.WithTimeout(ctx, max(2*time.Second, r.Profile.Window))
	defer cancel()
	var samples []fioctl.Sample
	err := p.Run(ctx, r.epoch, func(s fioctl.Sample) error {
		samples = append(samples, s)
		return nil
	})
	return fioctl.Reduce(slices.Values(samples), p.Period()), err
}

// calibrateDevice takes the stored calibration of this device while it is
// fresh, else measures one and stores it.
func (r *Rig) calibrateDevice(ctx context.Context, f *FioLever, probe fioctl.Probe) error {
	if r.Config.calibrated != nil {
		f.Calibration = r.Config.calibrated()
		return nil
	}
	path := filepath.Join(r.results, "fio-calibration.json")
	fingerprint := fioctl.Fingerprint(f.Fio, f.Target, h4Block)
	if cal, err := fioctl.LoadCalibration(path); err == nil && cal.Fresh(fingerprint, time.Now(), calibrationTTL) == nil && hasLevels(cal, h4Goals(r.Profile)) {
		r.Progress.logf("storage levels of %s: calibrated at %s", r.device, cal.At.Local().Format(time.DateTime))
		f.Calibration = cal
		return nil
	}
	plan := h4Calibration(r.Profile)
	r.Progress.logf("calibrating %s at %d KiB blocks: at most about %s", r.device, h4Block>>10, brief(plan.Budget))
	var err error
	f.Calibration, err = fioctl.Calibrate(ctx, fioctl.CalibrateConfig{
		Fio: f.Fio, Target: f.Target, Device: r.device, Dir: r.dir, Plan: plan, Probe: probe,
		Progress: func(line string) { r.Progress.livef("calibrating %s: %s", r.device, line) },
	})
	if err != nil {
		return err
	}
	return f.Calibration.Save(path)
}

// h4Calibration is the calibration of the levels that the profile takes.
func h4Calibration(p Profile) fioctl.CalibratePlan {
	plan := fioctl.QuickPlan()
	plan.SaturatedDepth = h4HeavyDepth
	if p.Name == "full" {
		plan = fioctl.FullPlan()
	}
	plan.BlockBytes, plan.Goals = h4Block, h4Goals(p)
	plan.QuietTries = 20
	return plan
}

// hasLevels says that a calibration holds a job for each level wanted.
func hasLevels(c fioctl.Calibration, want []fioctl.Goal) bool {
	for _, goal := range want {
		have, ok := levelNamed(c.Levels, goal.Name)
		if !ok || have.Aim != goal.Aim || have.Job == nil {
			return false
		}
	}
	return true
}

func levelNamed(levels []fioctl.Level, name string) (fioctl.Level, bool) {
	for _, l := range levels {
		if l.Name == name {
			return l, true
		}
	}
	return fioctl.Level{}, false
}

// storage is the treatment of one arm by a calibrated load, or by none.
func (l *Levers) storage(condition, level string) analysis.Storage {
	s := analysis.Storage{Condition: condition, Level: fioctl.Level{Name: level}, Probe: l.Probe, Idle: l.Idle}
	if level == levelBaseline {
		return s
	}
	found, _ := levelNamed(l.Fio.Calibration.Levels, level) // hasLevels has seen it
	job, target := *found.Job, &l.Fio.Main
	s.OffDevice = l.Fio.OffDevice
	if s.Null() {
		// The same I/Os a second, from elsewhere: what is left is fio's work for
		// the CPU and the memory.
		target, job.RateIOPS, s.OffDevice = &l.Fio.Null, found.IOPS, true
	}
	job.Buffered = target.Memory
	s.Level, s.Target = found, target
	s.Level.Job = &job
	return s
}
