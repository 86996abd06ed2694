package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spark-harness/harness/analysis"
	"github.com/spark-harness/harness/internal/jsonl"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// beside is what runs beside an arm's load: the sampler, where the server has
// counters the scraper, and where the disk is treated the victim probe.
type beside struct {
	cancel context.CancelFunc
	group  *errgroup.Group
	first  *spark.Counters
	last   *spark.Counters
}

// startBeside starts them and returns once they run. stop must be called.
func (r *Rig) startBeside(ctx context.Context, dir string, s *analysis.Storage) (*beside, error) {
	ctx, cancel := context.WithCancel(ctx)
	b := &beside{cancel: cancel}
	b.group, ctx = errgroup.WithContext(ctx)
	err := errors.Join(r.sample(ctx, b, dir), r.scrape(ctx, b, dir), r.victim(ctx, b, dir, s))
	if err != nil {
		_, stopErr := b.stop()
		return nil, errors.Join(err, stopErr)
	}
	return b, nil
}

func (r *Rig) sample(ctx context.Context, b *beside, dir string) error {
	cfg := sysmon.Config{Interval: 100 * time.Millisecond, Device: r.device, Epoch: r.epoch}
	if c := r.target.child; c != nil {
		cfg.ServerPID, cfg.ServerCgroup = c.Info.PID, c.Cgroup.Path
	}
	s, err := sysmon.New(cfg)
	if err != nil {
		return err
	}
	w, err := sysmon.NewWriter(filepath.Join(dir, "telemetry.csv.zst"), s.Meta())
	if err != nil {
		return errors.Join(err, s.Close())
	}
	b.group.Go(func() error {
		return errors.Join(s.Run(ctx, r.Progress.Watch.Rows(s.Meta(), w.Write)), w.Close(), s.Close())
	})
	return nil
}

func (r *Rig) scrape(ctx context.Context, b *beside, dir string) error {
	scraper, err := spark.NewScraper(r.target.server, r.epoch)
	if errors.Is(err, spark.ErrNoMetrics) {
		return nil // the manifest says why there are no counters
	}
	if err != nil {
		return err
	}
	w, err := jsonl.Create(filepath.Join(dir, "server.jsonl.zst"))
	if err != nil {
		return err
	}
	b.group.Go(func() error {
		err := scraper.Run(ctx, time.Second, func(s spark.Scrape) error {
			if p := s.Point(); p.Error == "" {
				if b.first == nil {
					b.first = &p.Counters
				}
				b.last = &p.Counters
				r.Progress.Watch.Server(p.Counters.Running, p.Counters.Waiting)
			}
			return w.Write(s)
		})
		return errors.Join(err, w.Close())
	})
	return nil
}

// stop ends them and returns how the server's counters grew between the first
// and the last reading.
func (b *beside) stop() (spark.Counters, error) {
	b.cancel()
	if err := b.group.Wait(); err != nil {
		return spark.Counters{}, fmt.Errorf("hypotheses: telemetry: %w", err)
	}
	if b.first == nil {
		return spark.Counters{}, nil
	}
	return b.last.Since(*b.first), nil
}

// awaitIdle waits until the server has nothing in flight, by its own count
// where it has one, and then one idle edge more. A server that never becomes
// idle, because somebody else uses it, is waited for no longer than 5 s.
func (r *Rig) awaitIdle(ctx context.Context) error {
	scraper, err := spark.NewScraper(r.target.server, r.epoch)
	for range 50 {
		if err != nil {
			break
		}
		c := scraper.Scrape(ctx).Point().Counters
		if c.Running == nil || *c.Running == 0 && (c.Waiting == nil || *c.Waiting == 0) {
			break
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return pause(ctx, r.Profile.Edge)
}
