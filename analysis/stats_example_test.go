package analysis_test

import (
	"fmt"
	"math"

	"github.com/spark-harness/harness/analysis"
)

// A sweep of users over five repeats; latency is flat to 16 users, then queues.
func ExampleFitKnee() {
	var points []analysis.Point
	for repeat := range 5 {
		for _, users := range []float64{1, 2, 4, 8, 12, 16, 24, 32, 48, 64} {
			ms := (200 + 25*max(0, users-16)) * (1 + 0.01*float64(repeat))
			points = append(points, analysis.Point{X: users, Y: math.Log(ms), Block: repeat})
		}
	}
	fit, err := analysis.FitKnee(points, analysis.Resampling{})
	if err != nil {
		fmt.Println(err)
		return
	}
	knee, model := fit.Location()
	fmt.Printf("knee: %v, at %.0f users (%s)\n", fit.HasKnee(), knee.Value, model)
	// Output: knee: true, at 16 users (queue)
}

// Eight pairs of runs, B ten to twenty per cent slower than A.
func ExampleSignFlip() {
	a := []float64{200, 210, 190, 205, 195, 201, 199, 208}
	b := []float64{230, 243, 209, 240, 226, 231, 228, 232}
	d, err := analysis.LnRatios(a, b)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, _ := analysis.SignFlip(d, analysis.Greater, analysis.Resampling{})
	e, _ := analysis.HodgesLehmann(d, 0.95)
	fmt.Printf("p = %.4f, ratio %.2f [%.2f, %.2f]\n", p, math.Exp(e.Value), math.Exp(e.Lo), math.Exp(e.Hi))
	// Output: p = 0.0039, ratio 1.15 [1.12, 1.16]
}
