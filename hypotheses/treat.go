package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/internal/blockdev"
	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/internal/jsonl"
	"github.com/spark-harness/harness/spark"
)

// treatment is what an arm does to the disk while it is loaded. A nil one does
// nothing.
type treatment struct {
	dir      string
	fio      *fioctl.Process
	throttle *spark.Throttle
	limits   spark.IOLimits
}

// treat begins an arm's treatment and returns once it works. end must be
// called.
func (r *Rig) treat(ctx context.Context, dir string, s *analysis.Storage) (*treatment, error) {
	t := &treatment{dir: dir}
	if s == nil {
		return t, nil
	}
	var err error
	if s.Limits != nil {
		t.limits = *s.Limits
		if t.throttle, err = r.throttle(*s.Limits); err != nil {
			return nil, err
		}
	}
	if s.Level.Job == nil {
		return t, nil
	}
	job := *s.Level.Job
	job.Backstop = r.Profile.MaxWindow + r.Profile.Drain + time.Minute
	t.fio, err = fioctl.Start(ctx, fioctl.StartConfig{
		Fio: r.levers.Fio.Fio, Job: job, Target: *s.Target, Dir: r.dir, Epoch: r.epoch,
		Keep: filepath.Join(dir, "fio-output.json.zst"),
	})
	if err != nil {
		return nil, errors.Join(err, t.end())
	}
	return t, nil
}

// end takes the treatment back and writes what became of it. A fio that ended
// before it was asked to is in its record, for the judge to see: the arm has
// lost its treatment, the run goes on.
func (t *treatment) end() error {
	var errs []error
	if t.fio != nil {
		run, err := t.fio.Stop()
		if run.Fault == "" {
			errs = append(errs, err)
		}
		errs = append(errs, bundle.WriteJSON(filepath.Join(t.dir, "fio.json"), run))
		t.fio = nil
	}
	if t.throttle != nil {
		record := analysis.ThrottleRecord{Limits: t.limits, Version: t.throttle.Version}
		if err := t.throttle.Verify(); err != nil {
			record.Fault = err.Error()
		}
		errs = append(errs, t.throttle.Undo(), bundle.WriteJSON(filepath.Join(t.dir, "throttle.json"), record))
		t.throttle = nil
	}
	return errors.Join(errs...)
}

// throttle puts limits on the server's cgroup, on the watched disk.
func (r *Rig) throttle(l spark.IOLimits) (*spark.Throttle, error) {
	d, err := blockdev.Named(r.device, "")
	if err != nil {
		return nil, err
	}
	return spark.ApplyThrottle(spark.ThrottleConfig{CgroupPath: r.serverCgroup(), MajMin: ownNumber(d), Limits: l, LeaseDir: r.dir})
}

// ownNumber is the watched device's own number: of a loop or device-mapper
// device not that of the disk below, where reads would be held after the
// watched device has begun to count their wait. Limits are for whole devices,
// so that of a partition it is its disk's.
func ownNumber(d blockdev.Device) string {
	for _, n := range d.Chain {
		if n.Kind != "partition" {
			return n.MajMin
		}
	}
	return d.MajMin
}

// serverCgroup is the control group of the server, "" where none is known.
func (r *Rig) serverCgroup() string {
	if c := r.target.child; c != nil {
		return c.Cgroup.Path
	}
	return ""
}

// victim runs the probe beside an arm.
func (r *Rig) victim(ctx context.Context, b *beside, dir string, s *analysis.Storage) error {
	if s == nil {
		return nil
	}
	w, err := jsonl.Create(filepath.Join(dir, "probe.jsonl.zst"))
	if err != nil {
		return err
	}
	b.group.Go(func() error {
		err := s.Probe.Run(ctx, r.epoch, func(p fioctl.Sample) error { return w.Write(p) })
		if err := errors.Join(err, w.Close()); err != nil {
			return fmt.Errorf("victim probe: %w", err)
		}
		return nil
	})
	return nil
}
