package loadgen

import "sort"

// Adapter is the place in Adapters.List of the adapter that a user's turn asks
// for, -1 where the list is empty. seed is Plan.Seed, and the answer depends on
// the arguments alone: the same plan asks for the same adapters on any machine,
// in whatever order its requests end. FirstTurn counts as it does for prompts.
//
// AdapterSticky gives user u the place u mod n, so of any first users each
// adapter has as many as any other, or one more; an open loop without Users,
// where each arrival is a new user, thereby goes through the list in order.
//
// Safe for concurrent use. AdapterZipf takes time in proportion to the list.
func (w Workload) Adapter(seed uint64, user, turn int) int {
	d := w.dealer(seed)
	return d.adapter(user, turn)
}

// dealer deals adapters to requests, with what all of them need worked out once.
type dealer struct {
	seed      uint64
	choice    AdapterChoice
	n         int // adapters, 0 for the base model alone
	firstTurn int
	chances   []float64 // of AdapterZipf: the sums of the first weights
}

func (w Workload) dealer(seed uint64) dealer {
	a := w.Adapters
	d := dealer{seed: seed, choice: a.Choice, n: len(a.List), firstTurn: w.FirstTurn}
	if a.Choice == AdapterZipf {
		d.chances = zipfSums(len(a.List), a.exponent())
	}
	return d
}

func (a Adapters) exponent() float64 {
	if a.ZipfExponent == 0 {
		return 1
	}
	return a.ZipfExponent
}

// zipfSums has the sum of the first k+1 weights 1/rank^s at place k.
func zipfSums(n int, s float64) []float64 {
	sums := make([]float64, n)
	var sum float64
	for k := range sums {
		sum += exp(-float64(s * ln(float64(k+1))))
		sums[k] = sum
	}
	return sums
}

// adapter is Workload.Adapter.
func (d *dealer) adapter(user, turn int) int {
	if d.n == 0 {
		return -1
	}
	turn += d.firstTurn
	n := uint(d.n)
	switch d.choice {
	case AdapterHotOne:
		return 0
	case AdapterInOrder:
		return int((uint(user) + uint(turn)) % n)
	case AdapterRandom:
		return int(d.draws(user, turn).below(uint64(n)))
	case AdapterZipf:
		// The inverse of the distribution: the first place whose sum reaches a
		// uniform share of all, which for a share of 1 is the last place.
		share := float64(d.draws(user, turn).uniform() * d.chances[n-1])
		return sort.SearchFloat64s(d.chances, share)
	}
	return int(uint(user) % n)
}

func (d *dealer) draws(user, turn int) *draws {
	return newDraws(d.seed, drawAdapter, pair(user, turn))
}
