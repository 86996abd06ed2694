//go:build sim

package hypotheses

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/spark-harness/harness/analysis"
)

// simRule is a hypothesis with the worlds that its rule is tried in. A judge
// that has worlds of its own gets a simRule and a line in simRules.
type simRule struct {
	h       Hypothesis
	nulls   []world // SUPPORTED in at most 5 %
	effects []world
	note    string
}

// world is a planted truth.
type world struct {
	why string
	of  func(seed uint64) *analysis.Experiment
}

// simRules are the rules in the plan's order.
func simRules() []simRule {
	return []simRule{rateH0(), rateH1(), rateH2(), rateH3(), rateH4(), rateH5(), rateH6(), rateH7(), rateH8()}
}

// tally counts what a rule said.
type tally struct {
	N, Supported, Refuted, Invalid int
	P, Low, Lower                  int // with a p, of at most .05 and of .05/9
}

// measureRule judges n experiments of every world.
func measureRule(t *testing.T, r simRule, n int) (text string, faults []error) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s: %s\n\n| | world | n | SUPPORTED | REFUTED | INVALID | p ≤ .05 | p ≤ .0056 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n", r.h.ID, r.h.Title)
	row := func(kind string, w world) analysis.Estimate {
		c := resumed(t, fmt.Sprintf("%s|%s|%d", r.h.ID, w.why, n), func() tally { return judgeWorld(r.h, w, n) })
		share, err := analysis.Proportion(c.Supported, c.N, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		of := func(hits, n int) string {
			if n == 0 {
				return "–"
			}
			return fmt.Sprintf("%.1f %%", 100*float64(hits)/float64(n))
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %s | %s | %s | %s |\n", kind, w.why, c.N, percent(share), of(c.Refuted, c.N), of(c.Invalid, c.N), of(c.Low, c.P), of(c.Lower, c.P))
		t.Logf("%s %-6s %-80s SUPPORTED %s REFUTED %s p<=.05 %s", r.h.ID, kind, w.why, percent(share), of(c.Refuted, c.N), of(c.Low, c.P))
		return share
	}
	for _, w := range r.nulls {
		if share := row("null", w); share.Lo > 0.05 {
			faults = append(faults, fmt.Errorf("%s, %s: SUPPORTED in %s, at most 5 %%", r.h.ID, w.why, percent(share)))
		}
	}
	for _, w := range r.effects {
		row("effect", w)
	}
	if r.note != "" {
		b.WriteString("\n" + r.note + "\n")
	}
	return b.String(), faults
}

func judgeWorld(h Hypothesis, w world, n int) tally {
	verdicts := make([]analysis.Verdict, n)
	everyTrial(n, func(i int) {
		_, seed := simRNG(h.ID+w.why, i)
		e := w.of(seed)
		e.Plan.Seed = seed
		verdicts[i] = h.Judge(e).Verdict
	})
	c := tally{N: n}
	for _, v := range verdicts {
		switch v.Outcome {
		case analysis.Supported:
			c.Supported++
		case analysis.Refuted:
			c.Refuted++
		case analysis.Invalid:
			c.Invalid++
		}
		if v.P == nil {
			continue
		}
		c.P++
		if *v.P <= 0.05 {
			c.Low++
		}
		if *v.P <= 0.05/9 {
			c.Lower++
		}
	}
	return c
}

// machine is how runs differ that should not, in ln units of TTFT.
type machine struct {
	run   float64 // sd between runs of one arm
	block float64 // sd of what the runs of a block share
	drift float64 // from the first run of all to the last
	heavy bool    // run noise is Student's t with 3 degrees of freedom
	// asListed says that the arms of a block ran in the order they are listed in;
	// else each block has its own random order.
	asListed bool
}

// on gives an experiment the machine's noise: every run's latencies are
// multiplied by a factor of the run.
func (m machine) on(e *analysis.Experiment, seed uint64) *analysis.Experiment {
	for i, run := range e.Sources {
		m.on(run, seed+uint64(i))
	}
	if len(e.Arms) == 0 {
		return e
	}
	rng := rand.New(rand.NewPCG(seed, 99))
	blocks := map[int][]*analysis.Measured{}
	var order []int
	for _, a := range e.Arms {
		if blocks[a.Block] == nil {
			order = append(order, a.Block)
		}
		blocks[a.Block] = append(blocks[a.Block], a)
	}
	done := 0
	for _, b := range order {
		shared := m.block * rng.NormFloat64()
		places := rng.Perm(len(blocks[b]))
		for i, a := range blocks[b] {
			place := places[i]
			if m.asListed {
				place = i
			}
			drift := m.drift * float64(done+place) / float64(len(e.Arms)-1)
			slowed(a, math.Exp(shared+drift+m.run*m.draw(rng)))
		}
		done += len(blocks[b])
	}
	return e
}

// draw is the noise of one run, of unit scale.
func (m machine) draw(rng *rand.Rand) float64 {
	z := rng.NormFloat64()
	if !m.heavy {
		return z
	}
	square := 0.0
	for range 3 {
		v := rng.NormFloat64()
		square += v * v
	}
	return z / math.Sqrt(square/3)
}

// slowed multiplies all latencies of a run.
func slowed(a *analysis.Measured, by float64) {
	for i := range a.TTFT {
		a.TTFT[i] *= by
	}
	for i := range a.E2E {
		a.E2E[i] *= by
	}
	for i := range a.Touches {
		a.Touches[i].TTFTMs *= by
	}
	for i := range a.Slices {
		a.Slices[i].TTFTMs *= by
	}
}

// noise names a machine in a row.
func (m machine) String() string {
	s := fmt.Sprintf("noise %.2f", m.run)
	if m.heavy {
		s += ", heavy tails"
	}
	if m.block > 0 {
		s += fmt.Sprintf(", blocks %.2f", m.block)
	}
	if m.drift != 0 {
		s += fmt.Sprintf(", drift %.2f", m.drift)
	}
	return s
}

// fair is the machine of the rows that name none: 5 % between runs, and 5 %
// that a block's runs share.
func fair() machine { return machine{run: 0.05, block: 0.05} }

// in makes a world of a machine and a generator.
func in(m machine, why string, of func(seed uint64) *analysis.Experiment) world {
	return world{why + "; " + m.String(), func(seed uint64) *analysis.Experiment { return m.on(of(seed), seed) }}
}
