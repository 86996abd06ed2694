package loadgen

import "time"

// windowSums adds up amounts by the time at which they happened, so that their
// total inside the measured window is known although the window's end is not
// yet. The ends a plan can choose lie on a fixed grid, so one bin for each of
// them is enough and memory is constant.
type windowSums struct {
	start time.Duration // of the window
	first time.Duration // its earliest end
	last  time.Duration // its latest end
	step  time.Duration // from one end to the next
	bins  []float64     // [0] is start..first, [i] the i-th step after it
}

func newWindowSums(p Plan, start time.Duration) windowSums {
	w := windowSums{
		start: start + p.Warmup,
		first: start + p.Warmup + p.Measure,
		last:  start + p.Warmup + p.Cap(),
		step:  p.WindowStep(),
	}
	w.bins = make([]float64, 1+w.steps(w.last))
	return w
}

// steps is how many steps past the first end it takes to reach end.
func (w *windowSums) steps(end time.Duration) int {
	return int((max(min(end, w.last)-w.first, 0) + w.step - 1) / w.step)
}

func (w *windowSums) add(t time.Duration, amount float64) {
	switch {
	case t < w.start || t >= w.last:
	case t < w.first:
		w.bins[0] += amount
	default:
		w.bins[1+(t-w.first)/w.step] += amount
	}
}

// before is the sum over the window, should it end at end: an end of its grid,
// or, before the first of them, the moment at which the run was cut off.
func (w *windowSums) before(end time.Duration) float64 {
	var sum float64
	for _, v := range w.bins[:1+w.steps(end)] {
		sum += v
	}
	return sum
}

// overlapSums adds up the time that intervals share with the measured window.
// The share of [a,b) before an end e is (e−a)⁺ − (e−b)⁺, so the numbers and the
// sums of the a and b before each end are enough.
type overlapSums struct {
	count windowSums // +1 at a, −1 at b
	sum   windowSums // +a at a, −b at b, from the window's start
}

func newOverlapSums(p Plan, start time.Duration) overlapSums {
	return overlapSums{newWindowSums(p, start), newWindowSums(p, start)}
}

func (o *overlapSums) add(a, b time.Duration) {
	if b <= a || b <= o.count.start {
		return
	}
	a = max(a, o.count.start)
	o.count.add(a, 1)
	o.count.add(b, -1)
	o.sum.add(a, (a - o.count.start).Seconds())
	o.sum.add(b, -(b - o.count.start).Seconds())
}

// before is the shared time, in seconds, up to end.
func (o *overlapSums) before(end time.Duration) float64 {
	return (end-o.count.start).Seconds()*o.count.before(end) - o.sum.before(end)
}
