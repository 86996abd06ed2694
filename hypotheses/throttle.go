package hypotheses

import (
	"context"
	"errors"
	"fmt"

	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
)

// ThrottleLevel is a level of the second lever: limits on the server's own
// reads, as a share of what it reads without.
type ThrottleLevel struct {
	Name   string         `json:"name"`
	Share  float64        `json:"share"`
	Limits spark.IOLimits `json:"limits"`
}

// errNotPaging: a server that reads nothing cannot be throttled.
var errNotPaging = errors.New("the server reads nothing from its disk tier")

// throttleLevels are the limits of the second lever where it is to be pulled:
// shares of what the server reads at Ck, because a limit above that binds
// nothing.
func (r *Rig) throttleLevels(ctx context.Context, pilot Pilot, users, ck int) ([]ThrottleLevel, error) {
	if !r.pulls(leverThrottle) {
		return nil, nil
	}
	if r.serverCgroup() == "" {
		return nil, fmt.Errorf("hypotheses: SPARK_LEVER=%s: the server has no cgroup of its own that could be limited: %s (run as root, or pull fio alone: SPARK_LEVER=fio)", r.Config.Lever, r.whyNoCgroup())
	}
	perSec, err := r.pagingRate(ctx, pilot, users, ck)
	if errors.Is(err, errNotPaging) {
		r.Progress.logf("second lever left out: %v at %d tokens", err, ck)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var levels []ThrottleLevel
	for _, l := range []ThrottleLevel{{Name: "LIMIT70", Share: 0.7}, {Name: "LIMIT35", Share: 0.35}} {
		l.Limits = spark.IOLimits{ReadBytesPerSec: int64(l.Share * perSec)}
		levels = append(levels, l)
	}
	r.Progress.logf("second lever: the server reads %.0f MB/s at %d tokens; limits at 70 and 35 %% of it", perSec/1e6, ck)
	return levels, nil
}

func (r *Rig) whyNoCgroup() string {
	if c := r.target.child; c != nil {
		return c.Cgroup.Reason
	}
	return "it was attached to, not started"
}

// pagingRate is how many bytes a second the server reads from its disk tier at
// Ck, by its own count.
func (r *Rig) pagingRate(ctx context.Context, pilot Pilot, users, ck int) (float64, error) {
	r.Progress.livef("pilot: what the server reads at %d tokens", ck)
	arm := h2Arm(r, pilot, -1, users, ck, ck)
	if err := r.prime(ctx, arm); err != nil {
		return 0, err
	}
	scraper, err := spark.NewScraper(r.target.server, r.epoch)
	if err != nil {
		return 0, err
	}
	before := scraper.Scrape(ctx).Point()
	if _, err := loadgen.Run(ctx, r.load(), arm.Load, func(*loadgen.Record) error { return nil }); err != nil {
		return 0, fmt.Errorf("hypotheses: pilot of the second lever: %w", err)
	}
	after := scraper.Scrape(ctx).Point()
	if before.Error != "" || after.Error != "" {
		return 0, fmt.Errorf("hypotheses: pilot of the second lever: read the server's counters: %s%s", before.Error, after.Error)
	}
	read := after.Counters.Since(before.Counters).DiskInBytes
	if read == nil || *read <= 0 {
		return 0, errNotPaging
	}
	return *read / (after.T - before.T).Seconds(), nil
}
