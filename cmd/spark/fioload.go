package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spark-harness/harness/fioctl"
	"github.com/spark-harness/harness/hypotheses"
	"github.com/spark-harness/harness/internal/clock"
)

// probesPerSec is H4's: too few reads to load a disk.
const probesPerSec = 50

type fioProbeCmd struct {
	fioPlace `embed:""`
	Size     size          `default:"256MiB" help:"Size of the file; a larger one that is there serves too."`
	Rate     float64       `default:"50" help:"Reads per second, 1 to 200."`
	Duration time.Duration `default:"10s" help:"How long to read."`
	JSON     bool          `help:"Print the figures as JSON."`
}

// Help teaches by examples.
func (fioProbeCmd) Help() string {
	return `One reader reads a random block of a file of its own now and then, past the page cache, and tells how long that took: what a server's read meets on this disk right now. It needs no fio. A read that starts more than a period late is counted as late, and a period that a slow read ran over as missed.

Examples:

    spark fio probe /var/lib/kv
    spark fio probe .spark --duration 1m --json
    spark fio load .spark --depth 32 --duration 1m &              # then the probe again:
    spark fio probe .spark                                        # what a load does to others`
}

// Run probes the disk and prints one line.
func (c fioProbeCmd) Run(ctx context.Context, s streams) (err error) {
	spec := c.spec(hypotheses.ProbeTargetName, c.Size)
	p := fioctl.Probe{Path: c.Dir, SizeBytes: spec.SizeBytes, BlockBytes: int64(c.Block), PerSec: c.Rate, Seed: uint64(time.Now().UnixNano())}
	if err := errors.Join(spec.Validate(), p.Validate()); err != nil {
		return exitError{2, err}
	}
	if c.Duration <= 0 {
		return exitError{2, fmt.Errorf("--duration %v: want more than 0", c.Duration)}
	}
	disk, err := c.disk()
	if err != nil {
		return err
	}
	live := terminal()
	defer live.Clear()
	t, done, err := c.open(ctx, s, live, orLarger(spec))
	if err != nil {
		return err
	}
	defer done(&err)
	p.Path, p.SizeBytes = t.Path, t.SizeBytes
	v, err := watchProbe(ctx, p, c.Duration, live)
	live.Clear()
	if err != nil || v.Reads == 0 {
		return errors.Join(err, ctx.Err())
	}
	if c.JSON {
		enc := json.NewEncoder(s.out)
		enc.SetIndent("", "  ")
		return errors.Join(enc.Encode(v), ctx.Err())
	}
	fmt.Fprintf(s.out, "%s: a read of %v takes p50 %v, p95 %v, p99 %v, mean %v (%d reads, %d late, %d missed)\n",
		disk, c.Block, brief(v.P50), brief(v.P95), brief(v.P99), brief(v.Mean), v.Reads, v.Late, v.Missed)
	return ctx.Err()
}

// watchProbe lets the probe read for a while and reduces its reads.
func watchProbe(ctx context.Context, p fioctl.Probe, d time.Duration, live hypotheses.LiveLine) (fioctl.Victim, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var samples []fioctl.Sample
	shown := time.Duration(0)
	err := p.Run(ctx, clock.New().Now(), func(r fioctl.Sample) error {
		samples = append(samples, r)
		if r.End-shown >= liveEvery {
			shown = r.End
			live.Show(fmt.Sprintf("probing: %v of %v, %d reads, the last took %v", r.End.Round(time.Second), d, len(samples), brief(r.End-r.Start)))
		}
		return nil
	})
	return fioctl.Reduce(slices.Values(samples), p.Period()), err
}

const liveEvery = 500 * time.Millisecond

type fioLoadCmd struct {
	fioPlace  `embed:""`
	fioBinary `embed:""`
	Depth     int           `required:"" help:"Reads in flight, 1 to 1024."`
	Rate      float64       `help:"Reads per second at most; default: as many as the depth allows."`
	Duration  time.Duration `help:"Stop after this long; default: at Ctrl-C, or after a day."`
	Size      size          `default:"2GiB" help:"Size of the file; a larger one that is there serves too."`
}

// Help teaches by examples.
func (fioLoadCmd) Help() string {
	return `Random direct reads, so many in flight, with --rate at random times (Poisson) so many a second. Ctrl-C is how it ends; then it tells what the reads met, by fio's own bins, and what the disk says of itself. It reads only, after it has made its file.

Examples:

    spark fio load /var/lib/kv --depth 32
    spark fio load .spark --depth 8 --rate 500 --duration 30s
    spark fio load .spark --depth 64 --block 4KiB --duration 10s`
}

// backstop is when fio ends by itself if nobody ends it.
func (c fioLoadCmd) backstop() time.Duration {
	if c.Duration == 0 {
		return 24 * time.Hour
	}
	return c.Duration + time.Minute
}

// Run loads the disk and prints what the reads met.
func (c fioLoadCmd) Run(ctx context.Context, s streams) (err error) {
	if c.Duration < 0 {
		return exitError{2, fmt.Errorf("--duration %v: want more than 0", c.Duration)}
	}
	spec := c.spec(hypotheses.TargetName, c.Size)
	job := fioctl.Job{Name: "load", BlockBytes: int64(c.Block), Depth: c.Depth, RateIOPS: c.Rate, Backstop: c.backstop(), Seed: uint64(time.Now().UnixNano())}
	if err := errors.Join(spec.Validate(), job.Validate()); err != nil {
		return exitError{2, err}
	}
	if _, err := c.disk(); err != nil {
		return err
	}
	f, err := c.find(ctx, s, c.Dir)
	if err != nil {
		return err
	}
	live := terminal()
	defer live.Clear()
	t, done, err := c.open(ctx, s, live, orLarger(spec))
	if err != nil {
		return err
	}
	defer done(&err)
	p, err := fioctl.Start(ctx, fioctl.StartConfig{Fio: f, Job: job, Target: t, Dir: c.Dir, Epoch: clock.New().Now()})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.err, "reading %s on %s; Ctrl-C ends\n", t.Path, t.Device.Name)
	before, errBefore := fioctl.ReadDeviceCounters("", t.Device.Name)
	watchLoad(ctx, p, c.Duration, live)
	after, errAfter := fioctl.ReadDeviceCounters("", t.Device.Name)
	run, err := p.Stop()
	live.Clear()
	err = errors.Join(err, errBefore, errAfter)
	if c.Duration > 0 {
		err = errors.Join(err, ctx.Err()) // cut short
	}
	if run.Result.Read.IOs > 0 {
		printLoad(s, run, t.Device.Name, after.Since(before))
	}
	return err
}

// watchLoad waits for the end and draws meanwhile.
func watchLoad(ctx context.Context, p *fioctl.Process, d time.Duration, live hypotheses.LiveLine) {
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Done():
			return
		case <-tick.C:
			live.Show(loadLine(p.Status()))
		}
	}
}

// loadLine is the load of the last second or so.
func loadLine(all []fioctl.Status) string {
	if len(all) < 2 {
		return "loading"
	}
	i, b := len(all)-2, all[len(all)-1]
	for i > 0 && b.T-all[i-1].T <= time.Second {
		i--
	}
	a := all[i]
	dt := max(b.T-a.T, 1).Seconds()
	return fmt.Sprintf("loading for %v: %.0f reads/s, %.0f MB/s", b.T.Round(time.Second),
		float64(b.ReadIOs-a.ReadIOs)/dt, float64(b.ReadBytes-a.ReadBytes)/1e6/dt)
}

func printLoad(s streams, run fioctl.Run, disk string, seen fioctl.DeviceActivity) {
	r := run.Result.Read
	rate := "as fast as it goes"
	if run.Job.RateIOPS > 0 {
		rate = fmt.Sprintf("%g/s wanted", run.Job.RateIOPS)
	}
	fmt.Fprintf(s.out, "%s, random reads of %v, depth %d, %s, for %v: %.0f reads/s, %.1f MB/s\n",
		disk, size(run.Job.BlockBytes), run.Job.Depth, rate, r.Runtime.Round(100*time.Millisecond), r.IOPS(), r.BytesPerSec()/1e6)
	p50, _ := r.Clat.Quantile(0.50)
	p99, ok := r.Clat.Quantile(0.99)
	if ok {
		fmt.Fprintf(s.out, "completion latency: p50 %v, p99 %v, mean %v, max %v (%d reads)\n",
			brief(p50), brief(p99), brief(time.Duration(r.Clat.Mean)), brief(r.Clat.Max), r.IOs)
	}
	fmt.Fprintf(s.out, "the disk says: r_await %v, aqu-sz %.1f, %%util %.0f (reported only); fio took %.2f CPU cores\n",
		brief(seen.RAwait), seen.AquSz, seen.UtilPct, run.Result.UserCPU+run.Result.SystemCPU)
}

// brief is a latency to three digits or so.
func brief(d time.Duration) time.Duration {
	for unit := time.Duration(1000); unit < time.Minute; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}
