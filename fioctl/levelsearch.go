package fioctl

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
)

// search finds a job for an aim that no formula gives: the device's queue or
// the probe's latency. Both rise with the depth, and at one depth with the rate.
// So the least depth that exceeds the aim without a rate is found by bisection,
// and if the aim lies between two depths, the rate at the deeper one. The best
// job seen within the plan's steps is taken.
func (c *calibrator) search(ctx context.Context, t *trial) error {
	s := searcher{c: c, name: strings.ToLower(t.goal.Name), aim: t.goal.Aim, best: math.Inf(1)}
	deepest := c.plan.Depths[len(c.plan.Depths)-1]
	top, err := s.try(ctx, deepest, 0)
	if err != nil {
		return err
	}
	if top.value < c.aim(s.aim)*(1-c.plan.Tolerance) {
		return fmt.Errorf("%w: %.3g at depth %d, %.3g is wanted (allow deeper depths, or want less)",
			ErrUnreachable, top.value, deepest, c.aim(s.aim))
	}
	if err := s.bisect(ctx, deepest, top); err != nil {
		return err
	}
	t.job = s.job
	return nil
}

// searcher is one search; it keeps the best job.
type searcher struct {
	c    *calibrator
	name string
	aim  Aim

	steps int
	best  float64 // miss of job
	job   *Job
}

// reading is what one try gave.
type reading struct{ value, iops float64 }

func (s *searcher) bisect(ctx context.Context, hi int, top reading) error {
	aim, lo := s.c.aim(s.aim), 0
	for hi-lo > 1 && !s.done() {
		mid := max(lo+1, int(math.Sqrt(float64(max(lo, 1))*float64(hi))))
		r, err := s.try(ctx, mid, 0)
		if err != nil {
			return err
		}
		if r.value >= aim {
			hi, top = mid, r
		} else {
			lo = mid
		}
	}
	least, most := 0.0, top.iops
	for !s.done() {
		rate := (least + most) / 2
		if rate < 1 {
			return nil
		}
		r, err := s.try(ctx, hi, rate)
		if err != nil {
			return err
		}
		if r.value >= aim {
			most = rate
		} else {
			least = rate
		}
	}
	return nil
}

func (s *searcher) done() bool {
	return s.best <= s.c.plan.Tolerance/2 || s.steps >= s.c.plan.Steps
}

// try measures one job. Its window is shorter than a level's, which is measured
// in full later.
func (s *searcher) try(ctx context.Context, depth int, rate float64) (reading, error) {
	c := s.c
	s.steps++
	job := c.job(s.name, depth, rate)
	o, err := c.observe(ctx, job, true, c.plan.LevelSettle, max(c.plan.SweepWindow, c.plan.LevelWindow/4, time.Millisecond))
	if err != nil {
		return reading{}, err
	}
	r := reading{value: o.Device.AquSz, iops: o.IOPS}
	if s.aim.ProbeMultiple > 0 {
		r.value = c.multiple(o.Victim.P50)
	}
	miss := math.Abs(r.value/c.aim(s.aim) - 1)
	if miss < s.best {
		s.best, s.job = miss, job
	}
	c.say("search for %s: depth %d, rate %.0f: %.3g of %.3g", s.name, depth, rate, r.value, c.aim(s.aim))
	return r, nil
}
