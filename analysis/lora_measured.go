package analysis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/spark-harness/harness/loadgen"
)

// Touch is one good request of the measured window and the adapter it asked for.
type Touch struct {
	Adapter string  // "" is the base model
	TTFTMs  float64 // from due
	// LoadMs is how long the request waited for its adapter by the server's own
	// account, 0 for one that was resident; NaN where the server does not tell.
	LoadMs float64
	Turn   int // of its user, from 0
	Due    time.Duration
}

// touchOf is the record as a touch.
func touchOf(r *loadgen.RecordHead, ttftMs float64) Touch {
	due, _ := r.Due.Get()
	t := Touch{Adapter: r.Adapter, TTFTMs: ttftMs, LoadMs: math.NaN(), Turn: r.Turn, Due: due}
	if ns, ok := r.AdapterLoad.Get(); ok {
		t.LoadMs = float64(ns) / 1e6
	}
	return t
}

// inDueOrder sorts touches by when they were due; records are written as they
// end.
func inDueOrder(touches []Touch) {
	slices.SortStableFunc(touches, func(a, b Touch) int { return cmp.Compare(a.Due, b.Due) })
}

// WindowReadBytes is what the watched device read in the measured window; NaN
// where it was not observed.
func (m *Measured) WindowReadBytes() float64 {
	return m.Telemetry.ReadMBPerSec * 1e6 * m.Summary.Window.Length().Seconds()
}

// AdapterInBytes is what the server says it read to load adapters over the arm,
// idle edge to idle edge; NaN where it does not tell.
func (m *Measured) AdapterInBytes() float64 { return orAbsent(m.Server.AdapterInBytes) }

// AdapterLoads is how many adapters the server says it loaded over the arm; NaN
// where it does not tell.
func (m *Measured) AdapterLoads() float64 { return orAbsent(m.Server.AdapterLoads) }

func orAbsent(p *float64) float64 {
	if p == nil {
		return math.NaN()
	}
	return *p
}
