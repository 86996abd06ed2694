package hypotheses

import (
	"errors"
	"fmt"
	"math"

	"github.com/spark-harness/harness/analysis"
)

const (
	h8Rho = 0.3  // mean correlation within runs, lower bound
	h8P   = 0.05 // of circular shifts
	// Of the correlation that is left: ranks allow for what is not straight in
	// them only in part, and leave up to about 0.2 of a relation that the CPU
	// makes alone. See docs/decisions/0015.
	h8Left   = 0.1
	h8Slices = 8 // of a block with both, at least
	h8Blocks = 5 // with slices enough, at least

	// iowait is blind where tasks wait for the disk and no CPU counts it: a task
	// that waits this share of the time would, on an idle CPU, be as many cores of
	// iowait. See docs/decisions/0015.
	blindPressure = 10.0 // io PSI some, % of time, from which a slice is under pressure
	blindShare    = 0.1  // iowait cores over that share of the time, median, below which it is blind
	blindSlices   = 10   // under pressure, at least
)

// h8Data is every block of every run, each with its slices in order of time.
type h8Data struct {
	seed   uint64
	blocks []h8Block
}

type h8Block struct {
	id    string // of the run's hypothesis
	run   int
	block int
	steps []h8Step
}

// h8Step is one slice with what was constant in its arm.
type h8Step struct {
	analysis.Slice
	users, share float64
}

func h8DataOf(e *analysis.Experiment) h8Data {
	d := h8Data{seed: e.Plan.Seed}
	for i, run := range e.Runs() {
		place := map[int]int{}
		for _, a := range inTime(run.Arms) {
			at, seen := place[a.Block]
			if !seen {
				at = len(d.blocks)
				place[a.Block] = at
				d.blocks = append(d.blocks, h8Block{id: run.Plan.Hypothesis, run: i, block: a.Block})
			}
			share := 0.0
			if a.Storage != nil {
				share = shareOf(a)
			}
			for _, s := range a.Slices {
				d.blocks[at].steps = append(d.blocks[at].steps, h8Step{s, float64(a.Users), share})
			}
		}
	}
	return d
}

// series are a counter and TTFT of a block where both are there, with what is to
// be allowed for.
func (b h8Block) series(c analysis.Counter, partial bool) analysis.SeriesPair {
	var s analysis.SeriesPair
	var users, share, busy []float64
	for _, step := range b.steps {
		x, cpu := step.Counters[c], step.Counters[analysis.CounterBusyCores]
		if math.IsNaN(x) || !(step.TTFTMs > 0) || partial && math.IsNaN(cpu) {
			continue
		}
		s.X, s.Y = append(s.X, x), append(s.Y, step.TTFTMs)
		users, share, busy = append(users, step.users), append(share, step.share), append(busy, cpu)
	}
	if partial {
		s.Controls = [][]float64{users, share, busy}
	}
	return s
}

// relation is how a counter and TTFT go together inside the blocks.
type relation struct {
	rhos  []float64 // by block; NaN where it has too few slices
	used  int       // blocks with enough
	moved int       // of them, those in which both move
	mean  analysis.Estimate
	wide  analysis.Estimate // the 90 % interval
	p     float64           // circular shifts, one-sided
}

// relationOf correlates within every block. A block in which either does not
// move, or does so only with what is allowed for, shows no relation and counts
// as one of 0.
func (d h8Data) relationOf(c analysis.Counter, partial bool) relation {
	r := relation{mean: absent(), wide: absent(), p: math.NaN()}
	var rhos []float64
	var n []int
	var moving []analysis.SeriesPair
	for _, b := range d.blocks {
		s := b.series(c, partial)
		if len(s.X) < h8Slices {
			r.rhos = append(r.rhos, math.NaN())
			continue
		}
		rho, err := analysis.PartialSpearman(s.X, s.Y, s.Controls...)
		switch {
		case err == nil:
			moving = append(moving, s)
		case errors.Is(err, analysis.ErrDegenerate):
			rho = 0
		default:
			r.rhos = append(r.rhos, math.NaN())
			continue
		}
		r.rhos, rhos, n = append(r.rhos, rho), append(rhos, rho), append(n, len(s.X))
	}
	r.used, r.moved = len(rhos), len(moving)
	if m, err := analysis.FisherMean(rhos, n, 0.95); err == nil {
		r.mean = m.Rho
	}
	if m, err := analysis.FisherMean(rhos, n, 0.90); err == nil {
		r.wide = m.Rho
	}
	if m, err := analysis.ShiftMean(moving, analysis.Greater, analysis.Resampling{Seed: d.seed}); err == nil {
		r.p = m.P
	}
	return r
}

// outOfRun is how much of ln TTFT a counter explains in blocks that the line was
// not fitted to. Times are taken by their logarithm.
func (d h8Data) outOfRun(c analysis.Counter) float64 {
	var points []analysis.Point
	for i, b := range d.blocks {
		s := b.series(c, false)
		for k, x := range s.X {
			if c == analysis.CounterReadAwait {
				if x <= 0 {
					continue
				}
				x = math.Log(x)
			}
			points = append(points, analysis.Point{X: x, Y: math.Log(s.Y[k]), Block: i})
		}
	}
	r2, err := analysis.OutOfRunR2(points)
	if err != nil {
		return math.NaN()
	}
	return r2
}

// blind compares iowait with what io PSI says was waited: the median of iowait
// cores over the share of time under pressure, NaN with too few such slices.
func (d h8Data) blind() (share float64, slices int) {
	var shares []float64
	for _, b := range d.blocks {
		for _, s := range b.steps {
			wait, psi := s.Counters[analysis.CounterIOWaitCores], s.Counters[analysis.CounterPSIIO]
			if !math.IsNaN(wait) && psi >= blindPressure {
				shares = append(shares, wait/(psi/100))
			}
		}
	}
	if len(shares) < blindSlices {
		return math.NaN(), len(shares)
	}
	return analysis.Median(shares), len(shares)
}

// judgeH8 applies the rule of H8; see docs/plan.md.
func (h Hypothesis) judgeH8(e *analysis.Experiment) Judgement {
	d := h8DataOf(e)
	all := pooled(e, len(d.blocks))
	v := h.verdict(e, len(d.blocks))
	v.Quantile = "p95" // of a slice, whatever the profile's
	g := gatesOf(all)
	h8Treated(&g, all)
	if len(d.blocks) == 0 {
		return g.unfit(v, errors.New("there are no arms"))
	}
	wait, partial := d.relationOf(analysis.CounterIOWaitCores, false), d.relationOf(analysis.CounterIOWaitCores, true)
	v.Claims = []analysis.Claim{
		analysis.NewClaim(fmt.Sprintf("blocks with at least %d slices", h8Slices), analysis.Estimate{Value: float64(wait.used), Lo: math.NaN(), Hi: math.NaN()}, h8Blocks, "blocks", wait.used >= h8Blocks),
		analysis.NewClaim("rank correlation of iowait and a slice's p95 TTFT within a run, mean (lower bound)", wait.mean, h8Rho, "", wait.mean.Lo > h8Rho),
		upTo("that correlation against circular shifts, all runs together", "p", wait.p, h8P),
		analysis.NewClaim("the same once users, fio's level and CPU busy are allowed for (lower bound)", partial.mean, h8Left, "", partial.mean.Lo > h8Left),
	}
	v.P = analysis.Num(wait.p)
	share, under := d.blind()
	reasons, refuted := h8Reasons(wait, share)
	needed := 0
	if wait.used < h8Blocks {
		needed = h8Blocks
	}
	v = g.decide(v, needed, refuted, reasons)
	await, psi := d.relationOf(analysis.CounterReadAwait, false), d.relationOf(analysis.CounterPSIIO, false)
	v.Claims = append(v.Claims, d.beside(await, psi, share, under)...)
	return h.reportH8(all, v, d, wait, partial, await, psi)
}

// h8Treated adds the gate of the runs whose storage was treated.
func h8Treated(g *gates, e *analysis.Experiment) {
	treated := *e
	treated.Arms = nil
	for _, a := range e.Arms {
		if a.Storage != nil {
			treated.Arms = append(treated.Arms, a)
		}
	}
	if len(treated.Arms) > 0 {
		g.add("CONTENTION_LOST", windowsVerified(&treated))
	}
}

// h8Reasons names what stands against the hypothesis, and whether the data show
// that there is no relation worth the name.
func h8Reasons(wait relation, blindness float64) (reasons []string, refuted bool) {
	switch {
	case wait.used < h8Blocks:
		return []string{"TOO_FEW_SLICES"}, false
	case blindness < blindShare:
		return []string{"IOWAIT_BLIND"}, false
	case wait.moved == 0: // no stalls, or none that a CPU could count
		return []string{"IOWAIT_SILENT"}, false
	case wait.wide.Hi < h8Rho:
		return []string{"WEAK"}, true
	}
	return nil, false
}

// beside tells what else moves with TTFT; nothing of it decides.
func (d h8Data) beside(await, psi relation, share float64, under int) []analysis.Claim {
	single := func(v float64) analysis.Estimate { return analysis.Estimate{Value: v, Lo: math.NaN(), Hi: math.NaN()} }
	claims := []analysis.Claim{
		analysis.NewClaim("rank correlation of r_await and TTFT within a run, mean", await.mean, h8Rho, "", await.mean.Lo > h8Rho),
		analysis.NewClaim("rank correlation of io PSI and TTFT within a run, mean", psi.mean, h8Rho, "", psi.mean.Lo > h8Rho),
		analysis.NewClaim(fmt.Sprintf("iowait cores over io PSI's share of the time, median of %d slices under pressure (blind below)", under), single(share), blindShare, "", share >= blindShare),
	}
	for _, r := range []struct {
		what    string
		counter analysis.Counter
	}{{"iowait", analysis.CounterIOWaitCores}, {"r_await", analysis.CounterReadAwait}, {"io PSI", analysis.CounterPSIIO}} {
		r2 := d.outOfRun(r.counter)
		claims = append(claims, analysis.NewClaim(fmt.Sprintf("share of ln TTFT that %s explains in runs held out (R2)", r.what), single(r2), 0, "", r2 > 0))
	}
	for i := range claims {
		claims[i] = besideClaim(claims[i])
	}
	return claims
}
