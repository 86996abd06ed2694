package analysis

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/montanaflynn/stats"

	"github.com/spark-harness/harness/internal/bundle"
	"github.com/spark-harness/harness/internal/jsonl"
	"github.com/spark-harness/harness/loadgen"
	"github.com/spark-harness/harness/spark"
	"github.com/spark-harness/harness/sysmon"
)

// Measured is one arm with what its raw files say: order statistics from its
// records and rates from its telemetry. NaN is absent.
type Measured struct {
	Arm

	// TTFT and E2E are of the good requests due in the measured window, as the
	// user sees them (from due), ascending, in milliseconds.
	TTFT, E2E []float64
	byDue     []timed // the same TTFT with their due times
	// Cycle is their mean time from due to close, in milliseconds: what a
	// closed-loop user waits before the next request.
	Cycle float64
	// Completed counts the good requests that ended inside the window.
	Completed int
	// Touches are the requests behind TTFT in the order in which they were due.
	Touches []Touch

	PromptTokensMean float64 // of the server's counts
	OutputTokensMean float64
	CachedTokensMean float64 // part of the prompt that the server reused

	Telemetry Telemetry
	// Counters are over the measured window, and Slices its steps in order.
	Counters Counters
	Slices   []Slice
	// Contention is the evidence of what Storage did; nil without Storage.
	Contention *Contention
	// Smart is what the disk itself and the kernel counted between the idle edges;
	// nil where nobody saw the disk.
	Smart *SmartDelta
}

// Telemetry is an arm's telemetry reduced to what judges read. Rates and awaits
// are over the measured window, ReadBytes over the whole arm between its idle
// edges. NaN is absent.
type Telemetry struct {
	Completeness   float64 // ticks there over ticks due, in [0,1]
	MissingTicks   int     // ticks due that are not there
	ReadMBPerSec   float64
	ServerMBPerSec float64 // read back from a disk by the server's own count
	WriteMBPerSec  float64
	ReadAwaitMs    float64
	AquSz          float64
	IOWaitPct      float64
	CPUBusyCores   float64
	ReadBytes      float64 // of the watched device, idle edge to idle edge
	RefaultBytes   float64 // file and anonymous pages that came back, idle edge to idle edge
	SwapInBytes    float64
}

// QuantileMs is the TTFT quantile of the arm's good requests; ok is false where
// its 95 % interval does not exist: such a quantile is withheld.
func (m *Measured) QuantileMs(q float64) (v float64, ok bool) {
	if _, ok := QuantileCI(m.TTFT, q, 0.95); !ok {
		return math.NaN(), false
	}
	return Quantile(m.TTFT, q)
}

// TTFTWindows cuts the TTFT values into consecutive windows by due time, the
// blocks that BootstrapQuantile resamples inside a run: 10 s, or 1 s where the
// measured window is shorter than 30 s.
func (m *Measured) TTFTWindows() [][]float64 {
	width := sliceWidth(m.Summary.Window.Length())
	at, values := make([]time.Duration, len(m.byDue)), make([]float64, len(m.byDue))
	for i, v := range m.byDue {
		at[i], values[i] = v.due, v.ms
	}
	return Windows(at, values, width)
}

// timed is a latency and when its request was due.
type timed struct {
	due time.Duration
	ms  float64
}

// ThroughputPerSec is the good requests that ended inside the window per second.
func (m *Measured) ThroughputPerSec() float64 {
	return float64(m.Completed) / m.Summary.Window.Length().Seconds()
}

// maxRun is longer than any run: what lies beyond it is a wrong number, and a
// window is cut into slices.
const maxRun = 100 * 24 * time.Hour

// measure reads one arm's directory.
func measure(dir string) (*Measured, error) {
	m := &Measured{}
	if err := readJSON(filepath.Join(dir, "arm.json"), &m.Arm); err != nil {
		return nil, err
	}
	if m.Schema > ArmSchema {
		return nil, fmt.Errorf("analysis: %s: arm schema %d: %w", dir, m.Schema, ErrSchema)
	}
	for _, w := range []loadgen.Window{m.Summary.Window, m.Idle} {
		if w.Start < 0 || w.End < w.Start || w.End > maxRun {
			return nil, fmt.Errorf("analysis: %s: a window from %v to %v: %w", dir, w.Start, w.End, bundle.ErrCorrupt)
		}
	}
	if err := m.readRecords(filepath.Join(dir, "requests.jsonl.zst")); err != nil {
		return nil, err
	}
	table, err := sysmon.ReadTable(filepath.Join(dir, "telemetry.csv.zst"))
	if err != nil {
		return nil, fmt.Errorf("analysis: read telemetry: %w: %w", err, damageOf(err))
	}
	served, err := readServer(filepath.Join(dir, "server.jsonl.zst"))
	if err != nil {
		return nil, err
	}
	w := m.Summary.Window
	m.Telemetry = reduce(table, w, m.Idle)
	m.Telemetry.ServerMBPerSec = served.mbPerSec(w.Start, w.End)
	m.Counters, m.Slices = countersOf(table, served, w.Start, w.End), m.slicesOf(table, served)
	if m.Smart, err = readSmart(dir, table, m.Idle); err != nil {
		return nil, err
	}
	return m, m.readContention(dir)
}

func (m *Measured) readRecords(path string) error {
	var cycle, prompt, output, cached mean
	w := m.Summary.Window
	for r, err := range loadgen.ReadHeads(path) {
		if err != nil {
			return fmt.Errorf("analysis: read records: %w: %w", err, damageOf(err))
		}
		if err := inOrder(r); err != nil {
			return fmt.Errorf("analysis: read records: %s: %w", path, err)
		}
		if r.Outcome != loadgen.OutcomeOK {
			continue
		}
		due, first, last, end, whole := instantsOf(r)
		if _, ok := r.Close.Get(); ok && inside(end, w) {
			m.Completed++
		}
		if r.Phase != loadgen.PhaseMeasure || !whole {
			continue
		}
		ttft := float64(first-due) / 1e6
		m.TTFT = append(m.TTFT, ttft)
		m.byDue = append(m.byDue, timed{due, ttft})
		m.Touches = append(m.Touches, touchOf(r, ttft))
		m.E2E = append(m.E2E, float64(last-due)/1e6)
		cycle.add(float64(end-due) / 1e6)
		prompt.addCount(r.PromptTokens)
		output.addCount(r.OutputTokens)
		cached.addCount(r.CachedTokens)
	}
	slices.Sort(m.TTFT)
	slices.Sort(m.E2E)
	inDueOrder(m.Touches)
	m.Cycle, m.PromptTokensMean, m.OutputTokensMean, m.CachedTokensMean = cycle.value(), prompt.value(), output.value(), cached.value()
	return nil
}

// instantsOf are the instants that a latency needs; whole says that all are
// there.
func instantsOf(r *loadgen.RecordHead) (due, first, last, end time.Duration, whole bool) {
	due, okDue := r.Due.Get()
	first, okFirst := r.FirstToken.Get()
	last, okLast := r.LastToken.Get()
	end, okEnd := r.Close.Get()
	return due, first, last, end, okDue && okFirst && okLast && okEnd
}

// readServer reads the server's counters; a server without any left no file.
func readServer(path string) (serverReads, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	served, err := readServerReads(spark.Points(jsonl.Read[spark.Scrape](path)))
	if err != nil {
		return nil, fmt.Errorf("analysis: read server counters: %w: %w", err, damageOf(err))
	}
	return served, nil
}

// damageOf says what a file that cannot be read means for the run.
func damageOf(err error) error {
	if errors.Is(err, sysmon.ErrSchema) {
		return ErrSchema
	}
	return bundle.ErrCorrupt
}

func inside(at time.Duration, w loadgen.Window) bool { return at >= w.Start && at < w.End }

// mean is a running mean that is absent, not 0, without data.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v float64) { m.sum += v; m.n++ }

func (m *mean) addCount(c loadgen.Count) {
	if n, ok := c.Get(); ok {
		m.add(float64(n))
	}
}

func (m *mean) value() float64 {
	if m.n == 0 {
		return math.NaN()
	}
	return m.sum / float64(m.n)
}

// Median is the middle of values, the mean of the two middle ones of an even
// number, NaN without any.
func Median(values []float64) float64 {
	m, err := stats.Median(values)
	if err != nil {
		return math.NaN()
	}
	return m
}
