package sysmon

// Kind says how a column behaves over time, and so what a window may do with it.
type Kind string

// The kinds of column.
const (
	KindTime      Kind = "time"      // bookkeeping of the tick itself
	KindGauge     Kind = "gauge"     // a level at the instant of the tick
	KindCounter   Kind = "counter"   // grows; a decrease is a reset
	KindCounter32 Kind = "counter32" // grows and wraps at 2³², as the block layer's millisecond ticks do
	KindSlack     Kind = "slack"     // grows, but the kernel may take a little back (idle and iowait times)
	KindDerived   Kind = "derived"   // computed from the change over the tick
)

// Column describes one column of the record.
type Column struct {
	Name  string `json:"name"`  // stable, lower case, unit as suffix
	Unit  string `json:"unit"`  // as printed in figures
	Kind  Kind   `json:"kind"`  // behaviour over time
	Group string `json:"group"` // the source: time, disk, stat, vmstat, meminfo, psi, cgroup, pid, self
	Doc   string `json:"doc"`   // formula and kernel file; D is the change over the tick, dt its length
}

// op is how a derived column follows from raw ones.
type op int

const (
	opRate  op = iota // scale · ΣD(num) / dt in seconds
	opRatio           // scale · ΣD(num) / ΣD(den), NaN when the denominator did not move
	opSum             // scale · (Σnum − Σden), of levels
)

// formula is a derived column and its arithmetic over raw columns by name.
type formula struct {
	Column
	op       op
	scale    float64
	num, den []string
}

// derived is every derived column. Raw columns stand with their readers.
func derived(pageBytes int, cpus int, clusters []string) []formula {
	f := diskFormulas()
	f = append(f, statFormulas(cpus, clusters)...)
	f = append(f, meminfoFormulas()...)
	f = append(f, vmstatFormulas(pageBytes)...)
	f = append(f, pressureFormulas()...)
	f = append(f, cgroupFormulas(pageBytes)...)
	f = append(f, pidFormulas()...)
	return append(f, selfFormulas()...)
}

func rate(group, name, unit string, scale float64, doc string, num ...string) formula {
	return formula{Column{name, unit, KindDerived, group, doc}, opRate, scale, num, nil}
}

func ratio(group, name, unit string, scale float64, doc string, num string, den ...string) formula {
	return formula{Column{name, unit, KindDerived, group, doc}, opRatio, scale, []string{num}, den}
}

// timeColumns lead every row, in this order.
func timeColumns() []Column {
	t := func(name, unit, doc string) Column { return Column{name, unit, KindTime, "time", doc} }
	return []Column{
		t("t_mono_ns", "ns", "CLOCK_MONOTONIC at the middle of the reads, minus the epoch"),
		t("t_wall_ns", "ns", "CLOCK_REALTIME at the middle of the reads, to 256 ns; for joins with foreign logs only"),
		t("dt_ns", "ns", "time since the previous row; empty in the first"),
		t("late_ns", "ns", "wake-up minus deadline; empty in the closing row, which has no deadline"),
		t("missed", "ticks", "deadlines skipped since the previous row"),
		t("skew_ns", "ns", "clock after the reads minus clock before them"),
		t("resets", "counters", "counters that ran backwards in this tick"),
		t("self_read_us", "µs", "reading, parsing and deriving this row"),
	}
}

// Indices of timeColumns.
const (
	colT = iota
	colWall
	colDt
	colLate
	colMissed
	colSkew
	colResets
	colReadUS
	timeCount
)

// absent lists columns that this package names but has no source for yet, so
// that a record says why they are not there.
func absent() map[string]string {
	m := map[string]string{}
	for reason, names := range map[string][]string{
		"no GPU source in this version":                     {"gpu_util_pct", "gpu_sm_MHz", "gpu_power_W", "gpu_energy_J", "gpu_temp_C", "gpu_throttle_bits", "pstate"},
		"no hwmon source in this version":                   {"nvme_temp_C", "pl1_W", "pl2_W", "syspl1_W", "dc_input_W", "tj_max_C", "prochot"},
		"no SMART source in this version":                   {"nvme_warn_s", "nvme_crit_s", "smart_host_reads", "smart_host_writes", "smart_read_units", "smart_written_units", "media_errors", "pct_used"},
		"no PCIe source in this version":                    {"pcie_link_speed", "pcie_link_width", "aspm", "power_state"},
		"server metrics are kept by the run, not by sysmon": {"srv_running", "srv_waiting", "srv_preemptions", "srv_kv_usage", "srv_prefix_hit"},
	} {
		for _, n := range names {
			m[n] = reason
		}
	}
	return m
}
