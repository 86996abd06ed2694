package analysis

import "fmt"

// MSER5 is where the warm-up of a series ends: the number of leading samples
// to drop so that the standard error of the mean of the rest, over batch means
// of five, is least (White 1997; the last five batches are no candidates, as
// their own spread is chance). steady is false when more than half would go:
// the run never settled, or is all warm-up. ErrTooFew for fewer than 50
// samples, ErrInput for NaN or infinity. Apply it to TTFT, throughput and
// queue size, and take the largest.
func MSER5(x []float64) (drop int, steady bool, err error) {
	if err := finite("find warm-up", x); err != nil {
		return 0, false, err
	}
	const batch, spare = 5, 5
	n := len(x) / batch
	if n < 2*spare {
		return 0, false, fmt.Errorf("analysis: find warm-up: %w: %d samples, it needs %d", ErrTooFew, len(x), 2*spare*batch)
	}
	// From the end, Welford's update gives each tail's sum of squares.
	var mean, square, count, least float64
	best := n
	for d := n - 1; d >= 0; d-- {
		value := 0.0
		for _, v := range x[d*batch : (d+1)*batch] {
			value += v / batch
		}
		count++
		step := value - mean
		mean += step / count
		square += step * (value - mean)
		if d > n-spare {
			continue
		}
		// <= : of equal candidates the one that keeps most.
		if score := square / (count * count); best == n || score <= least {
			best, least = d, score
		}
	}
	return best * batch, 2*best <= n, nil
}
