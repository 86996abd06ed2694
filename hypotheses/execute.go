package hypotheses

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spark-harness/harness/hypotheses/watch"
	"github.com/spark-harness/harness/internal/bundle"
)

// Execute measures h, judges it, writes what is derived from the run and hands
// its result on. It returns the judgement and the run's directory. A zero
// deadline is none.
func Execute(ctx context.Context, c Config, h Hypothesis, deadline time.Time, p Progress) (Judgement, string, error) {
	p, end, err := c.watch(p)
	if err != nil {
		return Judgement{}, "", err
	}
	defer end()
	p.Watch.Begin(h.ID, h.Title, h.Claim)
	j, dir, err := execute(ctx, c, h, deadline, p)
	p.Watch.End(watch.Result{Outcome: string(j.Verdict.Outcome), Reasons: j.Verdict.Reasons, Dir: dir, Err: err})
	return j, dir, err
}

func execute(ctx context.Context, c Config, h Hypothesis, deadline time.Time, p Progress) (Judgement, string, error) {
	if h.Needs != nil {
		if err := h.Needs(ctx, c); err != nil {
			return Judgement{}, "", err
		}
	}
	var g Gathered
	if h.Gather != nil {
		results, err := c.results()
		if err != nil {
			return Judgement{}, "", err
		}
		if g, err = h.Gather(ctx, Archive{Config: c, Results: results, Deadline: deadline, Progress: p}); err != nil {
			return Judgement{}, "", err
		}
		if g.Blocks == 0 {
			return judgeRest(c, h, g, results, p)
		}
	}
	r, err := openRig(ctx, c, h, deadline, p)
	if err != nil {
		return Judgement{}, "", err
	}
	r.Gathered = g
	dir, err := h.Measure(ctx, r)
	if errors.Is(err, unix.ENOSPC) && !errors.Is(err, bundle.ErrDiskFull) {
		err = fmt.Errorf("%w: %w", err, bundle.ErrDiskFull)
	}
	if err != nil {
		return Judgement{}, "", errors.Join(err, r.abandon(err))
	}
	p.Watch.Phase(watch.PhaseJudging)
	p.livef("%s  judging", h.ID)
	j, err := Rejudge(h, dir)
	if err != nil {
		return j, dir, err
	}
	if err := r.handOn(j.Handover, dir); err != nil {
		return j, dir, err
	}
	p.report(r.results)
	p.livef("")
	return j, dir, nil
}

// judgeRest judges runs of others, without measuring anything.
func judgeRest(c Config, h Hypothesis, g Gathered, results string, p Progress) (Judgement, string, error) {
	dir, err := rest(c, h, g, results)
	if err != nil {
		return Judgement{}, "", err
	}
	p.Watch.Phase(watch.PhaseJudging)
	p.livef("%s  judging %d runs", h.ID, len(g.Runs))
	j, err := Rejudge(h, dir)
	if err == nil {
		p.report(results)
	}
	p.livef("")
	return j, dir, err
}

// handOn writes what the run found, and the prompt calibration it used, for
// later runs.
func (r *Rig) handOn(h Handover, dir string) error {
	if h != (Handover{}) {
		h.Platform, h.Server, h.Model = r.platform(), r.serverKind(), r.target.model()
		h.Updated = time.Now().UTC().Truncate(time.Second)
		rel := filepath.Join(filepath.Base(filepath.Dir(dir)), filepath.Base(dir))
		if h.UWorkUsers > 0 {
			h.UWorkRun = rel
		}
		if h.CkTokens > 0 {
			h.CkRun = rel
		}
		r.cal.Put(h)
	}
	return r.cal.Save(r.results)
}
