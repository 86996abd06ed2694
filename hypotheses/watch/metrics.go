package watch

import (
	"cmp"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// families collects metric families; absent numbers leave no sample, and a
// family without samples is left out.
type families struct{ list []*dto.MetricFamily }

func (f *families) family(name, help string, kind dto.MetricType) *dto.MetricFamily {
	m := &dto.MetricFamily{Name: new(name), Help: new(help), Type: kind.Enum()}
	f.list = append(f.list, m)
	return m
}

// gauge and counter add a family of one sample without labels.
func (f *families) gauge(name, help string, v float64) {
	sample(f.family(name, help, dto.MetricType_GAUGE), v)
}

func (f *families) counter(name, help string, v float64) {
	sample(f.family(name, help, dto.MetricType_COUNTER), v)
}

// sample adds a sample; labels are names and values in turn.
func sample(to *dto.MetricFamily, v float64, labels ...string) {
	if math.IsNaN(v) {
		return
	}
	m := &dto.Metric{}
	for i := 0; i+1 < len(labels); i += 2 {
		m.Label = append(m.Label, &dto.LabelPair{Name: new(labels[i]), Value: new(strings.ToValidUTF8(labels[i+1], "\uFFFD"))})
	}
	if to.GetType() == dto.MetricType_COUNTER {
		m.Counter = &dto.Counter{Value: new(v)}
	} else {
		m.Gauge = &dto.Gauge{Value: new(v)}
	}
	to.Metric = append(to.Metric, m)
}

func (h *histogram) metric(phase string) *dto.Metric {
	out := &dto.Histogram{SampleSum: new(h.sum)}
	var n uint64
	for i, le := range ttftBounds() {
		n += h.counts[i]
		out.Bucket = append(out.Bucket, &dto.Bucket{UpperBound: new(le), CumulativeCount: new(n)})
	}
	out.SampleCount = new(n + h.counts[len(h.counts)-1])
	return &dto.Metric{Histogram: out, Label: []*dto.LabelPair{{Name: new("phase"), Value: new(phase)}}}
}

// gather is everything for Prometheus as of now.
func (h *Hub) gather() []*dto.MetricFamily {
	h.mu.Lock()
	defer h.mu.Unlock()
	var f families
	f.progress(h.s, (h.now() - h.start).Seconds())
	f.requests(&h.s.total)
	f.machine(h.s)
	f.counter("spark_watch_dropped_total", "Events that this view lacks because a buffer was full; the run's files have them.", float64(h.s.dropped))
	return slices.DeleteFunc(f.list, func(m *dto.MetricFamily) bool { return len(m.Metric) == 0 })
}

// progress tells what is measured and how far it is.
func (f *families) progress(s *state, now float64) {
	info := f.family("spark_run_info", "What is measured now; the value is always 1.", dto.MetricType_GAUGE)
	planned := f.family("spark_arms_planned", "Arms of the hypothesis at hand.", dto.MetricType_GAUGE)
	done := f.family("spark_arms_done", "Arms of the hypothesis at hand that are done.", dto.MetricType_GAUGE)
	left := f.family("spark_remaining_seconds", "Estimated time until the hypothesis at hand is measured, in seconds.", dto.MetricType_GAUGE)
	if r := s.current(); r != nil {
		var t Target
		if r.Target != nil {
			t = *r.Target
		}
		name, users, n := "", "", 0.0
		if s.arm >= 0 && s.arm < len(r.Arms) {
			name, users = r.Arms[s.arm].Name, strconv.Itoa(r.Arms[s.arm].Users)
		}
		for _, a := range r.Arms {
			if a.State == "done" {
				n++
			}
		}
		sample(info, 1, "hypothesis", r.ID, "arm", name, "users", users, "target", t.URL, "model", t.Model,
			"emulated", strconv.FormatBool(t.Emulated), "profile", t.Profile, "endpoint", t.Endpoint, "device", t.Device)
		sample(planned, float64(len(r.Arms)))
		sample(done, n)
		if r.EndsAt > 0 {
			sample(left, max(0, r.EndsAt-now))
		}
	}
	phase := f.family("spark_phase", "1 for the phase at hand, 0 for the others.", dto.MetricType_GAUGE)
	for _, p := range phases() {
		v := 0.0
		if p == s.phaseNow() {
			v = 1
		}
		sample(phase, v, "phase", p)
	}
	verdicts := map[string]string{} // the newest of each
	for _, r := range s.runs {
		if r.Outcome != "" {
			verdicts[r.ID] = r.Outcome
		}
	}
	verdict := f.family("spark_verdict_info", "Verdicts so far; the value is always 1.", dto.MetricType_GAUGE)
	for _, id := range slices.Sorted(maps.Keys(verdicts)) {
		sample(verdict, 1, "hypothesis", id, "outcome", verdicts[id])
	}
}

// requests tells what the load generator saw. A request counts once it ended.
func (f *families) requests(t *totals) {
	ttft := f.family("spark_ttft_seconds", "Time to first token of successful requests, from when they were due, in seconds. Verdicts rest on phase=\"measure\" alone.", dto.MetricType_HISTOGRAM)
	for _, p := range slices.Sorted(maps.Keys(t.ttft)) {
		ttft.Metric = append(ttft.Metric, t.ttft[p].metric(string(p)))
	}
	requests := f.family("spark_requests_total", "Requests that ended, by phase of their due time and outcome.", dto.MetricType_COUNTER)
	keys := slices.SortedFunc(maps.Keys(t.requests), func(a, b ending) int {
		return cmp.Or(cmp.Compare(a.phase, b.phase), cmp.Compare(a.outcome, b.outcome))
	})
	for _, k := range keys {
		sample(requests, t.requests[k], "phase", string(k.phase), "outcome", string(k.outcome))
	}
	tokens := f.family("spark_output_tokens_total", "Output tokens of requests that ended.", dto.MetricType_COUNTER)
	for _, p := range slices.Sorted(maps.Keys(t.tokens)) {
		sample(tokens, t.tokens[p], "phase", string(p))
	}
	f.gauge("spark_requests_in_flight", "Requests that the load generator has on the wire.", float64(t.flight))
	f.gauge("spark_server_requests_running", "Requests that the server works on, by its own count.", value(t.running))
	f.gauge("spark_server_requests_waiting", "Requests that wait in the server, by its own count.", value(t.waiting))
}

// machine tells what the telemetry beside the load saw.
func (f *families) machine(s *state) {
	t := &s.total
	if g := t.disk; g.diskSec > 0 {
		f.counter("spark_disk_reads_completed_total", "Reads that the watched disk completed while arms ran.", g.reads)
		f.counter("spark_disk_read_bytes_total", "Bytes that the watched disk delivered while arms ran.", g.readBytes)
		f.counter("spark_disk_read_wait_seconds_total", "Summed wait of those reads in seconds; over the reads it is r_await.", g.readMs/1e3)
		f.counter("spark_disk_queue_seconds_total", "Summed wait of all I/O in seconds; its rate is aqu-sz.", g.weightedMs/1e3)
	}
	if last := s.lastComplete(); last != nil {
		g := last.disk
		f.gauge("spark_disk_read_await_seconds", "r_await of the last full second, in seconds; missing without reads.", g.readAwaitMs()/1e3)
		f.gauge("spark_disk_queue_length", "aqu-sz of the last full second.", ratio(g.weightedMs/1e3, g.diskSec))
		f.gauge("spark_cpu_iowait_ratio", "Share of CPU time idle for want of an I/O in the last full second, of all CPUs.", ratio(g.iowait, g.cpu))
	}
	f.gauge("spark_memory_available_bytes", "MemAvailable in bytes.", t.memory)
	stalled := f.family("spark_pressure_stalled_seconds_total", "Time in which some task was stalled on the resource while arms ran, in seconds.", dto.MetricType_COUNTER)
	if t.disk.ioSec > 0 {
		sample(stalled, t.disk.ioStall, "resource", "io")
	}
	if t.disk.memSec > 0 {
		sample(stalled, t.disk.memStall, "resource", "memory")
	}
}

// lastComplete is the newest full second that has telemetry; nil where that is
// not among the last three.
func (s *state) lastComplete() *bin {
	sec := int64(s.latest.Seconds())
	for i := sec - 1; i >= max(sec-3, s.fine.base); i-- {
		if k := i - s.fine.base; k < int64(len(s.fine.bins)) && s.fine.bins[k].disk != (growth{}) {
			return &s.fine.bins[k]
		}
	}
	return nil
}

func value(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// metrics serves what Prometheus scrapes, in the form that it asks for.
func (h *Hub) metrics(w http.ResponseWriter, r *http.Request) {
	format := expfmt.NegotiateAccept(r.Header, expfmt.DefaultAcceptedFormats()...)
	w.Header().Set("Content-Type", string(format))
	enc := expfmt.NewEncoder(w, format)
	for _, m := range h.gather() {
		if enc.Encode(m) != nil {
			return // the scraper is gone
		}
	}
}
