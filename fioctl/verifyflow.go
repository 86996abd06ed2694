package fioctl

import (
	"math"
	"time"
)

// What fio's live account says of a window.

// covered is the share of the window in which fio's I/O flowed. Only the time
// up to our first signal counts: what comes after drains.
func covered(w Window) float64 {
	length := w.End - w.Start
	if length <= 0 || w.Run.Flowing <= 0 {
		return math.NaN()
	}
	until := w.Run.Ended
	if w.Run.Stopping > 0 {
		until = min(until, w.Run.Stopping)
	}
	both := min(w.End, until) - max(w.Start, w.Run.Flowing)
	return float64(max(0, both)) / float64(length)
}

// stalled is the longest time between two signs of progress that lies in the
// window at least in part, in seconds. Status that begins after the window's
// start or ends before its end is absent evidence.
func stalled(w Window) float64 {
	status := w.Run.Status
	if len(status) == 0 || status[0].T > w.Start || status[len(status)-1].T < w.End {
		return math.NaN()
	}
	longest, last := time.Duration(0), status[0]
	for i, s := range status[1:] {
		final := i == len(status)-2
		if s.ReadIOs+s.WriteIOs == last.ReadIOs+last.WriteIOs && !final {
			continue
		}
		if s.T > w.Start && last.T < w.End {
			longest = max(longest, s.T-last.T)
		}
		last = s
	}
	return longest.Seconds()
}

// stallLimit allows for a status or two that came late.
func stallLimit(w Window) time.Duration {
	return max(stallLongest, 4*w.Level.Job.StatusEvery)
}

// rateRatio is the rate achieved in the window over the rate asked for.
func rateRatio(w Window) float64 {
	if w.Run == nil {
		return math.NaN()
	}
	_, ios, ok := w.Run.ReadBetween(w.Start, w.End)
	if !ok || w.End <= w.Start || !(w.Level.Job.RateIOPS > 0) {
		return math.NaN()
	}
	return ios / (w.End - w.Start).Seconds() / w.Level.Job.RateIOPS
}

// rateLimit is the least ratio that is no shortfall.
func rateLimit(w Window) float64 { return min(rateShort, 1-rateNoise(w)) }

// rateNoise is what chance moves a Poisson process's count in the window, as a
// share of it.
func rateNoise(w Window) float64 {
	expected := w.Level.Job.RateIOPS * (w.End - w.Start).Seconds()
	if !(expected > 0) {
		return 0
	}
	return sigmas / math.Sqrt(expected)
}
