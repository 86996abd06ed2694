package hypotheses

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spark-harness/harness/internal/bundle"
)

// Suite is several hypotheses, measured one after the other.
type Suite struct {
	Config   Config
	Plan     []Hypothesis // in this order; see InOrder
	Progress Progress
	// Done is told of each as it ends; nil for nobody.
	Done func(Result)
}

// Result is how one hypothesis of a suite ended.
type Result struct {
	Hypothesis Hypothesis
	Judgement  Judgement // zero with an Err that came before judging
	Dir        string    // of the run, "" where none was committed
	Err        error     // ErrLacking where this machine lacks what it takes
	Took       time.Duration
}

// Run measures and judges the plan in order. One that cannot be measured does
// not hold up the next: its Err is kept. Only the end of ctx ends the suite early;
// the result of the one that was under way is then the last. What was measured
// stays on disk in any case.
func (s Suite) Run(ctx context.Context) []Result {
	expect := s.Expect()
	s.Progress.Watch.Queue(ids(s.Plan)...)
	var all []Result
	for i, h := range s.Plan {
		p := s.Progress
		if len(s.Plan) > 1 {
			p.place = fmt.Sprintf("%d of %d  ", i+1, len(s.Plan))
		}
		for _, d := range expect[i+1:] {
			p.later += d
		}
		start := time.Now()
		r := Result{Hypothesis: h}
		r.Judgement, r.Dir, r.Err = Execute(ctx, s.Config, h, time.Time{}, p)
		r.Took = time.Since(start)
		all = append(all, r)
		if s.Done != nil {
			s.Done(r)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return all
}

// InOrder puts analytical hypotheses after those that measure, both in the order
// of plan: what they rest on is there when their turn comes.
func InOrder(plan []Hypothesis) []Hypothesis {
	out := slices.Clone(plan)
	slices.SortStableFunc(out, func(a, b Hypothesis) int {
		rests := func(h Hypothesis) int {
			if h.Gather != nil {
				return 1
			}
			return 0
		}
		return cmp.Compare(rests(a), rests(b))
	})
	return out
}

// expected says how long a hypothesis takes where no earlier run tells: measured
// in quick on the emulator, and the arms of full, of which each takes fullArm.
var expected = map[string]struct {
	quick time.Duration
	arms  int
}{
	"H0": {350 * time.Second, 70},
	"H1": {30 * time.Second, 20},
	"H2": {300 * time.Second, 65},
	"H4": {330 * time.Second, 96},
	"H5": {260 * time.Second, 56},
	"H6": {125 * time.Second, 30},
}

const (
	fullArm  = 340 * time.Second // window, warm-up, settling and edges
	analysed = 10 * time.Second  // judging runs that are there
)

// Expect is about how long each hypothesis of the plan takes: as long as its last
// run of this profile in the results directory, else what is usual.
func (s Suite) Expect() []time.Duration {
	profile := s.Config.likelyProfile()
	out := make([]time.Duration, len(s.Plan))
	for i, h := range s.Plan {
		usual, known := expected[h.ID]
		switch {
		case !known:
			out[i] = analysed
		case profile == "full":
			out[i] = time.Duration(usual.arms) * fullArm
		case profile == "smoke":
			out[i] = usual.quick / 8
		default:
			out[i] = usual.quick
		}
		if d, ok := s.Config.lastTook(h.ID, profile); ok {
			out[i] = d
		}
	}
	return out
}

// likelyProfile is the profile asked for, else the one that the target will
// have as far as that is known before it is looked for.
func (c Config) likelyProfile() string {
	switch {
	case c.Profile != "":
		return c.Profile
	case c.BaselineURL != "":
		return "full"
	}
	return "quick"
}

// lastTook is how long the last committed run took, from its start to the sums
// that end it. A copied run, whose files are new, is not believed.
func (c Config) lastTook(id, profile string) (time.Duration, bool) {
	results, err := c.results()
	if err != nil {
		return 0, false
	}
	runs, err := bundle.Runs(results, id)
	if err != nil {
		return 0, false
	}
	for _, dir := range slices.Backward(runs) {
		f, err := findRun(dir)
		if err != nil || f.Head.Profile.Name != profile || f.Manifest.Control != c.control() {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, bundle.SumsFile))
		if err != nil {
			continue
		}
		if d := info.ModTime().Sub(f.Manifest.Started); d > 0 && d < 100*time.Hour {
			return d, true
		}
	}
	return 0, false
}

// Describe says what the suite will do and about how long that takes.
func (s Suite) Describe() string {
	var sum time.Duration
	line := ""
	for i, d := range s.Expect() {
		sum += d
		if i > 0 {
			line += ", "
		}
		line += fmt.Sprintf("%s (%s)", s.Plan[i].ID, brief(d.Round(time.Second)))
	}
	text := fmt.Sprintf("measuring %s; about %s in all, profile %s", line, brief(sum.Round(time.Second)), s.Config.likelyProfile())
	if s.Config.Profile == "" && s.Config.BaselineURL == "" {
		text += " (full, which takes hours, if a real server is found on this host)"
	}
	return text
}
