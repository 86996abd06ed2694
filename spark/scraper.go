package spark

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spark-harness/harness/internal/clock"
)

// ErrNoMetrics means that a server has no counters to scrape.
var ErrNoMetrics = errors.New("spark: server has no metrics")

// Scrape is one reading of a server's counters as it is stored, a JSON line
// each. The text is kept as it came, so that counters which nobody thought of
// can still be had from an old run.
type Scrape struct {
	T     time.Duration `json:"t_ns"`    // middle of the reading, since the epoch
	Took  time.Duration `json:"took_ns"` // from request to last byte
	Kind  string        `json:"kind"`    // "prometheus" or "trtllm-iterations"
	Raw   string        `json:"raw,omitempty"`
	Error string        `json:"error,omitempty"` // why Raw is missing
}

// Scraper reads one server's counters. It is for one goroutine; trtllm-serve
// in particular hands every iteration to one reader only.
type Scraper struct {
	client *client
	source metricsSource
	clock  clock.Clock
	epoch  time.Duration
}

// NewScraper makes a scraper for s that stamps instants since epoch, which is
// an instant of CLOCK_MONOTONIC. The error is ErrNoMetrics where the server
// showed no counters when it was attached.
func NewScraper(s *Server, epoch time.Duration) (*Scraper, error) {
	if s.metrics.path == "" {
		return nil, fmt.Errorf("%w: %s (%s)", ErrNoMetrics, s.Endpoint.URL, metricsRemedy(s.Flavor))
	}
	c, err := newClient(s.Endpoint)
	if err != nil {
		return nil, err
	}
	if s.metrics.base != nil {
		c = c.at(s.metrics.base)
	}
	return &Scraper{client: c, source: s.metrics, clock: clock.New(), epoch: epoch}, nil
}

func metricsRemedy(f Flavor) string {
	switch f {
	case FlavorTRTLLM:
		return "set return_perf_metrics: true and enable_iter_perf_stats: true in its options file"
	case FlavorSGLang:
		return "start it with --enable-metrics"
	case FlavorLlamaCPP:
		return "start it with --metrics"
	case FlavorTriton:
		return "neither its own port nor port 8002 of its host shows metrics of this model: publish that port, and do not start it with --allow-metrics=false"
	}
	return "it serves neither /metrics nor /prometheus/metrics"
}

// Scrape reads the counters once. A failed reading is a Scrape with Error set,
// because a gap in the record must show; it never fails otherwise.
func (s *Scraper) Scrape(ctx context.Context) Scrape {
	start := s.clock.Now()
	a, err := s.client.get(ctx, s.source.path, 5*time.Second)
	end := s.clock.Now()
	out := Scrape{T: start + (end-start)/2 - s.epoch, Took: end - start, Kind: s.source.kind}
	switch {
	case err != nil:
		out.Error = s.client.says([]byte(err.Error()))
	case !a.ok():
		out.Error = fmt.Sprintf("status %d: %s", a.status, s.client.says(a.body))
	default:
		out.Raw = string(a.body)
	}
	return out
}

// Run scrapes at once, then at every multiple of the interval after the start,
// and once more when ctx ends; each goes to emit. Deadlines are absolute: a
// slow answer skips the deadlines that it outlasts and shifts none. Run returns
// nil when ctx ends and the error of emit as soon as it has one.
func (s *Scraper) Run(ctx context.Context, interval time.Duration, emit func(Scrape) error) error {
	if interval <= 0 {
		return fmt.Errorf("spark: scrape: interval %v is not positive", interval)
	}
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			// The edge of the phase, past the end of the context.
			edge, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			return emit(s.Scrape(edge))
		case <-timer.C:
		}
		got := s.Scrape(ctx)
		if ctx.Err() != nil {
			continue // cut off by the end, which scrapes again
		}
		if err := emit(got); err != nil {
			return err
		}
		next := (time.Since(start)/interval + 1) * interval
		timer.Reset(time.Until(start.Add(next)))
	}
}

// Point is one reading under common names.
type Point struct {
	T        time.Duration `json:"t_ns"` // since the epoch
	Counters Counters      `json:"counters"`
	Error    string        `json:"error,omitempty"` // why Counters are missing or partial
}

// Points turns stored scrapes into counters, one Point each; an error of the
// sequence ends it. See [Scrape.Point].
func Points(scrapes iter.Seq2[Scrape, error]) iter.Seq2[Point, error] {
	return func(yield func(Point, error) bool) {
		names := counterNames()
		for s, err := range scrapes {
			if err != nil {
				yield(Point{}, err)
				return
			}
			if !yield(s.point(names), nil) {
				return
			}
		}
	}
}

// Point reads the counters out of one scrape. Whatever of a damaged text is
// readable is used, and Error says what is not; lines of other metrics are not
// looked at.
func (s Scrape) Point() Point { return s.point(counterNames()) }

func (s Scrape) point(names map[string]bool) Point {
	p := Point{T: s.T, Error: s.Error}
	if s.Error != "" {
		return p
	}
	var err error
	switch s.Kind {
	case metricsPrometheus:
		var samples []Sample
		samples, err = ParseMetrics(linesOf(s.Raw, names))
		p.Counters = NewCounters(samples)
	case metricsIterations:
		var list []iteration
		list, err = parseIterations([]byte(s.Raw))
		p.Counters = iterationCounters(list)
	default:
		err = fmt.Errorf("spark: unknown kind of metrics %q", s.Kind)
	}
	if err != nil {
		p.Error = err.Error()
	}
	return p
}

// iterationCounters reads the last state in the list; an empty list, which an
// idle engine gives, says nothing.
func iterationCounters(list []iteration) Counters {
	var c Counters
	if len(list) == 0 {
		return c
	}
	last := list[len(list)-1]
	c.Running, c.Waiting = last.Active, last.Queued
	if last.Inflight != nil {
		c.Paused = last.Inflight.Paused
	}
	if kv := last.KVCacheStats; kv != nil {
		c.PrefixHits = kv.Reused
		if kv.Reused != nil && kv.Missed != nil {
			c.PrefixQueries = new(*kv.Reused + *kv.Missed)
		}
		if kv.Used != nil && kv.Max != nil && *kv.Max > 0 {
			c.KVUsage = new(*kv.Used / *kv.Max)
		}
	}
	return c
}

// counterNames are the names that counters are read from, with and without an
// ending _total.
func counterNames() map[string]bool {
	names := map[string]bool{}
	for _, f := range counterFields() {
		for _, group := range f.groups {
			for _, src := range group {
				names[src.metric], names[src.metric+"_total"] = true, true
			}
		}
	}
	return names
}

// linesOf is a page of metrics with nothing left of lines that begin with none
// of the names. Servers show hundreds of those, buckets of histograms above all,
// and a run scrapes every second. Without its comments a page reads the same:
// what a metric is does not change its value. A line that looks damaged stays, so
// that the parser refuses it under its number.
func linesOf(page string, names map[string]bool) []byte {
	var out []byte
	for line := range strings.Lines(page) {
		name := strings.TrimLeft(line, " \t")
		rest := ""
		if end := strings.IndexAny(name, "{ \t\n"); end >= 0 {
			name, rest = name[:end], name[end:]
		}
		comment := strings.HasPrefix(name, "#")
		whole := name != "" && len(rest) > 1 && (rest[0] != '{' || strings.Contains(rest, "}"))
		if comment || whole && !names[name] {
			line = "\n"
		}
		out = append(out, line...)
	}
	return out
}
