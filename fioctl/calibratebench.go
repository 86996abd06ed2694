package fioctl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// bench is what a calibration needs of the world: the device, with or without a
// load on it. Tests have a model of one.
type bench interface {
	// observe lets a job (nil: none) run, waits until it has settled, and says
	// what was seen in the window after that, by the probe too if it is wanted.
	observe(ctx context.Context, job *Job, probe bool, settle, window time.Duration) (observation, error)
	now() time.Duration
}

// observation is one window with a constant load.
type observation struct {
	Device           DeviceActivity
	IOPS             float64 // fio's reads per second in the window
	OwnBytes         float64 // read in the window by fio and the probe
	ClatP50, ClatP99 time.Duration
	CPUCores         float64
	DepthShare       map[int]float64
	Samples          []Sample // of the probe
	Victim           Victim
}

// disturbed is what others moved per second in the window, if that is too much:
// over a tenth of all and over the floor.
func (o observation) disturbed() (bytesPerSec float64, yes bool) {
	all := o.Device.ReadBytes + o.Device.WriteBytes
	foreign := all - o.OwnBytes
	bytesPerSec = foreign / max(o.Device.Elapsed, 1).Seconds()
	return bytesPerSec, foreign > foreignShare*all && bytesPerSec > foreignLeast
}

const (
	foreignShare = 0.1
	foreignLeast = 20e6 // bytes per second
	undisturbed  = 3    // tries for a window without others
)

// machine is the bench that is no model.
type machine struct {
	cfg   CalibrateConfig
	epoch time.Duration
	clk   clock.Clock
}

func newMachine(c CalibrateConfig) machine {
	clk := clock.New()
	return machine{cfg: c, clk: clk, epoch: clk.Now()}
}

func (m machine) now() time.Duration { return m.clk.Now() - m.epoch }

func (m machine) observe(ctx context.Context, job *Job, probe bool, settle, window time.Duration) (o observation, err error) {
	var ended <-chan struct{} // nil blocks: without a job nothing can end
	var p *Process
	if job != nil {
		p, err = Start(ctx, StartConfig{Fio: m.cfg.Fio, Job: *job, Target: m.cfg.Target, Dir: m.cfg.Dir, Epoch: m.epoch})
		if err != nil {
			return o, err
		}
		ended = p.Done()
	}
	stopProbe := m.startProbe(ctx, probe)
	from, to, err := m.window(ctx, ended, settle, window)
	samples, probeErr := stopProbe()
	var run Run
	if p != nil {
		var stopErr error
		run, stopErr = p.Stop()
		if errors.Is(err, errLoadEnded) {
			err = nil // fio's own words say more
		}
		err = errors.Join(err, stopErr)
	}
	if err = errors.Join(err, probeErr); err != nil {
		return observation{}, err
	}
	o.Device = to.Since(from)
	from.T, to.T = from.T-m.epoch, to.T-m.epoch
	for _, s := range samples {
		if s.Due >= from.T && s.Due < to.T {
			o.Samples = append(o.Samples, s)
		}
	}
	o.OwnBytes = float64(m.cfg.Probe.BytesRead(len(o.Samples)))
	o.Victim = Reduce(slices.Values(o.Samples), m.cfg.Probe.Period())
	if p == nil {
		return o, nil
	}
	return o, o.fromRun(run, from.T, to.T)
}

// fromRun takes fio's account of the window.
func (o *observation) fromRun(r Run, from, to time.Duration) error {
	bytes, ios, ok := r.ReadBetween(from, to)
	if !ok {
		return fmt.Errorf("fioctl: fio's live status does not cover its window of %v", to-from)
	}
	o.IOPS = ios / (to - from).Seconds()
	o.OwnBytes += bytes
	o.ClatP50, _ = r.Result.Read.Clat.Quantile(0.50)
	o.ClatP99, _ = r.Result.Read.Clat.Quantile(0.99)
	o.CPUCores = r.Result.UserCPU + r.Result.SystemCPU
	o.DepthShare = r.Result.DepthShare
	if seen := o.Device.ReadBytes; seen < bytesSeen*bytes {
		return fmt.Errorf("fioctl: %w: fio read %.0f MB and the device only %.0f (watch the target's device, and read directly)",
			ErrOtherDevice, bytes/1e6, seen/1e6)
	}
	return nil
}

// bytesSeen is the least share of fio's bytes that the device must have read.
// The two accounts of a short window differ by a status' time at its ends.
const bytesSeen = 0.8

var errLoadEnded = errors.New("the load ended")

// window waits and reads the counters at both of its ends.
func (m machine) window(ctx context.Context, ended <-chan struct{}, settle, length time.Duration) (from, to DeviceCounters, err error) {
	if err = sleep(ctx, ended, settle); err != nil {
		return from, to, err
	}
	if from, err = ReadDeviceCounters(m.cfg.ProcRoot, m.cfg.Device); err != nil {
		return from, to, err
	}
	if err = sleep(ctx, ended, length); err != nil {
		return from, to, err
	}
	to, err = ReadDeviceCounters(m.cfg.ProcRoot, m.cfg.Device)
	return from, to, err
}

func sleep(ctx context.Context, ended <-chan struct{}, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-ended:
		return errLoadEnded
	case <-t.C:
		return nil
	}
}

// startProbe begins to read; the function that it returns ends that, waits for
// it and gives the samples. Without a probe both do nothing.
func (m machine) startProbe(ctx context.Context, wanted bool) (stop func() ([]Sample, error)) {
	if !wanted {
		return func() ([]Sample, error) { return nil, nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var samples []Sample
	var err error
	wg.Go(func() {
		err = m.cfg.Probe.Run(ctx, m.epoch, func(s Sample) error {
			samples = append(samples, s)
			return nil
		})
	})
	return func() ([]Sample, error) {
		cancel()
		wg.Wait()
		return samples, err
	}
}
