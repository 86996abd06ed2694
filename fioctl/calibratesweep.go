package fioctl

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// sweep measures every depth without a rate, in rounds of shuffled order.
func (c *calibrator) sweep(ctx context.Context) error {
	seen := make([][]observation, len(c.plan.Depths))
	n, all := 0, len(c.plan.Depths)*c.plan.SweepRounds
	for range c.plan.SweepRounds {
		for _, i := range c.order.Perm(len(c.plan.Depths)) {
			depth := c.plan.Depths[i]
			job := c.job(fmt.Sprintf("depth-%d", depth), depth, 0)
			job.StatusEvery = minStatusEvery // the window is short
			o, err := c.observe(ctx, job, false, c.plan.SweepSettle, c.plan.SweepWindow)
			if err != nil {
				return fmt.Errorf("sweep, depth %d: %w", depth, err)
			}
			seen[i] = append(seen[i], o)
			n++
			c.say("sweep %d of %d: depth %d: %.0f reads/s, %.0f MB/s", n, all, depth, o.IOPS, o.IOPS*float64(c.plan.BlockBytes)/1e6)
		}
	}
	for i, depth := range c.plan.Depths {
		c.cal.Sweep = append(c.cal.Sweep, summary(depth, c.plan.BlockBytes, seen[i]))
	}
	i, found := plateau(c.cal.Sweep, c.plan.Gain)
	if !(c.cal.Sweep[i].IOPS > 0) {
		return fmt.Errorf("%w: no reads at any depth", ErrUnreachable)
	}
	if found {
		c.cal.Plateau = c.cal.Sweep[i].Depth
	}
	c.cal.Max = c.cal.Sweep[i]
	c.say("plateau at depth %d: %.0f reads/s", c.cal.Max.Depth, c.cal.Max.IOPS)
	return nil
}

// plateau is the least depth from which the next two, each a doubling, gain
// less than a share. When there is none the device still gains at the deepest:
// found is false, and the depth is that of the most I/Os.
func plateau(sweep []Depth, gain float64) (i int, found bool) {
	best := 0
	for i, d := range sweep {
		if d.IOPS > sweep[best].IOPS {
			best = i
		}
		if i+2 < len(sweep) && max(sweep[i+1].IOPS, sweep[i+2].IOPS) < d.IOPS*(1+gain) {
			return i, true
		}
	}
	return best, false
}

// summary is the medians of a depth's observations, which are not empty.
func summary(depth int, blockBytes int64, all []observation) Depth {
	d := Depth{
		Depth:    depth,
		IOPS:     medianOf(all, iopsOf),
		ClatP50:  time.Duration(medianOf(all, func(o observation) float64 { return float64(o.ClatP50) })),
		ClatP99:  time.Duration(medianOf(all, func(o observation) float64 { return float64(o.ClatP99) })),
		RAwait:   time.Duration(medianOf(all, awaitOf)),
		AquSz:    medianOf(all, queueOf),
		UtilPct:  medianOf(all, func(o observation) float64 { return o.Device.UtilPct }),
		Spread:   spread(all),
		CPUCores: medianOf(all, coresOf),
	}
	d.BytesPerSec = d.IOPS * float64(blockBytes)
	return d
}

func iopsOf(o observation) float64  { return o.IOPS }
func queueOf(o observation) float64 { return o.Device.AquSz }
func awaitOf(o observation) float64 { return float64(o.Device.RAwait) }
func coresOf(o observation) float64 { return o.CPUCores }

// medianOf is the middle value, or the mean of the two in the middle; 0 of none.
func medianOf(all []observation, of func(observation) float64) float64 {
	v := make([]float64, len(all))
	for i, o := range all {
		v[i] = of(o)
	}
	slices.Sort(v)
	switch n := len(v); {
	case n == 0:
		return 0
	case n%2 == 1:
		return v[n/2]
	default:
		return (v[n/2-1] + v[n/2]) / 2
	}
}

// spread is the largest over the least IOPS, less 1.
func spread(all []observation) float64 {
	if len(all) == 0 {
		return 0
	}
	by := func(a, b observation) int { return cmp.Compare(a.IOPS, b.IOPS) }
	least := slices.MinFunc(all, by).IOPS
	if !(least > 0) {
		return 0
	}
	return slices.MaxFunc(all, by).IOPS/least - 1
}
