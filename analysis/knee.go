package analysis

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// Point is one run of a sweep: its level X (users, GiB, a ratio), what it
// measured, and the block (repeat) it belongs to.
type Point struct {
	X, Y  float64
	Block int
}

// KneeMargin is the BIC by which a hinge must beat every smooth curve before
// it counts as a knee: "very strong" evidence (Kass and Raftery 1995).
const KneeMargin = 10

// Model is one curve fitted to a sweep.
type Model struct {
	Name   string // "flat", "linear", "power", "hinge", "queue"
	Params int    // p
	RSS    float64
	BIC    float64 // n ln(RSS/n) + p ln n
}

// KneeFit is a sweep's latency curve and its knee. Curves are over x = ln X.
//
// The hinge y = a + s1 x + s2 max(0, x - ln k) is the model that decides. Past
// a queue's knee latency is t0 + c (X - k), which is straight in X and so
// concave in ln X: the steeper it rises the further left the hinge settles.
// Queue is the curve without that bias, a second opinion on k.
type KneeFit struct {
	N        int      // points
	Blocks   int      // repeats
	Models   []Model  // flat, linear, power, hinge
	Margin   float64  // lowest BIC of flat, linear and power, less the hinge's
	Best     string   // the name of the lowest-BIC model among Models
	Found    bool     // Margin > KneeMargin and the slope rises
	Knee     Estimate // k, in the unit of X
	Before   Estimate // s1, d ln latency / d ln X below the knee
	Rise     Estimate // s2, what the knee adds to that slope
	Queue    QueueFit
	hinge    hinge
	replicas []hinge
	conf     Resampling
}

// QueueFit is y = ln(t0 + c max(0, X - k)): flat up to the knee, then a queue
// that each further user lengthens by the same time.
type QueueFit struct {
	Model
	Margin float64  // lowest BIC of flat, linear and power, less this one's
	Found  bool     // Margin > KneeMargin
	Knee   Estimate // k, in the unit of X
	Growth Estimate // c k / t0: latency at 2k over latency at k, less 1
	Base   Estimate // t0, the latency below the knee, in the unit of exp Y
}

// At is the curve's ln latency at level X, without an interval.
func (q QueueFit) At(x float64) float64 {
	return math.Log(q.Base.Value) + math.Log(1+q.Growth.Value*max(0, x/q.Knee.Value-1))
}

// FitKnee fits flat, linear, power and hinge curves to points, whose Y is
// already ln latency, and bootstraps the hinge and the queue curve over blocks
// (r; the fit itself draws nothing). Models: flat y = a (1 parameter), linear
// y = ln(a (1 + b X)) (2), power y = a + b x (2), hinge (4).
//
// The knee is searched between the second and the second-last distinct X, or
// further in where X is measured and every run has its own: at least one and a
// half points per block stay at or beyond it on either side. It is found
// exactly: on each segment the best hinge is either two free lines that meet
// inside it or bends at its end (Hudson 1966, JASA 61, 1097).
//
// A single block gives infinite intervals. ErrTooFew: fewer than 5 distinct X,
// the least with a line either side and a point to doubt them by. ErrInput: X
// not positive, or X or Y not finite; a run that failed altogether has no ln
// latency and is for the caller to void.
func FitKnee(points []Point, r Resampling) (*KneeFit, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	s, err := newSweep(points)
	if err != nil {
		return nil, err
	}
	whole := s.groups(slices.Repeat([]int{1}, s.blocks))
	f := fitCurves(whole, len(points))
	f.Blocks, f.conf = s.blocks, r
	queue := whole.fitQueue()
	f.Queue.Model = modelOf("queue", 3, queue.rss, f.N)
	f.Queue.Margin = f.smooth().BIC - f.Queue.BIC
	f.Queue.Found = f.Queue.Margin > KneeMargin
	f.bootstrap(s, queue)
	return f, nil
}

// fitCurves fits the four models that decide, without intervals.
func fitCurves(whole *groups, n int) *KneeFit {
	f := &KneeFit{N: n, hinge: whole.fitHinge()}
	linear, _ := whole.fitLinear()
	f.Models = []Model{
		modelOf("flat", 1, whole.fitFlat(), n), modelOf("linear", 2, linear, n),
		modelOf("power", 2, whole.fitPower(), n), modelOf("hinge", 4, f.hinge.rss, n),
	}
	f.Margin = f.smooth().BIC - f.Models[3].BIC
	f.Best = slices.MinFunc(f.Models, byBIC).Name
	f.Found = f.Margin > KneeMargin && f.hinge.rise > 0
	return f
}

func modelOf(name string, params int, rss float64, points int) Model {
	n := float64(points)
	rss = max(rss, n*1e-12) // a millionth: exact data keep a finite logarithm
	return Model{name, params, rss, n*math.Log(rss/n) + float64(params)*math.Log(n)}
}

// smooth is the best of the curves without a knee.
func (f *KneeFit) smooth() Model { return slices.MinFunc(f.Models[:3], byBIC) }

func byBIC(a, b Model) int { return cmp.Compare(a.BIC, b.BIC) }

// bootstrap refits the hinge and the queue curve on resampled blocks. Few
// blocks have few resamples (126 of 5 blocks), each of which is fitted once.
func (f *KneeFit) bootstrap(s *sweep, queue queueCurve) {
	if s.blocks < 2 {
		f.estimates(queue, nil)
		return
	}
	f.replicas = make([]hinge, 0, f.conf.draws())
	queues := make([]queueCurve, 0, f.conf.draws())
	first := map[string]int{} // multiplicities to the draw that had them first
	f.conf.blockWeights(s.blocks, func(weights []int) {
		key := fmt.Sprint(weights)
		if i, seen := first[key]; seen {
			f.replicas, queues = append(f.replicas, f.replicas[i]), append(queues, queues[i])
			return
		}
		first[key] = len(queues)
		g := s.groups(weights)
		f.replicas, queues = append(f.replicas, g.fitHinge()), append(queues, g.fitQueue())
	})
	f.estimates(queue, queues)
}

func (f *KneeFit) estimates(queue queueCurve, queues []queueCurve) {
	f.Knee = f.estimate(func(h hinge) float64 { return math.Exp(h.knee) })
	f.Before = f.estimate(func(h hinge) float64 { return h.before })
	f.Rise = f.estimate(func(h hinge) float64 { return h.rise })
	f.Queue.Knee = estimateOf(queue, queues, f.interval, func(c queueCurve) float64 { return c.knee })
	f.Queue.Growth = estimateOf(queue, queues, f.interval, func(c queueCurve) float64 { return c.growth })
	f.Queue.Base = estimateOf(queue, queues, f.interval, func(c queueCurve) float64 { return c.t0 })
}

// At is the hinge's ln latency at level X > 0, with the bootstrap interval.
func (f *KneeFit) At(x float64) Estimate {
	return f.estimate(func(h hinge) float64 { return h.at(math.Log(x)) })
}

// RatioAt is the hinge's latency at hiFactor × knee over that at loFactor ×
// knee, as a ratio, with the bootstrap interval; each draw uses its own knee.
func (f *KneeFit) RatioAt(hiFactor, loFactor float64) Estimate {
	return f.estimate(func(h hinge) float64 {
		return math.Exp(h.at(h.knee+math.Log(hiFactor)) - h.at(h.knee+math.Log(loFactor)))
	})
}

// RatioAt is KneeFit.RatioAt of the queue curve, flat below the knee.
func (q QueueFit) RatioAt(hiFactor, loFactor float64) Estimate {
	ratio := func(growth float64) float64 {
		return (1 + growth*max(0, hiFactor-1)) / (1 + growth*max(0, loFactor-1))
	}
	e := Estimate{ratio(q.Growth.Value), ratio(max(0, q.Growth.Lo)), ratio(q.Growth.Hi)}
	if e.Lo > e.Hi { // loFactor above hiFactor: the ratio falls as growth rises
		e.Lo, e.Hi = e.Hi, e.Lo
	}
	return e
}

// HasKnee reports whether the hinge or the queue curve beats every smooth
// curve. The hinge alone misses a steep early queue, whose long concave tail
// it takes for the bend (found 0 % at knee 4 when latency(2k)/latency(k) is
// 20); neither finds more than 1 % on curves without a knee.
func (f *KneeFit) HasKnee() bool { return f.Found || f.Queue.Found }

// KneeBy reports whether the curve that Location calls by this name shows a knee.
func (f *KneeFit) KneeBy(curve string) bool {
	if curve == f.Queue.Name {
		return f.Queue.Found
	}
	return f.Found
}

// Location is the knee of whichever curve has the lower BIC, the hinge or the
// queue curve, and that curve's name: the better answer to where the knee is,
// within 20 % over all mixtures of slope and queue tried. Whether there is one
// remains for HasKnee to say.
func (f *KneeFit) Location() (knee Estimate, model string) {
	if f.Queue.BIC < f.Models[3].BIC || f.hinge.rise <= 0 {
		return f.Queue.Knee, f.Queue.Name
	}
	return f.Knee, f.Models[3].Name
}

// BlocksNeeded estimates how many blocks would make Margin exceed KneeMargin,
// if further ones looked like these: the likelihood part of a BIC difference
// grows with the blocks, its penalty with their logarithm. It is Blocks when
// the knee is Found, and 0, not computed, when 1,000 would not do or the slope
// does not rise.
func (f *KneeFit) BlocksNeeded() int {
	extra := float64(f.Models[3].Params - f.smooth().Params)
	gain := f.Margin + extra*math.Log(float64(f.N))
	for blocks := f.Blocks; blocks <= 1000 && f.hinge.rise > 0; blocks++ {
		times := float64(blocks) / float64(f.Blocks)
		if times*gain-extra*math.Log(times*float64(f.N)) > KneeMargin {
			return blocks
		}
	}
	return 0
}

func (f *KneeFit) estimate(of func(hinge) float64) Estimate {
	return estimateOf(f.hinge, f.replicas, f.interval, of)
}

func (f *KneeFit) interval(draws []float64) (lo, hi float64) {
	return f.conf.interval(draws, f.Blocks)
}

func estimateOf[T any](whole T, replicas []T, interval func([]float64) (lo, hi float64), of func(T) float64) Estimate {
	draws := make([]float64, len(replicas))
	for i, replica := range replicas {
		draws[i] = of(replica)
	}
	lo, hi := interval(draws)
	return Estimate{of(whole), lo, hi}
}
