package fioctl

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// trial is a level on its way: the job that is to bring it about and what was
// seen of that job.
type trial struct {
	goal Goal
	job  *Job // nil: no load
	seen []observation
}

// saturate measures the maximum, at a depth that contends. These runs are also
// those of a level that takes no rate.
func (c *calibrator) saturate(ctx context.Context) error {
	depth := max(c.cal.Max.Depth, c.plan.SaturatedDepth)
	top := &trial{goal: Goal{Name: "saturated", Aim: Aim{Share: 1}}, job: c.job("saturated", depth, 0)}
	for _, g := range c.plan.Goals {
		if g.Aim.saturates() {
			top = &trial{goal: g, job: c.job(strings.ToLower(g.Name), depth, 0)}
			c.top = top
		}
	}
	if err := c.measure(ctx, []*trial{top}); err != nil {
		return err
	}
	c.cal.Max = summary(depth, c.plan.BlockBytes, top.seen)
	c.say("saturated at depth %d: %.0f reads/s, %.0f MB/s, r_await %v", depth, c.cal.Max.IOPS,
		c.cal.Max.BytesPerSec/1e6, c.cal.Max.RAwait.Round(time.Microsecond))
	return nil
}

// reachLevels finds the other levels' jobs and measures them in rounds of
// shuffled order until all are where they are to be.
func (c *calibrator) reachLevels(ctx context.Context) error {
	var pending []*trial
	for _, g := range c.plan.Goals {
		if g.Aim.saturates() && c.top != nil && c.top.goal == g {
			c.levels = append(c.levels, c.top)
			continue
		}
		t := &trial{goal: g}
		c.levels = append(c.levels, t)
		if g.Aim.none() {
			t.seen, pending = []observation{c.idle}, append(pending, t)
			continue
		}
		if err := c.setJob(ctx, t); err != nil {
			return fmt.Errorf("level %s: %w", g.Name, err)
		}
		pending = append(pending, t)
	}
	for again := 0; len(pending) > 0; again++ {
		if err := c.measure(ctx, pending); err != nil {
			return err
		}
		pending = slices.DeleteFunc(pending, c.reached)
		if again == c.plan.Again || c.overBudget(len(pending)) {
			break
		}
		for _, t := range pending {
			if err := c.adjust(ctx, t); err != nil {
				return fmt.Errorf("level %s: %w", t.goal.Name, err)
			}
		}
	}
	return nil
}

// setJob chooses the first job for a level.
func (c *calibrator) setJob(ctx context.Context, t *trial) error {
	name := strings.ToLower(t.goal.Name)
	switch a := t.goal.Aim; {
	case a.saturates():
		t.job = c.job(name, c.cal.Max.Depth, 0)
	case a.Share > 0:
		t.job = c.job(name, c.ratedDepth(a.Share*c.cal.Max.IOPS), a.Share*c.cal.Max.IOPS)
	default:
		return c.search(ctx, t)
	}
	return nil
}

// headroom is by how much a depth must be able to beat a rate: arrivals come in
// bunches.
const headroom = 1.5

// ratedDepth is the least depth of the sweep that carries a rate.
func (c *calibrator) ratedDepth(rate float64) int {
	depth := c.plan.Depths[len(c.plan.Depths)-1]
	for _, d := range c.cal.Sweep {
		if d.IOPS >= headroom*rate {
			depth = d.Depth
			break
		}
	}
	return max(depth, c.plan.RatedDepth)
}

// measure runs the trials in rounds.
func (c *calibrator) measure(ctx context.Context, trials []*trial) error {
	for range c.plan.LevelRounds {
		for _, i := range c.order.Perm(len(trials)) {
			t := trials[i]
			o, err := c.observeLevel(ctx, t.job)
			if err != nil {
				return fmt.Errorf("level %s: %w", t.goal.Name, err)
			}
			t.seen = append(t.seen, o)
			if t.job == nil {
				c.cal.Idle = pool(t.seen)
			}
			c.say("level %s: %.0f reads/s, r_await %v, probe %v", t.goal.Name, o.IOPS,
				o.Device.RAwait.Round(time.Microsecond), o.Victim.Trimmed.Round(time.Microsecond))
		}
	}
	return nil
}

func (c *calibrator) observeLevel(ctx context.Context, job *Job) (observation, error) {
	return c.observe(ctx, job, true, c.plan.LevelSettle, c.plan.LevelWindow)
}

// reached says whether a trial is close enough to its aim.
func (c *calibrator) reached(t *trial) bool {
	return c.miss(t) <= c.plan.Tolerance && !c.short(t)
}

// miss is how far the trial is from its aim, as a share of it.
func (c *calibrator) miss(t *trial) float64 {
	if t.goal.Aim.none() {
		return 0
	}
	aim := c.aim(t.goal.Aim)
	return math.Abs(c.achieved(t)/aim - 1)
}

// aim is the figure that a level is to reach.
func (c *calibrator) aim(a Aim) float64 {
	switch {
	case a.Share > 0:
		return a.Share * c.cal.Max.IOPS
	case a.AquSz > 0:
		return a.AquSz
	default:
		return a.ProbeMultiple
	}
}

// achieved is the figure that it has reached.
func (c *calibrator) achieved(t *trial) float64 {
	switch a := t.goal.Aim; {
	case a.Share > 0:
		return medianOf(t.seen, iopsOf)
	case a.AquSz > 0:
		return medianOf(t.seen, queueOf)
	default:
		return c.multiple(pool(t.seen).P50)
	}
}

func (c *calibrator) multiple(p50 time.Duration) float64 {
	return float64(p50) / float64(max(c.cal.Idle.P50, 1))
}

// rateTolerance is how far below its rate a job may stay, beyond chance.
const rateTolerance = 0.02

// short says whether a trial stays below its own rate.
func (c *calibrator) short(t *trial) bool {
	if t.job == nil || t.job.RateIOPS == 0 || len(t.seen) == 0 {
		return false
	}
	n := t.job.RateIOPS * c.plan.LevelWindow.Seconds() * float64(len(t.seen))
	return medianOf(t.seen, iopsOf) < t.job.RateIOPS*(1-max(rateTolerance, sigmas/math.Sqrt(n)))
}

// adjust sets a trial anew after it has missed its aim.
func (c *calibrator) adjust(ctx context.Context, t *trial) error {
	switch {
	case c.short(t) && t.goal.Aim.Share > 0:
		if 2*t.job.Depth > maxDepth {
			return nil // record says so
		}
		t.job, t.seen = c.job(t.job.Name, 2*t.job.Depth, c.aim(t.goal.Aim)), nil
	case t.goal.Aim.Share > 0: // there is nothing to set: more runs make its median steadier
	default:
		t.seen = nil
		return c.search(ctx, t)
	}
	return nil
}

// startAllowance is what a start and a stop of fio take beside the window.
const startAllowance = 300 * time.Millisecond

func (c *calibrator) overBudget(trials int) bool {
	cost := time.Duration(trials*c.plan.LevelRounds) * (c.plan.LevelSettle + c.plan.LevelWindow + startAllowance)
	return c.plan.Budget > 0 && c.bench.now()-c.begin+cost > c.plan.Budget
}

// pool reduces the probe's reads of several windows. Late and missed ones are
// counted window by window.
func pool(all []observation) Victim {
	v := Reduce(func(yield func(Sample) bool) {
		for _, o := range all {
			for _, s := range o.Samples {
				if !yield(s) {
					return
				}
			}
		}
	}, 0)
	for _, o := range all {
		v.Late += o.Victim.Late
		v.Missed += o.Victim.Missed
	}
	return v
}

// record turns the trials into levels and refuses those that are no levels.
func (c *calibrator) record(context.Context) error {
	var samples [][]Sample
	for _, t := range c.levels {
		l := Level{
			Name: t.goal.Name, Aim: t.goal.Aim, Job: t.job, Victim: pool(t.seen),
			IOPS: medianOf(t.seen, iopsOf), RAwait: time.Duration(medianOf(t.seen, awaitOf)), AquSz: medianOf(t.seen, queueOf),
			Miss: c.miss(t), Spread: spread(t.seen), CPUCores: medianOf(t.seen, coresOf),
		}
		switch {
		case c.short(t):
			return fmt.Errorf("level %s: %w: %.0f reads/s of %.0f asked for at depth %d (ask for a smaller share)",
				l.Name, ErrUnreachable, l.IOPS, t.job.RateIOPS, t.job.Depth)
		case t.job != nil && t.job.RateIOPS == 0 && l.AquSz < halfQueue*float64(t.job.Depth):
			return fmt.Errorf("level %s: %w: the device's queue is %.1f at depth %d (something before the device holds fio back)",
				l.Name, ErrUnreachable, l.AquSz, t.job.Depth)
		}
		c.cal.Levels = append(c.cal.Levels, l)
		var all []Sample
		for _, o := range t.seen {
			all = append(all, o.Samples...)
		}
		samples = append(samples, all)
		c.say("level %s: %.0f reads/s, misses its aim by %.1f %%, runs differ by %.1f %%, probe %v (median %v)",
			l.Name, l.IOPS, 100*l.Miss, 100*l.Spread, l.Victim.Trimmed.Round(time.Microsecond), l.Victim.P50.Round(time.Microsecond))
	}
	return told(c.cal.Levels, samples)
}
