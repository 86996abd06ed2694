package analysis

import "strconv"

const (
	nanosPerMilli = 1e6
	bytesPerMB    = 1e6
)

// Bench is every run of the figure as a benchmark line, named by its level:
// the repeats of a level share a name, which is how benchstat knows them.
func (h H0Figure) Bench(config []BenchConfig) Bench {
	q := orP99(h.Quantile)
	b := Bench{Config: config}
	for _, a := range h.sorted() {
		for _, r := range a.Repeats {
			b.Lines = append(b.Lines, BenchLine{
				Name: "H0", Runs: max(r.Requests, 1),
				Params: []BenchParam{{"users", strconv.Itoa(a.Users)}},
				Values: []BenchValue{
					{r.ttft() * nanosPerMilli, q + "-TTFT-ns", "lower"},
					{r.latency() * nanosPerMilli, q + "-latency-ns", "lower"},
					{r.RequestsPerSec, "requests/s", "higher"},
					{r.TokensPerSec, "output-tokens/s", "higher"},
				},
			})
		}
	}
	return b
}

// Bench is every run of the figure as a benchmark line, named by its level:
// the repeats of a level share a name, which is how benchstat knows them.
func (h H2Figure) Bench(config []BenchConfig) Bench {
	q := orP99(h.Quantile)
	b := Bench{Config: config}
	for _, a := range h.sorted() {
		for _, r := range a.Repeats {
			b.Lines = append(b.Lines, BenchLine{
				Name: "H2", Runs: max(r.Requests, 1),
				Params: []BenchParam{{"users", strconv.Itoa(a.Users)}, {"context", strconv.Itoa(a.ContextTokens)}},
				Values: []BenchValue{
					{r.ttft() * nanosPerMilli, q + "-TTFT-ns", "lower"},
					{r.latency() * nanosPerMilli, q + "-latency-ns", "lower"},
					{r.DeviceReadMBps * bytesPerMB, "device-read-B/s", ""},
					{r.ServerPageInMBps * bytesPerMB, "server-page-in-B/s", ""},
					{r.ReadAwaitMillis * nanosPerMilli, "r_await-ns", "lower"},
					{r.IOWaitPct, "iowait-%", ""},
				},
			})
		}
	}
	return b
}
