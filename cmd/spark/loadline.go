package main

import (
	"fmt"
	"time"

	"github.com/spark-harness/harness/hypotheses"
	"github.com/spark-harness/harness/loadgen"
)

// liveLoad shows a load while it goes on.
type liveLoad struct {
	live         hypotheses.LiveLine
	plan         loadgen.Plan
	began, shown time.Time
	ok, failed   int
	tokens       int
}

func newLiveLoad(live hypotheses.LiveLine, p loadgen.Plan) *liveLoad {
	l := &liveLoad{live: live, plan: p, began: time.Now()}
	l.live.Show(l.text(0))
	return l
}

// add counts a request that has ended.
func (l *liveLoad) add(r *loadgen.Record) error {
	if r.Outcome.OK() {
		l.ok++
	} else {
		l.failed++
	}
	if r.OutputTokens != nil {
		l.tokens += *r.OutputTokens
	}
	if now := time.Now(); now.Sub(l.shown) >= liveEvery {
		l.shown = now
		l.live.Show(l.text(now.Sub(l.began)))
	}
	return nil
}

// text is the state after so long.
func (l *liveLoad) text(passed time.Duration) string {
	all := l.plan.Warmup + l.plan.Measure
	left := max(all-passed, 0).Round(time.Second).String() + " left"
	switch {
	case l.plan.Arrivals.Turns > 0:
		n := l.plan.Arrivals.Turns * l.plan.Arrivals.Users
		left = fmt.Sprintf("%d of %d turns, at most %s", l.ok+l.failed, n, left)
	case passed >= all:
		left = "waiting for the last answers"
	case passed < l.plan.Warmup:
		left += " (warm-up)"
	}
	line := fmt.Sprintf("%d ok, %d failed", l.ok, l.failed)
	if s := passed.Seconds(); s > 0 {
		line += fmt.Sprintf(", %.1f requests/s, %.0f tokens/s", float64(l.ok)/s, float64(l.tokens)/s)
	}
	return line + ", " + left
}

func (l *liveLoad) clear() { l.live.Clear() }
