package analysis

import "fmt"

// Table is the figure's numbers, one row per arm and level: estimates with
// their intervals, and medians over the verified repeats of everything else;
// over all repeats where none is verified.
func (h H4Figure) Table() Table {
	q := orP99(h.Quantile)
	t := Table{Title: "H4 Storage QoS sensitivity", Columns: []TableColumn{
		{"arm", ""},
		{"level", ""},
		{"of maximum", "%"},
		{"repeats", ""},
		{"verified", ""},
		{"requests", ""},
		{q + " TTFT", "ms"},
		{q + " TTFT low", "ms"},
		{q + " TTFT high", "ms"},
		{q + " latency", "ms"},
		{"r_await", "ms"},
		{"probe median", "ms"},
		{"aqu-sz", ""},
		{"device read", "MB/s"},
		{"server page-in", "MB/s"},
		{"server read wait", "ms"},
		{"fio", "MB/s"},
		{"fio", "IOPS"},
		{"iowait", "%"},
		{"CPU busy", "cores"},
	}}
	for _, a := range h.arms() {
		for _, l := range a.levels {
			e, requests := l.ttft(), 0
			for _, r := range l.Repeats {
				requests += r.Requests
			}
			t.Rows = append(t.Rows, []any{
				a.condition, l.Name, 100 * l.Share, len(l.Repeats), fmt.Sprintf("%d/%d", l.verified(), len(l.Repeats)), requests,
				e.Value, e.Lo, e.Hi, l.median(H4Repeat.latency),
				l.median(H4Repeat.readAwait), l.median(H4Repeat.probe), l.median(H4Repeat.aquSz),
				l.median(H4Repeat.deviceRead), l.median(H4Repeat.pageIn), l.median(H4Repeat.serverRead),
				l.median(H4Repeat.fioRead), l.median(H4Repeat.fioIOPS),
				l.median(H4Repeat.ioWait), l.median(H4Repeat.cpuBusy),
			})
		}
	}
	return t
}

// Bench is every run of the figure as a benchmark line, named by its arm and
// level: the repeats of a level share a name, which is how benchstat knows
// them. Runs whose load was not verified are left out.
func (h H4Figure) Bench(config []BenchConfig) Bench {
	q := orP99(h.Quantile)
	b := Bench{Config: config}
	for _, a := range h.arms() {
		for _, l := range a.levels {
			for _, r := range l.counted() {
				b.Lines = append(b.Lines, BenchLine{
					Name: "H4", Runs: max(r.Requests, 1),
					Params: []BenchParam{{"arm", a.condition}, {"level", l.Name}},
					Values: []BenchValue{
						{r.ttft() * nanosPerMilli, q + "-TTFT-ns", "lower"},
						{r.latency() * nanosPerMilli, q + "-latency-ns", "lower"},
						{r.readAwait() * nanosPerMilli, "r_await-ns", "lower"},
						{r.probe() * nanosPerMilli, "probe-ns", "lower"},
						{r.AquSz, "aqu-sz", ""},
						{r.DeviceReadMBps * bytesPerMB, "device-read-B/s", ""},
						{r.ServerPageInMBps * bytesPerMB, "server-page-in-B/s", ""},
						{r.serverRead() * nanosPerMilli, "server-read-wait-ns", "lower"},
						{r.FioMBps * bytesPerMB, "fio-B/s", ""},
						{r.FioIOPS, "fio-IOPS", ""},
						{r.IOWaitPct, "iowait-%", ""},
						{r.CPUBusyCores, "CPU-busy-cores", ""},
					},
				})
			}
		}
	}
	return b
}
