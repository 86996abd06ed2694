package analysis

import (
	"math"
	"math/rand/v2"
	"testing"
)

// h0Levels is the user sweep of H0.
var h0Levels = []float64{1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256}

// sweepOf is a sweep of a known curve over h0Levels: every run carries
// normal noise of sd noise in ln latency, and every block one of sd shared.
func sweepOf(rng *rand.Rand, blocks int, noise, shared float64, curve func(x float64) float64) []Point {
	var points []Point
	for b := range blocks {
		offset := shared * rng.NormFloat64()
		for _, x := range h0Levels {
			points = append(points, Point{x, curve(x) + offset + noise*rng.NormFloat64(), b})
		}
	}
	return points
}

func hingeCurve(knee, before, rise float64) func(float64) float64 {
	return func(x float64) float64 { return before*math.Log(x) + rise*max(0, math.Log(x/knee)) }
}

// queueCurveOf has latency at 2k = ratio × latency at k.
func queueCurveOf(knee, ratio float64) func(float64) float64 {
	return func(x float64) float64 { return math.Log(1 + (ratio-1)*max(0, x/knee-1)) }
}

func BenchmarkFitHinge(b *testing.B) {
	s, _ := newSweep(sweepOf(rand.New(rand.NewPCG(1, 1)), 5, 0.15, 0.05, hingeCurve(16, 0.1, 1)))
	g := s.groups([]int{1, 1, 1, 1, 1})
	for b.Loop() {
		g.fitHinge()
	}
}

func BenchmarkFitQueue(b *testing.B) {
	s, _ := newSweep(sweepOf(rand.New(rand.NewPCG(1, 1)), 5, 0.15, 0.05, hingeCurve(16, 0.1, 1)))
	g := s.groups([]int{1, 1, 1, 1, 1})
	for b.Loop() {
		g.fitQueue()
	}
}

func BenchmarkFitKnee(b *testing.B) {
	points := sweepOf(rand.New(rand.NewPCG(1, 1)), 5, 0.15, 0.05, hingeCurve(16, 0.1, 1))
	for b.Loop() {
		if _, err := FitKnee(points, Resampling{B: 1000}); err != nil {
			b.Fatal(err)
		}
	}
}
